"""Permutation tests that stop early where nothing is to be found."""

from collections.abc import Callable

import numpy as np

MOST = 3999  # permutations: the least p is 1 / 4000
BATCH = 100
ENOUGH = 8  # permutations as good as what was found: p is far above any level that counts
AT_FIRST, FAR = 400, 25.0  # so far above so many permutations, more would only cost time


def permutation_p(
    statistic: Callable[[np.ndarray], np.ndarray],
    label: np.ndarray,
    groups: np.ndarray,
    seed: int = 0,
    most: int = MOST,
) -> tuple[float, np.ndarray]:
    """Return the p-value of the largest of several statistics, and each one's excess over shuffled labels in SDs.

    statistic: from labels (n,) to values (k,), higher for more of what is looked for. groups: (n,), labels are shuffled
    inside these only. Each statistic is put on the scale of the first hundred permutations, whose largest is compared
    then (Westfall & Young 1993), so that several looks cost one test. Sampling ends once the answer cannot be
    significant (Besag & Clifford 1991).
    """
    rng = np.random.default_rng(seed)
    shuffle = shuffler(groups, rng)
    observed = np.atleast_1d(statistic(label)).astype(np.float64)
    drawn = np.array([statistic(shuffle(label)) for _ in range(BATCH)], dtype=np.float64).reshape(BATCH, -1)
    middle, spread = drawn.mean(axis=0), drawn.std(axis=0)
    constant = spread <= 1e-12 * np.maximum(np.abs(middle), 1e-300)
    spread = np.where(constant, np.inf, spread)
    excess = (observed - middle) / spread
    if constant.all():
        return 1.0, excess
    best = excess.max()

    def as_good(values: np.ndarray) -> int:
        return int((((values - middle) / spread).max(axis=1) >= best - 1e-9).sum())

    good, n = as_good(drawn), BATCH
    while good < ENOUGH and n < most and not (n >= AT_FIRST and not good and best > FAR):
        more = min(BATCH, most - n)
        drawn = np.array([statistic(shuffle(label)) for _ in range(more)], dtype=np.float64).reshape(more, -1)
        good, n = good + as_good(drawn), n + more
    # so many SDs beyond four hundred permutations: reported as if none of all had reached it
    return (1 + good) / (1 + (n if good else most)), excess


def shuffler(groups: np.ndarray, rng: np.random.Generator) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that shuffles values (n, ...) inside groups (n,)."""
    order = np.argsort(groups, kind="stable")
    sorted_groups = np.unique(groups[order], return_inverse=True)[1].reshape(-1)

    def shuffle(values: np.ndarray) -> np.ndarray:
        drawn = np.lexsort((rng.random(len(order)), sorted_groups))
        shuffled = np.empty_like(values)
        shuffled[order] = values[order[drawn]]
        return shuffled

    return shuffle


def stretches(unit: np.ndarray, length: int) -> np.ndarray:
    """Return numbers of stretches of `length` neighbours inside each unit (n,), for trials in order of time."""
    starts = np.flatnonzero(np.r_[True, unit[1:] != unit[:-1]])
    place = np.arange(len(unit)) - np.repeat(starts, np.diff(np.r_[starts, len(unit)]))
    return np.cumsum(np.r_[True, (unit[1:] != unit[:-1]) | (place[1:] % length == 0)]) - 1
