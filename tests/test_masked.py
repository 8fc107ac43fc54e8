"""Masked pre-training: what is hidden stays hidden, labels are not read, and a head starts from the backbone."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from core.encoders.patch_transformer import PatchTransformer, PatchTransformerConfig
from core.model.backbone_file import read_backbone_header
from tests.small_trials import CONFIG, FOUR_CLASSES, class_trials
from trainer.config.options import train_options
from trainer.training import masked
from trainer.training.build import build_for
from trainer.training.masked import MaskedModel, build_masked, masked_loss, pretrain
from trainer.training.splits import split_trials

SMALL = ("patch=4", "width=16", "depth=1", "n_heads=2", "dropout=0.0")


def options(out, **changes):
    values = {"out": out, "encoder": "patch-transformer", "set": SMALL, "masked": 3, "batch": 16, "lr": 3e-3}
    return train_options(**{**values, "average": "none", "space": ("prompts",), **changes})


def run(trials, chosen):
    chosen.outputs.out.mkdir(parents=True, exist_ok=True)
    return pretrain(trials, split_trials(trials, chosen), CONFIG, chosen, {"simulated": True})


def model(**changes):
    torch.manual_seed(0)
    config = PatchTransformerConfig(4, 32, patch=4, width=16, depth=1, n_heads=2, dropout=0.0)
    return MaskedModel(PatchTransformer(config), CONFIG, None).eval()


def test_a_hidden_patch_does_not_reach_its_prediction():
    made, eeg = model(), torch.randn(2, 4, 32)
    order = torch.stack([torch.randperm(8), torch.randperm(8)])
    predicted, true = made(eeg, order, 5)
    assert predicted.shape == true.shape == (2, 3, 16)
    changed = eeg.clone()
    for row in range(2):
        for patch in order[row, 5:].tolist():
            changed[row, :, 4 * patch : 4 * patch + 4] += 100
    again, other = made(changed, order, 5)
    torch.testing.assert_close(again, predicted)
    torch.testing.assert_close(other, true + 100)


def test_each_prediction_knows_which_patch_it_is_of():
    made, eeg = model(), torch.randn(1, 4, 32)
    order = torch.randperm(8)[None]
    turned = torch.cat([order[:, :5], order[:, 5:].flip(1)], 1)
    one, _ = made(eeg, order, 5)
    two, true = made(eeg, turned, 5)
    torch.testing.assert_close(one, two.flip(1))
    for place, patch in enumerate(turned[0, 5:].tolist()):
        torch.testing.assert_close(true[0, place], eeg[0, :, 4 * patch : 4 * patch + 4].flatten())


@pytest.mark.parametrize(("ratio", "n_seen"), [(0.5, 4), (0.01, 7), (0.99, 1), (0.75, 2)])
def test_at_least_one_patch_is_hidden_and_one_seen(ratio, n_seen):
    seen = []
    made = model()
    made.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[2]))
    masked_loss(made, torch.randn(3, 4, 32), ratio, torch.Generator())
    assert seen == [n_seen]


def test_a_signal_that_repeats_itself_is_learned_and_noise_is_not(tmp_path):
    trials = class_trials(pictures=30, repeats=2, held=4)
    phase = np.random.default_rng(0).uniform(0, 2 * np.pi, len(trials))
    wave = np.sin(2 * np.pi * np.arange(32) / 8 + phase[:, None])[:, None] * np.ones((1, 4, 1))
    shares = {}
    for name, eeg in (("wave", wave), ("noise", np.random.default_rng(1).standard_normal(wave.shape))):
        made = replace(trials, eeg=(1e-5 * eeg).astype(np.float32))
        run(made, options(tmp_path / name, masked=12))
        row = json.loads((tmp_path / name / "metrics.jsonl").read_text().splitlines()[-1])
        shares[name] = row["val_loss"] / row["val_loss_of_zero"]
    assert shares["wave"] < 0.5
    assert 0.97 < shares["noise"] < 1.1


def test_a_run_interrupted_and_resumed_ends_with_the_unbroken_weights(tmp_path, monkeypatch):
    trials = class_trials()
    unbroken = load_file(run(trials, options(tmp_path / "unbroken")))

    class KilledError(Exception):
        pass

    write = masked.write_history

    def kill(path, history, stage):
        write(path, history, stage)
        if len(history) == 2:
            raise KilledError

    monkeypatch.setattr(masked, "write_history", kill)
    with pytest.raises(KilledError):
        run(trials, options(tmp_path / "killed"))
    monkeypatch.undo()
    resumed = load_file(run(trials, options(tmp_path / "killed", resume=True)))
    assert all(torch.equal(unbroken[name], resumed[name]) for name in unbroken)


def test_neither_labels_nor_the_test_split_are_read(tmp_path):
    trials = class_trials()
    other = replace(
        trials,
        label=trials.label[::-1].copy(),
        eeg=np.where((trials.split == "test")[:, None, None], np.nan, trials.eeg),
    )
    one, two = (load_file(run(made, options(tmp_path / str(n)))) for n, made in enumerate((trials, other)))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_recordings_of_another_scale_give_the_same_backbone(tmp_path):
    trials = class_trials()
    louder = replace(trials, eeg=trials.eeg * np.float32(1024))
    one, two = (load_file(run(made, options(tmp_path / str(n)))) for n, made in enumerate((trials, louder)))
    assert all(torch.allclose(one[name], two[name], atol=1e-4) for name in one)


def test_an_encoder_starts_from_the_backbone_file(tmp_path):
    trials = class_trials()
    path = run(trials, options(tmp_path / "run"))
    header = read_backbone_header(path)
    assert header["architecture"] == "patch-transformer"
    assert header["card"]["simulated"]
    assert header["card"]["masked"].keys() == {"val_loss", "val_loss_of_zero"}
    chosen = options(tmp_path / "other", masked=0, pretrained=path, set=(*SMALL[:-1], "dropout=0.3"))
    encoder = build_for(trials, split_trials(trials, chosen)["train"], CONFIG, chosen, {})
    weights = load_file(path)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in encoder.backbone.state_dict().items())


def test_what_cannot_be_pretrained_is_refused(tmp_path):
    trials = class_trials()
    for changes, said in (
        ({"encoder": "nice", "set": ()}, "use --encoder patch-transformer"),
        ({"scaling": "none"}, "use --scaling train or window"),
        ({"set": ("patch=64",)}, "is one patch"),
    ):
        with pytest.raises(ValueError, match=said):
            build_masked(trials, np.arange(len(trials)), CONFIG, options(tmp_path, **changes))
    with pytest.raises(ValueError, match="--mask-ratio lies between 0 and 1"):
        options(tmp_path, mask_ratio=1.0)
    with pytest.raises(ValueError, match="choose one"):
        options(tmp_path, pretrained=tmp_path, finetune=tmp_path)


def test_the_command_makes_a_backbone_file_that_training_takes(tmp_path):
    from core.model.checkpoint import load_encoder
    from trainer.prepare import prepare
    from trainer.train import parse_options, train

    prepare("phantom", None, tmp_path / "store", FOUR_CLASSES, progress=False)
    store = ["--data", str(tmp_path / "store")]
    arguments = ["--preset", "masked-pretrain", *store, "--out", str(tmp_path / "first"), "--masked", "2"]
    path = train(parse_options([*arguments, "--batch", "8"]))
    assert path == tmp_path / "first" / "backbone.safetensors"
    with pytest.raises(ValueError, match="already holds a run"):
        train(parse_options(arguments))
    more = ["--encoder", "patch-transformer", "--pretrained", str(path), "--space", "prompts", "--epochs", "1"]
    made = train(parse_options([*more, *store, "--out", str(tmp_path / "second"), "--freeze", "backbone"]))
    encoder = load_encoder(made)
    assert encoder.card["pretrained_from"]
    weights = load_file(path)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in encoder.backbone.state_dict().items())
