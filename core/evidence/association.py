"""Whether a decoder's answers go with labels that it is not told."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import math

import numpy as np

MAX_ASKED = 400  # windows of a recording, evenly spread
N_PERMUTATIONS = 999


def standardised(values: np.ndarray) -> np.ndarray:
    """Return answers (n, width) with each column around its mean in units of its spread, constant ones left out."""
    values = np.asarray(values, dtype=np.float64)
    values = values - values.mean(axis=0)
    spread = values.std(axis=0)
    moves = spread > 1e-9 * max(float(spread.max(initial=0.0)), 1e-30)
    return values[:, moves] / spread[moves]


def separation_of(answers: np.ndarray, label: np.ndarray, run: np.ndarray) -> float:
    """Return how much answers (n, width) to left-out windows vary between labels, over how much they vary inside them.

    Within runs (n,), averaged over columns and runs; chance's own share is taken off, so that it is 0 where labels
    tell nothing.
    """
    found, weight = 0.0, 0
    for one in np.unique(run):
        rows = run == one
        _, place = np.unique(label[rows], return_inverse=True)
        counts = np.bincount(place.reshape(-1))
        n, n_labels = int(rows.sum()), len(counts)
        if n_labels < 2 or n - n_labels < 2:
            continue
        values = standardised(answers[rows])
        sums = np.zeros((n_labels, values.shape[1]))
        np.add.at(sums, place.reshape(-1), values)
        between = (sums**2 / counts[:, None]).sum()
        inside = (values**2).sum() - between
        ratio = (between / (n_labels - 1)) / max(inside / (n - n_labels), 1e-12)
        found += (ratio - 1) * (n_labels - 1)
        weight += n
    return max(found / weight, 0.0) if weight else 0.0


def passing_level(separation: float, label: np.ndarray) -> float:
    """Return the p-value that nine in ten recordings of so many windows with these labels stay below, where labels lie
    as far apart as in training; 1 where too few windows share a label to ask at all.
    """
    from scipy.stats import chi2, ncx2

    n_labels = len(np.unique(label))
    if n_labels < 2 or len(label) < 4 * n_labels or separation <= 0:
        return 1.0
    weakest = float(ncx2.ppf(0.1, n_labels - 1, len(label) * separation))
    return float(chi2.sf(weakest, n_labels - 1))


def association_p(answers: np.ndarray, label: np.ndarray) -> float | None:
    """Return the permutation p of answers (n, width) differing between labels (n,), or None where labels run in
    blocks, so that drift alone would tell them apart.
    """
    n = len(label)
    shares = np.bincount(label) / n
    expected = (n - 1) * float(1 - (shares**2).sum())
    changes = int((np.diff(label) != 0).sum())
    if changes < expected - 3 * math.sqrt(max(expected * (1 - expected / n), 1.0)):
        return None
    values = standardised(answers)
    if not values.shape[1]:
        return 1.0
    order = np.argsort(label, kind="stable")
    counts = np.bincount(label)
    counts = counts[counts > 0]
    starts = np.r_[0, np.cumsum(counts)[:-1]]

    def between(rows: np.ndarray) -> float:
        sums = np.add.reduceat(values[rows], starts, axis=0)
        return float((sums**2 / counts[:, None]).sum())

    observed = between(order)
    rng = np.random.default_rng(0)
    beaten = sum(between(rng.permutation(n)) >= observed for _ in range(N_PERMUTATIONS))
    return (1 + beaten) / (1 + N_PERMUTATIONS)
