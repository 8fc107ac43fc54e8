"""Fitting what an encoder keeps to tell whether a recording holds anything for it: every run is held against the
others.
"""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from ..evidence.background import LEAST_SPREAD, MAX_WINDOWS, Layout, background, layout_of, spread_evenly
from ..evidence.kept import AVERAGED, QUANTILES, Evidence
from ..evidence.likeness import WIDER, distance_parts, together
from ..evidence.locking import CLIP, MIN_MOMENTS, effect_of, filter_windows, matched_filter
from ..preprocessing.config import PreprocessingConfig

MIN_WINDOWS = 20  # fewer say nothing of what a recording is like
MIN_RUNS = 3  # fewer runs are cut into stretches
N_STRETCHES = 6
MAX_RUNS = 32
MAX_A_RUN = 600  # windows
LOCKED_Z = 4.0  # from which on left-out windows show a response: neighbours overlap, so 4 is no more than sure


class Windows(Protocol):
    """An array of windows (n, channels, times), or what reads them from disk."""

    def __getitem__(self, chosen: Any, /) -> Any:
        """Return the chosen windows."""
        ...


def fit_evidence(eeg: Windows, run: np.ndarray, config: PreprocessingConfig) -> Evidence | None:
    """Return the evidence of training windows (n, channels, times) in volts, in order of time inside each run (n,).

    eeg may lie on disk; at most 600 windows of at most 32 runs are read, evenly spread. Fewer than three runs of at
    least eight windows are cut into stretches. None where there are fewer than 20 windows.
    """
    runs, stretches = _runs(eeg, run)
    if runs is None:
        return None
    layout = layout_of(config)
    seen = [background(one[spread_evenly(len(one), MAX_WINDOWS)], config) for one in runs]
    typical = np.array([np.median(one, axis=0) for one in seen])
    within = np.sqrt(np.mean([one.var(axis=0) for one in seen], axis=0))
    found = [_clipped(filter_windows(matched_filter(runs[:i] + runs[i + 1 :]), one)) for i, one in enumerate(runs)]
    effects = np.array([effect_of(one) for one in found])
    weight = np.array([len(one) for one in runs], dtype=np.float64)
    z = float((effects * weight).sum() / math.sqrt(weight.sum()))
    kept = Evidence(
        response=matched_filter(runs),
        effects=effects,
        nothing=_of_nothing([filter_windows(matched_filter(runs[:i] + runs[i + 1 :]), x) for i, x in enumerate(runs)]),
        level=typical.mean(axis=0),
        between=_between(typical, layout, stretches),
        within=within,
        distances=np.zeros(len(runs)),
        locked=bool(z > LOCKED_Z),
        stretches=stretches,
        n_windows=int(weight.sum()),
    )
    return _with_distances(kept, typical, weight, layout)


def _runs(eeg: Windows, run: np.ndarray) -> tuple[list[np.ndarray] | None, bool]:
    names, counts = np.unique(run, return_counts=True)
    long = names[counts >= MIN_MOMENTS]
    if len(long) >= MIN_RUNS:
        rows = [np.flatnonzero(run == name) for name in long[spread_evenly(len(long), MAX_RUNS)]]
        stretches = False
    else:
        if len(run) < MIN_WINDOWS:
            return None, True
        order = np.argsort(np.searchsorted(names, run), kind="stable")
        n = min(N_STRETCHES, len(run) // MIN_MOMENTS)
        rows, stretches = list(np.array_split(order, max(n, 2))), True
    return [np.asarray(eeg[np.sort(of[spread_evenly(len(of), MAX_A_RUN)])]) for of in rows], stretches


def _clipped(values: np.ndarray) -> np.ndarray:
    middle = float(np.median(values))
    spread = max(1.4826 * float(np.median(np.abs(values - middle))), 1e-12)
    return np.clip((values - middle) / spread, -CLIP, CLIP) + middle / spread


def _of_nothing(found: Sequence[np.ndarray]) -> np.ndarray:
    """Return quantiles of what the filter gives when what is locked is taken off, for means of 1 to 16 windows of one
    run: averaging is done, not assumed.
    """
    rng = np.random.default_rng(0)
    rows: list[np.ndarray] = []
    for averaged in AVERAGED:
        means: list[np.ndarray] = []
        for values in found:
            left = (values - values.mean()) * math.sqrt(len(values) / (len(values) - 1))
            drawn = np.concatenate([rng.permutation(left) for _ in range(averaged)])
            drawn = drawn[: len(drawn) // averaged * averaged]
            means.append(drawn.reshape(-1, averaged).mean(axis=1))
        rows.append(np.quantile(np.concatenate(means), (np.arange(QUANTILES) + 0.5) / QUANTILES))
    return np.array(rows)


def _between(typical: np.ndarray, layout: Layout, stretches: bool) -> np.ndarray:
    """Return each number's spread over runs, drawn towards its kind's and never less than runs usually differ by."""
    n_runs = len(typical)
    variance = typical.var(axis=0, ddof=1)
    found = np.zeros_like(variance)
    for kind, least in LEAST_SPREAD.items():
        of = layout.of(kind)
        if of.any():
            prior = variance[of].mean() + least**2
            found[of] = ((n_runs - 1) * variance[of] + 4 * prior) / (n_runs + 3)
            found[of] = np.maximum(found[of], (least / 2) ** 2)
    return np.sqrt(found) * (WIDER if stretches else 1.0)


def _with_distances(kept: Evidence, typical: np.ndarray, weight: np.ndarray, layout: Layout) -> Evidence:
    """Return the evidence with how far each run lies from what the others say."""
    distances: list[float] = []
    for i in range(len(typical)):
        others = np.delete(typical, i, axis=0)
        without = replace(
            kept,
            level=others.mean(axis=0),
            between=_between(others, layout, kept.stretches) if len(others) > 1 else kept.between,
            effects=np.delete(kept.effects, i),
        )
        n_windows = max(min(weight[i], MAX_WINDOWS) / 2, 1.0)
        parts = distance_parts(without, layout, typical[i], n_windows, float(kept.effects[i]), int(weight[i]))
        distances.append(together(parts))
    return replace(kept, distances=np.array(distances))
