"""--train-reject leaves artefacts out of training alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.small_trials import CONFIG, class_trials
from tests.train_options import made
from trainer.training.fit import fit_encoder
from trainer.training.splits import split_trials, without_artefacts

LINEAR = {"encoder": "linear", "set": ("n_bins=4",), "space": ("prompts",), "average": "none"}


def with_artefacts():
    trials = class_trials(n_classes=2, pictures=8, repeats=4)
    dirty = np.flatnonzero(np.arange(len(trials)) % 5 == 0)
    eeg = np.array(trials.eeg)
    eeg[dirty, 0, 10] += 5e-3
    return replace(trials, eeg=eeg), dirty


def test_what_trains_is_clean_and_what_tests_is_as_it_was():
    trials, dirty = with_artefacts()
    options = made(**LINEAR, train_reject=500.0)
    parts = split_trials(trials, options)
    clean, said = without_artefacts(trials, parts, options.data)
    assert clean["train"].tolist() == [row for row in parts["train"] if row not in dirty]
    for name in ("val", "test"):
        assert np.array_equal(clean[name], parts[name])
        assert np.isin(dirty, parts[name]).any()
    n = len(parts["train"])
    assert said.startswith(f"{n - len(clean['train'])} of {n} windows are over 500 uV peak to peak and do not train")
    found = fit_encoder(trials, parts, CONFIG, {}, options).state_dict()
    wanted = fit_encoder(trials, clean, CONFIG, {}, made(**LINEAR)).state_dict()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    without = fit_encoder(trials, parts, CONFIG, {}, made(**LINEAR)).state_dict()
    assert not all(torch.equal(found[name], without[name]) for name in without)


def test_a_label_without_a_clean_window_is_refused():
    trials, _ = with_artefacts()
    parts = split_trials(trials, made(**LINEAR))
    with pytest.raises(
        ValueError, match=r"--train-reject 0.5 leaves no window of 'class 0' to train on \(the median is"
    ):
        without_artefacts(trials, parts, made(train_reject=0.5).data)
    assert without_artefacts(trials, parts, made().data) == (parts, "")
    with pytest.raises(ValueError, match="--train-reject must be at least 0"):
        made(train_reject=-1.0)
