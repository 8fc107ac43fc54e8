"""Events by the time of a clock: put where the recording's own timestamps say, left out where nothing was recorded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...recording import Event
from .clock import onsets_of, read_clock
from .signals import Signals


def clock_events(signals: Signals, told: Sequence[tuple[float, float, str]]) -> tuple[list[Event], int]:
    """Return (time, duration, label) of the stamps' clock as events, and how many lie outside or in a gap.

    Drift and gaps are allowed for, see `timing.onsets_of`. An event in a gap has no samples: it is left out.
    """
    told = [entry for entry in told if np.isfinite(entry[0])]
    if not told or signals.stamps is None:
        return [], len(told)
    clock = read_clock(signals.stamps, signals.segments)
    n_times = signals.data.shape[1]
    if clock is None:
        return [], len(told)
    gaps = dict(clock.jumps)
    for start in signals.segments[1:]:
        gaps.setdefault(start, float(signals.stamps[start] - signals.stamps[start - 1]))
    events: list[Event] = []
    for onset, (_, duration, label) in zip(
        onsets_of(signals, [t for t, _, _ in told], absolute=True), told, strict=True
    ):
        at = onset * signals.sfreq
        after = int(np.floor(at)) + 1
        gap = gaps.get(after, 0.0)
        far = min(at - (after - 1), after - at) * gap
        if -0.5 <= at < n_times and far <= clock.period:
            events.append(Event(max(onset, 0.0), duration, label))
    return events, len(told) - len(events)
