"""Interval: does the time to the trial before, or to the next one inside the window, tell the class?"""

import numpy as np

from ..check import Check, not_checked, tested
from ..leak_input import LeakInput
from .columns import pair, told_by
from .sequence import MIN_TRIALS, in_order

NAME = "class against interval"
N_BINS = 8


def check_interval(given: LeakInput) -> Check:
    """Check whether the interval before an onset tells the class that follows, or the one after it its own class.

    The one after counts as far as windows reach: what begins later is in none of them.
    """
    sequence = in_order(given)
    if sequence is None:
        return not_checked(NAME, "the data do not say when trials happened")
    unit, label = sequence.unit, sequence.label
    beside = unit[1:] == unit[:-1]
    if beside.sum() < MIN_TRIALS or len(np.unique(label)) < 2:
        return not_checked(NAME, "there are too few trials or classes")
    interval = np.diff(sequence.onset)
    before = np.r_[np.nan, np.where(beside, interval, np.nan)]
    after = np.r_[np.where(beside, interval, np.nan), np.nan]
    columns, where = [_bins(before, unit)], "before an onset"
    if given.sfreq is not None and given.has_windows:
        end = given.tmin + given.trials.eeg.shape[2] / given.sfreq
        if (after < end).sum() >= MIN_TRIALS:
            columns.append(_bins(np.fmin(after, end), unit))
            where = "before or after an onset"
    told = told_by(columns, label, pair(unit, sequence.kind), given.seed)
    figures = f"{told.accuracy:.1%} right, {told.shuffled:.1%} if shuffled, p = {told.p:.2g}"
    return tested(
        NAME,
        told.p,
        told.accuracy,
        f"The interval {where} tells its class ({figures}).",
        f"The interval {where} does not tell its class ({figures}).",
    )


def _bins(interval: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Return the number of the eighth of its run's intervals that each one lies in (n,), and a number for none."""
    bins = np.full(len(interval), N_BINS, dtype=np.int64)
    for number in np.unique(unit):
        here = np.flatnonzero((unit == number) & np.isfinite(interval))
        if len(here):
            edges = np.unique(np.round(np.quantile(interval[here], np.arange(1, N_BINS) / N_BINS), 3))
            bins[here] = np.searchsorted(edges, np.round(interval[here], 3), side="right")
    return bins
