"""Fine-tuning brings prompts together by what they say, not by their place."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from core.model.checkpoint import load_encoder, save_encoder
from core.model.heads import HeadConfig
from core.preprocessing.trials import build_trials
from tests.small_encoders import small_encoder
from tests.small_trials import CONFIG, class_trials
from trainer.config.options import train_options
from trainer.training.build import build_for
from trainer.training.finetuned import with_file_heads

SIZES = ("kernel=5", "pool=5", "n_filters=4")


def trials_of(*labels):
    """Trials whose labels are given: the same classes, otherwise named or in another order."""
    made = class_trials(len(labels))
    rows = [{"label": labels[n], "image_id": name, "onset": onset, "run": "1", "subject": "s"}
            for n, name, onset in zip(made.label, made.image_id, made.onset, strict=True)]  # fmt: skip
    return build_trials(np.array(made.eeg), rows, labels)


def file_of(folder, *labels):
    trials = trials_of(*labels)
    encoder = build_for(trials, np.arange(len(trials)), CONFIG, train_options(space=("prompts",), set=SIZES), {})
    save_encoder(encoder, folder / "file.safetensors")
    return folder / "file.safetensors", encoder


def tuned_to(file, *labels):
    trials = trials_of(*labels)
    options = with_file_heads(train_options(finetune=file))
    return build_for(trials, np.arange(len(trials)), CONFIG, options, {}), trials, options


def test_prompts_keep_their_weights_in_another_order(tmp_path, capsys):
    file, before = file_of(tmp_path, "face", "house")
    after, trials, options = tuned_to(file, "animal", "face")
    assert options.targets.space == ("prompts",)
    assert after.head().config.prompts == trials.labels == ("animal", "face")
    torch.testing.assert_close(after.head().last.weight[1], before.head().last.weight[0])
    assert not torch.equal(after.head().last.weight[0], before.head().last.weight[0])
    said = capsys.readouterr().out
    assert "prompts of the file kept: 'face'; new in this store, untrained: 'animal'" in said
    assert "of the file but not in this store, left out: 'house'" in said


def test_what_the_encoder_says_of_a_known_prompt_is_what_it_said(tmp_path):
    file, before = file_of(tmp_path, "face", "house", "tree")
    after, trials, _ = tuned_to(file, "tree", "face", "house")
    eeg = torch.randn(5, *trials.eeg.shape[1:])
    torch.testing.assert_close(after.eval()(eeg)["prompts"], before.eval()(eeg)["prompts"][:, [2, 0, 1]])


def test_the_same_prompts_are_left_alone_and_nothing_is_said(tmp_path, capsys):
    file, before = file_of(tmp_path, "face", "house")
    after, _, _ = tuned_to(file, "face", "house")
    assert torch.equal(after.head().last.weight, before.head().last.weight)
    assert capsys.readouterr().out == ""


def test_a_head_without_any_known_prompt_starts_anew(tmp_path, capsys):
    file, _ = file_of(tmp_path, "face", "house")
    after, _, _ = tuned_to(file, "left", "right", "rest")
    assert after.head().config.prompts == ("left", "right", "rest")
    assert (
        "prompts of the file kept: none; new in this store, untrained: 'left', 'right', 'rest'"
        in capsys.readouterr().out
    )


def test_two_labels_of_one_caption_each_take_a_row(tmp_path):
    file, before = file_of(tmp_path, "face", "house")
    trials = trials_of("a", "b")
    trials = replace(trials, caption=np.full(len(trials), "face"))
    options = with_file_heads(train_options(finetune=file))
    after = build_for(trials, np.arange(len(trials)), CONFIG, options, {}).head()
    torch.testing.assert_close(after.last.weight[0], before.head().last.weight[0])
    assert not torch.equal(after.last.weight[1], before.head().last.weight[0])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_an_encoder_file_of_another_precision_loads_as_float32(dtype, tmp_path):
    from safetensors import safe_open

    encoder = small_encoder(HeadConfig("sd1.latent", "linear", shape=(4, 2, 2)))
    encoder.normaliser = replace(encoder.normaliser, scale=np.full(8, 0.5, np.float32))
    save_encoder(encoder, tmp_path / "float32.safetensors")
    with safe_open(tmp_path / "float32.safetensors", "pt") as file:
        told = file.metadata()
    held = load_file(tmp_path / "float32.safetensors")
    small = {name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in held.items()}
    save_file(small, tmp_path / "other.safetensors", told)
    loaded = load_encoder(tmp_path / "other.safetensors")
    assert all(tensor.dtype != dtype for tensor in loaded.state_dict().values())
    assert loaded.normaliser.scale.dtype == np.float32
    eeg = torch.randn(2, 8, 128)
    torch.testing.assert_close(loaded(eeg)["sd1.latent"], encoder(eeg)["sd1.latent"], rtol=0.1, atol=0.1)
