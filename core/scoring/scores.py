"""Scores and the figures that must stand beside them: chance, intervals, permutation tests, shuffled baselines.

All functions take numpy arrays. Intervals are pairs (low, high). Higher is better for every statistic.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import comb

import numpy as np

Statistic = Callable[[np.ndarray, np.ndarray], float]
DRAWS_AT_ONCE = 1 << 22


def truth_ranks(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return how many other items score at least as high as the true one (0 = found first), int64 (n,).

    scores: (n, n_gallery). truth: int (n,), the true item's index. Ties and NaN count against us.
    """
    scores, truth = np.asarray(scores), np.asarray(truth)
    if scores.ndim != 2 or truth.shape != scores.shape[:1]:
        raise ValueError(f"scores {scores.shape} must be (n, gallery) and truth {truth.shape} (n,)")
    if len(truth) and not 0 <= truth.min() <= truth.max() < scores.shape[1]:
        raise ValueError(f"truth must index the {scores.shape[1]} items; got {truth.min()} to {truth.max()}")
    own = np.take_along_axis(scores, truth[:, None].astype(np.int64), axis=1)
    return (~(scores < own)).sum(axis=1) - 1


def topk_accuracy(scores: np.ndarray, truth: np.ndarray, ks: Sequence[int] = (1, 3, 5)) -> dict[int, float]:
    """Return for each k the share of rows of scores (n, n_gallery) whose true item is among the k best."""
    rank = truth_ranks(scores, truth)
    return {k: float((rank < k).mean()) for k in ks}


def n_way_accuracy(scores: np.ndarray, truth: np.ndarray, n_way: int) -> np.ndarray:
    """Return each row's exact probability (n,) that the true item beats n_way - 1 others drawn from the gallery.

    The mean is the n-way identification score that other work estimates by repeated draws.
    """
    others = np.asarray(scores).shape[1] - 1
    if not 2 <= n_way <= others + 1:
        raise ValueError(f"n_way must lie between 2 and the gallery's {others + 1} items; got {n_way}")
    ways = comb(others, n_way - 1)
    return np.array([comb(others - int(r), n_way - 1) / ways for r in truth_ranks(scores, truth)])


def roc_auc(scores: np.ndarray, truth: np.ndarray) -> float:
    """Return the area under the ROC curve of scores (n,) for binary truth (n,); ties count one half.

    Raises ValueError where truth holds one class only.
    """
    scores, positive = np.asarray(scores, dtype=np.float64), np.asarray(truth).astype(bool)
    if scores.shape != positive.shape or scores.ndim != 1:
        raise ValueError(f"scores {scores.shape} and truth {positive.shape} must both be (n,)")
    if not np.isfinite(scores).all():
        raise ValueError(f"{int((~np.isfinite(scores)).sum())} scores are not finite; the decoder has diverged")
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        raise ValueError(f"ROC-AUC needs both classes; got {n_positive} positive and {n_negative} negative trials")
    return float(auc_of_ranks(mean_ranks(scores), positive))


def mean_ranks(scores: np.ndarray) -> np.ndarray:
    """Return the rank of each score (n,) or (n, n_columns) in its column, from 1; equal scores share their mean.

    Ranking costs most of a ROC-AUC, and permuted labels leave the ranks as they are.
    """
    columns = np.asarray(scores, dtype=np.float64).reshape(len(scores), -1).T
    ranks = np.empty(columns.shape)
    for number, column in enumerate(columns):
        rising = np.sort(column)
        ranks[number] = (rising.searchsorted(column, "left") + rising.searchsorted(column, "right") + 1) / 2
    return ranks.T.reshape(np.shape(scores))


def auc_of_ranks(ranks: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Return the ROC-AUC of each column, of ranks (n, ...) and whether a trial is of its class, bool (n, ...).

    NaN where a column's trials are of one class only. After Mann and Whitney: the sum of the ranks of a class's own
    trials tells how many of the others they outdo.
    """
    n_own = own.sum(axis=0)
    pairs = n_own * (len(own) - n_own)
    wins = (ranks * own).sum(axis=0) - n_own * (n_own + 1) / 2
    return np.divide(wins, pairs, out=np.full(np.shape(wins), np.nan), where=pairs > 0)


def bootstrap_interval(
    values: np.ndarray, n_draws: int = 2000, seed: int = 0, level: float = 0.95, groups: np.ndarray | None = None
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of the mean of values (n,).

    groups: (n,), what belongs together (a picture's repetitions, a subject); whole groups are drawn then, since
    trials of one group are not independent and drawing them singly gives intervals that are too narrow.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or not len(values):
        raise ValueError(f"values must be (n,) with n > 0; got shape {values.shape}")
    sums, counts = values, np.ones(len(values))
    if groups is not None:
        _, group = np.unique(np.asarray(groups), return_inverse=True)
        if group.shape != values.shape:
            raise ValueError(f"{len(values)} values but {len(group)} groups")
        sums, counts = np.bincount(group, weights=values), np.bincount(group).astype(np.float64)
    rng = np.random.default_rng(seed)
    means, step = [], max(1, DRAWS_AT_ONCE // len(sums))
    for start in range(0, n_draws, step):
        drawn = rng.integers(len(sums), size=(min(step, n_draws - start), len(sums)))
        means.append(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1))
    low, high = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def bootstrap_statistic(
    scores: np.ndarray, truth: np.ndarray, statistic: Statistic, n_draws: int = 1000, seed: int = 0, level: float = 0.95
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of any statistic(scores, truth), such as `roc_auc`, over trials.

    Draws on which the statistic is undefined (ValueError: a class is absent) are left out.
    """
    scores, truth = np.asarray(scores), np.asarray(truth)
    rng, found = np.random.default_rng(seed), []
    for _ in range(n_draws):
        drawn = rng.integers(len(truth), size=len(truth))
        try:
            found.append(statistic(scores[drawn], truth[drawn]))
        except ValueError:
            continue
    if len(found) < n_draws / 2:
        raise ValueError(f"the statistic was defined in only {len(found)} of {n_draws} draws from {len(truth)} trials")
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def permuted_statistics(
    scores: np.ndarray,
    truth: np.ndarray,
    statistic: Statistic,
    n: int = 1000,
    seed: int = 0,
    groups: np.ndarray | None = None,
) -> np.ndarray:
    """Return statistic(scores, permuted truth) for n permutations, float64 (n,): the score when nothing is related.

    groups: (n_trials,); truth is permuted only within a group (a run, a session), so that what differs between groups
    stays as it is.
    """
    scores, truth, rng = np.asarray(scores), np.asarray(truth), np.random.default_rng(seed)
    if groups is None:
        places = [np.arange(len(truth))]
    else:
        _, group = np.unique(np.asarray(groups), return_inverse=True)
        if group.shape != truth.shape[:1]:
            raise ValueError(f"{len(truth)} trials but {len(group)} groups")
        places = [np.flatnonzero(group == g) for g in range(group.max() + 1)]
    found = np.empty(n)
    for i in range(n):
        shuffled = truth.copy()
        for place in places:
            shuffled[place] = truth[rng.permutation(place)]
        found[i] = statistic(scores, shuffled)
    return found


def p_of(observed: float, permuted: np.ndarray) -> float:
    """Return (1 + permutations at least as good as observed) / (1 + permutations) (Phipson & Smyth 2010): never 0."""
    permuted = np.asarray(permuted)
    # a permutation equal to the observation may differ from it in the last bit
    return float((1 + (permuted >= observed - 1e-12 * max(1.0, abs(observed))).sum()) / (1 + len(permuted)))


def permutation_p(
    scores: np.ndarray,
    truth: np.ndarray,
    statistic: Statistic,
    n: int = 1000,
    seed: int = 0,
    groups: np.ndarray | None = None,
) -> float:
    """Return the one-sided p-value of statistic(scores, truth) against permutations of truth (within groups)."""
    observed = statistic(np.asarray(scores), np.asarray(truth))
    return p_of(observed, permuted_statistics(scores, truth, statistic, n, seed, groups))


def shuffled_baseline(
    scores: np.ndarray,
    truth: np.ndarray,
    statistic: Statistic,
    n: int = 1000,
    seed: int = 0,
    groups: np.ndarray | None = None,
) -> float:
    """Return the mean of the statistic over permutations: the same decoder fed other trials' EEG."""
    return float(permuted_statistics(scores, truth, statistic, n, seed, groups).mean())


def chance_interval(n_trials: int, n_classes: int, level: float = 0.95) -> tuple[float, float]:
    """Return where the accuracy of n_trials guesses among n_classes falls with probability `level` (binomial)."""
    from scipy.stats import binom

    if n_trials < 1 or n_classes < 1:
        raise ValueError(f"{n_trials} trials with {n_classes} classes leave nothing to guess")
    low, high = binom.ppf([(1 - level) / 2, (1 + level) / 2], n_trials, 1 / n_classes)
    return float(low / n_trials), float(high / n_trials)


def calibration_error(confidence: np.ndarray, correct: np.ndarray, n_bins: int = 10) -> float:
    """Return the expected calibration error: |mean confidence - accuracy| over equal bins of [0, 1].

    confidence: (n,) in [0, 1]. correct: (n,) bool. Bins weigh as many trials as they hold. After Guo et al. 2017, "On
    calibration of modern neural networks".
    """
    confidence, correct = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    if confidence.shape != correct.shape or not len(confidence):
        raise ValueError(f"confidence {confidence.shape} and correct {correct.shape} must both be (n,) with n > 0")
    if not ((confidence >= 0) & (confidence <= 1)).all():
        raise ValueError(f"confidence must lie in [0, 1]; got {confidence.min()} to {confidence.max()}")
    place = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    gap = np.bincount(place, weights=confidence - correct, minlength=n_bins)
    return float(np.abs(gap).sum() / len(confidence))
