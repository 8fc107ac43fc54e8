from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from core.conditioning.conditioning import condition
from core.model.checkpoint import load_encoder
from core.montage import MONTAGES
from core.preprocessing.config import PreprocessingConfig
from tests.small_models import small_sd1
from trainer.config.flags import with_flags
from trainer.config.presets import PRESETS
from trainer.datasets import DATASETS
from trainer.datasets.phantom import PhantomOptions
from trainer.evaluate import EvaluateOptions, evaluate
from trainer.store.store import open_store, write_store
from trainer.train import train

SHOWN = PhantomOptions(train_scenes=8, val_scenes=2, test_scenes=6, train_repeats=1, val_repeats=1, test_repeats=1)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(small_sd1(tmp_path_factory.mktemp("sd1")))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Two-second windows of 14 channels at 128 Hz, unfiltered, as Braincoder cuts them; the phantom stands in for a
    person.
    """
    folder = tmp_path_factory.mktemp("store") / "s"
    phantom = DATASETS["phantom"]
    config = PreprocessingConfig(ch_names=MONTAGES["epoc-14"], sfreq=128.0, tmin=0.0, tmax=2.0, scaling="none")
    write_store(
        folder, phantom.sessions(None, SHOWN), config, provenance=phantom.provenance(None, SHOWN), progress=False
    )
    return folder


@pytest.fixture(scope="module")
def options(store, model, tmp_path_factory):
    """The preset itself, narrowed: the full network is counted in test_coatnet.py, here its training is run."""
    small = {"set": ("widths=2,2,4,4", "depths=1,1,1,1", "n_heads=2", "dropout=0.2"), "epochs": 2, "batch": 4}
    return with_flags(
        PRESETS["braincoder"], data=store, out=tmp_path_factory.mktemp("run") / "run", clip=model, **small
    )


@pytest.fixture(scope="module")
def first(options):
    """The encoder of that training."""
    return train(options)


def test_the_preset_states_the_published_run():
    preset = PRESETS["braincoder"]
    training, encoder, targets = preset.training, preset.encoder, preset.targets
    assert (training.lr, training.weight_decay, training.betas, training.max_norm) == (1e-3, 0.2, (0.96, 0.99), 5.0)
    assert (training.batch, training.epochs, training.seed, training.loss) == (42, 400, 1123498, "braincoder")
    assert (encoder.name, targets.head, encoder.spectrogram, targets.space) == (
        "coatnet",
        "positions",
        "braincoder",
        ("sd1.text",),
    )


def test_it_trains_predicts_77_x_768_and_draws_its_animation(options, model, tmp_path):
    encoder = load_encoder(train(with_flags(options, out=tmp_path / "run", animate=1, model=model)))
    assert encoder.spectrogram.config.kind == "braincoder"
    decoded = condition(encoder, 1e-5 * torch.randn(2, 14, 256))
    assert decoded.context.shape == (2, 77, 768)
    with Image.open(tmp_path / "run" / "animation.gif") as animation:
        assert animation.n_frames == 2
    assert len(list((tmp_path / "run" / "animation").glob("*.png"))) == 2


def test_transfer_to_another_person_uses_both_learning_rates(options, first, tmp_path):
    tuned = train(
        with_flags(PRESETS["braincoder-finetune"], data=options.data.store, out=tmp_path / "tuned",
                   clip=options.targets.clip, finetune=first, epochs=1, backbone_lr=1e-5)
    )  # fmt: skip
    before, after = load_file(first), load_file(tuned)
    moved = {
        part: max(
            (after[n].float() - before[n].float()).abs().max().item()
            for n in before
            if n.startswith(f"model.{part}") and n.endswith("weight") and before[n].ndim > 1
        )
        for part in ("backbone", "heads")
    }
    assert 0 < moved["backbone"] < 0.1 * moved["heads"]


def test_its_report_prints_the_train_mean_beside_the_score(options, first):
    assert first.parent == options.outputs.out
    report = evaluate(EvaluateOptions(options.outputs.out, pictures=False))
    row = report["scores"][0]
    assert row["name"] == "6-way top-1"
    assert {"train mean", "shuffled EEG"} <= row["baselines"].keys()
    assert row["chance"] == pytest.approx(1 / 6)
    assert (options.outputs.out / "report.html").is_file()
    assert np.isfinite(row["p_value"])


def test_a_store_with_another_window_cannot_be_fine_tuned_on(options, first, tmp_path):
    phantom, other = DATASETS["phantom"], tmp_path / "other"
    config = replace(open_store(options.data.store).config, tmax=1.0)
    write_store(
        other, phantom.sessions(None, SHOWN), config, provenance=phantom.provenance(None, SHOWN), progress=False
    )
    with pytest.raises(ValueError, match=r"trained with tmax 2\.0, the store has 1\.0"):
        train(with_flags(options, data=other, out=tmp_path / "tuned", finetune=first))
