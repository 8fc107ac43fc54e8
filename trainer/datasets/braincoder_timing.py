"""When pictures were on the screen in Braincoder's recordings: the headset's clock, and what its tables cannot mean."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from itertools import pairwise
from pathlib import Path

import numpy as np

STAMP_S, STAMP_MS = "TIME_STAMP_s", "TIME_STAMP_ms"
EPOCH_FROM_S = 1e8  # stamps below are counted from the recording's start, not from 1970
JUMP_S = 0.25  # a stamp this far off the sampling clock means that samples are missing
TOLERANCE_S = 0.25  # on what the pages' clocks made of 2, 6 and 10 s
SHORT_S, LONG_S = 2.0, 6.0
LONG_PERIOD_S = 10.0  # the page that shows 6 s leaves 4 s blank after it
LEAST_LONG_PERIOD_S = LONG_PERIOD_S - 4 * TOLERANCE_S


@dataclass(frozen=True)
class Clock:
    """Absolute time of a recording's samples: `stamps` float64 (n_times,) seconds since 1970; `sfreq` hertz."""

    stamps: np.ndarray
    sfreq: float

    @property
    def start(self) -> float:
        """Return the time of the first sample."""
        return float(self.stamps[0])

    @property
    def end(self) -> float:
        """Return the time at which the last sample ends."""
        return float(self.stamps[-1]) + 1 / self.sfreq

    def seconds_into(self, times: np.ndarray) -> np.ndarray:
        """Return seconds from the recording's first sample, counted in samples, for absolute times inside it."""
        return np.interp(times, self.stamps, np.arange(len(self.stamps)) / self.sfreq)

    @property
    def jumps(self) -> np.ndarray:
        """Return the samples before which time jumps: samples were lost there."""
        return np.flatnonzero(np.diff(self.stamps) > JUMP_S + 1 / self.sfreq) + 1


def read_clock(path: Path, sfreq: float, utc_offset_h: float | None = None) -> Clock:
    """Read TIME_STAMP_s (whole seconds) and TIME_STAMP_ms (the rest) of an Emotiv EDF file.

    path: the file. sfreq: its EEG rate in hertz. utc_offset_h: hours that the header's start is ahead of UTC; needed
    where the stamps count from the start of the recording, and not since 1970.

    Stamps arrive in bursts and are rounded to milliseconds, so each uninterrupted stretch gets the sampling clock
    that fits its stamps best (median); where stamps leave that clock by more than 0.25 s a new stretch begins.

    Raises ValueError where the signals are missing, run backwards, do not run at the EEG's rate, or are not absolute
    and `utc_offset_h` is not given.
    """
    from core.formats.lab.edf import read_channels

    signals = read_channels(path, [STAMP_S, STAMP_MS])
    seconds, ms = signals[STAMP_S], signals[STAMP_MS]
    if len(seconds) != len(ms) or len(seconds) < 2:
        raise ValueError(f"{path}: {len(seconds)} samples of {STAMP_S} but {len(ms)} of {STAMP_MS}")
    # EDF holds 16 bits: whole seconds come back with a rounding error, and a wide range in the header makes it fatal
    steps = np.abs(np.diff(seconds))
    coarse = float(steps[steps > 0].min()) if steps.any() else 0.0
    if np.max(np.abs(seconds - np.round(seconds))) > 0.48 or coarse > 30:
        raise ValueError(
            f"{path}: {STAMP_S} is stored too coarsely to tell the time (in steps of {coarse:.3g} s); "
            "export the recording again with stamps in full precision"
        )
    raw = np.round(seconds) + ms / 1000
    if np.min(np.diff(raw)) < -JUMP_S:
        at = int(np.argmin(np.diff(raw)))
        raise ValueError(f"{path}: {STAMP_S} and {STAMP_MS} run backwards at sample {at} by {-np.diff(raw)[at]:.3f} s")
    if raw[0] < EPOCH_FROM_S:
        if utc_offset_h is None:
            raise ValueError(
                f"{path}: its stamps start at {raw[0]:.3f} s, not since 1970 but since the recording's start; "
                "give the time zone of the start in the EDF header with --utc-offset-h"
            )
        raw = raw + header_start(path) - 3600 * utc_offset_h
    stamps = _fit(raw, sfreq)
    second = max(1, round(sfreq))
    rate = second / np.median(raw[second:] - raw[:-second]) if len(raw) > 3 * second else sfreq
    if abs(rate / sfreq - 1) > 0.05:
        raise ValueError(f"{path}: by {STAMP_S} and {STAMP_MS} it runs at {rate:.1f} Hz, by its header at {sfreq:g} Hz")
    return Clock(stamps, sfreq)


def header_start(path: Path) -> float:
    """Return the start in an EDF header, which names no zone, as if it were UTC: whole seconds since 1970."""
    with open(path, "rb") as file:
        text = file.read(184)[168:184].decode("latin-1")
    try:
        start = datetime.strptime(text, "%d.%m.%y%H.%M.%S")
    except ValueError as error:
        raise ValueError(f"{path}: its header gives {text!r} as the start, not dd.mm.yyhh.mm.ss") from error
    return start.replace(tzinfo=timezone.utc).timestamp()


def _fit(raw: np.ndarray, sfreq: float) -> np.ndarray:
    fitted = np.empty_like(raw)
    elapsed = np.arange(len(raw)) / sfreq
    lag = raw - elapsed
    edges = [0, *(np.flatnonzero(np.abs(np.diff(lag)) > JUMP_S) + 1), len(raw)]
    for low, high in pairwise(edges):
        # within a stretch a straight line takes up a sampling clock that is a little fast or slow
        x, y = elapsed[low:high], lag[low:high]
        if high - low > 60 * sfreq:
            slope, offset = np.polyfit(x - x[0], y, 1)
            fitted[low:high] = x + offset + slope * (x - x[0])
        else:
            fitted[low:high] = x + np.median(y)
    return fitted


@dataclass(frozen=True)
class Interval:
    """A row of the table: `start` and `end` in absolute seconds; `onset` is where the picture is taken to appear."""

    row: int
    start: float
    end: float
    onset: float | None = None
    refused: str | None = None

    @property
    def duration(self) -> float:
        """Return the interval's length in seconds."""
        return self.end - self.start


def check_intervals(intervals: Sequence[Interval], timing: str) -> list[Interval]:
    """Give each interval of one sitting (one recording, one person) an onset, or the reason why it has none.

    Braincoder had two web pages and one server. One page shows a picture for 6 s and 4 s of blank; the other shows it
    for 2 s with a 4 s countdown. The server writes start = now - 6000 ms whichever page reports, so that with the
    second page an interval of 6 s holds 4 s of countdown, and its first 2 s, which the window takes, are not the
    picture's. Checked, in this order:

    1. end must lie after start.
    2. The interval must last 2 s or 6 s, within 0.25 s.
    3. Intervals must not overlap by more than 0.25 s.
    4. A sitting uses one page. Where two of its starts follow one another by less than 9 s, or where it has intervals
    of 2 s too, the page cannot be the one of 6 + 4 s, so every interval of 6 s of that sitting is ambiguous.

    What passes gets onset = start. What fails 2 to 4 is ambiguous and refused, unless timing settles it. timing:
    "check" refuses. "trust" takes the table at its word: the picture is on from start to end, whatever the spacing.
    "start": in ambiguous rows the picture is on for the first 2 s (the same onset as "trust", another claim). "end":
    for the last 2 s, so onset = end - 2 s. Rows shorter than 2 s less 0.25 s hold no window and are refused always, as
    those of 1 are.
    """
    order = sorted(range(len(intervals)), key=lambda i: intervals[i].start)
    starts = np.array([intervals[i].start for i in order])
    spacing = np.diff(starts)
    has_long = any(_lasts(interval, LONG_S) for interval in intervals)
    mixed = has_long and any(_lasts(interval, SHORT_S) for interval in intervals)
    tight = bool(len(spacing)) and float(spacing.min()) < LEAST_LONG_PERIOD_S
    checked = list(intervals)
    for place, i in enumerate(order):
        interval = intervals[i]
        following = intervals[order[place + 1]].start if place + 1 < len(order) else np.inf
        before = max((intervals[j].end for j in order[:place]), default=-np.inf)
        overlap = max(interval.end - following, before - interval.start)
        reason = fatal = None
        if interval.duration <= 0:
            fatal = f"ends {-interval.duration:.3f} s before it starts"
        elif interval.duration < SHORT_S - TOLERANCE_S:
            fatal = f"lasts {interval.duration:.3f} s, less than the 2 s window"
        elif not (_lasts(interval, SHORT_S) or _lasts(interval, LONG_S)):
            reason = f"lasts {interval.duration:.3f} s; the pages showed pictures for 2 s or 6 s"
        elif overlap > TOLERANCE_S:
            reason = f"overlaps a neighbour by {overlap:.3f} s"
        elif _lasts(interval, LONG_S) and mixed:
            reason = "lasts 6 s in a sitting that has 2 s intervals too: 4 s of it may be countdown"
        elif _lasts(interval, LONG_S) and tight:
            reason = f"lasts 6 s in a sitting with a picture every {spacing.min():.1f} s: 4 s of it may be countdown"
        if fatal or (reason and timing == "check"):
            checked[i] = replace(interval, refused=fatal or f"{reason} (settle with --timing)")
        else:
            late = reason is not None and timing == "end"
            checked[i] = replace(interval, onset=interval.end - SHORT_S if late else interval.start)
    return checked


def _lasts(interval: Interval, seconds: float) -> bool:
    return abs(interval.duration - seconds) <= TOLERANCE_S
