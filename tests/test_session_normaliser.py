"""A normaliser for each session: what training sees, what the file holds, what an unknown session gets."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from core.model.checkpoint import load_encoder, read_header, save_encoder
from core.model.prediction import encode_ready
from core.preprocessing.normaliser import fit_normaliser, normalise
from core.preprocessing.session_normaliser import by_sessions, session_names, unknown_sessions
from tests.small_trials import CONFIG, class_trials
from tests.train_options import made
from trainer.training.build import build_for
from trainer.training.fit import fit_encoder

LINEAR = {"encoder": "linear", "set": ("n_bins=8",), "space": ("prompts",), "val_share": 0.0}


@pytest.fixture
def trials():
    """Three days, whose channels are mixed and scaled differently."""
    found = class_trials(3, pictures=8, repeats=6)
    day = np.arange(len(found)) % 3
    rng = np.random.default_rng(1)
    mixing = [(10.0**k) * (np.eye(4) + 0.4 * rng.standard_normal((4, 4))) for k in range(3)]
    eeg = np.stack([mixing[d] @ window for d, window in zip(day, found.eeg, strict=True)]).astype(np.float32)
    return replace(found, eeg=eeg, session=np.array([f"day {d}" for d in day]))


def fitted(trials, rows=None, **options):
    rows = np.arange(len(trials)) if rows is None else rows
    return build_for(trials, rows, CONFIG, made(**LINEAR, **options), {})


@pytest.mark.parametrize("how", [{}, {"whitening": "mvnn"}, {"whitening": "mvnn", "scaling": "none"}])
def test_each_sessions_windows_become_what_its_own_normaliser_makes_of_them(trials, how):
    encoder = fitted(trials, normalise="session", clip_sd=0.0, **how)
    found = encode_ready(encoder, by_sessions(trials, encoder.normaliser).eeg[:]).numpy()
    names = session_names(trials)
    for name in np.unique(names):
        rows = names == name
        own = fit_normaliser(trials.eeg[rows], encoder.preprocessing, trials.label[rows])
        np.testing.assert_allclose(
            found[rows], normalise(trials.eeg[rows], encoder.preprocessing, own), atol=2e-3, rtol=2e-3
        )


def test_pooled_is_as_it_was_and_its_file_says_nothing_of_sessions(trials, tmp_path):
    plain, pooled = fitted(trials), fitted(trials, normalise="pooled")
    assert by_sessions(trials, plain.normaliser) is trials
    assert unknown_sessions(trials, np.arange(3), plain.normaliser) == ()
    for name, encoder in (("plain", plain), ("pooled", pooled)):
        save_encoder(encoder, tmp_path / name)
        assert "sessions" not in read_header(tmp_path / name)
    # not byte for byte: safetensors writes its two metadata keys in any order
    assert read_header(tmp_path / "plain") == read_header(tmp_path / "pooled")
    first, second = (load_file(tmp_path / name) for name in ("plain", "pooled"))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    with safe_open(tmp_path / "plain", framework="pt") as file:
        assert {key for key in file.keys() if "normaliser" in key} == {"normaliser.center", "normaliser.scale"}  # noqa: SIM118


@pytest.mark.parametrize("whitening", ["none", "mvnn"])
def test_the_file_keeps_every_session(trials, tmp_path, whitening):
    encoder = fitted(trials, normalise="session", whitening=whitening)
    save_encoder(encoder, tmp_path / "e.safetensors")
    loaded = load_encoder(tmp_path / "e.safetensors")
    assert list(loaded.normaliser.sessions) == ["s/day 0", "s/day 1", "s/day 2"]
    one, other = (by_sessions(trials, e.normaliser).eeg[:] for e in (encoder, loaded))
    np.testing.assert_array_equal(one, other)
    assert not np.array_equal(one, trials.eeg)


def test_a_file_whose_sessions_do_not_fit_is_one_readable_error(trials, tmp_path):
    from tests.test_checkpoint import rewrite_header

    path = tmp_path / "e.safetensors"
    for names in (["a", "a", "b"], "abc", ["only one"]):
        save_encoder(fitted(trials, normalise="session"), path)
        rewrite_header(path, lambda header, names=names: header.update(sessions=names))
        with pytest.raises(ValueError, match=r"e\.safetensors cannot be loaded"):
            load_encoder(path)


def test_an_unknown_session_is_named_and_stays_as_the_pooled_normaliser_has_it(trials):
    names = session_names(trials)
    rows = np.flatnonzero(names != "s/day 2")
    encoder = fitted(trials, rows, normalise="session")
    assert unknown_sessions(trials, np.arange(len(trials)), encoder.normaliser) == ("s/day 2",)
    found = by_sessions(trials, encoder.normaliser).eeg[:]
    np.testing.assert_array_equal(found[names == "s/day 2"], trials.eeg[names == "s/day 2"])


def test_windows_changed_as_they_are_read_are_those_changed_at_once(trials):
    encoder = fitted(trials, normalise="session", whitening="mvnn")
    lazy = by_sessions(trials, encoder.normaliser).eeg
    whole = np.asarray(lazy)
    np.testing.assert_array_equal(lazy[5], whole[5])
    np.testing.assert_array_equal(lazy[[7, 3]], whole[[7, 3]])
    np.testing.assert_array_equal(lazy.subset(np.arange(4, 9))[1:3], whole[5:7])
    np.testing.assert_array_equal(lazy[2:4, 1], whole[2:4, 1])
    assert lazy.shape == whole.shape


def test_the_statistics_come_from_training_trials_alone(trials):
    train = np.flatnonzero(trials.split == "train")
    spoilt = replace(trials, eeg=np.where((trials.split == "train")[:, None, None], trials.eeg, np.nan))
    one, other = (fitted(t, train, normalise="session", whitening="mvnn").normaliser for t in (trials, spoilt))
    for name, own in one.sessions.items():
        np.testing.assert_array_equal(own.whitener, other.sessions[name].whitener)


def test_days_of_other_amplitudes_are_decoded_better_by_their_own_normalisers(trials):
    from core.model.prediction import predict

    train, test = (np.flatnonzero(trials.split == name) for name in ("train", "test"))
    parts = {"train": train, "val": test[:0], "test": test}
    right = {}
    for how in ("pooled", "session"):
        options = made(**LINEAR, normalise=how, whitening="mvnn", average="all")
        encoder = fit_encoder(trials, parts, CONFIG, {}, options)
        eeg = by_sessions(trials, encoder.normaliser).eeg[test]
        right[how] = float((predict(encoder, eeg)["prompts"].argmax(1).numpy() == trials.label[test]).mean())
    assert right["session"] > right["pooled"]
    assert right["session"] > 0.8


def test_an_evaluation_says_which_sessions_training_has_not_seen(tmp_path, capsys):
    from tests.people_store import people_store
    from trainer.evaluate import EvaluateOptions, evaluate
    from trainer.train import train

    store = people_store(tmp_path / "store", people=1, days=3, runs=1, gain=3.0).folder
    options = made(data=store, out=tmp_path / "run", test_run="p0 day 2 run 0", normalise="session", average="none",
                   **LINEAR)  # fmt: skip
    train(options)
    capsys.readouterr()
    report = evaluate(EvaluateOptions(tmp_path / "run", pictures=False))
    assert "not seen in training, normalised as all sessions together: p0/day 2" in capsys.readouterr().out
    assert report["scores"][0]["n"] == 24


def test_nothing_to_fit_for_each_session_is_refused():
    with pytest.raises(ValueError, match="add --scaling train or --whitening mvnn"):
        made(normalise="session", scaling="window")


def test_repeats_are_averaged_at_use_as_asked_and_by_default_as_in_training(trials):
    from trainer.training.splits import trials_at_use, trials_in_training

    rows = np.flatnonzero(trials.split == "test")
    n_pictures = len(np.unique(trials.image_id[rows]))
    for average in ("none", "all"):
        as_trained = n_pictures if average == "all" else len(rows)
        for test_average, n in {"same": as_trained, "none": len(rows), "all": n_pictures}.items():
            data = made(average=average, test_average=test_average).data
            assert len(trials_at_use(trials, rows, data)) == n
            assert len(trials_in_training(trials, rows, data)) == as_trained


def test_confidence_is_calibrated_on_what_is_decoded(trials):
    plain = class_trials(3, pictures=8, repeats=6, strength=0.25)
    parts = {"train": np.arange(len(plain)), "val": np.arange(0), "test": np.arange(0)}
    found = {}
    for test_average in ("same", "none", "all"):
        options = made(**LINEAR, average="none", test_average=test_average)
        encoder = fit_encoder(plain, parts, CONFIG, {}, options)
        found[test_average] = encoder.confidence["prompts"], encoder.state_dict()
    assert found["none"][0].n == found["same"][0].n == len(plain)
    assert found["all"][0].n < len(plain)
    assert all(torch.equal(found["all"][1][k], found["same"][1][k]) for k in found["same"][1] if "temperature" not in k)
