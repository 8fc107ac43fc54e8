"""What a recording is like apart from its responses: amplitude, spectrum and correlations of each channel."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..preprocessing.config import PreprocessingConfig

MAX_WINDOWS = 240  # of a recording, evenly spread: medians need no more
N_BANDS = 5
FAINTEST = 1e-9  # volts: a flat channel has a logarithm too
# What two runs of one person differ by at least, whatever a few of them happened to do: 10 % of amplitude, 0.15 of the
# logarithm of a band's share of the power, 0.06 of a correlation (Fisher's z).
LEAST_SPREAD = {"amplitude": 0.10, "spectrum": 0.15, "covariance": 0.06}
KINDS = tuple(LEAST_SPREAD)


@dataclass(frozen=True)
class Layout:
    """Which of the numbers that describe a window are of which kind, channel and band; of two channels for
    `covariance`.
    """

    kind: tuple[str, ...]
    channel: tuple[tuple[int, ...], ...]
    band: tuple[tuple[float, float] | None, ...]

    def of(self, kind: str) -> np.ndarray:
        """Return where the numbers of a kind stand, bool (n_features,)."""
        return np.array([one == kind for one in self.kind])


def bands_of(config: PreprocessingConfig) -> tuple[tuple[float, float], ...]:
    """Return the bands (hertz) a window's power is told in: at most five, a few of its frequencies wide at least."""
    step = config.sfreq / config.n_times
    low = max(config.l_freq or 0.0, step) - step / 2
    high = min(config.h_freq or np.inf, 0.45 * config.sfreq) + step / 2
    n = int(np.clip((high - low) / step / 2, 1, N_BANDS))
    edges = np.geomspace(max(low, step / 2), max(high, 2 * step), n + 1)
    for place in range(1, n + 1):  # each holds one of the window's frequencies at least
        edges[place] = max(edges[place], edges[place - 1] + 1.01 * step)
    return tuple((float(a), float(b)) for a, b in pairwise(edges))


def layout_of(config: PreprocessingConfig) -> Layout:
    """Return what the numbers of `background` are, in their order."""
    n, bands = len(config.ch_names), bands_of(config)
    pairs = [(int(i), int(j)) for i, j in zip(*np.triu_indices(n, 1), strict=True)]
    return Layout(
        ("amplitude",) * n + ("spectrum",) * (n * len(bands)) + ("covariance",) * len(pairs),
        (*((i,) for i in range(n)), *((i,) for i in range(n) for _ in bands), *pairs),
        (*(None for _ in range(n)), *(band for _ in range(n) for band in bands), *(None for _ in pairs)),
    )


def background(eeg: np.ndarray, config: PreprocessingConfig) -> np.ndarray:
    """Return what describes each of the windows (n, channels, times) in volts: (n, n_features), as `layout_of` says.

    The logarithm of each channel's standard deviation; of its power's share in each band; Fisher's z of each two
    channels' correlation. Their mean over time is taken off first.
    """
    eeg = np.asarray(eeg, dtype=np.float64)
    eeg = eeg - eeg.mean(axis=2, keepdims=True)
    n, n_channels, n_times = eeg.shape
    deviation = np.sqrt((eeg * eeg).mean(axis=2)).clip(FAINTEST)
    power = np.abs(np.fft.rfft(eeg * np.hanning(n_times), axis=2)) ** 2
    freqs = np.fft.rfftfreq(n_times, 1 / config.sfreq)
    found = [power[:, :, (freqs > low) & (freqs <= high)].sum(axis=2) for low, high in bands_of(config)]
    shares = np.stack(found, axis=2) + (FAINTEST * n_times) ** 2
    spectrum = np.log(shares / shares.sum(axis=2, keepdims=True))
    whole = eeg / deviation[:, :, None]
    rows, columns = np.triu_indices(n_channels, 1)
    correlation = np.einsum("nct,ndt->ncd", whole, whole)[:, rows, columns] / n_times
    fisher = np.arctanh(correlation.clip(-0.99, 0.99))
    return np.concatenate([np.log(deviation), spectrum.reshape(n, -1), fisher], axis=1)


def spread_evenly(n: int, at_most: int) -> np.ndarray:
    """Return at most so many of the numbers 0 to n - 1, evenly spread."""
    return np.unique(np.linspace(0, n - 1, min(n, at_most)).round().astype(np.int64)) if n else np.zeros(0, np.int64)
