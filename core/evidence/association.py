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


def passing_level(separation: float, label: np.ndarray, one_sided: bool = False) -> float:
    """Return the p-value that nine in ten recordings of so many windows with these labels stay below, where labels lie
    as far apart as in training; 1 where too few windows share a label to ask at all.

    one_sided: whether it is known which answer goes with which label.
    """
    from scipy.stats import chi2, ncx2, norm

    n_labels = len(np.unique(label))
    if n_labels < 2 or len(label) < 4 * n_labels or separation <= 0:
        return 1.0
    if one_sided:
        return float(norm.sf(math.sqrt(len(label) * separation) - norm.isf(0.1)))
    weakest = float(ncx2.ppf(0.1, n_labels - 1, len(label) * separation))
    return float(chi2.sf(weakest, n_labels - 1))


def own_label_p(scores: np.ndarray, truth: np.ndarray, run: np.ndarray | None = None, seed: int = 0) -> float:
    """Return the permutation p of the labels' own alternatives scoring higher than others' would.

    scores: (n, n_alternatives). truth: (n,), the label's own alternative. What is compared is its mean score, in
    standard deviations of its window's; truths are shuffled within runs (n,). Answers that go with labels the wrong way
    round get a p near 1.
    """
    values = scores - scores.mean(axis=1, keepdims=True)
    if values.shape[1] > 2:
        values = values / values.std(axis=1, ddof=1, keepdims=True).clip(1e-12)
    groups = np.zeros(len(truth), dtype=np.int64) if run is None else np.unique(run, return_inverse=True)[1]
    places = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    rng, rows = np.random.default_rng(seed), np.arange(len(truth))
    observed = values[rows, truth].mean()
    beaten = 0
    for _ in range(N_PERMUTATIONS):
        shuffled = truth.copy()
        for place in places:
            shuffled[place] = truth[rng.permutation(place)]
        beaten += int(values[rows, shuffled].mean() >= observed - 1e-12)
    return (1 + beaten) / (1 + N_PERMUTATIONS)


def run_in_blocks(label: np.ndarray) -> bool:
    """Return whether labels (n,) in order of time change so seldom that drift alone would tell them apart."""
    n = len(label)
    shares = np.bincount(label) / n
    expected = (n - 1) * float(1 - (shares**2).sum())
    changes = int((np.diff(label) != 0).sum())
    return changes < expected - 3 * math.sqrt(max(expected * (1 - expected / n), 1.0))


def association_p(answers: np.ndarray, label: np.ndarray) -> float | None:
    """Return the permutation p of answers (n, width) differing between labels (n,), or None where labels run in
    blocks, so that drift alone would tell them apart.
    """
    if run_in_blocks(label):
        return None
    n = len(label)
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
