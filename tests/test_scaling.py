"""What grows with the runs and trials of a cross-validation, counted and not timed."""

import numpy as np
import pytest
import torch

from core.encoders import registry
from core.encoders.linear import LinearConfig, fit_linear
from core.encoders.tangent import TangentConfig, fit_tangent, total_covariance
from core.fitting import moments
from core.fitting.moments import Rows
from core.fitting.ridge import fit_ridge
from core.preprocessing.trials import build_trials
from tests.small_trials import CONFIG
from trainer.config.options import train_options
from trainer.training.fit import N_FOLDS, folds
from trainer.training.folds import fitted_folds

TANGENT = train_options(
    encoder="tangent", space=("prompts",), scaling="none", clip_sd=0.0, average="none", val_share=0.0
)


def runs_of_two_labels(n_runs, each=8):
    rng = np.random.default_rng(0)
    wave = np.sin(np.arange(CONFIG.n_times) / 3) * np.array([[1], [-1], [0.5], [0]])
    rows = [
        {"label": ("face", "house")[i % 2], "run": f"run {run:02d}", "onset": float(i)}
        for run in range(n_runs)
        for i in range(each)
    ]
    label = np.array([row["label"] == "face" for row in rows])
    eeg = 1e-5 * (wave * label[:, None, None] + rng.standard_normal((len(rows), 4, CONFIG.n_times)))
    return build_trials(eeg.astype(np.float32), rows)


@pytest.fixture
def fits(monkeypatch):
    """Count the fits of the tangent backbone."""
    counted = []
    row = registry.ENCODERS["tangent"]

    def fit(*arguments):
        counted.append(1)
        return fit_tangent(*arguments)

    monkeypatch.setitem(registry.ENCODERS, "tangent", row.__class__(**{**row.__dict__, "fit": fit}))
    return counted


@pytest.mark.parametrize(("calibrated", "each"), [(False, 1 + N_FOLDS), (True, 1 + 2 * N_FOLDS)])
def test_a_fold_takes_as_many_fits_however_many_runs_there_are(fits, calibrated, each):
    for n_runs in (6, 12):
        fits.clear()
        trials = runs_of_two_labels(n_runs)
        found = list(fitted_folds(trials, CONFIG, {}, TANGENT, "leave-one-run-out", calibrated=calibrated))
        assert len(found) == n_runs
        assert len(fits) == n_runs * each


@pytest.mark.parametrize("n_runs", [2, 4, 5, 6, 13])
def test_runs_stay_whole_in_inner_folds(n_runs):
    trials = runs_of_two_labels(n_runs)
    found = folds(trials)
    assert set(found) == set(range(min(n_runs, N_FOLDS)))
    for run in np.unique(trials.run):
        assert len(np.unique(found[trials.run == run])) == 1


def test_without_calibration_the_fitted_map_is_the_same():
    trials = runs_of_two_labels(3)
    pairs = zip(
        *(fitted_folds(trials, CONFIG, {}, TANGENT, "leave-one-run-out", calibrated=way) for way in (True, False)),
        strict=True,
    )
    for (_, whole), (_, bare) in pairs:
        assert bool(whole.confidence)
        assert not bare.confidence
        torch.testing.assert_close(whole.head("prompts").last.weight, bare.head("prompts").last.weight)


@pytest.mark.parametrize("groups", [None, torch.arange(90) % 3])
def test_rows_computed_in_blocks_give_the_fit_of_the_whole_matrix(groups, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(90, 12, generator=generator, dtype=torch.float64) + 100
    y = x[:, :2] + torch.randn(90, 2, generator=generator)
    whole = fit_ridge(x, y, groups=groups)
    monkeypatch.setattr(moments, "BLOCK", 7)
    most = []

    def make(part):
        most.append(len(part))
        return part

    parts = fit_ridge(Rows(x, make, 12), y, groups=groups)
    assert max(most) <= 7
    assert parts.alpha == whole.alpha
    torch.testing.assert_close(parts.weights, whole.weights)
    assert parts.errors == pytest.approx(whole.errors)


def test_blocks_leave_the_fitted_buffers_as_they_are(monkeypatch):
    trials = runs_of_two_labels(4)
    eeg, label = torch.from_numpy(trials.eeg), torch.from_numpy(trials.label)
    shape = (len(CONFIG.ch_names), CONFIG.n_times)
    whole = fit_tangent(eeg, label, TangentConfig(*shape)), fit_linear(eeg, label, LinearConfig(*shape))
    for module in ("tangent", "linear"):
        monkeypatch.setattr(f"core.encoders.{module}.BLOCK", 5)
    parts = fit_tangent(eeg, label, TangentConfig(*shape)), fit_linear(eeg, label, LinearConfig(*shape))
    for one, other in zip(whole, parts, strict=True):
        for name, buffer in one.named_buffers():
            torch.testing.assert_close(other.get_buffer(name), buffer)


def test_the_covariance_over_all_windows_is_numpys():
    eeg = torch.randn(11, 3, 20, generator=torch.Generator().manual_seed(1)) + 5
    flat = eeg.transpose(0, 1).flatten(1).numpy()
    np.testing.assert_allclose(total_covariance(eeg), np.cov(flat, bias=True), rtol=1e-5)
