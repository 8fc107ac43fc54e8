"""FIF files: split over several, cut off, damaged, with pauses, under other names."""

import gzip
import struct
from pathlib import Path

import mne
import numpy as np
import pytest

from core.loading.load import load_recording
from tests.format_cases import CASES
from tests.format_cases.lab import write_fif, write_fif_epochs

KNOWN = CASES["FIF"].truth


def split(folder: Path) -> list[Path]:
    info = mne.create_info(list(KNOWN.ch_names), KNOWN.sfreq, "eeg")
    raw = mne.io.RawArray(np.tile(KNOWN.data, (1, 150)), info, verbose="ERROR")
    raw.save(folder / "long_raw.fif", split_size="2MB", buffer_size_sec=1.0, verbose="ERROR")
    return sorted(folder.glob("long_raw*.fif"), key=lambda path: path.name.replace("_raw.", "_raw-0."))


def test_all_parts_of_a_split_recording_are_read(tmp_path: Path) -> None:
    parts = split(tmp_path)
    assert len(parts) >= 3
    recording = load_recording(parts[0])
    np.testing.assert_allclose(recording.data, np.tile(KNOWN.data, (1, 150)), atol=1e-9)
    assert set(recording.source["companions"]) == {path.name for path in parts[1:]}


def test_a_missing_part_is_said_and_the_parts_before_it_are_read(tmp_path: Path) -> None:
    parts = split(tmp_path)
    parts[1].unlink()
    recording = load_recording(parts[0])
    assert 0 < recording.n_times < 150 * KNOWN.data.shape[1]
    assert any("the next part of this split recording is missing" in note for note in recording.source["notes"])


def test_a_later_part_alone_says_where_the_recording_begins(tmp_path: Path) -> None:
    parts = split(tmp_path)
    recording = load_recording(parts[-1])
    assert "this is a later part of a split recording, which begins in long_raw.fif" in recording.source["notes"]


def test_a_cut_file_is_read_up_to_its_last_whole_buffer(tmp_path: Path) -> None:
    path = write_fif(tmp_path, KNOWN, "")
    path.write_bytes(path.read_bytes()[:-10_000])
    recording = load_recording(path)
    n = recording.n_times
    assert 0 < n < KNOWN.data.shape[1]
    np.testing.assert_allclose(recording.data, KNOWN.data[:, :n], atol=1e-9)
    assert any(note.startswith("the file is cut off at byte") for note in recording.source["notes"])
    assert [e.label for e in recording.events] == [label for onset, label in KNOWN.events if onset * 128 < n]


def test_a_cut_file_of_epochs_is_refused(tmp_path: Path) -> None:
    path = write_fif_epochs(tmp_path, CASES["FIF epochs"].truth, "")
    path.write_bytes(path.read_bytes()[:-10_000])
    with pytest.raises(ValueError, match=r"r-epo\.fif: the file is cut off at byte"):
        load_recording(path)


def test_a_packed_file_is_read_and_a_cut_one_refused(tmp_path: Path) -> None:
    path = write_fif(tmp_path, KNOWN, "")
    packed = tmp_path / "p_raw.fif.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    np.testing.assert_allclose(load_recording(packed).data, KNOWN.data, atol=1e-9)
    packed.write_bytes(packed.read_bytes()[:-3000])
    with pytest.raises(ValueError, match=r"p_raw\.fif\.gz.*cut off"):
        load_recording(packed)


def test_what_mne_says_of_a_copy_names_the_users_file(tmp_path: Path) -> None:
    path = write_fif(tmp_path, KNOWN, "")
    raw = bytearray(path.read_bytes()[:-10_000])
    raw[36:40] = struct.pack(">i", 999)
    path.write_bytes(raw)
    with pytest.raises(ValueError, match="cannot be read as FIF") as caught:
        load_recording(path)
    assert "recording_raw" not in str(caught.value)
    assert str(caught.value).count(str(path)) == 2


def test_a_chain_of_tags_that_leads_back_is_refused_and_not_followed(tmp_path: Path) -> None:
    path = write_fif(tmp_path, KNOWN, "")
    raw = bytearray(path.read_bytes())
    raw[36 + 12 : 36 + 16] = struct.pack(">i", 4)
    path.write_bytes(raw)
    with pytest.raises(ValueError, match=r"a damaged FIF file: its tag at byte 36 leads nowhere"):
        load_recording(path)


def with_directory(raw: bytes, shift: int) -> bytes:
    """Return a file that ends in a directory of its tags, as recorders write it, one place in it shifted."""
    entries, at = [], 0
    while True:
        kind, of_type, length, after = struct.unpack(">iiii", raw[at : at + 16])
        if after == -1:
            break
        entries.append((kind, of_type, length, at))
        at = after or at + 16 + length
    entries[8] = (*entries[8][:3], entries[8][3] + shift)
    table = b"".join(struct.pack(">iiii", *entry) for entry in entries)
    return raw[:52] + struct.pack(">i", at) + raw[56:at] + struct.pack(">iiii", 102, 32, len(table), -1) + table


def test_a_directory_is_believed_only_where_it_names_the_tags_that_are_there(tmp_path: Path) -> None:
    path = write_fif(tmp_path, KNOWN, "")
    raw = path.read_bytes()
    path.write_bytes(with_directory(raw, 0))
    np.testing.assert_allclose(load_recording(path).data, KNOWN.data, atol=1e-9)
    path.write_bytes(with_directory(raw, 1 << 20))
    with pytest.raises(ValueError, match=r"its directory tells of a tag at byte \d+ that is not there"):
        load_recording(path)


def test_fif_is_known_by_its_first_tag_under_any_name(tmp_path: Path) -> None:
    for write, case in ((write_fif, "FIF"), (write_fif_epochs, "FIF epochs")):
        path = write(tmp_path, CASES[case].truth, "").rename(tmp_path / "r.edf")
        recording = load_recording(path)
        assert recording.source["format"] == "fif"
        assert len(recording.events) == len(CASES[case].truth.events)
