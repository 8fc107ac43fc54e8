"""BrainVision's three files: found again where they were renamed, explained where they cannot be; all forms of data."""

import re
from pathlib import Path

import numpy as np
import pytest

from core.loading.load import load_recording
from tests.format_cases import CASES
from tests.format_cases.lab import write_brainvision

CASE = CASES["BrainVision"]
KNOWN = CASE.truth


def triplet(folder: Path) -> Path:
    return write_brainvision(folder, KNOWN, "")


def change(path: Path, *pairs: tuple[str, str]) -> Path:
    text = path.read_bytes().decode("utf-8")
    for pattern, new in pairs:
        text, count = re.subn(pattern, lambda _, new=new: new, text)
        assert count, pattern
    path.write_bytes(text.encode("utf-8"))
    return path


def as_written(path: Path) -> None:
    recording = load_recording(path)
    np.testing.assert_allclose(recording.data, KNOWN.data, atol=1e-9)
    assert [event.label for event in recording.events] == [label for _, label in KNOWN.events]


def notes(path: Path) -> str:
    return "; ".join(load_recording(path).source["notes"])


def test_a_triplet_renamed_together_is_read_and_the_repair_is_said(tmp_path: Path) -> None:
    triplet(tmp_path)
    for suffix in (".vhdr", ".vmrk", ".eeg"):
        (tmp_path / f"r{suffix}").rename(tmp_path / f"subject 07{suffix}")
    # another recording in the same folder is not in doubt
    (tmp_path / "other").mkdir()
    for file in triplet(tmp_path / "other").parent.iterdir():
        file.rename(tmp_path / f"other{file.suffix}")
    change(
        tmp_path / "other.vhdr",
        ("DataFile=r.eeg", "DataFile=other.eeg"),
        ("MarkerFile=r.vmrk", "MarkerFile=other.vmrk"),
    )
    as_written(tmp_path / "subject 07.vhdr")
    said = notes(tmp_path / "subject 07.vhdr")
    assert "DataFile 'r.eeg' is not there; subject 07.eeg was read" in said
    assert "MarkerFile 'r.vmrk' is not there; subject 07.vmrk was read" in said
    assert set(load_recording(tmp_path / "subject 07.vhdr").source["companions"]) == {
        "subject 07.eeg",
        "subject 07.vmrk",
    }


def test_one_renamed_file_is_read_if_it_is_the_only_one_it_can_be(tmp_path: Path) -> None:
    path = triplet(tmp_path)
    (tmp_path / "r.eeg").rename(tmp_path / "raw data.eeg")
    as_written(path)
    assert "raw data.eeg was read, the only file that can be it (renamed?)" in notes(path)


def test_two_files_that_it_could_be_are_named_and_none_is_taken(tmp_path: Path) -> None:
    path = triplet(tmp_path)
    (tmp_path / "one.eeg").write_bytes((tmp_path / "r.eeg").read_bytes())
    (tmp_path / "r.eeg").rename(tmp_path / "two.eeg")
    with pytest.raises(
        FileNotFoundError, match=r"DataFile 'r\.eeg' is not beside it.*one\.eeg, two\.eeg, any of which"
    ):
        load_recording(path)


def test_the_data_or_the_markers_lead_to_their_header(tmp_path: Path) -> None:
    triplet(tmp_path)
    for name in ("r.eeg", "r.vmrk"):
        as_written(tmp_path / name)
        assert "its header is r.vhdr, beside it" in notes(tmp_path / name)


def test_data_without_a_header_says_what_belongs_to_it(tmp_path: Path) -> None:
    triplet(tmp_path).unlink()
    with pytest.raises(FileNotFoundError, match=r"r\.eeg: a BrainVision recording is three files.*there is none"):
        load_recording(tmp_path / "r.eeg")


def test_names_that_differ_in_case_or_hold_a_windows_path_are_found(tmp_path: Path) -> None:
    path = triplet(tmp_path)
    (tmp_path / "r.eeg").rename(tmp_path / "R.EEG")
    change(path, ("MarkerFile=r.vmrk", r"MarkerFile=C:\study\r.vmrk"))
    as_written(path)


def test_no_file_outside_the_folder_is_opened(tmp_path: Path) -> None:
    secret = tmp_path / "secret.eeg"
    secret.write_bytes(b"\x01\x00" * 4000)
    (tmp_path / "in").mkdir()
    path = change(triplet(tmp_path / "in"), ("DataFile=r.eeg", "DataFile=../secret.eeg"))
    (tmp_path / "in" / "r.eeg").unlink()
    with pytest.raises(FileNotFoundError, match=r"secret\.eeg' is not beside it"):
        load_recording(path)


def test_missing_markers_are_said_and_cost_only_the_events(tmp_path: Path) -> None:
    path = triplet(tmp_path)
    (tmp_path / "r.vmrk").unlink()
    recording = load_recording(path)
    assert recording.events == ()
    assert any("'r.vmrk' are missing beside it: read without events" in note for note in recording.source["notes"])


@pytest.mark.parametrize("unit", ["uv", "UV", "microV", "μV", "mV", "nV", ""])
def test_units_in_any_spelling_come_to_volts(tmp_path: Path, unit: str) -> None:
    path = triplet(tmp_path)
    factor = {"mV": 1e-3, "nV": 1e3}.get(unit, 1.0)
    change(path, (r",0\.1,µV", f",{0.1 * factor:g},{unit}"))
    np.testing.assert_allclose(load_recording(path).data, KNOWN.data, atol=1e-9)


def test_a_row_that_is_no_voltage_is_dropped(tmp_path: Path) -> None:
    path = change(triplet(tmp_path), (r"Ch4=P8,,0\.1,µV", "Ch4=Temp,,0.1,C"))
    assert load_recording(path).ch_names == KNOWN.ch_names[:3]


@pytest.mark.parametrize("orientation", ["MULTIPLEXED", "VECTORIZED"])
@pytest.mark.parametrize("decimal", [".", ","])
def test_data_written_as_text_are_read_in_both_orders(tmp_path: Path, orientation: str, decimal: str) -> None:
    path = triplet(tmp_path)
    values = KNOWN.data * 1e7  # the header's resolution is 0.1 uV
    rows = values.T if orientation == "MULTIPLEXED" else values
    names = ["", *KNOWN.ch_names]
    lines = [" ".join(f"{value:.4f}".replace(".", decimal) for value in row) for row in rows]
    if orientation == "VECTORIZED":
        lines = [f"{name} {line}" for name, line in zip(KNOWN.ch_names, lines, strict=True)]
    else:
        lines.insert(0, " ".join(names))
    (tmp_path / "r.eeg").write_text("\n".join(lines) + "\n")
    skips = "SkipLines=0\r\nSkipColumns=1" if orientation == "VECTORIZED" else "SkipLines=1\r\nSkipColumns=0"
    change(
        path,
        ("DataFormat=BINARY", "DataFormat=ASCII"),
        ("DataOrientation=MULTIPLEXED", f"DataOrientation={orientation}"),
        (r"\[Binary Infos\]\s+BinaryFormat=IEEE_FLOAT_32", f"[ASCII Infos]\r\nDecimalSymbol={decimal}\r\n{skips}"),
    )
    as_written(path)


def test_channels_that_lie_one_after_the_other_are_read_and_a_cut_is_refused(tmp_path: Path) -> None:
    path = triplet(tmp_path)
    n_times = KNOWN.data.shape[1]
    (KNOWN.data * 1e7).astype("<f4").tofile(tmp_path / "r.eeg")
    change(path, ("DataOrientation=MULTIPLEXED", f"DataOrientation=VECTORIZED\r\nDataPoints={n_times}"))
    as_written(path)
    data = tmp_path / "r.eeg"
    data.write_bytes(data.read_bytes()[:-400])
    with pytest.raises(ValueError, match=r"r\.eeg is cut off.*the last ones are missing"):
        load_recording(path)


def test_a_stated_length_tells_how_much_was_cut_off(tmp_path: Path) -> None:
    path = change(triplet(tmp_path), ("DataFormat=BINARY", f"DataFormat=BINARY\r\nDataPoints={KNOWN.data.shape[1]}"))
    data = tmp_path / "r.eeg"
    data.write_bytes(data.read_bytes()[: 16 * 1000 + 3])
    recording = load_recording(path)
    assert recording.n_times == 1000
    assert "the file is cut off: 3000 of its 4000 samples are missing" in recording.source["notes"]


def test_a_header_that_describes_fewer_channels_than_it_claims_is_refused(tmp_path: Path) -> None:
    path = change(triplet(tmp_path), ("NumberOfChannels=4", "NumberOfChannels=4000"))
    with pytest.raises(ValueError, match=r"claims 4000 channels but describes no Ch5"):
        load_recording(path)


def test_a_header_in_latin1_is_understood(tmp_path: Path) -> None:
    path = triplet(tmp_path)
    path.write_bytes(path.read_bytes().decode("utf-8").replace("Codepage=UTF-8\r\n", "").encode("latin-1"))
    as_written(path)
