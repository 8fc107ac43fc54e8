"""What timestamps tell: the rate, gaps, and where a moment of their clock lies among the samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from .signals import Signals

# a clock drifts by parts in ten thousand; a rate that is a percent off is another rate
MOST_OFF = 0.01
# amplifiers run at these; a rate known by timestamps only is taken for one of them where it is this near
USUAL_HZ = (
    50, 64, 100, 125, 128, 160, 178, 200, 220, 240, 250, 256, 300, 400, 500, 512, 600, 1000, 1024, 1200, 2000, 2048,
    2400, 2500, 4096, 5000, 8192, 10000, 16384, 20000,
)  # fmt: skip
NEAR = 0.005
# beyond these a rate is a mistake, in the file or of the user
SLOWEST_HZ, FASTEST_HZ = 1.0, 1e6
# a shift of the timestamps that stays is a gap from here on: shorter ones do not show beside jitter
GAP_S = 0.1
_MOST_JUMPS = 20_000
_LATEST = 1e15
_EVEN = 1e-3


@dataclass(frozen=True)
class Clock:
    """What timestamps tell: `period` s a sample (the slope within stretches), `length` s of the longest stretch, `span`
    s from first to last, and `jumps`: the first sample after each and by how many seconds the clock is ahead there."""

    period: float
    length: float
    span: float
    jumps: tuple[tuple[int, float], ...]


def read_clock(stamps: np.ndarray, segments: Sequence[int] = (0,)) -> Clock | None:
    """Return what timestamps (n_times,) in seconds tell of the rate and of gaps, None where they do not rise.

    Stamps arrive in bursts and are rounded, so no single interval counts: a gap is where they are shifted for good
    against the count of samples (medians of about a second on both sides), and the rate is the slope within stretches.
    """
    if (even := _even_clock(stamps, segments)) is not None:
        return even
    # a clock that tells of ages is none, and differences of such times overflow
    index = np.flatnonzero(np.abs(stamps) < _LATEST)
    times = np.asarray(stamps, dtype=np.float64)[index]
    if len(times) < 3:
        return None
    lag = min(len(times) - 1, 256)
    period = float(np.median((times[lag:] - times[:-lag]) / (index[lag:] - index[:-lag])))
    if not (math.isfinite(period) and period > 0):
        return None
    jumps = _jumps(times, index, period, segments)
    if jumps is None:
        return None
    edges = sorted({0, *segments, *(at for at, _ in jumps), len(stamps)})
    up, across, length = 0.0, 0.0, 0.0
    for start, stop in pairwise(edges):
        low, high = np.searchsorted(index, [start, stop])
        if high - low < 2:
            continue
        at, when = index[low:high] - index[low:high].mean(), times[low:high] - times[low:high].mean()
        up, across = up + float(at @ when), across + float(at @ at)
        length = max(length, float(times[high - 1] - times[low]))
    if not (across > 0 and up > 0 and length > 0 and math.isfinite(up)):
        return None
    return Clock(up / across, length, float(times[-1] - times[0]), tuple(jumps))


def _even_clock(stamps: np.ndarray, segments: Sequence[int]) -> Clock | None:
    """Return the clock of stamps that were computed, one step for all of them, which takes no looking for gaps."""
    if len(stamps) < 3 or not abs(stamps[0]) < _LATEST > abs(stamps[-1]):
        return None
    with np.errstate(all="ignore"):
        steps = np.diff(np.asarray(stamps, dtype=np.float64))
        least, most = float(steps.min()), float(steps.max())
    # what is no number, or does not rise, is for the long way
    if not (least > 0 and most - least <= _EVEN * most):
        return None
    period = float(stamps[-1] - stamps[0]) / (len(stamps) - 1)
    longest = max(stop - start for start, stop in pairwise(sorted({0, *segments, len(stamps)})))
    return Clock(period, (longest - 1) * period, float(stamps[-1] - stamps[0]), ())


def _jumps(
    times: np.ndarray, index: np.ndarray, period: float, segments: Sequence[int]
) -> list[tuple[int, float]] | None:
    """Return where the stamps shift for good, None where they jump about too often to be a clock."""
    least = max(GAP_S, 3 * period)
    steps = np.diff(times) - period * np.diff(index)
    candidates = np.flatnonzero(np.abs(steps) > min(least, GAP_S))
    if len(candidates) > _MOST_JUMPS:
        return None
    edges = np.searchsorted(index, [*segments, index[-1] + 1])
    known = set(edges.tolist())
    late = times - period * index
    wide = int(min(max(1.0 / period, 8), 512))
    walls = np.concatenate([[-1], candidates, [len(times) - 1]])
    found: list[tuple[int, float, float]] = []
    for n, before in enumerate(candidates.tolist()):
        after = before + 1
        if after in known:
            continue
        right = edges[edges > before].min()
        left = edges[edges <= before].max()
        ahead = min(wide, max(int(walls[n + 2] - before), wide // 8), int(right - after))
        behind = min(wide, max(int(before - walls[n]), wide // 8), int(after - left))
        shift = float(np.median(late[after : after + ahead]) - np.median(late[after - behind : after]))
        if abs(shift) <= least:
            continue
        step, at = float(abs(steps[before])), int(index[after])
        if found and at - found[-1][0] <= wide // 8 + 1:
            # a late packet beside a gap sees the same shift: the larger step of the two is the gap
            if step <= found[-1][2]:
                continue
            found.pop()
        found.append((at, shift, step))
    return [(at, shift) for at, shift, _ in found]


def measured_rate(stamps: np.ndarray, segments: Sequence[int] = (0,)) -> tuple[float, float]:
    """Return the rate (Hz) that timestamps tell and their longest stretch (s); NaN where they do not rise."""
    clock = read_clock(stamps, segments)
    return (math.nan, math.nan) if clock is None else (1 / clock.period, clock.length)


def onsets_of(signals: Signals, seconds: Sequence[float], *, absolute: bool = False) -> list[float]:
    """Return times in seconds from the first sample (or, `absolute`, of the stamps' clock) as onsets: sample / rate.

    Without timestamps the two are the same. With them gaps and drift are allowed for: each stretch has a straight line
    of its own through its stamps.
    """
    wanted = np.asarray(seconds, dtype=np.float64)
    clock = None if signals.stamps is None else read_clock(signals.stamps, signals.segments)
    if signals.stamps is None or clock is None:
        return wanted.tolist()
    n_times = len(signals.stamps)
    edges = sorted({*signals.segments, *(at for at, _ in clock.jumps), n_times})
    times = np.empty(n_times)
    for start, stop in pairwise(edges):
        count = np.arange(start, stop) * clock.period
        shift = np.nanmedian(signals.stamps[start:stop] - count) if np.isfinite(signals.stamps[start:stop]).any() else 0
        times[start:stop] = count + shift
    times = np.maximum.accumulate(times)
    wanted = wanted if absolute else wanted + times[0]
    at = np.interp(wanted, times, np.arange(n_times))
    # beyond the ends the line goes on, so that what lies outside is seen to lie outside
    at = np.where(wanted < times[0], (wanted - times[0]) / clock.period, at)
    at = np.where(wanted > times[-1], n_times - 1 + (wanted - times[-1]) / clock.period, at)
    return (at / signals.sfreq).tolist()


def rate_of_steps(step: float, declared: float) -> float:
    """Return the rate that an axis of times with this step tells: in s or in ms, whichever is nearer to the declared.

    NaN where it does not rise, or counts samples (a step of one that is no rate of either unit).
    """
    if not (math.isfinite(step) and step > 0 and declared > 0):
        return math.nan
    rate = min((1 / step, 1000 / step), key=lambda one: abs(math.log(one / declared)))
    return math.nan if step == 1 and abs(rate / declared - 1) > MOST_OFF else rate


def usual_rate(measured: float) -> float:
    """Return the rate that amplifiers run at nearest to a measured one, or the measured one where none is near."""
    nearest = min(USUAL_HZ, key=lambda rate: abs(measured / rate - 1))
    return float(nearest) if abs(measured / nearest - 1) <= NEAR else measured
