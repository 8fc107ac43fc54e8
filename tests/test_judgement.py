"""Whatever a reader hands over ends in a recording that holds together, or in one readable line."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from core.formats.contract.signals import ReadOptions, Signals
from core.loading.load import judged
from core.recording import Event, describe

NAMES = ["Cz", "Oz", "A1", "A2", "A3", "EXG Channel 0", "COUNTER", "STATUS", "x", "Fp1", "EEG Fp1-REF", "T3", "T7", ""]


def some(rng: np.random.Generator, *choices):
    return choices[rng.integers(len(choices))]


def wild_signals(rng: np.random.Generator, tame: bool) -> Signals:
    """Rows, stamps, events and positions with everything that a damaged file can hold; `tame`: EEG with damage."""
    n_times, n_rows = int(some(rng, 2, 50, 700, 3000)), int(rng.integers(1, 6))
    scale = 2e-5 if tame else 10.0 ** some(rng, -40, -9, -6, -3, 0, 5, 30, 38)
    data = rng.standard_normal((n_rows, n_times)) * scale + some(rng, 0, 4e-3, -7e-2)
    with np.errstate(all="ignore"):
        data = data.astype(some(rng, np.float32, np.float64))
    for _ in range(rng.integers(0, 4)):
        start, stop = sorted(rng.integers(0, n_times + 1, 2))
        data[rng.integers(n_rows), start:stop] = some(rng, np.nan, np.inf, -np.inf, 0, 1e38, 5)
    stamps = None
    if rng.random() < 0.6:
        stamps = np.arange(n_times + some(rng, 0, 0, 1)) / some(rng, 1e-3, 100, 250, 256) + some(rng, 0, 1.7e9, -5)
        for _ in range(rng.integers(0, 3)):
            stamps[rng.integers(0, n_times) :] += some(rng, 3, -3, 1e9, -1e300, np.nan, np.inf, 0.2)
    names = [str(name) for name in rng.choice(NAMES, n_rows, replace=False)]
    odd = [] if tame else [0.0, -1.0, np.nan, np.inf, 1e-300, 1e300]
    return Signals(
        data=data,
        sfreq=some(rng, 256.0, 250.0, 100.0, *odd),
        ch_names=names,
        ch_types=[some(rng, "eeg", "eeg", "eeg", "eeg", "stim", "marker", "misc") for _ in names],
        units=[some(rng, "uV", "uV", "uV", "", None, "mV") for _ in names],
        sfreq_said=some(rng, "declared", "documented", "measured"),
        stamps=stamps,
        lost=some(rng, None, 3, 10**12, -5),
        positions=None
        if rng.random() < 0.5
        else rng.standard_normal((n_rows, 3)) * 10.0 ** some(rng, -300, -1, 2, 300),
        events=[
            Event(some(rng, 0.5, np.nan, np.inf, -4.0, 1e9), some(rng, 0.0, np.nan, -1.0), some(rng, "1", "x"))
            for _ in range(rng.integers(0, 4))
        ],
    )


@pytest.mark.parametrize("seed", range(6))
def test_anything_ends_in_a_recording_or_in_one_line(seed: int) -> None:
    rng = np.random.default_rng(seed)
    read, refused = 0, []
    for i in range(60):
        signals = wild_signals(rng, tame=i % 3 > 0)
        options = ReadOptions(
            units=some(rng, None, None, "uV"),
            sfreq=some(rng, None, None, 250.0),
            events=some(rng, (), (), ("*",), ("1=a", "STATUS@*")),
            montage=some(rng, None, None, None, "openbci-8", "standard_1020"),
            keep=some(rng, (), (), ("x",)),
            channels=some(rng, None, None, None, {"x": "Cz"}, ["O1"]),
        )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                recording = judged(Path("f.edf"), signals, options, {})
                assert describe(recording)
        except ValueError as error:
            refused.append(str(error))
            continue
        read += 1
        assert np.isfinite(recording.data).all()
        assert 1 <= recording.sfreq <= 1e6
        assert all(-0.1 <= event.onset <= recording.duration + 0.1 for event in recording.events)
        assert np.abs(np.median(recording.data, axis=1)).max() <= 250e-6
    assert read >= 3
    assert all(said.startswith("f.edf: ") and "\n" not in said for said in refused)
