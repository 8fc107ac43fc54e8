"""Order: does the class of the trials before tell the class of the next one?"""

import numpy as np

from ..check import ALPHA, Check, not_checked
from ..leak_input import LeakInput
from ..permutation import permutation_p, stretches
from .sequence import in_order

NAME = "class against order"
RETURNS = tuple(range(4, 17))
LOCAL = 8  # trials: shuffling inside so few leaves slow drifts of the classes' shares and balanced blocks as they are
FEW = 3  # with more classes, designs that never repeat a class at once are common, and tell next to nothing


def check_order(given: LeakInput) -> Check:
    """Check whether previous classes tell the next: alternation, pairs (AABB), cycles.

    The statistics say how often the same pairs of classes recur one, two and three trials apart, and the same three and
    four in a row, and how often a class returns after up to sixteen trials.
    """
    sequence = in_order(given)
    if sequence is None:
        return not_checked(NAME, "the data do not say in which order trials happened")
    classes, label = np.unique(sequence.label, return_inverse=True)
    label, unit = label.reshape(-1).astype(np.int64), sequence.unit
    if len(classes) < 2:
        return not_checked(NAME, "the trials are of one class only")
    n = len(classes)
    returns = [unit[apart:] == unit[:-apart] for apart in RETURNS]
    inside = [unit[apart:] == unit[:-apart] for apart in (1, 2, 3)]

    def recurring(key: np.ndarray) -> float:
        if not len(key):
            return 0.0
        counts = np.unique(key, return_counts=True)[1].astype(np.float64)
        return float((counts**2).sum() / counts.sum() ** 2)

    def statistic(label: np.ndarray) -> np.ndarray:
        found = []
        for apart, there in zip((1, 2, 3), inside, strict=True):
            first, second = label[:-apart][there], label[apart:][there]
            kept = first != second if n > FEW else slice(None)
            found.append(recurring((first * n + second)[kept]))
        for length, there in ((3, inside[1]), (4, inside[2])):
            row = [label[i : len(label) - length + 1 + i][there] for i in range(length)]
            kept = slice(None)
            if n > FEW:
                kept = np.logical_and.reduce([a != b for i, a in enumerate(row) for b in row[i + 1 :]])
            key = row[0]
            for column in row[1:]:
                key = key * n + column
            found.append(recurring(key[kept]))
        for apart, there in zip(RETURNS, returns, strict=True):
            found.append(float((label[:-apart] == label[apart:])[there].mean()) if there.any() else 0.0)
        return np.array(found)

    p, excess = permutation_p(statistic, label, stretches(unit, LOCAL), given.seed)
    looks = ("one trial apart", "two apart", "three apart", "three in a row", "four in a row")
    looked = [*looks, *(f"{apart} apart" for apart in RETURNS)][int(excess.argmax())]
    same = float((label[1:] == label[:-1])[inside[0]].mean())
    figures = f"classes {looked}: {excess.max():+.1f} SD from shuffled, p = {p:.2g}; {same:.1%} repeat at once"
    if p <= ALPHA:
        return Check(NAME, False, same, f"The order tells the class: the trials before foretell the next ({figures}).")
    return Check(NAME, True, same, f"The trials before do not tell the next one's class ({figures}).")
