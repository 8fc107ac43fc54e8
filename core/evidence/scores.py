"""Whether an encoder's scores are larger than those of windows in which what was shown had been cancelled."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import math

import numpy as np

from .kept import AVERAGED, Evidence

MIN_SCORED = 20  # windows that a row of quantiles comes from
LEAST_DRIFT = 0.05  # of the mean score between runs, in a window's spread, however alike training's were


def cancelled(eeg: np.ndarray, group: np.ndarray, averaged: int, seed: int) -> np.ndarray:
    """Return windows (n, channels, times) of what a run holds beside what was shown: its mean response, and the noise
    of means of so many windows.

    eeg: (n_windows, channels, times) of one run. group: (n_windows,), what was shown; the difference of two windows of
    one group, over the root of two, has their noise and nothing of it (after Schimmel 1967, Science 157:92). Where no
    group has two windows, any two are taken, which leaves a part of it in and makes the test the harder.
    """
    rng = np.random.default_rng([seed, averaged])
    pairs: list[tuple[int, int]] = []
    for one in np.unique(group):
        rows = rng.permutation(np.flatnonzero(group == one))
        pairs += [(int(rows[i]), int(rows[i + 1])) for i in range(0, len(rows) - 1, 2)]
    if len(pairs) < len(group) / 8:
        rows = rng.permutation(len(group))
        pairs = [(int(rows[i]), int(rows[i + 1])) for i in range(0, len(rows) - 1, 2)]
    if len(pairs) < averaged:
        return np.asarray(eeg[:0])
    first, second = np.array(pairs).T
    noise = (np.asarray(eeg[first], dtype=np.float64) - eeg[second]) / math.sqrt(2)
    usual = np.asarray(eeg, dtype=np.float64).mean(axis=0)
    found: list[np.ndarray] = []
    for _ in range(4 if averaged > 1 else 1):
        order = rng.permutation(len(noise))[: len(noise) // averaged * averaged]
        signs = rng.choice([-1.0, 1.0], (len(order), 1, 1))
        found.append((signs * noise[order]).reshape(-1, averaged, *usual.shape).mean(axis=1))
    return (usual + np.concatenate(found)).astype(np.float32)


def row_for(evidence: Evidence, averaged: int) -> int | None:
    """Return the row of scores for means of so many windows: the nearest at or below it that was measured."""
    for row in range(len(AVERAGED) - 1, -1, -1):
        enough = min(evidence.scored[0][row], evidence.scored[1][row]) >= MIN_SCORED
        if AVERAGED[row] <= averaged and enough:
            return row
    return None


def scores_level(evidence: Evidence, averaged: np.ndarray) -> float:
    """Return the p-value of `scores_p` that nine in ten recordings as good as training's stay below; 1 where nothing
    was measured for as many windows (n,), each a mean of so many.
    """
    from scipy.stats import norm

    expected = _expected_z(evidence, averaged)
    return float(norm.sf(expected - norm.isf(0.1))) if expected > 0 else 1.0


def _expected_z(evidence: Evidence, averaged: np.ndarray) -> float:
    """Return how many standard errors above nothing training's own windows would lie, were there as many of them."""
    rows = [row_for(evidence, int(number)) for number in averaged]
    if not rows or any(row is None for row in rows):
        return 0.0
    gains = [_moments(evidence, 1, row)[0] for row in rows if row is not None]
    nulls = [_moments(evidence, 0, row) for row in rows if row is not None]
    z = np.array([(gain - middle) / spread for gain, (middle, spread) in zip(gains, nulls, strict=True)])
    return float(z.mean()) / math.sqrt(1 / len(z) + _drift(evidence))


def scores_p(evidence: Evidence, scores: np.ndarray, averaged: np.ndarray) -> float:
    """Return the probability that windows of nothing score as high in the mean as these (n,), each a mean of so many
    (n,); 1 where nothing was measured for as many.
    """
    from scipy.stats import norm

    rows = [row_for(evidence, int(number)) for number in averaged]
    if not rows or any(row is None for row in rows):
        return 1.0
    nulls = np.array([_moments(evidence, 0, row) for row in rows if row is not None])
    z = (scores - nulls[:, 0]) / nulls[:, 1]
    return float(norm.sf(z.mean() / math.sqrt(1 / len(z) + _drift(evidence))))


def _drift(evidence: Evidence) -> float:
    return max(evidence.drift, LEAST_DRIFT) ** 2


def _moments(evidence: Evidence, which: int, row: int) -> tuple[float, float]:
    kept = evidence.scores[which, row].astype(np.float64)
    return float(kept.mean()), max(float(kept.std()), 1e-9)
