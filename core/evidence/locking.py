"""Whether a response is locked to moments: a matched filter, and how much more it finds there than at other moments."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..preprocessing.config import PreprocessingConfig
from ..preprocessing.windows import window_starts
from ..recording import Recording

SHRINKAGE = 0.05  # of each covariance towards its mean variance
CLIP = 5.0  # robust standard deviations: a blink counts no more than a strong response
MIN_MOMENTS = 8  # fewer have no spread of their own to be judged by
MIN_OTHERS = 20  # independent other moments of a recording, below which what the encoder keeps is asked


@dataclass(frozen=True)
class Locked:
    """What a filter finds at moments of a recording.

    p_value: that moments of no meaning would give as much. effect: the mean over the moments in standard deviations of
    a single one, NaN for fewer than eight moments. peak: the mean over the moments as a share of the largest one that
    shifting all of them by up to a window's length gives; 1 is at the moments. lag: that largest one's, seconds.
    elsewhere: the p-value of that one, the number of shifts counted. moved: the p-value that it is no larger than the
    one at the moments, the number of shifts counted. n: how many moments.
    """

    p_value: float
    effect: float
    peak: float
    lag: float
    n: int
    elsewhere: float = 1.0
    moved: float = 1.0


def matched_filter(runs: Sequence[np.ndarray]) -> np.ndarray:
    """Return the matched filter (channels, times) for the mean window of runs, each (n, channels, times) in volts.

    The mean, whitened by the covariance of what is left over channels and over times (a Kronecker product, after de
    Munck et al. 2002, IEEE Trans Biomed Eng 49:123), the latter drawn towards a stationary one the more, the fewer
    windows a time point has: long windows of flicker have more times than windows. What it gives for noise alone has
    unit variance.
    """
    mean = np.mean([run.mean(axis=0, dtype=np.float64) for run in runs], axis=0)
    n_times = mean.shape[1]
    left = np.concatenate([run - run.mean(axis=0, dtype=np.float64) for run in runs])
    over_channels = _shrunk(np.einsum("nct,ndt->cd", left, left, optimize=True) / (len(left) * n_times))
    whitened = np.einsum("cd,ndt->nct", np.linalg.inv(np.linalg.cholesky(over_channels)), left, optimize=True)
    rows = whitened.reshape(-1, n_times)
    stationary = n_times / (n_times + len(left))
    over_times = _shrunk((1 - stationary) * (rows.T @ rows / len(rows)) + stationary * _stationary(rows))
    found = np.linalg.solve(over_channels, mean) @ np.linalg.inv(over_times)
    return found / math.sqrt(max(float((found * mean).sum()), 1e-30))


def _stationary(rows: np.ndarray) -> np.ndarray:
    """Return the covariance over times of rows (n, times) whose statistics do not change over time."""
    n_times = rows.shape[1]
    power = (np.abs(np.fft.rfft(rows, 2 * n_times)) ** 2).mean(axis=0)
    covariance = np.fft.irfft(power)[:n_times] / n_times
    return covariance[np.abs(np.subtract.outer(np.arange(n_times), np.arange(n_times)))]


def _shrunk(covariance: np.ndarray) -> np.ndarray:
    least = np.trace(covariance) / len(covariance)
    return covariance * (1 - SHRINKAGE) + np.eye(len(covariance)) * max(SHRINKAGE * least, 1e-30)


def filter_windows(response: np.ndarray, eeg: np.ndarray) -> np.ndarray:
    """Return what a filter (channels, times) gives for windows (n, channels, times) in volts, (n,)."""
    return np.einsum("nct,ct->n", np.asarray(eeg, dtype=np.float64), response, optimize=True)


def filter_recording(response: np.ndarray, prepared: Recording, config: PreprocessingConfig) -> np.ndarray:
    """Return what a filter gives for the windows that start at each sample of a prepared recording, baseline and all;
    NaN where a window would cross a gap or is an artefact.
    """
    from scipy.signal import fftconvolve

    lead = config.n_lead if config.baseline is not None else 0
    kernel = np.pad(np.asarray(response, dtype=np.float64), ((0, 0), (lead, 0)))
    n_times = kernel.shape[1]
    if config.baseline is not None:  # taking a mean off the window is the same as taking a box off the filter
        first = min(lead + round((config.baseline[0] - config.tmin) * config.sfreq), n_times - 1)
        last = max(lead + round((config.baseline[1] - config.tmin) * config.sfreq), first + 1)
        kernel[:, first:last] -= kernel.sum(axis=1, keepdims=True) / (last - first)
    found = np.full(max(prepared.n_times - n_times + lead + 1, 0), np.nan)
    for start, stop in prepared.spans:
        if stop - start >= n_times:
            data = prepared.data[:, start:stop].astype(np.float64)
            found[start + lead : stop - n_times + lead + 1] = fftconvolve(
                data, kernel[:, ::-1], mode="valid", axes=1
            ).sum(axis=0)
    return found


def locked_to(
    found: np.ndarray, prepared: Recording, moments: np.ndarray, config: PreprocessingConfig, nothing: np.ndarray
) -> Locked:
    """Tell what `filter_recording` found at moments (n,) seconds from what it found at others of the same recording.

    The p-value is the larger of two. One holds the moments' mean against their own spread, what neighbours share
    counted (Newey & West 1987). The other holds it against the mean when all moments are shifted together, by more than
    a window's length, around the recording; what is locked to the moments is taken out of the recording first, so that
    a rigid rhythm of presentation is not held against itself. Where the recording is too short for either, the mean is
    held against `nothing`, as `Evidence` keeps it.
    """
    starts, reasons = window_starts(prepared, moments, config)
    starts = starts[np.array([reason is None for reason in reasons], dtype=bool)]
    starts = np.unique(starts[(starts >= 0) & (starts < len(found))])
    starts = starts[np.isfinite(found[starts])]
    if not len(starts):
        return Locked(1.0, math.nan, 0.0, 0.0, 0)
    finite = found[np.isfinite(found)]
    middle = float(np.median(finite))
    scale = 1.4826 * float(np.median(np.abs(finite - middle)))
    if not scale > 0:  # nothing ever moves
        return Locked(1.0, math.nan, 0.0, 0.0, len(starts))
    values = np.clip((found - middle) / scale, -CLIP, CLIP)
    at = values[starts]
    length = config.n_times
    observed, whole = float(at.mean()), float(np.nanmean(values))
    shifted = _shifted_means(values, starts)
    near = np.r_[0 : length + 1, -length:0]
    largest = near[int(np.nanargmax(shifted[near]))] if len(shifted) > 2 * length else 0
    most = max(float(shifted[largest]) - whole, 1e-12)
    peak = max((observed - whole) / most, 0.0)
    p_values: list[float] = []
    if len(at) >= MIN_MOMENTS:
        p_values.append(_p_of_spread(at - whole, starts, length))
    others = _p_of_shifts(values, starts, shifted, length)
    if others is not None:
        p_values.append(others)
    if not p_values:
        p_values.append(p_against(nothing, float(found[starts].mean()), len(at)))
    effect = effect_of(at - whole)
    elsewhere, better = 1.0, 1.0
    moved = starts + int(largest)
    inside = (moved >= 0) & (moved < len(values))
    inside[inside] = np.isfinite(values[moved[inside]])
    moved = moved[inside]
    if len(moved) >= MIN_MOMENTS:
        tried = max(len(near) / _correlation_width(values), 1.0)
        elsewhere = min(_p_of_spread(values[moved] - whole, moved, length) * tried, 1.0)
        if largest:
            better = min(_p_of_spread(values[moved] - at[inside], moved, length) * tried, 1.0)
    lag = float(largest) / config.sfreq
    return Locked(max(p_values), effect, min(peak, 1.0), lag, len(at), elsewhere, better)


def locked_trials(values: np.ndarray, nothing: np.ndarray) -> Locked:
    """Tell what a filter gave for windows (n,) from nothing, where there is no recording about them to ask."""
    n = len(values)
    if n < MIN_MOMENTS:
        p = p_against(nothing, float(np.mean(values)), n) if n else 1.0
        return Locked(p, math.nan, 1.0, 0.0, n)
    spread = 1.4826 * float(np.median(np.abs(values - np.median(values))))
    if not spread > 0:
        return Locked(1.0, math.nan, 0.0, 0.0, n)
    middle = float(np.median(values))
    kept = np.clip((values - middle) / spread, -CLIP, CLIP) + middle / spread
    return Locked(_p_of_spread(kept, np.arange(n), 2), effect_of(kept), 1.0, 0.0, n)


def effect_of(values: np.ndarray) -> float:
    """Return the mean over the standard deviation of values (n,); NaN for fewer than eight."""
    if len(values) < MIN_MOMENTS:
        return math.nan
    return float(values.mean() / max(float(values.std(ddof=1)), 1e-12))


def p_against(nothing: np.ndarray, value: float, n: int) -> float:
    """Return the conformal p of a mean of n windows: the share of what nothing gave for as many that is as large.

    nothing: (5, n_quantiles), as `Evidence` keeps it. Beyond 16 windows the row of 16 shrinks with the root of n.
    """
    row = min(int(math.log2(max(n, 1))), len(nothing) - 1)
    kept = nothing[row] * math.sqrt(2**row / max(n, 1))
    return float((1 + (kept >= value).sum()) / (1 + len(kept)))


def _p_of_spread(values: np.ndarray, starts: np.ndarray, length: int) -> float:
    from scipy.stats import t

    n = len(values)
    centred = values - values.mean()
    plain = float((centred * centred).sum())
    step = float(np.median(np.diff(starts))) if n > 1 else length
    lags = min(math.ceil(length / max(step, 1.0)) + 1, n // 4)
    variance = plain
    for lag in range(1, lags + 1):
        variance += 2 * (1 - lag / (lags + 1)) * float((centred[lag:] * centred[:-lag]).sum())
    variance = max(variance, plain)  # a dip that chance made must not make the mean surer
    return float(t.sf(values.mean() / math.sqrt(max(variance, 1e-30) / (n * (n - 1))), n - 1))


def _shifted_means(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return the mean over all moments, shifted together round the recording by each number of samples; NaN where fewer
    than half of them can be read. The last shifts are the negative ones; there are a few more than samples, since
    Fourier transforms of some lengths take a hundred times longer.
    """
    n = _quick_length(len(values))
    values = np.concatenate([values, np.full(n - len(values), np.nan)])
    comb = np.zeros(n)
    comb[starts] = 1.0
    fixed = np.conj(np.fft.rfft(comb))
    valid = np.isfinite(values)
    sums = np.fft.irfft(np.fft.rfft(np.where(valid, values, 0.0)) * fixed, n)
    counts = np.fft.irfft(np.fft.rfft(valid.astype(np.float64)) * fixed, n).round()
    enough = counts >= max(1, len(starts) / 2)
    return np.divide(sums, counts, out=np.full(n, np.nan), where=enough)


def _p_of_shifts(values: np.ndarray, starts: np.ndarray, shifted: np.ndarray, length: int) -> float | None:
    observed = float(values[starts].mean())
    left = values
    if len(starts) >= MIN_MOMENTS:
        left = values.copy()
        half = int(min(np.quantile(np.diff(starts), 0.1) / 2, length))
        middle = float(np.nanmean(values))
        for lag in range(-half, half + 1):
            at = starts + lag
            at = at[(at >= 0) & (at < len(left))]
            if np.isfinite(shifted[lag]):
                left[at] -= shifted[lag] - middle
        shifted = _shifted_means(left, starts)
    others = shifted[length : len(shifted) - length] if len(shifted) > 2 * length else shifted[:0]
    others = others[np.isfinite(others)]
    if not len(others):
        return None
    width = _correlation_width(left)  # neighbouring shifts are nearly the same
    if len(others) / width < MIN_OTHERS:
        return None
    return float((1 + (others >= observed).sum() / width) / (1 + len(others) / width))


def _quick_length(n: int) -> int:
    """Return the least length from n up, within a few per cent, that has no large prime factor."""
    return min(odd << max(math.ceil(math.log2(n / odd)), 0) for odd in (1, 3, 5, 9, 15, 25, 27, 45, 75, 81))


def _correlation_width(values: np.ndarray) -> float:
    """Return how many samples in a row are as good as one: the sum of the squared autocorrelation."""
    kept = np.where(np.isfinite(values), values - np.nanmean(values), 0.0)
    reach = min(len(kept), 1024)
    n = _quick_length(len(kept) + reach)
    correlation = np.fft.irfft(np.abs(np.fft.rfft(kept, n)) ** 2, n)
    correlation = correlation / max(float(correlation[0]), 1e-30)
    return max(1.0, 1 + 2 * float(np.square(correlation[1:reach]).sum()))
