"""The two families of .cnt files: which is which, both widths of Neuroscan's samples, ANT's pauses, what is cut off."""

import builtins
import struct
from pathlib import Path

import numpy as np
import pytest

from core.formats.contract.signals import ReadOptions
from core.formats.lab import cnt
from core.loading.load import load_recording
from tests.format_cases import CASES
from tests.format_cases.lab import neuroscan_bytes, write_ant, write_neuroscan

NEUROSCAN = CASES["Neuroscan .cnt"].truth
ANT = CASES["ANT .cnt"].truth


def test_content_tells_which_family_a_file_is_of_whatever_its_name(tmp_path: Path) -> None:
    for name in ("r.cnt", "R.CNT", "r.bin"):
        for write, known, reader in ((write_neuroscan, NEUROSCAN, "neuroscan"), (write_ant, ANT, "ant")):
            folder = tmp_path / f"{reader} {name}"
            folder.mkdir()
            path = write(folder, known, "").rename(folder / name)
            recording = load_recording(path)
            assert recording.source["format"] == reader
            np.testing.assert_allclose(recording.data, known.data, atol=1e-8)
            assert len(recording.events) == len(known.events)


def test_a_file_of_the_other_family_ends_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"r\.cnt: not an ANT \.cnt file"):
        load_recording(write_neuroscan(tmp_path, NEUROSCAN, ""), format="ant")
    with pytest.raises(ValueError, match=r"r\.cnt: not a Neuroscan \.cnt file"):
        load_recording(write_ant(tmp_path, ANT, ""), format="neuroscan")
    (tmp_path / "n.cnt").write_bytes(bytes(4000))
    with pytest.raises(ValueError, match=r"n\.cnt: "):
        load_recording(tmp_path / "n.cnt")


def test_samples_of_16_bits_come_out_right(tmp_path: Path) -> None:
    counts = np.rint(NEUROSCAN.data * 1e6 / 0.01)
    (tmp_path / "r.cnt").write_bytes(neuroscan_bytes(NEUROSCAN, counts, n_bytes=2))
    recording = load_recording(tmp_path / "r.cnt")
    np.testing.assert_allclose(recording.data, NEUROSCAN.data, atol=1e-8)
    assert [event.label for event in recording.events] == [label for _, label in NEUROSCAN.events]


@pytest.mark.parametrize("n_bytes", [2, 4])
def test_a_header_without_a_number_of_samples_is_settled_by_the_samples(tmp_path: Path, n_bytes: int) -> None:
    raw = bytearray(neuroscan_bytes(NEUROSCAN, np.rint(NEUROSCAN.data * 1e6 / 0.01), n_bytes=n_bytes))
    struct.pack_into("<i", raw, 864, 0)
    (tmp_path / "r.cnt").write_bytes(raw)
    recording = load_recording(tmp_path / "r.cnt")
    np.testing.assert_allclose(recording.data, NEUROSCAN.data, atol=1e-8)
    assert any(f"by the numbers themselves {n_bytes * 8} bits" in note for note in recording.source["notes"])


def test_what_was_cut_off_is_said_and_the_rest_read(tmp_path: Path) -> None:
    path = write_neuroscan(tmp_path, NEUROSCAN, "")
    raw = path.read_bytes()
    path.write_bytes(raw[:-20])
    recording = load_recording(path)
    assert (recording.data.shape, recording.events) == (NEUROSCAN.data.shape, ())
    assert any("table of events is missing, damaged or cut off" in note for note in recording.source["notes"])
    path.write_bytes(raw[: 900 + 75 * 4 + 16 * 1000 + 7])
    recording = load_recording(path)
    np.testing.assert_allclose(recording.data, NEUROSCAN.data[:, :1000], atol=1e-8)
    assert any("3000 of its 4000 samples, 12 s are missing" in note for note in recording.source["notes"])


def test_a_table_of_events_that_claims_too_much_costs_the_events_only(tmp_path: Path) -> None:
    path = write_neuroscan(tmp_path, NEUROSCAN, "")
    raw = bytearray(path.read_bytes())
    table = struct.unpack_from("<i", raw, 886)[0]
    struct.pack_into("<i", raw, table + 1, 1 << 30)
    path.write_bytes(raw)
    recording = load_recording(path)
    assert (recording.data.shape, recording.events) == (NEUROSCAN.data.shape, ())


def test_pauses_of_an_ant_recording_are_segments(tmp_path: Path) -> None:
    path = write_ant(tmp_path, ANT, "")
    path.with_suffix(".seg").write_text("NumberSegments=      3\r\n4.5e4 0.5 1000\r\n4.5e4 0.7 96\r\n")
    recording = load_recording(path)
    assert recording.segments == (0, 3000, 4000)
    assert set(recording.source["companions"]) == {"r.trg", "r.seg"}


def test_ant_without_its_package_says_what_to_install(tmp_path: Path, monkeypatch) -> None:
    path = write_ant(tmp_path, ANT, "")
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("antio"):
            raise ModuleNotFoundError("No module named 'antio'", name="antio")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ValueError, match=r"an ANT \.cnt file: the package 'antio' is needed"):
        cnt.read_ant(path, ReadOptions())
