"""The same presentation, or windows that overlap, in two parts of the split."""

from itertools import pairwise

import numpy as np

from ..check import Check, not_checked
from ..leak_input import LeakInput

NAME, OVERLAP = "test presentations", "overlapping windows"


def check_presentations(given: LeakInput) -> Check:
    """Check that no single presentation (one moment of one recording) is in two parts of the split."""
    places = _places(given)
    if len(given.rows) < 2:
        twice = len(given.used) - len(np.unique(places[given.used]))
        if twice and twice < len(given.used) / 2:
            return Check(NAME, False, twice / len(given.used), f"{twice} presentations are among the trials twice.")
        return not_checked(NAME, "nothing is held out here")
    parts = {name: set(places[rows].tolist()) for name, rows in given.rows.items()}
    test = "test" if "test" in parts else list(parts)[-1]
    if len(parts[test]) < len(given.rows[test]) / 2:
        return not_checked(NAME, "the data do not say when trials happened, so they cannot be told apart")
    names = list(parts)
    shared = {
        (a, b): len(parts[a] & parts[b]) for i, a in enumerate(names) for b in names[i + 1 :] if parts[a] & parts[b]
    }
    if shared:
        told = ", ".join(f"{n} in both {a} and {b}" for (a, b), n in shared.items())
        return Check(NAME, False, max(shared.values()) / len(parts[test]), f"Presentations are in two splits: {told}.")
    return Check(NAME, True, 0.0, f"None of the {len(parts[test])} {test} presentations is in another split.")


def check_overlap(given: LeakInput) -> Check:
    """Check that no test window shares samples with a window of another part."""
    if "test" not in given.rows or len(given.rows) < 2:
        return not_checked(OVERLAP, "nothing is held out here")
    if given.sfreq is None or not given.has_windows:
        return not_checked(OVERLAP, "the length of the windows is not known")
    rows = given.used
    rows = rows[np.lexsort((given.trials.onset[rows], given.unit[rows]))]
    unit, onset = given.unit[rows], given.trials.onset[rows]
    is_test = np.isin(rows, given.rows["test"])
    length = given.trials.eeg.shape[2] / given.sfreq
    if len(np.unique(np.stack([unit.astype(np.float64), np.round(onset, 4)]), axis=1).T) < len(rows) / 2:
        return not_checked(OVERLAP, "the data do not say when trials happened")
    shared = np.zeros(len(rows), dtype=bool)
    for start, stop in pairwise(np.flatnonzero(np.r_[True, unit[1:] != unit[:-1], True])):
        here, others = np.flatnonzero(is_test[start:stop]) + start, np.flatnonzero(~is_test[start:stop]) + start
        if len(here) and len(others):
            after = np.clip(np.searchsorted(onset[others], onset[here]), 0, len(others) - 1)
            before = np.maximum(after - 1, 0)
            near = np.minimum(abs(onset[others][after] - onset[here]), abs(onset[others][before] - onset[here]))
            shared[here] = near < length - 1.5 / given.sfreq
    n, share = int(is_test.sum()), float(shared[is_test].mean())
    if shared.any():
        sentence = (
            f"{int(shared.sum())} of {n} test windows overlap a window of another split: the same samples are in both."
        )
        return Check(OVERLAP, False, share, sentence)
    return Check(OVERLAP, True, 0.0, f"None of the {n} test windows overlaps one of another split.")


def _places(given: LeakInput) -> np.ndarray:
    """Return a number for each trial's moment (n,)."""
    trials = given.trials
    columns = np.stack([given.unit.astype(np.float64), np.round(trials.onset, 4)], axis=1)
    return np.unique(columns, axis=0, return_inverse=True)[1].reshape(-1)
