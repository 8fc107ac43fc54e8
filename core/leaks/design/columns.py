"""A plain classifier that sees one column of the design: does it tell the class of a trial it was not fitted to?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..permutation import permutation_p, shuffler

PRIOR = 1.0  # trials that the classes' overall shares count for in each group


@dataclass(frozen=True)
class Told:
    """How much a column tells: p, and the accuracy of the classifier beside that for shuffled classes."""

    p: float
    accuracy: float
    shuffled: float


def told_by(columns: np.ndarray | Sequence[np.ndarray], label: np.ndarray, inside: np.ndarray, seed: int = 0) -> Told:
    """Return how well a column of group numbers (n,) tells the class of held-out trials, label (n,).

    columns: or several, of which the one that tells most counts. inside: (n,), labels are shuffled inside these only (a
    split's parts, whose classes may differ by intent). The classifier gives a trial the class shares of the other
    trials of its group (each trial is left out once), shrunken towards the overall shares; its statistic is the mean
    logarithm of what it gave the true class.
    """
    listed = [columns] if isinstance(columns, np.ndarray) else list(columns)
    groups = [np.unique(column, return_inverse=True)[1].reshape(-1) for column in listed]
    classes, label = np.unique(label, return_inverse=True)
    label, n_classes = label.reshape(-1), len(classes)
    scores = [_score_of(group, label, n_classes) for group in groups]
    p, excess = permutation_p(lambda given: np.array([score(given) for score in scores]), label, inside, seed)
    shuffled = shuffler(inside, np.random.default_rng([seed, 1]))(label)
    group = groups[int(excess.argmax())]
    return Told(p, _accuracy(group, label, n_classes), _accuracy(group, shuffled, n_classes))


def _score_of(group: np.ndarray, label: np.ndarray, n_classes: int) -> Callable[[np.ndarray], float]:
    sizes = np.bincount(group).astype(np.float64)
    prior = np.bincount(label, minlength=n_classes) / len(label)

    def repeats(given: np.ndarray) -> float:
        counts = np.unique(group * n_classes + given, return_counts=True)[1]
        return float((counts * (counts - 1.0)).sum() / len(label))

    def log_score(given: np.ndarray) -> float:
        table = np.bincount(group * n_classes + given, minlength=len(sizes) * n_classes).reshape(-1, n_classes)
        others = np.maximum(table - 1.0, 0.0) + PRIOR * prior
        score = np.log(np.maximum(others, 1e-12) / (sizes[:, None] - 1 + PRIOR))
        return float((table * score).sum() / len(label))

    # a table too thin for shares: how often a group repeats a class
    return repeats if n_classes * len(sizes) > 20 * len(label) else log_score


def pair(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return a number for each distinct pair of two columns (n,) of any kind."""
    first, second = (np.unique(column, return_inverse=True)[1].reshape(-1) for column in (a, b))
    return np.unique(first.astype(np.int64) * (int(second.max(initial=0)) + 1) + second, return_inverse=True)[
        1
    ].reshape(-1)


def _accuracy(group: np.ndarray, label: np.ndarray, n_classes: int) -> float:
    """Return the share of trials whose class is the commonest among the others of their group, ties shared."""
    key, counts = np.unique(group.astype(np.int64) * n_classes + label, return_counts=True)
    of, n_own = key // n_classes, counts
    first = np.zeros(int(of.max()) + 1, dtype=np.int64)
    np.maximum.at(first, of, n_own)
    # without itself a class has one trial less: it wins where it still has as many as any other
    ties = np.bincount(of, weights=n_own == first[of])
    second = np.zeros_like(first)
    np.maximum.at(second, of, np.where(n_own < first[of], n_own, 0))
    second = np.where(ties > 1, first, second)
    own = n_own - 1
    right = np.where(n_own == first[of], np.where(own > second[of], 1.0, np.where(own == second[of], 0.5, 0.0)), 0.0)
    return float((right * n_own).sum() / len(label))
