"""What samples tell of rows whose names tell nothing."""

from pathlib import Path

import edfio
import mne
import numpy as np
import pytest

from core.loading.judgement.row_evidence import why_not_by_samples
from core.loading.load import load_recording
from tests.test_formats import edf_signal, volts

N = 20_000
RNG = np.random.default_rng(3)
EVEN = np.arange(N)


def eeg_like(sfreq: float, seed: int = 0, n: int = N) -> np.ndarray:
    """Noise of EEG's spectrum (1/f) with a strong 10 Hz rhythm, in uV."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft(rng.standard_normal(n))
    spectrum[1:] /= np.sqrt(np.fft.rfftfreq(n, 1 / sfreq)[1:])
    noise = np.fft.irfft(spectrum, n)
    return 20 * noise / noise.std() + 15 * np.sin(2 * np.pi * 10 * np.arange(n) / sfreq)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (EVEN % 128, "counter or a clock"),
        (EVEN % 256, "counter or a clock"),
        (EVEN // 2 % 256, "counter or a clock"),  # Cyton with Daisy writes each index twice
        ((EVEN % 128) * 0.0078 - 3, "counter or a clock"),  # scaled by a header
        (1.7e9 + EVEN / 256, "counter or a clock"),
        ((EVEN * 7.8125 % 1000).round(), "counter or a clock"),  # milliseconds of the second
        (1.7e9 + np.round(EVEN / 12) * 12 / 256, "counter or a clock"),  # stamps in packets
        (np.delete(EVEN, np.s_[::50]) % 128, "counter or a clock"),  # with losses
        (-EVEN.astype(float), "counter or a clock"),
        (1.7e9 + EVEN // 128 / 2, "counter or a clock"),  # a stamp every half second
        ((EVEN % 5000 < 50) * 7, "2 values held for long"),
        (np.repeat(RNG.integers(0, 5, N // 500), 500), "values held for long"),
        (100 - EVEN // 7000, "a battery's"),
        (np.full(N, 4200.0), "4200 throughout"),
        (np.zeros(N), "0 throughout"),
    ],
)
def test_bookkeeping_is_known_by_its_samples(values: np.ndarray, reason: str) -> None:
    for unit in (1.0, 1e-6, 1e-3):
        found = why_not_by_samples(values * unit)
        assert found is not None
        assert reason in found or "throughout" in reason


@pytest.mark.parametrize("sfreq", [100.0, 128.0, 256.0, 1000.0, 2048.0, 20000.0])
def test_eeg_is_never_taken_for_bookkeeping(sfreq: float) -> None:
    for seed in range(5):
        row = eeg_like(sfreq, seed)
        variants = {
            "as it is": row,
            "coarse": np.round(row / 0.51) * 0.51,
            "coarser than a rhythm": np.round(row / 10),
            "on a slope": row + np.linspace(0, 5000, N),
            "on an offset": row + 4200,
            "railed half of the time": np.clip(row, None, 0),
            "each sample eight times": np.repeat(row, 8)[:N],
            "with gaps": np.where(EVEN % 1000 < 100, np.nan, row),
            "short": row[:200],
        }
        for name, values in variants.items():
            assert why_not_by_samples(values * 1e-6) is None, name


@pytest.mark.parametrize("sfreq", [256.0, 2048.0, 20000.0])
@pytest.mark.parametrize("step_uv", [0.1, 0.5, 1.0])
def test_smooth_eeg_in_coarse_steps_is_eeg(sfreq: float, step_uv: float) -> None:
    """Low-passed at 40 Hz and far oversampled, most samples are as the one before."""
    n = 70_000
    spectrum = np.fft.rfft(eeg_like(sfreq, n=n))
    spectrum[np.fft.rfftfreq(n, 1 / sfreq) > 40] = 0
    row = np.fft.irfft(spectrum, n)
    assert why_not_by_samples(np.round(row / step_uv) * step_uv * 1e-6) is None


def test_too_little_is_no_evidence() -> None:
    assert why_not_by_samples(np.zeros(10)) is None
    assert why_not_by_samples(np.full(N, np.nan)) is None
    assert why_not_by_samples(RNG.choice([-3e38, 3e38], N).astype(np.float32)) is None


def test_the_real_rows_of_every_shared_file_stay_as_they_are(shared_data: Path) -> None:
    for name in ("edf/eeglab_test.edf", "bdf/mne_test.bdf", "brainvision/test.vhdr"):
        raw = mne.io.read_raw(shared_data / "eeg_formats" / name, verbose="ERROR")
        rows = raw.get_data(picks="eeg")
        assert [why_not_by_samples(row) for row in rows] == [None] * len(rows), name
        if "Status" in raw.ch_names:
            assert why_not_by_samples(raw.get_data(["Status"])[0]) is not None


def test_rows_of_meaningless_names_are_dropped_for_their_samples_and_can_be_kept(tmp_path: Path) -> None:
    n = 8 * 128
    extra = [
        edf_signal(np.arange(n, dtype=float) % 128, "CH5"),
        edf_signal((np.arange(n) % 200 < 20) * 3.0, "CH6"),
        edf_signal(eeg_like(128.0, n=n), "CH7"),
        edf_signal(np.arange(n, dtype=float) % 128, "Cz"),  # a place is not doubted
    ]
    signals = [edf_signal(row * 1e6, name) for row, name in zip(volts(), ["AF3", "O1", "Oz", "P8"], strict=True)]
    edfio.Edf([*signals, *extra]).write(tmp_path / "r.edf")
    recording = load_recording(tmp_path / "r.edf")
    assert recording.ch_names == ("AF3", "O1", "Oz", "P8", "CH7", "Cz")
    assert recording.source["dropped"]["CH5"] == "by its samples: a counter or a clock"
    assert recording.source["dropped"]["CH6"].startswith("by its samples: 2 values held for long")
    assert "CH5" in load_recording(tmp_path / "r.edf", keep=["CH5"]).ch_names
    # what was found to hold codes can be a source of events
    events = load_recording(tmp_path / "r.edf", events="CH6@3=flash").events
    assert [event.label for event in events] == ["flash"] * 5
