"""Whether two sets of vectors hold the same things apart: representational similarity (Kriegeskorte et al. 2008)."""

from dataclasses import dataclass

import numpy as np

from .permutations import PERMUTATIONS
from .scores import mean_ranks, p_of

FEWEST = 4  # pictures; three have but three distances


@dataclass(frozen=True)
class Likeness:
    """Spearman's correlation of two sets' distances. p_value: one-sided, pictures shuffled. shuffled: its mean then,
    and the range of 95 % of shuffles. n: pictures.
    """

    correlation: float
    p_value: float
    shuffled: float
    shuffled_range: tuple[float, float]
    n: int


def distances(vectors: np.ndarray) -> np.ndarray:
    """Return one minus the cosine of every two vectors (n, d), (n, n); a vector of length zero is unlike all (1)."""
    vectors = np.asarray(vectors, dtype=np.float64)
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-300)
    return 1 - unit @ unit.T


def likeness(one: np.ndarray, other: np.ndarray, n: int = PERMUTATIONS, seed: int = 0) -> Likeness:
    """Return how alike the distances among vectors (n, d) and among (n, e) of the same pictures are.

    Only the upper triangles count. Distances share pictures, so pictures are what a null shuffles, never distances.
    Raises ValueError for fewer than four pictures or sets of different size.
    """
    if len(one) != len(other) or len(one) < FEWEST:
        raise ValueError(
            f"representational similarity needs the same pictures on both sides, {FEWEST} at least; there are "
            f"{len(one)} and {len(other)}"
        )
    upper = np.triu_indices(len(one), 1)
    first, second = (_standard(mean_ranks(distances(rows)[upper])) for rows in (one, other))
    square = np.zeros((len(one), len(one)))
    square[upper] = first
    square += square.T
    value, rng = float(first @ second), np.random.default_rng(seed)
    shuffled = np.empty(n)
    for i in range(n):
        order = rng.permutation(len(one))
        shuffled[i] = square[order[upper[0]], order[upper[1]]] @ second
    low, high = np.quantile(shuffled, [0.025, 0.975])
    return Likeness(value, p_of(value, shuffled), float(shuffled.mean()), (float(low), float(high)), len(one))


def _standard(ranks: np.ndarray) -> np.ndarray:
    centred = ranks - ranks.mean()
    return centred / max(float(np.linalg.norm(centred)), 1e-300)
