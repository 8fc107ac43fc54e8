"""What whitens a session: the covariance that the store was prepared with, and for one that is new, a stated choice."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.things_files import Shape, write_raw
from core.model.checkpoint import load_encoder, read_header, save_encoder
from core.model.prediction import encode_ready, encoder_input
from core.preprocessing.normaliser import fit_normaliser, normalise, whitener_of
from core.preprocessing.selection import end_to_end, selected_eeg
from core.preprocessing.session_normaliser import by_sessions, session_names, with_new_sessions
from core.recording import Recording
from tests.small_trials import CONFIG, class_trials
from tests.train_options import made
from trainer.datasets.things.eeg2 import Eeg2Options
from trainer.prepare import prepare
from trainer.training.build import build_for

LINEAR = {"encoder": "linear", "set": ("n_bins=5",), "space": ("prompts",), "val_share": 0.0, "clip_sd": 0.0}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("things")
    write_raw(folder, Shape(n_train=8, n_test=4, test_repeats=4, a_concept=4, n_sessions=2))
    return prepare("things-eeg2", folder, folder / "store", Eeg2Options(), progress=False)


def test_prepared_whitening_is_each_sessions_own_and_goes_into_the_file(store, tmp_path):
    trials = store.trials()
    train = np.flatnonzero(trials.split == "train")
    options = made(**LINEAR, data=store.folder, whitening="prepared", scaling="none")
    encoder = build_for(trials, train, store.config, options, {})
    save_encoder(encoder, tmp_path / "encoder.safetensors")
    again = load_encoder(tmp_path / "encoder.safetensors")
    found = encode_ready(again, by_sessions(trials, again.normaliser).eeg[:]).numpy()
    names = session_names(trials)
    for name, covariance in store.whitening().covariances.items():
        expected = np.matmul(whitener_of(covariance), trials.eeg[np.flatnonzero(names == name)])
        np.testing.assert_allclose(found[names == name], expected, atol=2e-3)
    pooled = whitener_of(np.mean(list(store.whitening().covariances.values()), axis=0))
    np.testing.assert_allclose(again.normaliser.whitener, pooled, rtol=1e-4)


def test_fewer_channels_are_whitened_by_their_part_of_the_covariance(store):
    names = ("Oz", "O1", "Pz")
    rows = [store.config.ch_names.index(name) for name in names]
    covariance = store.whitening().covariances["sub-01/ses-01"]
    own = store.whitening().normaliser(names, ["sub-01/ses-01"]).sessions["sub-01/ses-01"]
    np.testing.assert_allclose(own.whitener, whitener_of(covariance[np.ix_(rows, rows)]), rtol=1e-5)
    with pytest.raises(ValueError, match=r"no covariance of \['sub-09/ses-01'\]"):
        store.whitening().normaliser(names, ["sub-09/ses-01"])


def test_a_store_without_covariances_is_refused_in_words(tmp_path):
    trials = class_trials(2, pictures=2, repeats=2)
    options = made(**LINEAR, data=tmp_path, whitening="prepared", scaling="none")
    with pytest.raises(FileNotFoundError, match="is not a trial store"):
        build_for(trials, np.arange(len(trials)), CONFIG, options, {})


def by_day(n_days=3):
    found = class_trials(3, pictures=6, repeats=6)
    day = np.arange(len(found)) % n_days
    mixing = [np.diag(1.0 + np.arange(4) * k) + 0.3 * k for k in range(1, n_days + 1)]
    eeg = np.stack([mixing[d] @ window for d, window in zip(day, found.eeg, strict=True)]).astype(np.float32)
    return replace(found, eeg=eeg, session=np.array([f"day {d}" for d in day])), day


@pytest.mark.parametrize("choice", ["pooled", "own"])
def test_a_new_session_is_whitened_as_the_file_says(choice, tmp_path):
    trials, day = by_day()
    options = made(**LINEAR, whitening="mvnn", scaling="none", normalise="session", new_sessions=choice)
    encoder = build_for(trials, np.flatnonzero(day < 2), CONFIG, options, {})
    save_encoder(encoder, tmp_path / "encoder.safetensors")
    assert read_header(tmp_path / "encoder.safetensors")["preprocessing"].get("new_sessions", "pooled") == choice
    again = load_encoder(tmp_path / "encoder.safetensors")
    rows = np.flatnonzero(day == 2)
    normaliser = with_new_sessions(again.normaliser, trials, rows, again.preprocessing)
    found = encode_ready(again, by_sessions(trials, normaliser).eeg[rows]).numpy()
    own = fit_normaliser(trials.eeg[rows], again.preprocessing)
    used = again.normaliser if choice == "pooled" else own
    np.testing.assert_allclose(found, normalise(trials.eeg[rows], again.preprocessing, used), atol=2e-3)


def test_a_hosts_recording_is_whitened_by_its_own_windows_where_the_file_says_so():
    trials, day = by_day()
    options = made(**LINEAR, whitening="mvnn", scaling="none", normalise="session", new_sessions="own")
    encoder = build_for(trials, np.flatnonzero(day < 2), CONFIG, options, {})
    config = encoder.preprocessing
    data = np.concatenate(list(trials.eeg[np.flatnonzero(day == 2)]), axis=1)
    selection = end_to_end(Recording(data=data, sfreq=config.sfreq, ch_names=config.ch_names), config)
    white = encoder_input(selection, encoder)
    volts = selected_eeg(selection, config)
    np.testing.assert_allclose(white, normalise(volts, config, fit_normaliser(volts, config)), atol=1e-5)
    pooled = replace(config, new_sessions="pooled")
    encoder.preprocessing = pooled
    assert not torch.allclose(encoder_input(selection, encoder), white, atol=0.1)


def test_own_is_refused_where_no_session_has_a_normaliser_of_its_own():
    with pytest.raises(ValueError, match="--new-sessions own is for encoders by session"):
        made(**LINEAR, new_sessions="own")
    with pytest.raises(ValueError, match="add --scaling none"):
        made(**LINEAR, whitening="prepared")
