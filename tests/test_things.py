"""The data set things-eeg2, on raw files of the published structure with the phantom's signals."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.things_files import TARGET, RawWriter, Shape, write_raw
from core.formats.containers.unpickler_on_disk import ArrayOnDisk, read_npy
from core.montage import MONTAGES
from core.preprocessing.normaliser import whitener_of
from trainer.datasets.things.eeg2 import Eeg2Options, chosen_repetitions
from trainer.datasets.things.raw import open_raw
from trainer.datasets.things.whitening import by_time
from trainer.prepare import prepare
from trainer.store.store import open_store

NAMES = MONTAGES["things-63"]
SMALL = Shape(n_train=20, n_test=6, test_repeats=4, a_concept=5, snr=2.0)
FIRST = Path("raw_eeg/sub-01/ses-01")


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("things")
    write_raw(folder, SMALL)
    return folder


@pytest.fixture(scope="module")
def store(raw):
    return prepared(raw, raw / "store")


def prepared(source, out, jobs=1, **options):
    return prepare("things-eeg2", source, out, Eeg2Options(**options), jobs=jobs, progress=False)


def reference(path, names=NAMES):
    """Epochs of one raw file as the authors' recipe makes them with MNE: (n, channels, 250), and what was shown."""
    import mne

    held = np.load(path, allow_pickle=True).item()
    info = mne.create_info(held["ch_names"], held["sfreq"], held["ch_types"], verbose="error")
    recording = mne.io.RawArray(held["raw_eeg_data"], info, verbose="error")
    events = mne.find_events(recording, stim_channel="stim", verbose="error")
    events = events[events[:, 2] != TARGET]
    recording.pick(list(names))
    epochs = mne.Epochs(recording, events, tmin=-0.2, tmax=1.0, baseline=(None, 0), preload=True, verbose="error")
    epochs.resample(250, verbose="error")
    return epochs.get_data()[:, :, 50:], epochs.events[:, 2]


def noise_covariance(windows, shown, by):
    """The mean over pictures of scikit-learn's shrunk covariance of each, by epochs or by time."""
    from sklearn.discriminant_analysis import _cov

    each = []
    for number in np.unique(shown):
        of = windows[shown == number]
        parts = [one.T for one in of] if by == "epochs" else [of[:, :, k] for k in range(of.shape[2])]
        each.append(np.mean([_cov(part, shrinkage="auto") for part in parts], axis=0))
    return np.mean(each, axis=0)


def of_session(store, session):
    trials = store.trials()
    rows = np.flatnonzero(trials.session == session)
    train = rows[trials.split[rows] == "train"]
    return trials, train, rows[trials.split[rows] == "test"]


def test_the_writers_files_are_what_numpy_reads(raw):
    held = np.load(raw / FIRST / "raw_eeg_training.npy", allow_pickle=True).item()
    assert held["raw_eeg_data"].dtype == np.float64
    assert held["raw_eeg_data"].shape[0] == 64 == len(held["ch_names"]) == len(held["ch_types"])
    assert (held["sfreq"], held["ch_types"][-1]) == (1000, "stim")


@pytest.mark.parametrize("part", ["training", "test"])
def test_windows_are_those_of_the_authors_recipe(raw, store, part):
    expected, shown = reference(raw / FIRST / f"raw_eeg_{part}.npy")
    trials, train, test = of_session(store, "ses-01")
    rows = train if part == "training" else test
    assert len(rows) == len(expected) == len(shown)
    assert np.abs(np.asarray(trials.eeg[rows]) - expected).max() < 1e-9  # volts: a thousandth of a microvolt
    assert (store.config.tmin, store.config.tmax, store.config.n_times) == (0.0, 1.0, 250)


def test_sessions_are_whitened_by_their_own_training_pictures(raw, store):
    windows, shown = reference(raw / "raw_eeg/sub-01/ses-02/raw_eeg_training.npy")
    expected = noise_covariance(windows, shown, "epochs")
    whitening = store.whitening()
    assert whitening.by == "epochs"
    assert sorted(whitening.covariances) == [f"sub-01/ses-{n:02d}" for n in (1, 2, 3, 4)]
    found = whitening.covariances["sub-01/ses-02"]
    assert np.abs(found - expected).max() < 1e-6 * np.abs(expected).max()
    white = np.matmul(whitener_of(found), windows)
    assert np.abs(white - np.matmul(whitener_of(expected), windows)).max() < 1e-4


def test_covariances_over_presentations_are_scikit_learns():
    rng = np.random.default_rng(0)
    shown = rng.permutation(np.repeat([1, 2, 3, 7], [2, 2, 4, 3]))
    windows = np.einsum("cd,ndt->nct", rng.standard_normal((8, 8)), rng.standard_normal((len(shown), 8, 20)))
    found = by_time(shown, lambda rows: windows[rows])
    np.testing.assert_allclose(found, noise_covariance(windows, shown, "time"), rtol=1e-9, atol=1e-12)
    with pytest.raises(ValueError, match=r"1 of 5 training pictures were shown once"):
        by_time(np.append(shown, 9), lambda rows: windows[rows])


def test_a_session_can_be_prepared_for_whitening_by_time_or_for_none(raw, tmp_path):
    options = {"sessions": (2,), "missing": "allow"}
    assert prepared(raw, tmp_path / "time", whitening="time", **options).whitening().by == "time"
    assert prepared(raw, tmp_path / "none", whitening="none", **options).whitening() is None


def test_every_presentation_says_what_it_is(store):
    trials = store.trials()
    assert set(trials.split.tolist()) == {"train", "test"}
    assert np.sum(trials.split == "train") == 20 * 4
    assert np.sum(trials.split == "test") == 6 * 4 * 4
    assert set(trials.subject.tolist()) == {"sub-01"}
    assert set(trials.session.tolist()) == {f"ses-{n:02d}" for n in (1, 2, 3, 4)}
    label = np.array(trials.labels)[trials.label]
    assert set(label[trials.split == "train"].tolist()) == {f"train_thing_{n:04d}" for n in (1, 2, 3, 4)}
    assert not set(label[trials.split == "train"].tolist()) & set(label[trials.split == "test"].tolist())
    assert (trials.caption == "a photograph of a train thing 0001").sum() == 5 * 4


def test_the_published_draw_of_repetitions_is_scikit_learns():
    from sklearn.utils import shuffle

    codes = np.repeat(np.arange(1, 4), [5, 3, 4])
    options = Eeg2Options(repetitions="published")
    kept = chosen_repetitions(codes, "training", options)
    for number in (1, 2, 3):
        rows = np.flatnonzero(codes == number)
        drawn = shuffle(rows, random_state=20200220, n_samples=2)
        assert set(np.flatnonzero(kept & (codes == number)).tolist()) == set(drawn.tolist())
    assert chosen_repetitions(codes, "test", options).all()


def test_channels_in_another_order_are_put_right_by_name(raw, store, tmp_path):
    order = np.random.default_rng(0).permutation(63)
    write_raw(tmp_path, replace(SMALL, n_sessions=1, channels=tuple(NAMES[i] for i in order)))
    again = prepared(tmp_path, tmp_path / "store")
    expected = store.trials().eeg[np.flatnonzero(store.trials().session == "ses-01")]
    np.testing.assert_allclose(np.asarray(again.trials().eeg), expected, atol=1e-11)
    assert again.config.ch_names == NAMES


def test_gigabytes_in_a_pickle_stay_on_disk(raw):
    data = read_npy(raw / FIRST / "raw_eeg_training.npy")["raw_eeg_data"]
    whole = np.load(raw / FIRST / "raw_eeg_training.npy", allow_pickle=True).item()["raw_eeg_data"]
    assert isinstance(data, ArrayOnDisk)
    assert np.array_equal(data.columns(np.array([5, 63, 0]), 100, 900), whole[[5, 63, 0], 100:900])


@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_on_disk_are_read_whatever_wrote_them(tmp_path, protocol, order):
    whole = np.asarray(np.random.default_rng(0).standard_normal((64, 3000)), order=order)
    path = tmp_path / "raw.npy"
    path.write_bytes(pickle.dumps({"data": whole, "of": [1, "a"]}, protocol=protocol))
    held = read_npy(path)
    assert held["of"] == [1, "a"]
    assert np.array_equal(held["data"].columns(np.array([2, 1]), 5, 50), whole[[2, 1], 5:50])


class Runs:
    def __reduce__(self):
        return (Path.touch, (Path("ran"),))


def broken(folder, how):
    """Spoil one file of a set that was written there."""
    path = folder / FIRST / "raw_eeg_test.npy"
    held = np.load(path, allow_pickle=True).item()
    if how == "cut off":
        return path.write_bytes(path.read_bytes()[:-1000])
    if how == "of its own code":
        held["more"] = Runs()
    if how == "without a channel":
        held["ch_names"][3] = "EOG"
    if how == "of 100 Hz":
        held["sfreq"] = 100
    if how == "of another part":
        held["raw_eeg_data"][-1][held["raw_eeg_data"][-1] > 0] = 777
    if how == "in microvolts":
        held["raw_eeg_data"] = held["raw_eeg_data"] * 1e6
    if how == "without markers":
        held["ch_types"][-1] = "eeg"
    if how == "preprocessed":
        held = {"preprocessed_eeg_data": np.zeros((2, 2, 3, 4)), "ch_names": ["a"], "times": np.zeros(4)}
    if how == "short of a picture":
        held["raw_eeg_data"][-1][held["raw_eeg_data"][-1] == 2] = 0
        for session in (2, 3, 4):
            other = folder / f"raw_eeg/sub-01/ses-0{session}/raw_eeg_test.npy"
            np.save(other, np.array(held, dtype=object), allow_pickle=True)
    np.save(path, np.array(held, dtype=object), allow_pickle=True)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("cut off", "cut off"),
        ("of its own code", "Nothing in a file is ever run here"),
        ("without a channel", r"lacks 1 of 63 channels: AF3"),
        ("of 100 Hz", "is at 100 Hz, and 250 Hz are asked for"),
        ("of another part", "marks \\[777\\]; test pictures are numbered 1 to 6"),
        ("in microvolts", "EEG in volts does by about 1e-6"),
        ("without markers", "no channel of the type 'stim'"),
        ("preprocessed", "is preprocessed already"),
        ("short of a picture", "1 of 6 test pictures were never shown \\(2\\)"),
    ],
)
def test_bad_input_is_one_error_and_nothing_is_written(tmp_path, monkeypatch, how, said):
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "raw"
    write_raw(source, replace(SMALL, n_train=4, n_test=6, test_repeats=2, a_concept=2))
    broken(source, how)
    with pytest.raises(ValueError, match=said) as error:
        prepared(source, tmp_path / "store")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "store").exists()
    assert not (tmp_path / "ran").exists()


def test_a_missing_part_is_named(tmp_path):
    write_raw(tmp_path / "raw", replace(SMALL, n_train=4, test_repeats=2))
    (tmp_path / "raw" / FIRST / "raw_eeg_test.npy").unlink()
    with pytest.raises(FileNotFoundError, match=r"raw_eeg_test.npy is missing"):
        prepared(tmp_path / "raw", tmp_path / "store")
    with pytest.raises(ValueError, match=r"--subjects \[7\] are not in"):
        prepared(tmp_path / "raw", tmp_path / "store", subjects=(7,))


def test_sessions_are_added_to_a_store_and_other_options_are_refused(raw, store, tmp_path):
    first = prepared(raw, tmp_path / "store", sessions=(3, 4), missing="allow")
    assert len(first.info["sessions"]) == 2
    both = prepared(raw, tmp_path / "store")
    assert np.array_equal(np.asarray(both.trials().eeg), np.asarray(store.trials().eeg))
    with pytest.raises(ValueError, match=r"other data set or options .*whitening"):
        prepared(raw, tmp_path / "store", whitening="time")
    assert len(open_store(tmp_path / "store")) == len(store)


def test_two_processes_write_the_same_store(raw, store, tmp_path):
    both = prepared(raw, tmp_path / "store", jobs=2)
    np.testing.assert_allclose(np.asarray(both.trials().eeg), np.asarray(store.trials().eeg), atol=1e-11)


def test_marks_without_a_pause_are_told_apart_where_they_rise(tmp_path):
    writer = RawWriter(tmp_path / "raw.npy", NAMES, 9000)
    writer.write(0, np.random.default_rng(0).standard_normal((63, 9000)) * 1e-5)
    stim = np.zeros((1, 9000))
    stim[0, 1000:1020], stim[0, 1020:1030], stim[0, 5000:5010], stim[0, 7000:7010] = 3, 5, TARGET, 2
    writer.write(0, stim, row=63)
    writer.close()
    made = open_raw(tmp_path / "raw.npy", NAMES, 250.0)
    assert (made.onsets.tolist(), made.codes.tolist()) == ([1000, 1020, 7000], [3, 5, 2])
