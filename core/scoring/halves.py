"""How alike decoders answer that were fitted to two halves of the same training: what of them is signal."""

from collections.abc import Sequence

import numpy as np


def halves_of(label: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Return which half each trial falls in, bool (n,): whole units (n,), each label's dealt in turn."""
    units, first, place = np.unique(unit, return_index=True, return_inverse=True)
    half = np.zeros(len(units), dtype=bool)
    for number in np.unique(label[first]):
        half[np.flatnonzero(label[first] == number)[1::2]] = True
    return half[place.reshape(-1)]


def mean_agreement(found: Sequence[float], n: int) -> float:
    """Return the mean of agreements less what noise gives it in the mean of n trials, not below 0."""
    return max(float(np.mean(found)) - 1 / np.sqrt(max(n, 1)), 0.0) if len(found) else 0.0


def agreement_of(scores: np.ndarray, others: np.ndarray, label: np.ndarray) -> float:
    """Return the correlation of two decoders' scores (n,) of the same trials inside each label (n,), its mean weighed
    by trials; 0 where a decoder does not tell trials apart.
    """
    found, counts = [], []
    for number in np.unique(label):
        rows = label == number
        a, b = scores[rows] - scores[rows].mean(), others[rows] - others[rows].mean()
        size = float(np.sqrt((a @ a) * (b @ b)))
        if rows.sum() > 2:
            found.append(float(a @ b) / size if size > 0 else 0.0)
            counts.append(int(rows.sum()))
    return float(np.average(found, weights=counts)) if found else 0.0
