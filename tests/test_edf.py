"""EDF and BDF: files cut off, records that are missing, rates that differ, and what Emotiv puts beside the EEG."""

import re
from pathlib import Path

import edfio
import numpy as np
import pytest

from core.loading.load import load_recording
from tests.format_cases import CASES, Truth, truth
from tests.format_cases.lab import start_records, write_bdf, write_edf, write_emotiv_edf

EDF = CASES["EDF+"].truth
EMOTIV = CASES["Emotiv EDF"].truth


def cut(path: Path, n_bytes: int) -> Path:
    path.write_bytes(path.read_bytes()[:-n_bytes])
    return path


def set_field(path: Path, start: int, text: str, width: int = 8) -> Path:
    raw = bytearray(path.read_bytes())
    raw[start : start + width] = text.encode().ljust(width)
    path.write_bytes(raw)
    return path


def write_records(folder: Path, starts: list[float], mark: bytes = b"") -> Path:
    """Write an EDF+ whose records begin at `starts`, as a recorder that paused writes it, with `mark` in record 7."""
    # the first annotation is long, so that there is room for other ones
    path = write_edf(folder, Truth(EDF.data, EDF.sfreq, EDF.ch_names, ((0.0, "x" * 40),)), "")
    return start_records(path, starts, mark)


@pytest.mark.parametrize("write", [write_edf, write_bdf])
def test_a_file_that_was_cut_off_is_read_so_far_and_says_how_much_is_missing(tmp_path: Path, write) -> None:
    path = write(tmp_path, EDF, "")
    whole = load_recording(path)
    recording = load_recording(cut(path, 3000))
    n = recording.n_times
    missing = round((whole.n_times - n) / EDF.sfreq)
    assert missing >= 1
    assert f"the file is cut off: {missing} of its 16 records, {missing} s are missing" in recording.source["notes"]
    np.testing.assert_array_equal(recording.data, whole.data[:, :n])
    assert not any("Number of records" in note or "outside data range" in note for note in recording.source["notes"])


def test_a_header_without_a_number_of_records_is_read_to_the_end_and_noted(tmp_path: Path) -> None:
    path = set_field(write_edf(tmp_path, EDF, ""), 236, "-1")
    recording = load_recording(path)
    assert recording.n_times == EDF.data.shape[1]
    assert any("leaves the number of records open" in note for note in recording.source["notes"])


def test_a_file_of_only_a_header_is_refused(tmp_path: Path) -> None:
    path = write_edf(tmp_path, EDF, "")
    path.write_bytes(path.read_bytes()[: 256 * 6 + 10])
    with pytest.raises(ValueError, match=r"r\.edf: holds no complete record.*cut off"):
        load_recording(path)


def test_records_that_are_missing_in_between_make_segments_and_move_the_events(tmp_path: Path) -> None:
    # records 6 and later begin 100 s late, and an event of the recorder's clock lies in record 7
    starts = [float(i) if i < 6 else i + 100.0 for i in range(16)]
    recording = load_recording(write_records(tmp_path, starts, b"+107.5\x14face\x14\x00"))
    assert recording.segments == (0, 6 * 128)
    assert [(event.onset, event.label) for event in recording.events] == [(7.5, "face")]
    assert any("1 breaks between records, 100 s in all" in note for note in recording.source["notes"])
    np.testing.assert_allclose(recording.data, EDF.data, atol=1e-8)


def test_a_declared_rate_that_the_records_own_times_deny_is_refused(tmp_path: Path) -> None:
    path = write_records(tmp_path, [i * 1.25 for i in range(16)])
    with pytest.raises(ValueError, match=r"declares 128 Hz, but its timestamps tell 102\.4 Hz.*--sfreq"):
        load_recording(path)
    assert load_recording(path, sfreq=102.4).sfreq == 102.4


def test_eeg_keeps_its_rate_beside_faster_and_slower_rows(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    slow = np.zeros(16 * 8)
    slow[8 * 5 : 8 * 5 + 4] = 7
    extra = (
        edfio.EdfSignal(
            rng.standard_normal(16 * 512), 512, label="Mic", physical_dimension="mV", physical_range=(-9, 9)
        ),
        edfio.EdfSignal(slow, 8, label="TRIG", physical_dimension="", physical_range=(-32768, 32767)),
    )
    path = write_edf(tmp_path, EDF, "")
    edf = edfio.read_edf(path)
    edf.append_signals(extra)
    edf.write(path)
    recording = load_recording(path, events="TRIG")
    assert recording.sfreq == 128
    np.testing.assert_allclose(recording.data, EDF.data, atol=1e-8)
    assert [(event.onset, event.label) for event in recording.events] == [(5.0, "7")]
    assert recording.source["dropped"]["Mic"] == "sampled at 512 Hz, where the EEG is at 128 Hz"


def test_two_eeg_rows_among_many_slower_ones_set_the_rate(tmp_path: Path) -> None:
    rows = [*truth("x y", 256.0).data * 1e6, *truth("a b c d e f", 32.0, seed=1).data * 1e6]
    labels = ["EEG Fpz-Cz", "EEG Pz-Oz", "Thor1", "Thor2", "Flow", "Leg1", "Leg2", "Pos"]
    signals = [
        edfio.EdfSignal(row, len(row) / 16, label=label, physical_dimension="uV", physical_range=(-200, 200))
        for row, label in zip(rows, labels, strict=True)
    ]
    edfio.Edf(signals).write(tmp_path / "r.edf")
    recording = load_recording(tmp_path / "r.edf")
    assert (recording.sfreq, recording.n_channels) == (256, 2)
    assert recording.source["dropped"]["Flow"] == "sampled at 32 Hz, where the EEG is at 256 Hz"


def test_annotations_that_are_no_utf8_are_read_as_latin1(tmp_path: Path) -> None:
    what = Truth(EDF.data, EDF.sfreq, EDF.ch_names, ((2.0, "augen_zuq"),))
    path = write_edf(tmp_path, what, "")
    path.write_bytes(path.read_bytes().replace(b"augen_zuq", b"augen_z\xfc!"))
    assert [event.label for event in load_recording(path).events] == ["augen_zü!"]


def test_emotiv_counts_what_was_lost_and_what_was_made_up(tmp_path: Path) -> None:
    path = write_emotiv_edf(tmp_path, EMOTIV, "")
    edf = edfio.read_edf(path)
    counter = np.delete(np.arange(EMOTIV.data.shape[1] + 5) % 128, np.arange(300, 305)).astype(float)
    made_up = np.zeros(EMOTIV.data.shape[1])
    made_up[700:712] = 1
    edf.get_signal("COUNTER").update_data(counter)
    edf.get_signal("INTERPOLATED").update_data(made_up)
    edf.write(path)
    recording = load_recording(path)
    assert recording.source["timing"]["lost_samples"] == 5
    assert any(note.startswith("12 samples (0.6%) were interpolated") for note in recording.source["notes"])
    assert {"CQ_AF3", "COUNTER", "TIME_STAMP_s", "BATTERY"} <= set(recording.source["dropped"])


def test_markers_that_emotiv_writes_beside_the_edf_are_events(tmp_path: Path) -> None:
    path = write_emotiv_edf(tmp_path, EMOTIV, "")
    (tmp_path / "r_intervalMarker.csv").write_text("latency,duration,type,marker_value\n2.5,1,face,1\n5.25,0,house,2\n")
    recording = load_recording(path)
    assert [(round(event.onset, 3), event.label) for event in recording.events] == [(2.5, "face"), (5.25, "house")]
    assert "r_intervalMarker.csv" in recording.source["companions"]


def test_emotivs_motion_file_is_refused_by_name(tmp_path: Path) -> None:
    ramp = np.arange(16 * 64) % 64.0
    names = ("TIME_STAMP_s", "TIME_STAMP_ms", "COUNTER_MEMS", "INTERPOLATED", "Q0", "Q1", "ACCX", "ACCY", "MAGZ")
    signals = [edfio.EdfSignal(ramp, 64, label=name, physical_dimension="", physical_range=(-99, 99)) for name in names]
    edfio.Edf(signals).write(tmp_path / "r.edf")
    with pytest.raises(ValueError, match=r"motion sensors of an Emotiv headset \(Q0, Q1, ACCX.*load the other one"):
        load_recording(tmp_path / "r.edf")


def test_status_of_biosemi_is_masked_to_its_sixteen_bits(tmp_path: Path) -> None:
    what = truth("Cz Oz", 256.0)
    status = np.full(what.data.shape[1], 0x7F0000 - (1 << 22), dtype=float)
    status[256:300] += 5
    status = np.where(status >= 1 << 23, status - (1 << 24), status)
    path = write_bdf(tmp_path, Truth(what.data, what.sfreq, what.ch_names, ()), "")
    bdf = edfio.read_bdf(path)
    bdf.append_signals(
        edfio.BdfSignal(
            status, 256, label="Status", physical_dimension="Boolean", physical_range=(-8388608, 8388607),
            digital_range=(-8388608, 8388607),
        )
    )  # fmt: skip
    bdf.write(path)
    assert [(round(e.onset * 256), e.label) for e in load_recording(path).events] == [(256, "5")]


def test_every_failure_is_one_line_that_begins_with_the_file(tmp_path: Path) -> None:
    path = write_edf(tmp_path, EDF, "")
    whole = path.read_bytes()
    for at, text in ((252, "9999"), (244, "abc"), (184, "1       "), (256 + 104 * 5, "x" * 8)):
        path.write_bytes(whole)
        set_field(path, at, text, len(text))
        with pytest.raises(ValueError, match=rf"^{re.escape(str(path))}: ") as caught:
            load_recording(path)
        assert "\n" not in str(caught.value)
