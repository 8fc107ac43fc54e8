"""The table of formats: each cell is one of these tests; `benchmarks/formats.py` prints it from their outcomes."""

from pathlib import Path

import numpy as np
import pytest

from core.loading.detect import reader_of
from core.loading.load import load_recording
from core.loading.readers import READERS
from core.recording import Recording, describe
from tests.format_cases import CASES, FormatCase

CUT_WORDS = ("cut off", "truncated", "incomplete", "damaged", "ends inside", "missing", "fewer", "claims")


@pytest.fixture(params=CASES, ids=str)
def case(request) -> FormatCase:
    return CASES[request.param]


def written(case: FormatCase, folder: Path, lie: str = "") -> Path:
    return case.write(folder, case.truth, lie)


def skip_if_it_cannot(case: FormatCase, cell: str) -> None:
    if cell in case.why_not:
        pytest.skip(f"{case.name}: {case.why_not[cell]}")


def load(case: FormatCase, path: Path) -> Recording:
    return load_recording(path, **case.options)


def test_reads_real_file(case: FormatCase, shared_data: Path) -> None:
    for name, options in case.real.items():
        recording = load_recording(shared_data / name, **options)
        if case.name.endswith("of any format"):
            assert recording.source["unpacked"]
        else:
            assert recording.source["format"] == case.reader
        assert np.isfinite(recording.data).all()
    for name, why in case.refused.items():
        with pytest.raises(ValueError, match=why):
            load_recording(shared_data / name)
    if not case.real:
        refused = "the real one at hand is refused, rightly: " + "; ".join(case.refused.values())
        pytest.skip(refused if case.refused else f"no real file of {case.name} at hand")


def test_reads_written_file(case: FormatCase, tmp_path: Path) -> None:
    recording = load(case, written(case, tmp_path))
    assert recording.source["format"] == case.reader
    assert recording.sfreq == pytest.approx(case.truth.sfreq, rel=1e-4)
    assert recording.ch_names == case.truth.ch_names
    assert recording.data.shape == case.truth.data.shape
    known = case.truth.data
    # what a file cannot hold, or a reader takes off and reports, is a channel's constant
    seen = recording.data - np.median(recording.data - known, axis=1, keepdims=True)
    assert np.abs(seen - known).max() * 1e6 <= case.step_uv


def test_is_known_under_any_name(case: FormatCase, tmp_path: Path) -> None:
    path = written(case, tmp_path)
    for suffix in (".xyz", ".edf", ".csv", ""):
        path = path.rename(path.with_name(f"monday{suffix}") if path.is_dir() else path.with_suffix(suffix))
        if suffix in {".xyz", ".csv"} and case.reader in READERS and READERS[case.reader].isolated:
            reader, how = reader_of(path, READERS)  # the rest of loading starts a process, and is the same
            assert (reader.name, how[:14]) == (case.reader, "by its content")
            continue
        recording = load(case, path)
        assert recording.source["format"] == case.reader
        assert recording.source["recognised"].startswith("by its content")
        assert recording.ch_names == case.truth.ch_names


def test_events_are_right(case: FormatCase, tmp_path: Path) -> None:
    skip_if_it_cannot(case, "events")
    recording = load(case, written(case, tmp_path))
    assert [event.label for event in recording.events] == [label for _, label in case.truth.events]
    seen, known = [event.onset for event in recording.events], [onset for onset, _ in case.truth.events]
    assert np.abs(np.subtract(seen, known)).max() <= 1.01 / case.truth.sfreq


def test_wrong_unit_is_caught(case: FormatCase, tmp_path: Path) -> None:
    skip_if_it_cannot(case, "units")
    with pytest.raises(ValueError, match="--units") as caught:
        load(case, written(case, tmp_path, "units"))
    assert any(name in str(caught.value) for name in case.truth.ch_names)


def test_wrong_rate_is_caught(case: FormatCase, tmp_path: Path) -> None:
    skip_if_it_cannot(case, "rate")
    with pytest.raises(ValueError, match=r"declares .*tells? .*--sfreq"):
        load(case, written(case, tmp_path, "rate"))


def test_truncated_file_is_caught(case: FormatCase, tmp_path: Path) -> None:
    skip_if_it_cannot(case, "truncated")
    path = written(case, tmp_path)
    part = case.cut(path)
    part.write_bytes(part.read_bytes()[: int(part.stat().st_size * 0.6)])
    try:
        said = describe(load(case, path))
    except (ValueError, FileNotFoundError) as error:
        said = str(error)
    assert any(word in said for word in CUT_WORDS), said
