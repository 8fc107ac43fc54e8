"""Trials in the order in which they happened."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..leak_input import LeakInput

MIN_TRIALS = 20
MAX_TRIALS = 20_000  # of the longest sequences the first so many: order shows in far fewer


@dataclass(frozen=True, eq=False)
class Sequence:
    """Columns (n,) of trials sorted by recording and onset (s); `kind` is what classes may be shuffled inside."""

    rows: np.ndarray
    label: np.ndarray
    unit: np.ndarray
    kind: np.ndarray
    onset: np.ndarray


def in_order(given: LeakInput, once: bool = True) -> Sequence | None:
    """Return the trials in the order of time, or None where onsets do not tell it.

    once: of runs that show classes in the very same order, as where all people are shown one list, only the first is
    returned, unless too little is left: what is chance in a list would be as many times as likely as it is repeated.
    """
    rows, trials = given.used, given.trials
    order = rows[np.lexsort((trials.onset[rows], given.unit[rows]))]
    unit, onset = given.unit[order], trials.onset[order]
    beside = (unit[1:] == unit[:-1]) & (onset[1:] > onset[:-1])
    # windows that a table gives no times lie all at one moment
    if beside.sum() < MIN_TRIALS or (trials.repeats[rows] > 1).any():
        return None
    if once:
        kept = first_of_each_list(unit, trials.label[order])
        order, unit, onset = (order[kept], unit[kept], onset[kept]) if kept.sum() > MIN_TRIALS else (order, unit, onset)
    if len(order) > MAX_TRIALS:
        order = order[_evenly(unit)]
        unit, onset = given.unit[order], trials.onset[order]
    return Sequence(order, trials.label[order], unit, given.kind[order], onset)


def first_of_each_list(unit: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Return a mask (n,) of trials in order of unit and time: those of units whose labels no unit before them has in
    the same order. Units of one class are all kept: they are not drawn at random.
    """
    kept, seen = np.zeros(len(unit), dtype=bool), set()
    edges = np.flatnonzero(np.r_[True, unit[1:] != unit[:-1], True])
    for start, stop in pairwise(edges.tolist()):
        shown = label[start:stop].tobytes()
        kept[start:stop] = shown not in seen or (label[start:stop] == label[start]).all()
        seen.add(shown)
    return kept


def _evenly(unit: np.ndarray) -> np.ndarray:
    """Return numbers of at most MAX_TRIALS trials: of every unit its beginning, as much as all can have."""
    starts = np.flatnonzero(np.r_[True, unit[1:] != unit[:-1]])
    lengths = np.diff(np.r_[starts, len(unit)])
    most = max(MAX_TRIALS // len(starts), 2)
    return np.concatenate([np.arange(s, s + min(n, most)) for s, n in zip(starts, lengths, strict=True)])[:MAX_TRIALS]
