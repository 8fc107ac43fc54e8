"""Rows that are not EEG by their samples: counters, clocks, triggers, quality levels, batteries, dead inputs."""

from __future__ import annotations

import numpy as np

# most of a second of the fastest amplifiers, in which EEG has turned many times
_STRETCHES, _STRETCH = 3, 16384
_FEWEST = 64
# most rows are EEG, which the first samples of the stretches show
_GLANCE = 4096
# EEG rises as often as it falls, and no two samples in a row are alike for long
SAME_SIGN = 0.97
HELD = 0.98
FEW_VALUES = 64


def why_not_by_samples(values: np.ndarray) -> str | None:
    """Return why a row of numbers (n_times,), in any unit, cannot be EEG; None where it may be.

    For rows whose name does not say what they are. It looks at up to three stretches of 16384 samples: rises that are
    nearly all of one sign are a counter or a clock, a few values held for long are triggers, quality or a battery.
    """
    if all(_turns(stretch[:_GLANCE]) for stretch in _stretches(values)):
        return None
    stretches = [stretch[np.isfinite(stretch)] for stretch in _stretches(values)]
    stretches = [stretch for stretch in stretches if len(stretch) >= _FEWEST]
    if not stretches:
        return None
    low, high = min(map(np.min, stretches)), max(map(np.max, stretches))
    if low == high:
        whole = values[np.isfinite(values)]
        return (
            f"by its samples: {low:.6g} throughout" if np.ptp(whole) == 0 else "by its samples: rests but for moments"
        )
    with np.errstate(over="ignore"):
        steps = np.concatenate([np.diff(stretch) for stretch in stretches])
    moves = steps[steps != 0]
    if len(moves) >= _FEWEST // 2:
        up, down = moves[moves > 0], moves[moves < 0]
        many, few = (up, down) if len(up) >= len(down) else (down, up)
        # a counter falls back from its end to its start, which is far
        if len(many) >= SAME_SIGN * len(moves) and (
            not len(few) or np.median(np.abs(few)) >= 5 * np.median(np.abs(many))
        ):
            return "by its samples: a counter or a clock"
    if len(moves) <= (1 - HELD) * len(steps):
        n_values = len(np.unique(np.concatenate(stretches)))
        if n_values > FEW_VALUES:
            return None
        if n_values > 2 and ((moves < 0).all() or (moves > 0).all()):
            return "by its samples: a level that only moves one way, as a battery's"
        # levels come again; EEG of a low rate whose samples are repeated comes to new values
        if n_values <= len(moves) / 2 + 2:
            return f"by its samples: {n_values} values held for long, as triggers or signal quality are"
    return None


def _turns(piece: np.ndarray) -> bool:
    """Whether a piece goes up and down from sample to sample, as EEG does and nothing that is looked for here."""
    with np.errstate(over="ignore", invalid="ignore"):
        steps = np.diff(piece)
    up, down = int(np.count_nonzero(steps > 0)), int(np.count_nonzero(steps < 0))
    return len(piece) >= _GLANCE and up + down >= 0.5 * len(steps) and min(up, down) >= 0.2 * len(steps)


def _stretches(values: np.ndarray) -> list[np.ndarray]:
    if len(values) <= _STRETCHES * _STRETCH:
        return [values]
    starts = np.linspace(0, len(values) - _STRETCH, _STRETCHES).astype(int)
    return [values[start : start + _STRETCH] for start in starts]
