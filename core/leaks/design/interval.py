"""Interval: does the time since the trial before tell the class?"""

import numpy as np

from ..check import Check, not_checked, tested
from ..leak_input import LeakInput
from .columns import pair, told_by
from .sequence import MIN_TRIALS, in_order

NAME = "class against interval"
N_BINS = 8


def check_interval(given: LeakInput) -> Check:
    """Check whether the interval before an onset tells the class that follows."""
    sequence = in_order(given)
    if sequence is None:
        return not_checked(NAME, "the data do not say when trials happened")
    second = np.flatnonzero(sequence.unit[1:] == sequence.unit[:-1]) + 1
    interval = sequence.onset[second] - sequence.onset[second - 1]
    unit, label = sequence.unit[second], sequence.label[second]
    if len(second) < MIN_TRIALS or len(np.unique(label)) < 2:
        return not_checked(NAME, "there are too few trials or classes")
    bins = np.zeros(len(second), dtype=np.int64)
    for number in np.unique(unit):
        here = np.flatnonzero(unit == number)
        edges = np.quantile(interval[here], np.arange(1, N_BINS) / N_BINS)
        bins[here] = np.searchsorted(np.unique(np.round(edges, 3)), np.round(interval[here], 3), side="right")
    told = told_by(bins, label, pair(unit, sequence.kind[second]), given.seed)
    figures = f"{told.accuracy:.1%} right, {told.shuffled:.1%} if shuffled, p = {told.p:.2g}"
    return tested(
        NAME,
        told.p,
        told.accuracy,
        f"The interval before an onset tells the class that follows ({figures}).",
        f"The interval before an onset does not tell the class ({figures}).",
    )
