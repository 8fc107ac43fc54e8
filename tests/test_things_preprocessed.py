"""THINGS-EEG2 as others have prepared it: every known form becomes the same store, what does not fit is said."""

import json
import pickle

import numpy as np
import pytest
import torch

from benchmarks.things_files import Shape, write_metadata
from core.montage import MONTAGES
from trainer.datasets.things.preprocessed import PreprocessedOptions
from trainer.datasets.things.preprocessed import told as told_of
from trainer.prepare import prepare

SHAPE = Shape(n_train=12, n_test=4, test_repeats=3, a_concept=4, snr=2.0)
PARTS = {"training": (12, 4), "test": (4, 3)}
NAMES = MONTAGES["things-63"]


def windows(part, n_channels=63, n_times=250, seed=0):
    rng = np.random.default_rng([seed, len(part)])
    return rng.standard_normal((*PARTS[part], n_channels, n_times)).astype(np.float32)


def write_pickled(folder, names=NAMES, sfreq=250.0, times=300, change=lambda held: None):
    """As NICE, ATM and AlignVis keep it: an .npy by name, a pickle in truth; 300 times beside 250 samples."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        held = {
            "preprocessed_eeg_data": windows(part, len(names), round(sfreq)),
            "ch_names": list(names),
            "times": np.arange(times) / sfreq - (times / sfreq - 1.0),
        }
        change(held)
        with open(folder / f"preprocessed_eeg_{part}.npy", "wb") as file:
            pickle.dump(held, file, protocol=4)


def write_own(folder, names=MONTAGES["things-17"], sfreq=100.0):
    """As the data set's own download has it: np.save of a dict."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        held = {"preprocessed_eeg_data": windows(part, len(names), 100), "ch_names": list(names),
                "times": (np.arange(100) / sfreq - 0.2)}  # fmt: skip
        np.save(folder / f"preprocessed_eeg_{part}.npy", held)


def write_ubp(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for part, name in (("training", "train.pt"), ("test", "test.pt")):
        torch.save({"eeg": windows(part), "ch_names": list(NAMES), "times": np.arange(250) / 250}, folder / name)


def write_neurobridge(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for part, name in (("training", "train.npy"), ("test", "test.npy")):
        np.save(folder / name, windows(part))
    about = {"ch_names": list(NAMES), "times": (np.arange(250) / 250).tolist(), "sfreq": 250}
    (folder / "info.json").write_text(json.dumps(about), encoding="utf-8")


FORMS = {"pickled": write_pickled, "ubp": write_ubp, "neurobridge": write_neurobridge}


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "people, ü"
    folder.mkdir()
    write_metadata(folder / "image_metadata.npy", SHAPE)
    return folder


def prepared(source, **options):
    return prepare("things-preprocessed", source, source / "store", PreprocessedOptions(**options), progress=False)


@pytest.mark.parametrize("form", FORMS)
def test_every_known_form_becomes_a_store_of_its_windows(source, form):
    FORMS[form](source / "sub-08")
    store = prepared(source)
    trials = store.trials()
    assert (store.config.sfreq, store.config.n_times, trials.subject[0]) == (250.0, 250, "sub-08")
    for part, split in (("training", "train"), ("test", "test")):
        rows = np.flatnonzero(trials.split == split)
        wanted = windows(part)
        assert len(rows) == wanted.shape[0] * wanted.shape[1]
        found = np.asarray(trials.eeg[rows]).reshape(wanted.shape)
        order = [trials.image_id[i] for i in rows[:: wanted.shape[1]]]
        assert len(set(order)) == wanted.shape[0]
        np.testing.assert_array_equal(found, wanted)


def test_channels_of_another_order_are_put_right_by_name(source):
    shuffled = tuple(np.random.default_rng(0).permutation(NAMES).tolist())
    write_pickled(source / "sub-01", names=shuffled)
    trials = prepared(source).trials()
    place = [shuffled.index(name) for name in NAMES]
    found = np.asarray(trials.eeg[np.flatnonzero(trials.split == "test")])
    np.testing.assert_array_equal(found, windows("test").reshape(-1, 63, 250)[:, place])


def test_the_data_sets_own_17_channels_at_100_hz_are_said_and_taken_when_asked_for(source):
    write_own(source / "sub-01")
    with pytest.raises(ValueError, match=r"is at 100 Hz .*250 Hz are asked for, which presets such as alignvis-nice"):
        prepared(source)
    assert not (source / "store").exists()
    with pytest.raises(ValueError, match=r"lacks 46 of 63 channels.* --channels things-17 takes what is there"):
        prepared(source, sfreq=100.0)
    store = prepared(source, sfreq=100.0, channels="things-17")
    assert (store.config.sfreq, len(store.config.ch_names), round(store.config.tmin, 3)) == (100.0, 17, -0.2)
    said = told_of(source, PreprocessedOptions())
    assert "12 pictures x 4, 17 channels, 100 samples at 100 Hz" in said
    assert "no volts" in said


class Runs:
    def __reduce__(self):
        return (print, ("executed",))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda held: held.update(extra=Runs()), "print"),
        (
            lambda held: held.update(preprocessed_eeg_data=held["preprocessed_eeg_data"][:-1]),
            "which are missing is not",
        ),
        (
            lambda held: held.update(preprocessed_eeg_data=held["preprocessed_eeg_data"] * np.nan),
            r"not numbers \(NaN\)",
        ),
        (lambda held: held.update(ch_names=held["ch_names"][:-1]), "63 channels and 62 channel names"),
        (lambda held: held.update(times=held["times"] * 0), "do not rise"),
        (lambda held: held.pop("times"), "preprocessed_eeg_data, ch_names, times are needed"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_one_error_and_nothing_is_written(source, capsys, change, told):
    write_pickled(source / "sub-01", change=change)
    with pytest.raises(ValueError, match=told) as error:
        prepared(source)
    assert "\n" not in str(error.value)
    assert "executed" not in capsys.readouterr().out
    assert not (source / "store").exists()
