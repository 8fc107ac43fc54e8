"""Cleaning does what it says it did, says what it did, and leaves its input alone."""

import numpy as np
import pytest
from scipy.signal import welch

from core.channel_groups import GROUPS, groups_of, named_channels, pick_channels
from core.loading.load import load_recording
from core.montage import MONTAGES, spherical_splines, standard_positions
from core.phantom.brain import simulate_rest
from core.phantom.brain_config import BrainConfig
from core.preprocessing.cleaning import clean
from core.recording import Event, Recording, describe

EPOC = MONTAGES["epoc-14"]


@pytest.fixture(scope="module")
def recording():
    # smooth over the head, as EEG is, with hum of 5 uV at 50 Hz and an event; T7 is broken
    smooth = simulate_rest(BrainConfig(sensor_uv=0.5, line_uv=5, blink_uv=0, sfreq=256), 20.0, seed=1)
    data = smooth.data.copy()
    data[EPOC.index("T7")] = 1e-3 * np.random.default_rng(0).normal(size=data.shape[1])
    source = {"file": "a.edf", "format": "edf", "reference": "CMS", "notes": ["as read"], "repaired": [], "dropped": {}}
    events = (Event(3.0, 0.5, "face"),)
    return Recording(data, 256.0, EPOC, standard_positions(EPOC), events, (0, 2560), source)


@pytest.fixture(scope="module")
def truth():
    return simulate_rest(BrainConfig(sensor_uv=0.5, line_uv=5, blink_uv=0, sfreq=256), 20.0, seed=1)


def power_at(recording, hz):
    freqs, power = welch(recording.data, recording.sfreq, nperseg=int(2 * recording.sfreq))
    return power[:, np.argmin(np.abs(freqs - hz))]


def test_nothing_asked_changes_no_bit(recording):
    cleaned = clean(recording)
    assert np.array_equal(cleaned.data, recording.data)
    assert cleaned.data is not recording.data
    assert cleaned.source == recording.source


def test_the_input_stays_as_it_was(recording):
    data, source = recording.data.copy(), {**recording.source, "notes": list(recording.source["notes"])}
    clean(recording, bad_channels="T7", reference="average", l_freq=1, h_freq=40, notch=(50,), sfreq=128)
    assert np.array_equal(recording.data, data)
    assert recording.source == source


def test_a_bad_channel_is_rebuilt_from_the_others(recording, truth):
    rebuilt = clean(recording, bad_channels=" t3 ")
    row, others = EPOC.index("T7"), [i for i, name in enumerate(EPOC) if name != "T7"]
    assert rebuilt.ch_names == EPOC
    assert np.array_equal(rebuilt.data[others], recording.data[others])
    assert np.corrcoef(rebuilt.data[row], truth.data[row])[0, 1] > 0.8
    assert "repaired: T7 rebuilt from the other 13 channels by spherical splines" in describe(rebuilt)


def test_what_a_bad_channel_held_reaches_nothing(recording):
    other = recording.data.copy()
    other[EPOC.index("T7")] = np.nan
    changed = Recording(other, 256.0, EPOC, recording.ch_positions, recording.events, recording.segments)
    asked = {"bad_channels": ("T7",), "reference": "average", "l_freq": 1.0}
    assert np.array_equal(clean(changed, **asked).data, clean(recording, **asked).data)


def test_a_channel_outside_the_system_is_rebuilt_at_its_own_place():
    names = (*EPOC[:-1], "mine")
    places = standard_positions(EPOC)
    data = np.random.default_rng(0).normal(size=(14, 256)) * 1e-5
    rebuilt = clean(Recording(data, 128.0, names, places), bad_channels=["mine"])
    like = clean(Recording(data, 128.0, EPOC, places), bad_channels=[EPOC[-1]])
    assert rebuilt.data[-1] == pytest.approx(like.data[-1], rel=1e-4, abs=1e-9)
    with pytest.raises(ValueError, match="places on the head are not known"):
        clean(Recording(data, 128.0, names), bad_channels=["mine"])
    assert spherical_splines(places[:-1], places[-1:]).sum() == pytest.approx(1, abs=1e-6)


def test_bad_channels_can_be_left_out(recording):
    cleaned = clean(recording, bad_channels="T7; F8", interpolate=False)
    assert cleaned.ch_names == tuple(name for name in EPOC if name not in ("T7", "F8"))
    assert cleaned.ch_positions.shape == (12, 3)
    assert np.array_equal(cleaned.data, recording.pick(cleaned.ch_names).data)
    assert "dropped T7, F8: bad channels" in describe(cleaned)


def test_names_that_are_not_there_are_refused_with_those_that_are(recording):
    with pytest.raises(ValueError, match=r"no channel 'Oz'.*AF3, F7"):
        clean(recording, bad_channels="O1, Oz")
    with pytest.raises(ValueError, match="every channel is named bad"):
        clean(recording, bad_channels=EPOC)
    with pytest.raises(ValueError, match=r"no channel 'TP9'.*or `average`"):
        clean(recording, reference="TP9, TP10")


def test_the_average_reference_leaves_no_mean(recording):
    cleaned = clean(recording, bad_channels="T7", reference=" Average")
    assert np.abs(cleaned.data.mean(axis=0)).max() < 1e-10
    assert "reference: average of 14 channels" in describe(cleaned)
    assert "note: re-referenced to the average of 14 channels" in describe(cleaned)


def test_a_reference_of_channels_is_their_mean(recording):
    cleaned = clean(recording, reference="p7, P8")
    mean = recording.pick(["P7", "P8"]).data.mean(axis=0, dtype=np.float64)
    assert np.abs(cleaned.data - (recording.data - mean)).max() < 1e-9
    assert cleaned.source["reference"] == "P7, P8"
    alone = clean(recording, reference="P7")
    assert np.ptp(alone.data[EPOC.index("P7")]) == 0
    assert "P7 is flat now" in describe(alone)


@pytest.mark.parametrize("interpolate", [True, False])
def test_a_bad_channel_is_no_reference(recording, interpolate):
    with pytest.raises(ValueError, match="T7 cannot be the reference and a bad channel"):
        clean(recording, bad_channels="T7", reference="T7, T8", interpolate=interpolate)


def test_one_channel_has_no_average():
    with pytest.raises(ValueError, match="two channels or more"):
        clean(Recording(np.zeros((1, 100)), 100.0, ("Cz",)), reference="average")


def test_filters_take_out_what_lies_outside(recording):
    good = clean(recording, bad_channels="T7")
    cleaned = clean(recording, bad_channels="T7", l_freq=2.0, h_freq=30.0)
    assert (power_at(cleaned, 0.5) < 0.05 * power_at(good, 0.5)).all()
    assert (power_at(cleaned, 45) < 0.05 * power_at(good, 45)).all()
    assert power_at(cleaned, 10) == pytest.approx(power_at(good, 10), rel=0.1)
    assert "note: filtered: 2 to 30 Hz kept" in describe(cleaned)


def test_a_notch_takes_the_hum_and_one_above_half_the_rate_is_skipped(recording):
    good = clean(recording, bad_channels="T7")
    cleaned = clean(recording, bad_channels="T7", notch=(50, 100, 150))
    assert (power_at(cleaned, 50) < 0.02 * power_at(good, 50)).all()
    assert power_at(cleaned, 40) == pytest.approx(power_at(good, 40), rel=0.1)
    assert "notch at 50, 100 Hz" in describe(cleaned)
    assert "no notch at 150 Hz: half of the recording's rate is 128 Hz" in describe(cleaned)


@pytest.mark.parametrize("sfreq", [100.0, 512.0])
def test_resampling_keeps_duration_events_and_segments(recording, sfreq):
    cleaned = clean(recording, sfreq=sfreq)
    assert cleaned.sfreq == sfreq
    assert cleaned.duration == pytest.approx(recording.duration, abs=1 / sfreq)
    assert cleaned.events == recording.events
    assert cleaned.segments == (0, round(2560 * sfreq / 256))
    assert np.array_equal(cleaned.ch_positions, recording.ch_positions)
    assert f"resampled from 256 to {sfreq:g} Hz" in describe(cleaned)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"l_freq": 30.0, "h_freq": 10.0}, "high-pass must lie below the low-pass"),
        ({"l_freq": 10.0, "h_freq": 10.0}, "high-pass must lie below the low-pass"),
        ({"h_freq": 128.0}, r"no low-pass at 128 Hz: the recording's rate, 256 Hz, .*below 128 Hz.*0 for none"),
        ({"l_freq": 200.0}, "high-pass at 200 Hz would leave nothing"),
        ({"h_freq": 45.0, "sfreq": 64.0}, r"new sampling rate, 64 Hz.*sampling rate above 90 Hz"),
        ({"l_freq": -1.0}, "high-pass must be above 0"),
        ({"h_freq": float("nan")}, "low-pass must be above 0"),
        ({"notch": (0.0,)}, "notch must be above 0"),
        ({"sfreq": 0.0}, "sampling rate must be above 0"),
        ({"sfreq": 1e7}, "too many samples"),
    ],
)
def test_frequencies_that_cannot_be_are_refused(recording, asked, sentence):
    with pytest.raises(ValueError, match=sentence):
        clean(recording, **asked)


def test_a_slow_recording_says_which_low_pass_it_takes(recording):
    slow = clean(recording, sfreq=64.0)
    with pytest.raises(ValueError, match=r"no low-pass at 45 Hz.*below 32 Hz. Set the low-pass below that \(28.8 Hz"):
        clean(slow, l_freq=0.5, h_freq=45.0)
    assert clean(slow, l_freq=0.5, h_freq=28.8).sfreq == 64


def test_cleaning_twice_tells_both(recording):
    twice = clean(clean(recording, bad_channels="T7"), bad_channels="F8", h_freq=40)
    assert [sentence[:2] for sentence in twice.source["repaired"]] == ["T7", "F8"]
    assert twice.source["notes"] == ["as read", "filtered: 40 Hz and below kept"]


def test_channels_have_one_lobe_and_a_side():
    expected = {
        "AF3": {"frontal", "left"},
        "Fp2": {"frontal", "right"},
        "Fz": {"frontal"},
        "FC5": {"central", "left"},
        "CP6": {"central", "right"},
        "FT9": {"temporal", "left"},
        "T4": {"temporal", "right"},
        "TP10": {"temporal", "right"},
        "T5": {"parietal", "left"},
        "POz": {"occipital"},
        "EEG O2-REF": {"occipital", "right"},
        "CPP5h": {"parietal", "left"},
        "A1": {"left"},
        "Right AUX": set(),
    }
    assert {name: set(groups_of(name)) for name in expected} == expected
    for name in MONTAGES["things-63"]:
        assert len(groups_of(name) - {"left", "right"}) == 1, name


def test_channels_are_picked_by_name_and_group():
    assert pick_channels(EPOC, "") == EPOC
    assert pick_channels(EPOC, "o2, O1") == ("O2", "O1")
    assert pick_channels(EPOC, "O1 O2 O1") == ("O1", "O2")
    assert pick_channels(EPOC, "Occipital; left temporal") == ("O1", "O2", "T7")
    assert pick_channels(EPOC, "left frontal P8") == tuple(pick_channels(EPOC, "left, frontal, P8"))
    assert set(pick_channels(EPOC, ", ".join(GROUPS))) == set(EPOC)
    assert named_channels(("EEG 1", "EEG 2"), "EEG 2, EEG 1") == ("EEG 2", "EEG 1")
    with pytest.raises(ValueError, match=r"no channel here is occipital; the recording has TP9, AF7"):
        pick_channels(MONTAGES["muse-4"], "occipital")
    with pytest.raises(ValueError, match=r"no channel 'Q9'.*and groups: frontal"):
        pick_channels(EPOC, "O1, Q9")


def test_real_recordings_are_cleaned(shared_data):
    for path, bad in [
        (next((shared_data / "n170_muse").glob("subject1_*.csv.gz")), "TP9"),
        (shared_data / "eeg_formats" / "edf" / "eeglab_test.edf", "T3"),
        (shared_data / "eeg_formats" / "eeglab" / "eeglab_data.set", "PO3, Cz"),
    ]:
        recording = load_recording(path)
        cleaned = clean(
            recording, bad_channels=bad, reference="average", l_freq=0.5, h_freq=45, notch=(50, 100), sfreq=100
        )
        assert cleaned.ch_names == recording.ch_names
        assert cleaned.events == recording.events
        assert np.isfinite(cleaned.data).all()
        assert 0.1e-6 < cleaned.data.std() < 200e-6
        assert "rebuilt from the other" in describe(cleaned)
