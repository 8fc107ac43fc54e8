"""From raw samples to windows as the data set's authors cut them: each epoch's baseline, resampled by itself.

Baseline, resampling and the cut are linear, so that all three are one matrix from an epoch's samples to a window's.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from core.preprocessing.config import PreprocessingConfig

from .raw import RawFile

EPOCH_S = (-0.2, 1.0)  # what is resampled as one, both ends included
AT_ONCE = 96  # epochs
STRETCH_S = 40.0  # the most that is read at once


@dataclass(frozen=True)
class Resampling:
    """first: samples from the onset to an epoch's first one. matrix: float64 (n_samples, n_times)."""

    first: int
    matrix: np.ndarray


@lru_cache(maxsize=4)
def resampling(rate: float, config: PreprocessingConfig) -> Resampling:
    """Return the matrix that takes an epoch at `rate` hertz to a window of a config whose baseline is (-0.2, 0).

    The Fourier method on each epoch by itself, ends held, as MNE's `Epochs.resample` does it. Raises ValueError for a
    window outside of the epoch.
    """
    from mne.filter import resample

    first, last = (round(second * rate) for second in EPOCH_S)
    n = last - first + 1
    whole = np.eye(n)
    if rate != config.sfreq:
        named: Any = {"npad": "auto", "window": "boxcar", "pad": "edge"}  # MNE's stubs know fewer kinds
        whole = resample(whole, up=config.sfreq, down=rate, verbose="error", **named)
    start = round((config.tmin - EPOCH_S[0]) * config.sfreq)
    if start < 0 or start + config.n_times > whole.shape[1]:
        raise ValueError(
            f"a window of {config.tmin:g} to {config.tmax:g} s is not inside the epoch of {EPOCH_S[0]:g} to "
            f"{EPOCH_S[1]:g} s"
        )
    low, high = (round((at - EPOCH_S[0]) * rate) for at in config.baseline or EPOCH_S)
    weights = np.zeros(n)
    weights[low : high + 1] = 1 / (high + 1 - low)
    whole = whole - weights[:, None] * whole.sum(axis=0)
    return Resampling(first, np.ascontiguousarray(whole[:, start : start + config.n_times]))


def inside(raw: RawFile, onsets: np.ndarray) -> np.ndarray:
    """Return which onsets (n,) have their whole epoch in the file (n,) bool."""
    first, last = (round(second * raw.sfreq) for second in EPOCH_S)
    return (onsets + first >= 0) & (onsets + last < raw.n_times)


def windows_of(raw: RawFile, onsets: np.ndarray, config: PreprocessingConfig) -> Iterator[np.ndarray]:
    """Yield windows about onsets (n,), which must rise, in pieces: float32 (k, n_channels, n_times) in volts.

    Raises ValueError where samples are not numbers.
    """
    made = resampling(raw.sfreq, config)
    n_samples, n_times = made.matrix.shape
    n_channels = len(raw.rows)
    at = 0
    while at < len(onsets):
        far = np.searchsorted(onsets, onsets[at] + STRETCH_S * raw.sfreq, side="right")
        these = onsets[at : min(at + AT_ONCE, int(far))]
        start = int(these[0]) + made.first
        stretch = raw.read(start, int(these[-1]) + made.first + n_samples)
        if not np.isfinite(stretch).all():
            raise ValueError(f"{raw.path} holds samples that are not numbers (NaN) near {start / raw.sfreq:.1f} s")
        places = (these - these[0])[:, None] + np.arange(n_samples)
        windows = np.empty((len(these), n_channels, n_times), dtype=np.float32)
        for channel in range(n_channels):
            windows[:, channel] = stretch[channel][places] @ made.matrix
        yield windows
        at += len(these)
