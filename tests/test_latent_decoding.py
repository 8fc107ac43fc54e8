"""Direct latents: ridge and network heads, leave-one-run-out, and the benchmark's shuffled control."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core.model.checkpoint import load_encoder, save_encoder
from core.model.prediction import predict
from tests.small_trials import CONFIG, class_trials
from trainer.config.flags import with_flags
from trainer.config.options import train_options
from trainer.config.presets import preset_named
from trainer.cross_validate import auc_figures
from trainer.targets.target import Target
from trainer.training.fit import fit_encoder
from trainer.training.folds import encoders_left_out

BENCHMARK = Path(__file__).resolve().parent.parent / "benchmarks" / "latent.py"
TANGENT = train_options(encoder="tangent", space=("prompts", "sd1.latent"), scaling="none", clip_sd=0.0, average="none",
                       val_share=0.0)  # fmt: skip


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("benchmark_latent", BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    kept = list(__import__("sys").path)
    spec.loader.exec_module(module)
    __import__("sys").path[:] = kept
    return module


@pytest.fixture(scope="module")
def trials():
    found = class_trials(2, pictures=10, repeats=4, strength=0.5)
    return replace(
        found,
        labels=("face", "house"),
        image_id=np.array(["face", "house"])[found.label],
        split=np.full(len(found), ""),
    )


@pytest.fixture(scope="module")
def latents():
    values = torch.randn(2, 4 * 4 * 4, generator=torch.Generator().manual_seed(0))
    return Target(values, ("face", "house"), (4, 4, 4), "image_id")


def test_every_trial_is_decoded_once_by_an_encoder_that_never_saw_its_run(trials, latents, monkeypatch):
    from trainer.training import folds

    asked = []
    monkeypatch.setattr(folds, "fit_encoder", lambda *arguments, **_: asked.append(arguments))
    tested = [test for test, _ in encoders_left_out(trials, CONFIG, {"sd1.latent": latents}, TANGENT)]
    assert sorted(np.concatenate(tested).tolist()) == list(range(len(trials)))
    for test, (_, parts, *_) in zip(tested, asked, strict=True):
        used = np.concatenate([parts["train"], parts["val"]])
        assert not set(trials.run[test]) & set(trials.run[used])


def test_ridge_to_two_class_means_tells_them_apart_exactly_as_the_class_weights_do(trials, latents, benchmark):
    scores, wide = benchmark.decode_left_out(trials, CONFIG, latents, TANGENT, Path())
    by_latent, by_class = (auc_figures(scores[name], trials) for name in ("sd1.latent", "prompts"))
    assert by_latent["auc_runs"] == pytest.approx(by_class["auc_runs"])
    assert by_latent["auc_mean"] > 0.7
    means = latents.values[torch.from_numpy(latents.rows(trials))]
    other = latents.values[1 - torch.from_numpy(latents.rows(trials))]
    assert ((wide - means) ** 2).sum() < ((wide - other) ** 2).sum()


def test_the_control_shuffles_labels_inside_runs_with_what_goes_by_them(trials, benchmark):
    found = benchmark.shuffled(trials, 0)
    assert (found.label != trials.label).mean() > 0.3
    for run in np.unique(trials.run):
        rows = trials.run == run
        assert np.bincount(found.label[rows]).tolist() == np.bincount(trials.label[rows]).tolist()
    assert (np.array(["face", "house"])[found.label] == found.image_id).all()
    assert found.eeg is trials.eeg


def test_a_closed_form_backbone_takes_a_network_head(trials, latents, tmp_path):
    options = with_flags(TANGENT, space=("sd1.latent",), projector=8, epochs=15, batch=16, lr=3e-3, patience=0)
    rows = np.arange(len(trials))
    parts = {"train": rows[trials.run != "run 3"], "val": rows[:0], "test": rows[trials.run == "run 3"]}
    encoder = fit_encoder(trials, parts, CONFIG, {"sd1.latent": latents}, options, tmp_path)
    found = predict(encoder, trials.eeg[parts["test"]])["sd1.latent"]
    nearest = torch.cdist(found, latents.values).argmin(1).numpy()
    assert (nearest == trials.label[parts["test"]]).mean() > 0.7
    save_encoder(encoder, tmp_path / "encoder.safetensors")
    again = predict(load_encoder(tmp_path / "encoder.safetensors"), trials.eeg[parts["test"]])["sd1.latent"]
    torch.testing.assert_close(again, found)


def test_a_closed_form_backbone_takes_a_saliency_head_too(trials, tmp_path):
    pictures = Target(torch.rand(2, 3 * 64 * 64), ("face", "house"), (3, 64, 64), "image_id")
    options = train_options(
        encoder="linear", set=("n_bins=4",), space=("saliency",), average="none", epochs=1, batch=40
    )
    rows = np.arange(len(trials))
    parts = {"train": rows[16:], "val": rows[:16], "test": rows[:0]}
    encoder = fit_encoder(trials, parts, CONFIG, {"saliency": pictures}, options, tmp_path)
    assert predict(encoder, trials.eeg[:2])["saliency"].shape == (2, 3 * 64 * 64)


@pytest.mark.parametrize(("name", "has"), [("latent", None), ("latent-network", 256)])
def test_the_presets_speak_latents(name, has):
    preset = preset_named(name).targets
    assert preset.space == ("sd1.latent",)
    assert (preset.projector or None) == has
    assert preset.latent_size == 256
