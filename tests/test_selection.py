"""Windows are chosen as asked and cut as training cut them; what cannot be cut is named."""

from dataclasses import replace

import numpy as np
import pytest

from core.loading.load import load_recording
from core.preprocessing.config import PreprocessingConfig
from core.preprocessing.continuous import prepare_continuous
from core.preprocessing.selection import (
    Selection,
    cut_raw,
    inside,
    parse_places,
    parse_times,
    raw_means,
    select_events,
    select_times,
    selected_eeg,
    slide,
    that_fit,
)
from core.preprocessing.windows import cut_windows
from core.recording import Event, Recording
from tests.small_encoders import noise_recording

NAMES = ("AF7", "AF8", "TP9", "TP10")


@pytest.fixture(scope="module")
def recording():
    rng = np.random.default_rng(0)
    events = tuple(Event(1.0 + 2 * i, 0.0, ("face", "house")[i % 2]) for i in range(9))
    return Recording(20e-6 * rng.normal(size=(4, 20 * 128)), 128.0, NAMES, events=events)


@pytest.fixture(scope="module")
def config():
    return PreprocessingConfig(NAMES, 64.0, -0.1, 0.5, l_freq=1.0, h_freq=25.0, baseline=(-0.1, 0.0), scaling="none")


def test_events_are_selected_one_by_one_by_label_or_all_together(recording):
    assert [len(group) for group in select_events(recording).groups] == [1] * 9
    assert select_events(recording, "house").groups == ((3.0,), (7.0,), (11.0,), (15.0,))
    by_label = select_events(recording, average="per label")
    assert by_label.labels == ("face", "house")
    assert [len(group) for group in by_label.groups] == [5, 4]
    assert select_events(recording, "face", "0, -1", average="all").groups == ((1.0, 17.0),)
    assert select_events(recording, average="all").labels == ("all events",)


def test_events_that_are_not_there_are_refused(recording):
    with pytest.raises(ValueError, match=r"'face' x 5, 'house' x 4"):
        select_events(recording, "car")
    with pytest.raises(ValueError, match="no event 9: this recording has 9 events"):
        select_events(recording, places="9")
    with pytest.raises(ValueError, match="average"):
        select_events(recording, average="median")
    with pytest.raises(ValueError, match="no events; select windows by time"):
        select_events(Recording(recording.data, 128.0, NAMES))


@pytest.mark.parametrize(
    ("text", "places"),
    [("0, 3,5-7", [0, 3, 5, 6, 7]), ("-1; 2", [-1, 2]), ("", []), (" 4 ", [4]), ("8-12", [8, 9, 10])],
)
def test_places_are_read(text, places):
    assert parse_places(text, 10) == places


@pytest.mark.parametrize("text", ["one", "3-1", "1.5", "0-99999999", "--2", "1--2"])
def test_places_that_are_none_are_refused(text):
    with pytest.raises(ValueError, match=r"5-9"):
        parse_places(text, 10)


def test_times_are_read_and_must_lie_inside(recording):
    assert parse_times("1.5, 3;4 5") == [1.5, 3.0, 4.0, 5.0]
    assert select_times(recording, [1.5, 3]).labels == ("1.5 s", "3 s")
    with pytest.raises(ValueError, match="list of seconds"):
        parse_times("soon")
    with pytest.raises(ValueError, match="21 s lies outside the recording, which lasts 20 s"):
        select_times(recording, [1, 21])
    with pytest.raises(ValueError, match="no times"):
        select_times(recording, [])


def test_sliding_windows_are_evenly_spaced_and_stay_inside(recording):
    row = slide(recording, 8, 2.0, 12.0, tmin=-0.5, tmax=1.0)
    moments = np.array(row.groups)[:, 0]
    assert moments[0] == 2.5
    assert moments[-1] == 11.0
    assert np.diff(moments) == pytest.approx(1 / 8)
    assert len(set(row.labels)) == len(row)
    for wrong, sentence in [
        ({"per_second": 0}, "above 0"),
        ({"per_second": 8, "start": 19.5}, "not one window"),
        ({"per_second": 8, "start": 25.0}, "lasts 20 s"),
        ({"per_second": 8, "stop": 30.0}, "lasts 20 s"),
        ({"per_second": 1e6}, "more than"),
    ]:
        with pytest.raises(ValueError, match=sentence):
            slide(recording, **wrong)


def test_a_selection_of_nothing_or_backwards_is_refused(recording):
    with pytest.raises(ValueError, match="select nothing"):
        Selection(recording, (), ())
    with pytest.raises(ValueError, match="end after it starts"):
        Selection(recording, ((1.0,),), ("a",), 0.5, 0.5)


def test_one_by_one_gives_every_window_alone(recording):
    parts = select_events(recording, average="per label", tmin=-0.2).one_by_one()
    assert [part.labels for part in parts] == [("face",), ("house",)]
    assert all(len(part) == 1 and part.tmin == -0.2 and part.recording is recording for part in parts)


def trained_on(recording, config, label):
    """What a trial store holds of the events with a label: windows over `reject_uv` are left out."""
    onsets = [event.onset for event in recording.events if event.label == label]
    return cut_windows(prepare_continuous(recording, config), onsets, config).data


@pytest.mark.parametrize("label", ["face", "house"])
def test_an_encoder_gets_what_training_cut_bit_for_bit(recording, config, label):
    single = trained_on(recording, config, label)
    assert np.array_equal(selected_eeg(select_events(recording, label), config), single)
    mean = single.mean(axis=0, dtype=np.float64, keepdims=True).astype(np.float32)
    assert np.array_equal(selected_eeg(select_events(recording, label, average="all"), config), mean)
    numbers = {"face": 0, "house": 1}
    other = PreprocessingConfig(NAMES, 64.0, -0.1, 0.5, l_freq=5.0, scaling="none")
    assert np.array_equal(selected_eeg(select_events(recording, label), other), trained_on(recording, other, label))
    by_label = selected_eeg(select_events(recording, average="per label"), config)
    assert np.array_equal(by_label[numbers[label]], mean[0])


def test_raw_windows_are_the_recordings_own_samples(recording):
    cut = raw_means(select_events(recording, tmin=-0.25, tmax=0.75))[0]
    assert cut.shape == (9, 4, 128)
    assert cut.dtype == np.float32
    assert np.array_equal(cut[1], recording.data[:, 352:480])
    mean = raw_means(select_events(recording, "house", average="all", tmin=-0.25, tmax=0.75))[0][0]
    assert mean == pytest.approx(cut[1::2].mean(axis=0), abs=1e-10)


def test_thousands_of_raw_windows_come_in_batches(recording):
    row = slide(recording, 100, tmax=0.5)
    batches = list(cut_raw(row, samples_at_once=4 * 64 * 50))
    assert max(len(group) for group, _ in batches) == 50
    assert np.array_equal(np.concatenate([group for group, _ in batches]), np.arange(len(row)))
    assert np.array_equal(np.concatenate([windows for _, windows in batches]), raw_means(row)[0])


def test_a_window_that_cannot_be_cut_is_named(recording):
    with pytest.raises(ValueError, match=r"window 2 \(19.5 s\) cannot be cut: outside the recording.*0 to 1 s"):
        raw_means(select_times(recording, [3.0, 19.5]))
    gapped = Recording(recording.data, 128.0, NAMES, events=recording.events, segments=(0, 448))
    with pytest.raises(ValueError, match=r"window 2 \(house, at 3 s\) cannot be cut: crosses a gap"):
        raw_means(select_events(gapped))
    with pytest.raises(ValueError, match="cannot be cut: outside the recording"):
        raw_means(select_times(recording, [1.0], tmax=30.0))
    with pytest.raises(ValueError, match="samples"):
        raw_means(select_times(recording, [1.0], tmax=0.001))


def test_a_group_goes_without_the_windows_that_cannot_be_cut(recording):
    gapped = Recording(recording.data, 128.0, NAMES, events=recording.events, segments=(0, 448))
    mean = raw_means(select_events(gapped, "house", average="all"))[0]
    assert np.array_equal(mean, raw_means(select_events(recording, "house", "1-3", average="all"))[0])


def test_real_recordings_are_cut_as_training_cuts_them(shared_data):
    muse = load_recording(next((shared_data / "n170_muse").glob("subject1_*.csv.gz")))
    config = PreprocessingConfig(NAMES, 128.0, -0.1, 0.6, l_freq=1.0, h_freq=30.0, reject_uv=75.0, scaling="none")
    for label in ("1", "2"):
        mean = trained_on(muse, config, label).mean(axis=0, dtype=np.float64, keepdims=True).astype(np.float32)
        assert np.array_equal(selected_eeg(select_events(muse, label, average="all"), config), mean)
    assert raw_means(select_events(muse, average="per label", tmin=-0.1, tmax=0.6))[0].shape == (2, 4, 179)


def test_sliding_leaves_out_windows_that_would_cross_a_gap(recording):
    gapped = Recording(recording.data, 128.0, NAMES, events=recording.events, segments=(0, 448))
    moments = [group[0] for group in slide(gapped, 4, 2.0, 6.0, tmax=1.0).groups]
    assert moments == [2.0, 2.25, 2.5, 3.5, 3.75, 4.0, 4.25, 4.5, 4.75, 5.0]


def test_moments_at_the_edge_are_left_out_and_counted():
    made = replace(noise_recording(), events=tuple(Event(t, 0.0, "face") for t in (0.02, 3.0, 5.0, 11.6)))
    chosen = inside(select_events(made))
    assert [group[0] for group in chosen.groups] == [3.0, 5.0]
    assert chosen.note == "2 of 4 moments left out: too near to an end of the recording or to a gap in it"
    config = PreprocessingConfig(made.ch_names, made.sfreq, -0.1, 0.3)
    fit = that_fit(select_events(made), config)
    assert [group[0] for group in fit.groups] == [3.0, 5.0, 11.6]
    assert fit.note.startswith("1 of 4 moments left out: outside the recording (-0.1 to 0.3 s about each")
    mean = that_fit(select_events(made, average="all"), config)
    assert (len(mean), mean.note == fit.note) == (1, True)
    assert inside(select_events(made, places="1")).note == ""
    assert len(inside(select_events(made, places="0"))) == 1  # an encoder with a shorter window may still take it
