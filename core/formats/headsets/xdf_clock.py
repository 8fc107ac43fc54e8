"""Clocks of XDF streams that were reset: what pyxdf before 1.17 gets wrong, which is all that NumPy 1 can have.

It takes the numbers of the offsets' measurements for those of samples, so that all times after the first few are wrong.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

# a clock that goes back by less is jitter
_BACK_S = 1.0


def needs_joining(streams: list[dict[str, Any]]) -> bool:
    """Say whether a stream's clock was reset and the pyxdf that read it does not tell where (1.17 does)."""
    return any(
        "clock_segments" not in stream["info"] and len(_restarts(np.asarray(stream["clock_times"]))) > 0
        for stream in streams
    )


def join_clocks(streams: list[dict[str, Any]]) -> None:
    """Move streams that pyxdf left on their own clocks to the recorder's, in place, and put segments into their info.

    Between resets the offset is a straight line through its measurements (Theil 1950, which outliers do not move).
    Raises ValueError where samples and measurements tell of different numbers of resets.
    """
    from scipy.stats import theilslopes

    for stream in streams:
        own = np.asarray(stream["time_stamps"], dtype=np.float64)
        times, offsets = (np.asarray(stream[key], dtype=np.float64) for key in ("clock_times", "clock_values"))
        if not (len(own) and len(times)):
            stream["info"]["clock_segments"] = []
            continue
        stretches, measured = _pieces(own), _pieces(times)
        if len(stretches) == 1 and len(measured) > 1:
            # all samples came before or after the reset: those measurements count that were made beside them
            beside = [np.abs(times[start:stop] - np.median(own)).min() for start, stop in measured]
            measured = [measured[int(np.argmin(beside))]]
        if len(stretches) != len(measured):
            raise ValueError(
                f"its stream {stream['info']['name'][0]!r} has {len(measured) - 1} resets of its clock by the measured "
                f"offsets and {len(stretches) - 1} by its samples: they cannot be joined"
            )
        joined = own.copy()
        for (start, stop), (first, last) in zip(stretches, measured, strict=True):
            slope, level = 0.0, float(np.median(offsets[first:last]))
            if last - first > 1:
                fit = np.asarray(theilslopes(offsets[first:last], times[first:last]), dtype=np.float64)
                slope, level = fit[:2].tolist()
            joined[start:stop] += level + slope * own[start:stop]
        stream["time_stamps"] = joined
        stream["info"]["clock_segments"] = [(start, stop - 1) for start, stop in stretches]


def _restarts(times: np.ndarray) -> np.ndarray:
    return np.flatnonzero(np.diff(times) < -_BACK_S) + 1


def _pieces(times: np.ndarray) -> list[tuple[int, int]]:
    edges = [0, *_restarts(times).tolist(), len(times)]
    return list(pairwise(edges))
