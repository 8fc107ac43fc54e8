"""Class against time: neighbours that share their class, and a class that has its place in a run."""

import numpy as np

from ..check import ALPHA, Check, not_checked
from ..leak_input import LeakInput
from ..permutation import permutation_p
from .columns import pair, told_by
from .sequence import MIN_TRIALS, in_order

NAME, PLACE = "class against time", "class against position"
REACHES = (1, 4, 16)  # neighbours on one side
N_PLACES = (2, 4, 10)


def check_time(given: LeakInput) -> Check:
    """Check whether trials near each other in time share their class more often than shuffled ones: then a decoder can
    learn the time instead of the picture.
    """
    sequence = in_order(given)
    if sequence is None:
        return not_checked(NAME, "the data do not say when trials happened")
    label, unit, kind = sequence.label, sequence.unit, sequence.kind
    if len(np.unique(label)) < 2:
        return not_checked(NAME, "the trials are of one class only")
    together = pair(unit, kind)

    def alike(label: np.ndarray) -> np.ndarray:
        found, sums = 0.0, []
        for apart in range(1, max(REACHES) + 1):
            found += float(((label[apart:] == label[:-apart]) & (unit[apart:] == unit[:-apart])).sum())
            if apart in REACHES:
                sums.append(found)
        return np.array(sums)

    # sums over many neighbours have long tails, in which a clear row of next neighbours would drown
    next_p, next_excess = permutation_p(lambda label: alike(label)[:1], label, together, given.seed)
    wide_p, wide_excess = permutation_p(lambda label: alike(label)[1:], label, together, given.seed + 1)
    p, excess = min(2 * min(next_p, wide_p), 1.0), np.concatenate([next_excess, wide_excess])
    beside = unit[1:] == unit[:-1]
    same = float((label[1:] == label[:-1])[beside].mean()) if beside.any() else 0.0
    reach = REACHES[0 if next_p <= wide_p else 1 + int(wide_excess.argmax())]
    over = f"{excess[REACHES.index(reach)]:+.1f} SD from shuffled, p = {p:.2g}"
    figures = f"{same:.1%} of neighbours share it; up to {reach} apart {over}"
    if p <= ALPHA:
        return Check(
            NAME,
            False,
            same,
            f"Trials of one class lie together in time ({figures}): a decoder may learn when, not what.",
        )
    return Check(NAME, True, same, f"Trials of one class do not lie together in time ({figures}).")


def check_position(given: LeakInput) -> Check:
    """Check whether a trial's place in its run, in halves, quarters or tenths of it, tells its class."""
    sequence = in_order(given)
    if sequence is None:
        return not_checked(PLACE, "the data do not say when trials happened")
    label, unit = sequence.label, sequence.unit
    if len(np.unique(label)) < 2 or len(label) < MIN_TRIALS:
        return not_checked(PLACE, "there are too few trials or classes")
    starts = np.flatnonzero(np.r_[True, unit[1:] != unit[:-1]])
    lengths = np.diff(np.r_[starts, len(unit)])
    index = np.arange(len(unit)) - np.repeat(starts, lengths)
    together = pair(unit, sequence.kind)
    places = [index * n // np.repeat(lengths, lengths) for n in N_PLACES]
    told = told_by(places, label, together, given.seed)
    figures = f"{told.accuracy:.1%} right, {told.shuffled:.1%} if shuffled, p = {told.p:.2g}"
    if told.p <= ALPHA:
        return Check(PLACE, False, told.accuracy, f"The place in the run tells the class ({figures}).")
    # no drift tells one trial from the next, so that one order alone leads no decoder of EEG to the class
    note = " Runs show classes in one order." if _in_one_order(given) else ""
    return Check(PLACE, True, told.accuracy, f"The place in the run does not tell the class ({figures}).{note}")


def _in_one_order(given: LeakInput) -> bool:
    sequence = in_order(given, once=False)
    if sequence is None:
        return False
    starts = np.flatnonzero(np.r_[True, sequence.unit[1:] != sequence.unit[:-1]])
    index = np.arange(len(sequence.unit)) - np.repeat(starts, np.diff(np.r_[starts, len(sequence.unit)]))
    together = pair(sequence.unit, sequence.kind)
    return len(starts) >= 3 and told_by(index, sequence.label, together, given.seed + 1).p <= ALPHA
