"""Stretches in which a channel holds one value: an electrode that fell off, an amplifier at its limit, a radio that
stopped.
"""

from collections.abc import Sequence

import numpy as np

LEAST_S = 1.0  # EEG does not repeat one value for so long, in however coarse steps it is written
LEAST_SAMPLES = 16
MOST_NAMED, MOST_NOTES = 8, 3


def flat_notes(data: np.ndarray, sfreq: float, ch_names: Sequence[str]) -> list[str]:
    """Return sentences on the stretches of data (n_channels, n_times) in which a channel is flat, longest first.

    Channels that are flat at the same time are named together; of several stretches the longest is named and all are
    counted.
    """
    least = max(round(LEAST_S * sfreq), LEAST_SAMPLES)
    by_span: dict[tuple[tuple[int, int], ...], list[str]] = {}
    for name, row in zip(ch_names, data, strict=True):
        if spans := flat_spans(row, least):
            by_span.setdefault(tuple(spans), []).append(name)
    notes = []
    by_length = sorted(by_span.items(), key=lambda item: -sum(stop - start for start, stop in item[0]))
    for spans, names in by_length[:MOST_NOTES]:
        start, stop = max(spans, key=lambda span: span[1] - span[0])
        total = sum(stop - start for start, stop in spans) / sfreq
        more = f" ({len(spans)} stretches, {total:.1f} s in all)" if len(spans) > 1 else ""
        others = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        notes.append(
            f"flat from {start / sfreq:.1f} to {stop / sfreq:.1f} s{more} of {data.shape[1] / sfreq:.1f} s in "
            f"{', '.join(names[:MOST_NAMED])}{others}: one value, no EEG"
        )
    if rest := [name for _, names in by_length[MOST_NOTES:] for name in names]:
        notes.append(f"flat for a while, too, in {len(rest)} more channels: {', '.join(rest[:MOST_NAMED])}")
    return notes


def flat_spans(row: np.ndarray, least: int) -> list[tuple[int, int]]:
    """Return the first sample and the one after the last of each stretch of at least `least` equal samples (n,)."""
    if len(row) < least:
        return []
    edges = np.flatnonzero(np.diff(row) != 0) + 1
    bounds = np.concatenate([[0], edges, [len(row)]])
    long = np.flatnonzero(np.diff(bounds) >= least)
    return [(int(bounds[i]), int(bounds[i + 1])) for i in long]
