"""Samples that never arrived, by the counter that a headset sends along."""

from __future__ import annotations

import numpy as np

# a counter that jumps more often than this counts something else
_MOST_JUMPS = 0.2


def lost_by_counter(counter: np.ndarray, wraps_at: int | None = None) -> tuple[int, np.ndarray] | None:
    """Return how many samples a counter (n_times,) says are missing, and the first ones after them; None if it is none.

    A step may be any number and may stay for several samples (an OpenBCI Ganglion sends two in a packet). The counter
    begins anew after its greatest value, or at `wraps_at`: whole rounds that are lost do not show in it.
    """
    known = np.flatnonzero(np.isfinite(counter))
    values = np.asarray(counter, dtype=np.float64)[known]
    if np.any(values == 0) and np.all((values == 0) | (values > 100)):
        # a Ganglion without accelerometer counts 101 to 200 and sends a packet 0 between the rounds
        known, values = known[values != 0], values[values != 0]
    if len(values) < 16:
        return None
    steps = np.diff(values)
    moves = np.flatnonzero(steps)
    if len(moves) < 8:
        return None
    sizes, counts = np.unique(steps[moves], return_counts=True)
    step = float(sizes[counts.argmax()])
    if step <= 0 or counts.max() < (1 - _MOST_JUMPS) * len(moves):
        return None
    each = max(1, round(len(values) / (len(moves) + 1)))
    turn = wraps_at if wraps_at is not None else values.max() - values.min() + step
    missing = np.rint(np.where(steps < 0, steps + turn, steps)[moves] / step).astype(np.int64) - 1
    missing = np.clip(missing, 0, None) * each
    after = known[moves + 1][missing > 0]
    return int(missing.sum()), after
