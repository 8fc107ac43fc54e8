"""How samples come through MNE: in blocks, as float32, bounded before memory is asked for, hashed meanwhile."""

import tracemalloc
from pathlib import Path

import edfio
import mne
import numpy as np
import pytest

from core.formats.containers import mne_raw
from core.formats.containers.mne_raw import load_samples, signals_from_raw
from core.loading.judgement.gaps_and_amplitudes import robust_uv
from core.loading.load import load_recording

SFREQ = 128.0


def eeg(n_channels: int = 4, seconds: float = 20.0) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((n_channels, round(seconds * SFREQ))) * 2e-5


def edf(path: Path, data: np.ndarray) -> Path:
    rows = [
        edfio.EdfSignal(row * 1e6, SFREQ, label=f"E{i}", physical_dimension="uV", physical_range=(-300, 300))
        for i, row in enumerate(data)
    ]
    edfio.Edf(rows).write(path)
    return path


def fif(path: Path, data: np.ndarray) -> Path:
    info = mne.create_info([f"E{i}" for i in range(len(data))], SFREQ, "eeg")
    mne.io.RawArray(data, info, first_samp=1000, verbose="ERROR").save(path, verbose="ERROR")
    return path


@pytest.mark.parametrize("block", [1, 1000, 4096, 1 << 20])
@pytest.mark.parametrize("kind", ["edf", "fif"])
def test_blocks_join_to_what_mne_reads_at_once(tmp_path: Path, monkeypatch, kind: str, block: int) -> None:
    monkeypatch.setattr(mne_raw, "BLOCK_BYTES", block * 8)
    data = eeg(3, 4.0)
    path = edf(tmp_path / "r.edf", data) if kind == "edf" else fif(tmp_path / "r_raw.fif", data)
    read = mne.io.read_raw_edf if kind == "edf" else mne.io.read_raw_fif
    found = signals_from_raw(load_samples(path, read(path, verbose="ERROR")))
    known = read(path, preload=True, verbose="ERROR").get_data()
    assert found.data.dtype == np.float32
    np.testing.assert_array_equal(found.data, known.astype(np.float32))


def test_rows_that_mne_resamples_are_read_in_one_piece(tmp_path: Path, monkeypatch) -> None:
    """In blocks MNE's resampling would ring at the edges of each."""
    monkeypatch.setattr(mne_raw, "BLOCK_BYTES", 8 * 100)
    waves = np.sin(np.arange(round(20 * SFREQ)) / SFREQ * 2 * np.pi) * 1e-4
    whole = edfio.EdfSignal(waves * 1e6, SFREQ, label="E1", physical_range=(-300, 300))
    half = edfio.EdfSignal(waves[::2] * 1e6, SFREQ / 2, label="E2", physical_range=(-300, 300))
    edfio.Edf([whole, half]).write(tmp_path / "r.edf")
    raw = mne.io.read_raw_edf(tmp_path / "r.edf", verbose="ERROR")
    found = signals_from_raw(load_samples(tmp_path / "r.edf", raw, whole=True))
    known = mne.io.read_raw_edf(tmp_path / "r.edf", preload=True, verbose="ERROR").get_data()
    np.testing.assert_array_equal(found.data, known.astype(np.float32))


def test_a_header_that_claims_more_than_the_file_can_hold_is_refused(tmp_path: Path) -> None:
    path = fif(tmp_path / "r_raw.fif", eeg(2, 2.0))
    raw = mne.io.read_raw_fif(path, verbose="ERROR")
    raw._last_samps = np.array([raw.first_samp + (1 << 28)])
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"claims 268435457 samples of 2 channels, but the file has only \d+ bytes"):
        load_samples(path, raw)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("suffix", ["edf", "fif"])
def test_loading_never_holds_much_more_than_the_recording(tmp_path: Path, suffix: str) -> None:
    """MNE's own preloaded read holds twice the float32 samples; ours stays below that."""
    data = eeg(16, 1200.0)
    path = edf(tmp_path / "r.edf", data) if suffix == "edf" else fif(tmp_path / "r_raw.fif", data)
    del data
    load_recording(edf(tmp_path / "warm.edf", eeg()))
    tracemalloc.start()
    recording = load_recording(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.7 * recording.data.nbytes + (8 << 20)


def test_the_gate_sees_of_long_recordings_what_it_sees_of_all() -> None:
    """Stretches and samples are picked; line noise at a rate that divides the sampling rate must not hide in that."""
    rng = np.random.default_rng(0)
    times = np.arange(200 * 1200) / 200.0
    data = rng.standard_normal((4, times.size)) * np.array([[1e-6], [2e-5], [1e-4], [1e-6]])
    data[3] += 5e-5 * np.sin(2 * np.pi * 75 * times)  # every eighth sample meets one phase
    known = np.array([1.0, 20.0, 100.0, 50 * np.sqrt(2) / 1.349])
    np.testing.assert_allclose(robust_uv(data, 200.0), known, rtol=0.06)


def bytes_read() -> int:
    """What this process and the children it has waited for have read so far, modules too."""
    counters = Path("/proc/self/io")
    if not counters.is_file():
        pytest.skip("this system does not count what a process reads")
    return int(counters.read_text().split()[1])


def test_a_file_that_cannot_be_read_is_refused_before_its_bytes_are(tmp_path: Path) -> None:
    path = tmp_path / "r.edf"
    with open(path, "wb") as file:
        file.truncate(20 << 30)  # a sparse file
    before = bytes_read()
    with pytest.raises(ValueError, match=r"r\.edf"):
        load_recording(path)
    assert bytes_read() - before < 1 << 30


def test_a_number_that_float32_cannot_hold_is_missing(tmp_path: Path) -> None:
    data = eeg(2) * 1e6
    data[1, 700] = -1e300
    np.savez(tmp_path / "r.npz", eeg=data, sfreq=SFREQ, ch_names=np.array(["O1", "O2"]), unit=np.array("uV"))
    recording = load_recording(tmp_path / "r.npz")
    assert np.isfinite(recording.data).all()
    assert recording.data.shape == data.shape
    assert recording.source["repaired"] == ["O2: 1 gaps of at most 0.1 s filled by a straight line"]
