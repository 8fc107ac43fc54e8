"""Intervals that hold near 0 and 1, where trials come in pictures or people, and where folds share training trials.

All are two-sided (low, high). `inflation` is by how much a variance grows because folds share training trials.
"""

from collections.abc import Sequence

import numpy as np

LEVEL = 0.95


def wilson_interval(share: float, n: float, level: float = LEVEL) -> tuple[float, float]:
    """Return the score interval of a share of n trials, n perhaps effective and no whole number (Wilson 1927).

    Raises ValueError for a share outside [0, 1] or n that is not positive.
    """
    if not 0 <= share <= 1 or not n > 0:
        raise ValueError(f"a share of n lies between 0 and 1 with n above 0; got {share} of {n}")
    z2 = _z(level) ** 2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = np.sqrt(z2 / n * (share * (1 - share) + z2 / (4 * n))) / (1 + z2 / n)
    return float(min(max(0.0, centre - half), share)), float(max(min(1.0, centre + half), share))


def share_interval(
    hits: np.ndarray,
    unit: np.ndarray | None = None,
    inflation: float = 1.0,
    level: float = LEVEL,
    fold: np.ndarray | None = None,
) -> tuple[float, float]:
    """Return the interval of the mean of hits (n,), each 0 to 1: Wilson's, of as many trials as these are worth.

    unit: (n,), what belongs together (a picture's presentations, a block, a person). The design effect is the variance
    between units over that of independent trials, never below one; with few units the t distribution widens it
    (Korn & Graubard 1998). fold: (n,), people or runs drawn from others; what they differ by more than their trials
    explain counts too.
    """
    hits = np.asarray(hits, dtype=np.float64)
    if hits.ndim != 1 or not len(hits):
        raise ValueError(f"hits must be (n,) with n > 0; got shape {hits.shape}")
    units = np.arange(len(hits)) if unit is None else np.unique(np.asarray(unit), return_inverse=True)[1].reshape(-1)
    share = float(hits.mean())
    spread = np.bincount(units, weights=hits - share) / len(hits)
    more = 0.0 if fold is None else _more_between(hits, units, np.unique(fold, return_inverse=True)[1].reshape(-1))
    return share_interval_of(share, len(hits), _variance(spread) + more / inflation, len(spread), inflation, level)


def _more_between(hits: np.ndarray, units: np.ndarray, fold: np.ndarray) -> float:
    """Return the variance of the mean of hits (n,) that folds (n,) add to what units explain; 0 for one fold."""
    shares, alone = [], []
    for number in range(fold.max() + 1):
        own = fold == number
        shares.append(hits[own].mean())
        alone.append(np.square(np.bincount(units[own], weights=hits[own] - shares[-1]) / own.sum()).sum())
    return max(0.0, float(np.var(shares, ddof=1) - np.mean(alone))) / len(shares) if len(shares) > 1 else 0.0


def share_interval_of(
    share: float, n: int, variance: float, n_units: int, inflation: float = 1.0, level: float = LEVEL
) -> tuple[float, float]:
    """Return Wilson's interval of a share of n trials in n_units units whose mean varies by `variance`."""
    alone = share * (1 - share) / n
    if alone > 0 and n_units > 1:
        effect = max(1.0, variance / alone)
    else:  # nothing tells how alike a unit's trials are: each unit counts once
        effect = n / n_units
    worth = n / (effect * inflation)
    if n_units < n and n_units > 1:
        worth *= (_z(level) / _t(level, n_units - 1)) ** 2
    return wilson_interval(share, max(worth, 1e-3), level)


def mean_interval(
    values: np.ndarray, unit: np.ndarray | None = None, inflation: float = 1.0, level: float = LEVEL
) -> tuple[float, float]:
    """Return the t interval of the mean of values (n,) of any scale; whole units (n,) count once."""
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or not len(values):
        raise ValueError(f"values must be (n,) with n > 0; got shape {values.shape}")
    units = np.arange(len(values)) if unit is None else np.unique(np.asarray(unit), return_inverse=True)[1].reshape(-1)
    mean = float(values.mean())
    spread = np.bincount(units, weights=values - mean) / len(values)
    if len(spread) < 2:
        return -np.inf, np.inf
    half = _t(level, len(spread) - 1) * np.sqrt(_variance(spread) * inflation)
    return float(mean - half), float(mean + half)


def auc_influences(scores: np.ndarray, truth: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the ROC-AUC of scores (n,) for binary truth (n,), and by how much each trial moves it (n,).

    After DeLong et al. (1988): the variance of the AUC is the sum of the squares of what independent units contribute.
    Raises ValueError where truth holds one class only.
    """
    from .scores import mean_ranks, roc_auc

    positive = np.asarray(truth).astype(bool)
    value = roc_auc(scores, positive)
    scores, found = np.asarray(scores, dtype=np.float64), np.zeros(len(positive))
    overall = mean_ranks(scores)
    for sign, own in ((1.0, positive), (-1.0, ~positive)):
        n_own = int(own.sum())
        beaten = (overall[own] - mean_ranks(scores[own])) / (len(own) - n_own)
        found[own] = sign * (beaten - beaten.mean()) / np.sqrt(n_own * max(n_own - 1, 1))
    return value, found


def auc_interval(
    scores: np.ndarray,
    truth: np.ndarray,
    fold: np.ndarray | None = None,
    unit: np.ndarray | None = None,
    inflation: float = 1.0,
    between: bool = False,
    level: float = LEVEL,
) -> tuple[float, float]:
    """Return the interval of the ROC-AUC of scores (n,) for truth (n,), or of its mean over folds (n,).

    unit: (n,), what belongs together, perhaps over several folds. between: folds are people or runs drawn from others,
    so what they differ by more than their trials explain counts too, with the t distribution. On the logit scale; at 0
    and 1 after Hanley & McNeil (1982), as Newcombe (2006) solves it.
    """
    scores, truth = np.asarray(scores), np.asarray(truth).astype(bool)
    folds = np.zeros(len(truth), dtype=np.int64) if fold is None else np.unique(fold, return_inverse=True)[1].ravel()
    n_folds = int(folds.max()) + 1
    moved, values, alone = np.zeros(len(truth)), np.zeros(n_folds), np.zeros(n_folds)
    units = np.arange(len(truth)) if unit is None else np.unique(np.asarray(unit), return_inverse=True)[1].reshape(-1)
    for number in range(n_folds):
        rows = np.flatnonzero(folds == number)
        values[number], own = auc_influences(scores[rows], truth[rows])
        moved[rows] = own / n_folds
        alone[number] = np.square(np.bincount(units[rows], weights=own)).sum()
    more = 0.0
    if between and n_folds > 1:
        more = max(0.0, float(values.var(ddof=1) - alone.mean())) / n_folds
    return interval_of_influences(
        float(values.mean()), moved, units, truth, inflation, more=(more, n_folds - 1), level=level
    )


def interval_of_influences(
    value: float,
    moved: np.ndarray,
    unit: np.ndarray,
    truth: np.ndarray,
    inflation: float = 1.0,
    more: tuple[float, int] = (0.0, 1),
    level: float = LEVEL,
) -> tuple[float, float]:
    """Return the interval of a ROC-AUC (or a mean of several) that each trial moves by `moved` (n,).

    unit, truth: int (n,), what belongs together and the classes. more: a variance beside that of trials, with its
    degrees of freedom.
    """
    sums = np.bincount(unit, weights=moved)
    parts = _by_class(sums, unit, truth) if len(sums) < len(unit) else [(float(np.square(sums).sum()), len(sums) - 2)]
    variance = sum(part for part, _ in parts)
    if min(freedom for _, freedom in parts) < 1:
        return 0.0, 1.0
    if not 0 < value < 1 or variance <= 0:
        return _auc_at_the_edge(value, *_unit_counts(unit, truth), inflation, level)
    freedom = _satterthwaite([*((part * inflation, freedom) for part, freedom in parts), more])
    return _on_logits(value, variance * inflation + more[0], freedom, level)


def _by_class(sums: np.ndarray, units: np.ndarray, truth: np.ndarray) -> list[tuple[float, int]]:
    """Return the variance that each class's units (n_units,) bring, with its degrees of freedom; units that hold
    several classes count together.
    """
    classes = np.unique(truth, return_inverse=True)[1].reshape(-1)
    low, high = np.full(len(sums), classes.max()), np.zeros(len(sums), dtype=np.int64)
    np.minimum.at(low, units, classes)
    np.maximum.at(high, units, classes)
    groups = [sums[low == number] for number in range(classes.max() + 1)] if (low == high).all() else [sums]
    return [(float(np.square(one).sum()) * len(one) / max(len(one) - 1, 1), len(one) - 1) for one in groups]


def balanced_share_interval(
    hits: np.ndarray, label: np.ndarray, unit: np.ndarray | None = None, inflation: float = 1.0, level: float = LEVEL
) -> tuple[float, float]:
    """Return the interval of the mean over labels of each label's share of hits: hits and label (n,), unit as above.

    The labels' own Wilson intervals are joined by squares of their arms (MOVER: Zou & Donner 2008).
    """
    hits, label = np.asarray(hits, dtype=np.float64), np.asarray(label)
    shares, intervals = [], []
    for number in np.unique(label):
        own = label == number
        shares.append(float(hits[own].mean()))
        intervals.append(share_interval(hits[own], None if unit is None else np.asarray(unit)[own], inflation, level))
    return joined_interval(shares, intervals)


def joined_interval(
    values: Sequence[float],
    intervals: Sequence[tuple[float, float]],
    inflation: float = 1.0,
    between: bool = False,
    level: float = LEVEL,
) -> tuple[float, float]:
    """Return the interval of the mean of values from their own intervals, by squares of their arms (MOVER).

    inflation, between: as `auc_interval`. Where each of K folds is tested by what was fitted to the others, an
    inflation of two is the correction of Nadeau & Bengio (2003): 1/K + 1/(K - 1) in place of 1/K.
    """
    middle, k = np.asarray(values, dtype=np.float64), len(values)
    bounds = np.asarray(intervals, dtype=np.float64)
    arms = np.stack([middle - bounds[:, 0], bounds[:, 1] - middle])
    within = np.square(arms).sum(axis=1) / k**2 * inflation
    more, widened = 0.0, np.ones(2)
    if between and k > 1:
        z = _z(level)
        more = max(0.0, float(middle.var(ddof=1) - np.square(arms / z).mean())) / k
        if more:
            spread = within / z**2
            freedom = [_satterthwaite([(one, 1e9), (more, k - 1)]) for one in spread.tolist()]
            widened = np.array([_t(level, one) / z for one in freedom])
            within = within + more * z**2
    low, high = np.sqrt(within) * widened
    return float(middle.mean() - low), float(middle.mean() + high)


def corrected_resampled_interval(
    values: np.ndarray, test_over_train: float, level: float = LEVEL
) -> tuple[float, float]:
    """Return the t interval of the mean of fold scores (k,), its variance corrected for shared training trials.

    test_over_train: how many trials a fold tests for each that it trains on (Nadeau & Bengio 2003). Raises ValueError
    for fewer than two folds.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or len(values) < 2:
        raise ValueError(f"an interval over folds needs at least two; got shape {values.shape}")
    half = _t(level, len(values) - 1) * np.sqrt((1 / len(values) + test_over_train) * values.var(ddof=1))
    return float(values.mean() - half), float(values.mean() + half)


def _variance(spread: np.ndarray) -> float:
    """Return the variance of a mean from what each unit adds to its deviation (n_units,)."""
    n = len(spread)
    return float(np.square(spread).sum()) * (n / (n - 1) if n > 1 else 1.0)


def _z(level: float) -> float:
    from scipy.stats import norm

    return float(norm.isf((1 - level) / 2))


def _t(level: float, freedom: float) -> float:
    from scipy.stats import t

    return float(t.isf((1 - level) / 2, freedom))


def _satterthwaite(parts: Sequence[tuple[float, float]]) -> float:
    total = sum(part for part, _ in parts)
    return total**2 / sum(part**2 / freedom for part, freedom in parts if part > 0)


def _on_logits(value: float, variance: float, freedom: float, level: float) -> tuple[float, float]:
    middle, half = np.log(value / (1 - value)), _t(level, freedom) * np.sqrt(variance) / (value * (1 - value))
    low, high = 1 / (1 + np.exp(-(middle + np.array([-half, half]))))
    return float(low), float(high)


def _unit_counts(units: np.ndarray, truth: np.ndarray) -> tuple[int, int]:
    own = truth == np.max(truth)
    return len(np.unique(units[own])), max(1, len(np.unique(units[~own])))


def _auc_at_the_edge(value: float, n_own: int, n_other: int, inflation: float, level: float) -> tuple[float, float]:
    """Return how far from 0 or 1 an AUC may lie that was exactly that, by bisection of Hanley & McNeil's variance."""
    from scipy.optimize import brentq

    def distance(auc: float, other: int = n_other, own: int = n_own) -> float:
        one, two = auc / (2 - auc), 2 * auc**2 / (1 + auc)
        variance = auc * (1 - auc) + (own - 1) * (one - auc**2) + (other - 1) * (two - auc**2)
        return 1 - auc - _z(level) * np.sqrt(max(variance, 0.0) / (own * other) * inflation)

    if 0 < value < 1:
        return 0.0, 1.0  # every trial of a class scores alike in one fold only: nothing is known
    found = float(np.asarray(brentq(distance, 1e-9, 1 - 1e-9))) if distance(1e-9) > 0 > distance(1 - 1e-9) else 0.0
    return (found, 1.0) if value == 1 else (0.0, 1 - found)
