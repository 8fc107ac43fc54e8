"""Finding one among many, counted exactly: a tie is a share of a hit, smaller galleries are drawn on paper."""

from __future__ import annotations

from math import comb

import numpy as np

TWIN = 1 - 1e-6  # cosine from which two items are one


def places(scores: np.ndarray, group: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return for every item of every row how many others score higher, and how many score alike, itself included.

    scores: (n, m), larger is nearer. group: int (m,), items that are one and the same; they score alike whatever
    rounding says. Both int64 (n, m). A row that holds NaN finds nothing: everything else scores higher.
    """
    scores = np.asarray(scores)
    if scores.ndim != 2:
        raise ValueError(f"scores must be (n, gallery); got shape {scores.shape}")
    n, m = scores.shape
    above, level = np.empty((2, n, m), dtype=np.int64)
    for row, values in enumerate(scores):
        if np.isnan(values).any():
            above[row], level[row] = m - 1, 1
            continue
        rising = np.sort(values)
        upper = rising.searchsorted(values, "right")
        above[row], level[row] = m - upper, upper - rising.searchsorted(values, "left")
    if group is None:
        return above, level
    whole = ~np.isnan(scores).any(axis=1)
    for members in _groups(group):
        own = scores[:, members]
        higher = (own[:, None, :] > own[:, :, None]).sum(axis=2)
        unlike = (own[:, None, :] != own[:, :, None]).sum(axis=2)
        above[np.ix_(whole, members)] -= higher[whole]
        level[np.ix_(whole, members)] += unlike[whole]
    return above, level


def twins(items: np.ndarray) -> np.ndarray:
    """Return for each item (m, d) the number of the first one that is the same vector up to rounding, int64 (m,)."""
    items = np.asarray(items, dtype=np.float64)
    length = np.linalg.norm(items, axis=1)
    unit = items / np.maximum(length, 1e-300)[:, None]
    alike = (unit @ unit.T > TWIN) & (np.abs(length[:, None] - length) <= 1e-4 * np.maximum(length[:, None], length))
    alike[np.ix_(length == 0, length == 0)] = True
    alike[np.diag_indices(len(items))] = True
    return alike.argmax(axis=1)


def top_k_share(above: np.ndarray, level: np.ndarray, k: int) -> np.ndarray:
    """Return the probability that an item is among the k best where ties are broken at random; shapes as given."""
    return np.clip((k - above) / level, 0.0, 1.0)


def n_way_share(above: np.ndarray, level: np.ndarray, m: int, n_way: int) -> np.ndarray:
    """Return the probability that an item beats n_way - 1 others drawn from the m - 1 of its gallery, exactly.

    Hypergeometric: none of those drawn may score higher, and it wins one time in 1 + e against e that score alike. The
    mean is what others estimate by drawing galleries. Raises ValueError for an n_way outside 2 to m.
    """
    if not 2 <= n_way <= m:
        raise ValueError(f"n_way must lie between 2 and the gallery's {m} items; got {n_way}")
    pairs, place = np.unique(np.stack([above.ravel(), level.ravel()], axis=1), axis=0, return_inverse=True)
    drawn, ways = n_way - 1, comb(m - 1, n_way - 1)
    found = []
    for higher, alike in pairs.tolist():
        lower = m - higher - alike
        wins = sum(
            comb(alike - 1, e) * comb(lower, drawn - e) / (ways * (e + 1)) for e in range(min(alike - 1, drawn) + 1)
        )
        found.append(wins)
    return np.array(found)[place.reshape(-1)].reshape(above.shape)


def expected_precision(above: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Return the average precision of finding one item, 1 over its rank, meaned over the ranks that ties leave open."""
    sums = _harmonic(int((above + level).max(initial=0)))
    return (sums[above + level] - sums[above]) / level


def chance_precision(m: int) -> float:
    """Return the average precision of guessing one among m: the mean of 1, 1/2 ... 1/m."""
    return float(_harmonic(m)[m] / m)


def _harmonic(n: int) -> np.ndarray:
    """Return 0, 1, 1 + 1/2 ... up to the n-th harmonic number, (n + 1,)."""
    return np.concatenate([[0.0], np.cumsum(1 / np.arange(1, n + 1))])


def _groups(group: np.ndarray) -> list[np.ndarray]:
    names, counts = np.unique(np.asarray(group), return_counts=True)
    return [np.flatnonzero(group == name) for name in names[counts > 1]]
