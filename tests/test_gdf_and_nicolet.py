"""GDF and Nicolet files: cut off, with damaged tables, by either of two files."""

import re
import struct
from pathlib import Path

import numpy as np
import pytest

from core.loading.load import load_recording
from tests.format_cases import CASES, Truth
from tests.format_cases.lab import write_gdf, write_nicolet

GDF = CASES["GDF"].truth
NICOLET = CASES["Nicolet"].truth


def test_a_table_of_events_longer_than_a_record_is_kept(tmp_path: Path) -> None:
    events = tuple((i / 128, str(769 + i % 2)) for i in range(2000))
    recording = load_recording(write_gdf(tmp_path, Truth(GDF.data, GDF.sfreq, GDF.ch_names, events), ""))
    assert len(recording.events) == 2000


def test_a_damaged_table_costs_the_events_only(tmp_path: Path) -> None:
    path = write_gdf(tmp_path, GDF, "")
    raw = path.read_bytes()
    for content in (raw[:-10], raw[: 256 * 5 + 16 * 4096] + b"\x01\xff\xff\xff" + raw[256 * 5 + 16 * 4096 + 4 :]):
        path.write_bytes(content)
        recording = load_recording(path)
        assert (recording.data.shape, recording.events) == (GDF.data.shape, ())
        assert "its table of events is damaged or cut off: read without events" in recording.source["notes"]


@pytest.mark.parametrize("rate", [64.0, 256.0])
def test_events_that_are_counted_at_a_rate_of_their_own_come_out_at_their_times(tmp_path: Path, rate: float) -> None:
    path = write_gdf(tmp_path, GDF, "")
    raw = bytearray(path.read_bytes())
    at = 256 * 5 + 16 * 4096
    struct.pack_into("<f", raw, at + 4, rate)
    for i, (onset, _) in enumerate(GDF.events):
        struct.pack_into("<I", raw, at + 8 + 4 * i, round(onset * rate) + 1)
    path.write_bytes(raw)
    recording = load_recording(path)
    np.testing.assert_allclose([event.onset for event in recording.events], [onset for onset, _ in GDF.events])
    assert f"its events are counted at {rate:g} Hz, not at the signals' 128 Hz" in recording.source["notes"]


def test_an_open_number_of_records_is_settled_by_the_files_length(tmp_path: Path) -> None:
    path = write_gdf(tmp_path, GDF, "")
    raw = bytearray(path.read_bytes()[: 256 * 5 + 16 * 4096])
    struct.pack_into("<q", raw, 236, -1)
    path.write_bytes(raw)
    recording = load_recording(path)
    np.testing.assert_allclose(recording.data, GDF.data, atol=1e-9)
    assert any("leaves the number of records open" in note for note in recording.source["notes"])


def test_gdf_is_known_by_its_content(tmp_path: Path) -> None:
    path = write_gdf(tmp_path, GDF, "").rename(tmp_path / "r.dat")
    assert load_recording(path).source["format"] == "gdf"


@pytest.mark.parametrize(
    ("at", "value"), [(252, struct.pack("<H", 65535)), (256 + 216 * 4, b"\xff" * 16), (256 + 220 * 4, b"\x63" * 16)]
)
def test_a_gdf_header_that_claims_too_much_is_one_line(tmp_path: Path, at: int, value: bytes) -> None:
    path = write_gdf(tmp_path, GDF, "")
    raw = path.read_bytes()
    path.write_bytes(raw[:at] + value + raw[at + len(value) :])
    with pytest.raises(ValueError, match=rf"^{re.escape(str(path))}: ") as caught:
        load_recording(path)
    assert "\n" not in str(caught.value)


def test_a_number_of_records_far_beyond_the_file_is_a_cut(tmp_path: Path) -> None:
    path = write_gdf(tmp_path, GDF, "")
    raw = bytearray(path.read_bytes())
    struct.pack_into("<q", raw, 236, 1 << 50)
    path.write_bytes(raw)
    recording = load_recording(path)
    assert recording.data.shape == GDF.data.shape
    assert any(note.startswith("the file is cut off") for note in recording.source["notes"])


def test_nicolet_is_read_by_either_file(tmp_path: Path) -> None:
    head = write_nicolet(tmp_path, NICOLET, "")
    for path in (head, head.with_suffix(".data")):
        recording = load_recording(path)
        assert recording.source["format"] == "nicolet"
        np.testing.assert_allclose(recording.data, NICOLET.data, atol=1e-8)
        assert len(recording.source["companions"]) == 1


def test_nicolet_without_its_second_file_says_which(tmp_path: Path) -> None:
    head = write_nicolet(tmp_path, NICOLET, "")
    data = head.with_suffix(".data").rename(tmp_path / "other.data")
    with pytest.raises(FileNotFoundError, match=r"two files, and r\.data is missing beside it"):
        load_recording(head)
    with pytest.raises(FileNotFoundError, match=r"two files, and other\.head is missing beside it"):
        load_recording(data)


def test_a_nicolet_header_must_be_whole(tmp_path: Path) -> None:
    head = write_nicolet(tmp_path, NICOLET, "")
    text = head.read_text()
    for old, new, said in (
        ("conversion_factor=0.01\n", "", "without conversion_factor"),
        ("num_channels=4", "num_channels=400", r"400 channels \(4 names\)"),
        ("sample_freq=256", "sample_freq=fast", "holds text where a number belongs"),
    ):
        head.write_text(text.replace(old, new))
        with pytest.raises(ValueError, match=said):
            load_recording(head)
