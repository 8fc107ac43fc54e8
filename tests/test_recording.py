"""Recording itself, its own file form, its way to MNE and back, and what a load tells."""

import json
from pathlib import Path

import mne
import numpy as np
import pytest

from core.formats.toolboxes.native import save_recording
from core.loading.load import load_recording
from core.loading.mne_recording import from_mne, to_mne
from core.montage import MONTAGES, standard_positions
from core.recording import Event, Recording, describe


def a_recording(n_times: int = 1280, **changes) -> Recording:
    names = MONTAGES["epoc-14"]
    rng = np.random.default_rng(1)
    values = {
        "data": rng.standard_normal((14, n_times)).astype(np.float32) * 2e-5,
        "sfreq": 128.0,
        "ch_names": names,
        "ch_positions": standard_positions(names),
        "events": (Event(1.0, 0.5, "face"), Event(2.5, 0.0, "2")),
        "segments": (0, 600),
        "source": {"file": "x.edf", "units": "declared uV", "dropped": {"COUNTER": "bookkeeping"}, "notes": ["a"]},
    }
    return Recording(**{**values, **changes})


def same(one: Recording, other: Recording) -> None:
    np.testing.assert_array_equal(one.data, other.data)
    assert one.data.dtype == other.data.dtype == np.float32
    assert (one.sfreq, one.ch_names, one.segments) == (other.sfreq, other.ch_names, other.segments)
    assert one.events == other.events


def test_a_recording_knows_its_sizes() -> None:
    recording = a_recording()
    assert (recording.n_channels, recording.n_times, recording.duration) == (14, 1280, 10.0)
    assert recording.spans == ((0, 600), (600, 1280))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": np.zeros(5)}, "must be"),
        ({"ch_names": ("a", "b")}, "14 rows of data but 2"),
        ({"ch_names": ("a",) * 14}, "repeat"),
        ({"sfreq": 0.0}, "positive"),
        ({"sfreq": float("nan")}, "positive"),
        ({"ch_positions": np.zeros((2, 3))}, "positions"),
        ({"segments": (5,)}, "segments"),
        ({"segments": (0, 9999)}, "segment"),
    ],
)
def test_a_recording_that_contradicts_itself_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        a_recording(**changes)


def test_pick_takes_any_spelling_and_lists_what_is_missing() -> None:
    recording = a_recording()
    picked = recording.pick(["EEG O1-REF", "AF3"])
    assert picked.ch_names == ("O1", "AF3")
    np.testing.assert_array_equal(picked.data[1], recording.data[0])
    np.testing.assert_array_equal(picked.ch_positions, standard_positions(["O1", "AF3"]))
    with pytest.raises(ValueError, match=r"no channels \['Cz'\].*AF3"):
        recording.pick(["Cz", "O1"])


def test_mne_and_back_keeps_everything() -> None:
    recording = a_recording()
    raw = to_mne(recording)
    assert raw.get_channel_types() == ["eeg"] * 14
    back = from_mne(raw, {"file": "y"})
    np.testing.assert_allclose(back.data, recording.data, rtol=1e-6)
    assert (back.sfreq, back.ch_names, back.segments) == (128.0, recording.ch_names, recording.segments)
    assert [(e.onset, e.duration, e.label) for e in back.events] == [(1.0, 0.5, "face"), (2.5, 0.0, "2")]
    np.testing.assert_allclose(back.ch_positions, recording.ch_positions, atol=1e-6)
    assert back.source["file"] == "y"


def test_from_mne_without_eeg_is_an_error() -> None:
    raw = mne.io.RawArray(np.zeros((1, 100)), mne.create_info(["x"], 100.0, "misc"), verbose="ERROR")
    with pytest.raises(ValueError, match="no EEG channels"):
        from_mne(raw)


def test_own_form_comes_back_bit_for_bit(tmp_path: Path) -> None:
    recording = a_recording()
    path = tmp_path / "r.safetensors"
    save_recording(recording, path)
    back = load_recording(path)
    same(back, recording)
    np.testing.assert_array_equal(back.ch_positions, recording.ch_positions)
    assert back.source["units"] == "declared uV"
    assert back.source["format"] == "native"
    assert [p.name for p in tmp_path.iterdir()] == ["r.safetensors"]


def test_own_form_keeps_a_recording_without_positions_and_events(tmp_path: Path) -> None:
    recording = a_recording(ch_positions=None, events=(), source={"numpy": np.float32(1.5), "t": (1, 2)})
    save_recording(recording, tmp_path / "r.safetensors")
    back = load_recording(tmp_path / "r.safetensors")
    same(back, recording)
    assert back.ch_positions is None
    assert back.source["numpy"] == 1.5


def rewritten(path: Path, change) -> Path:
    """A copy of one of our files with its JSON changed and its tensors as they were."""
    raw = path.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])
    about = json.loads(header["__metadata__"]["sd_eeg_recording"])
    header["__metadata__"]["sd_eeg_recording"] = change(about)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    other = path.with_name("changed.safetensors")
    other.write_bytes(len(text).to_bytes(8, "little") + text + raw[8 + size :])
    return other


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: json.dumps({**a, "version": 99}), "newer version"),
        (lambda a: json.dumps({**a, "version": "1; import os"}), "newer version"),
        (lambda a: "not json", "damaged"),
        (lambda a: "[" * 100_000, "damaged"),
        (lambda a: "[]", "damaged"),
        (lambda a: json.dumps({k: v for k, v in a.items() if k != "sfreq"}), "damaged.*sfreq"),
        (lambda a: json.dumps({**a, "sfreq": -5}), "positive"),
        (lambda a: json.dumps({**a, "sfreq": float("inf")}), "not a number"),
        (lambda a: json.dumps({**a, "ch_names": ["a"]}), "header tells"),
        (lambda a: json.dumps({**a, "events": [[1]]}), "values to unpack|damaged"),
    ],
)
def test_own_form_with_a_hostile_header_is_one_readable_error(tmp_path: Path, change, message: str) -> None:
    save_recording(a_recording(), tmp_path / "r.safetensors")
    with pytest.raises(ValueError, match=message):
        load_recording(rewritten(tmp_path / "r.safetensors", change))


@pytest.mark.parametrize("size", [0, 5, 100, -100])
def test_own_form_cut_off_is_one_readable_error(tmp_path: Path, size: int) -> None:
    path = tmp_path / "r.safetensors"
    save_recording(a_recording(), path)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ValueError, match=r"r\.safetensors"):
        load_recording(path)


def test_another_safetensors_file_is_not_a_recording(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"w": np.zeros(3, np.float32)}, tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match="not a recording"):
        load_recording(tmp_path / "w.safetensors")


def test_describe_tells_what_was_inferred() -> None:
    text = describe(a_recording())
    assert "14 channels at 128 Hz, 10.00 s in 2 segments" in text
    assert "units: declared uV" in text
    assert "dropped COUNTER: bookkeeping" in text
    assert "face x 1" in text
    assert "note: a" in text
    assert describe(Recording(np.zeros((1, 10), np.float32), 10.0, ("Cz",)))
