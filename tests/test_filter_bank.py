"""The filter bank: what it tells, what it does not, and that it says so where it cannot be fitted."""

import numpy as np
import pytest
import torch

from core.encoders import config_from_dict
from core.encoders.filter_bank import FilterBank, FilterBankConfig, fit_filter_bank, view_weights
from core.encoders.filter_bank_views import VIEWS, band_passed
from core.encoders.logistic import fit_logistic
from core.model.checkpoint import load_encoder, save_encoder
from core.model.prediction import predict
from core.scoring.scores import roc_auc
from tests.small_trials import CONFIG
from tests.test_scaling import runs_of_two_labels
from trainer.config.options import train_options
from trainer.training.fit import fit_encoder
from trainer.training.folds import fitted_folds

BANK = train_options(
    encoder="filter-bank", space=("prompts",), scaling="none", clip_sd=0.0, average="none", val_share=0.0
)


def windows(n=60, strength=1.0, channels=4, times=48, classes=2, seed=0):
    """Return noise with a wave of its own for each class: eeg (n, channels, times) in volts and labels (n,)."""
    generator = torch.Generator().manual_seed(seed)
    label = torch.arange(n) % classes
    waves = torch.randn(classes, channels, 6, generator=generator)
    waves = torch.nn.functional.interpolate(waves, times, mode="linear")
    eeg = torch.randn(n, channels, times, generator=generator) + strength * waves[label]
    return 1e-5 * eeg, label


def config(eeg, classes=2, **changes):
    return FilterBankConfig(eeg.shape[1], eeg.shape[2], 64.0, classes, **changes)


def told(bank, eeg, label):
    return roc_auc(bank(eeg)[:, 0, 1].numpy(), label.numpy())


def test_a_response_is_told_in_windows_that_were_not_fitted_to():
    eeg, label = windows(120)
    bank = fit_filter_bank(eeg[:80], label[:80], config(eeg))
    assert told(bank, eeg[80:], label[80:]) > 0.9


def test_a_rhythm_is_told_by_the_rhythms_view():
    rng = np.random.default_rng(0)
    label = torch.arange(120) % 2
    at = np.arange(96) / 64
    phase = rng.uniform(0, 2 * np.pi, (120, 1, 1))
    wave = np.sin(2 * np.pi * np.where(label[:, None, None] == 1, 17, 10) * at + phase)
    eeg = torch.from_numpy(1e-5 * (wave + rng.standard_normal((120, 3, 96)))).float()
    bank = fit_filter_bank(eeg[:80], label[:80], config(eeg))
    assert told(bank, eeg[80:], label[80:]) > 0.95
    assert int(bank.weight.argmax()) >= 0
    alone = fit_filter_bank(eeg[:80], label[:80], config(eeg, views=("amplitude",)))
    assert told(alone, eeg[80:], label[80:]) < 0.75


def test_shuffled_labels_are_told_no_better_than_by_chance():
    found, held = [], []
    for seed in range(4):
        eeg, label = windows(120, seed=seed)
        label = label[torch.randperm(120, generator=torch.Generator().manual_seed(seed))]
        bank = fit_filter_bank(eeg[:80], label[:80], config(eeg))
        found.append(told(bank, eeg[80:], label[80:]))
        held.append(roc_auc(bank.held_out[:, 1].numpy(), label[:80].numpy()))
    assert abs(np.mean(found) - 0.5) < 0.1
    assert abs(np.mean(held) - 0.5) < 0.12  # ten weights are fitted to them, and all but nothing else


def test_held_out_tokens_are_those_of_a_fit_without_the_group():
    eeg, label = windows(60)
    groups = torch.arange(60) // 15
    bank = fit_filter_bank(eeg, label, config(eeg), groups)
    without = fit_filter_bank(eeg[groups != 2], label[groups != 2], config(eeg), groups[groups != 2])
    torch.testing.assert_close(bank.held_out[groups == 2], bank.weighed(without.scores(eeg[groups == 2])))


def test_the_same_data_give_the_same_bits():
    eeg, label = windows()
    one, other = (fit_filter_bank(eeg, label, config(eeg)).state_dict() for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_volts_and_microvolts_are_told_alike():
    eeg, label = windows()
    volts, micro = (fit_filter_bank(eeg * by, label, config(eeg))(eeg * by) for by in (1.0, 1e6))
    torch.testing.assert_close(volts, micro, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("damage", ["flat channel", "average reference", "same channel twice", "flat window", "loud"])
def test_damaged_windows_still_give_finite_answers(damage):
    eeg, label = windows(80)
    if damage == "flat channel":
        eeg[:, 1] = 0
    elif damage == "average reference":
        eeg = eeg - eeg.mean(1, keepdim=True)
    elif damage == "same channel twice":
        eeg[:, 1] = eeg[:, 0]
    elif damage == "flat window":
        eeg[7] = 0
    else:
        eeg[::9] *= 1000
    bank = fit_filter_bank(eeg[:60], label[:60], config(eeg))
    assert torch.isfinite(bank(eeg)).all()
    assert told(bank, eeg[60:], label[60:]) > 0.75


def test_a_run_that_holds_one_label_only_is_left_out_with_the_others_fitted():
    eeg, label = windows(90)
    groups = torch.arange(90) // 30
    label[groups == 1] = 0
    label[groups == 2] = 0
    bank = fit_filter_bank(eeg, label, config(eeg), groups)  # without run 0 there is one label
    assert torch.isfinite(bank.held_out).all()


def test_more_channels_than_windows():
    eeg, label = windows(30, channels=64)
    bank = fit_filter_bank(eeg, label, config(eeg))
    assert bank.views[-1].filters.shape == (len(VIEWS["rhythm"].bands), 16, 64)
    assert torch.isfinite(bank(eeg)).all()


def test_many_classes_are_told_apart():
    eeg, label = windows(240, strength=2.0, classes=12)
    bank = fit_filter_bank(eeg[:180], label[:180], config(eeg, 12))
    right = (bank(eeg[180:])[:, 0].argmax(1) == label[180:]).float().mean()
    assert right > 0.5


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda eeg, label: (eeg[:1], label[:1]), "two labels"),
        (lambda eeg, label: (eeg, torch.zeros_like(label)), "two labels"),
        (lambda eeg, label: (eeg * float("nan"), label), "not finite"),
        (lambda eeg, label: (eeg, torch.arange(len(eeg))), "60 distinct"),
        (lambda eeg, label: (eeg, label[:-1]), "one label each"),
    ],
    ids=["one trial", "one class", "not a number", "too many labels", "a label short"],
)
def test_what_cannot_be_fitted_is_said(change, said):
    eeg, label = windows()
    with pytest.raises(ValueError, match=said):
        fit_filter_bank(*change(eeg, label), config(eeg))


def test_views_that_tell_nothing_weigh_nothing_and_none_is_negative():
    generator = torch.Generator().manual_seed(0)
    number = torch.arange(400) % 2
    side = (2.0 * number - 1)[:, None]
    noise = torch.randn(400, 3, generator=generator, dtype=torch.float64)
    column = torch.cat((side + noise[:, :1], noise[:, 1:2], -side + noise[:, 2:]), 1)
    weight = view_weights(torch.stack((-column, column), 2), number)
    assert weight[0] > 5 * weight[1]
    assert (weight >= 0).all()
    assert weight[2] == 0


def test_a_view_may_be_chosen_and_an_unknown_one_is_named():
    assert FilterBank(FilterBankConfig(views=("rhythm",))).weight.tolist() == [1.0]
    assert config_from_dict("filter-bank", {"views": "rhythm"}).views == ("rhythm",)
    with pytest.raises(ValueError, match="rythm"):
        FilterBankConfig(views=("rythm",))


def test_a_band_keeps_what_is_in_it():
    at = torch.arange(256) / 128
    slow, fast = (torch.sin(2 * torch.pi * f * at).double()[None, None] for f in (5.0, 40.0))
    kept = band_passed(slow + fast, 2.0, 20.0, 128.0)
    assert (kept - slow)[..., 64:-64].abs().max() < 0.1
    assert (band_passed(fast, 2.0, 20.0, 128.0))[..., 64:-64].abs().max() < 0.1


def test_logistic_regression_equals_scikit_learn():
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    for n, d in ((80, 6), (30, 60)):
        x = rng.standard_normal((n, d)) + 3
        y = (x[:, 0] + rng.standard_normal(n) > 3).astype(int)
        reference = LogisticRegression(C=1.0, tol=1e-10, max_iter=5000).fit(x, y)
        weights, bias = fit_logistic(torch.tensor(x), torch.tensor(y), 2)
        np.testing.assert_allclose(weights[:, 1], reference.coef_[0], atol=1e-4)
        assert float(bias[1]) == pytest.approx(reference.intercept_[0], abs=1e-3)


def test_the_file_gives_the_answers_of_the_fitted_encoder(tmp_path):
    trials = runs_of_two_labels(3)
    rows = np.arange(len(trials))
    encoder = fit_encoder(trials, {"train": rows, "val": rows[:0], "test": rows[:0]}, CONFIG, {}, BANK)
    save_encoder(encoder, tmp_path / "bank.safetensors")
    again = load_encoder(tmp_path / "bank.safetensors")
    assert torch.equal(predict(again, trials.eeg)["prompts"], predict(encoder, trials.eeg)["prompts"])


def test_runs_left_out_are_told():
    trials = runs_of_two_labels(3, each=16)
    for fold, encoder in fitted_folds(trials, CONFIG, {}, BANK, "leave-one-run-out", calibrated=False):
        logits = predict(encoder, trials.eeg[fold.test])["prompts"]
        assert roc_auc((logits[:, 1] - logits[:, 0]).numpy(), trials.label[fold.test]) > 0.8
