"""Cue: does an event before the picture foretell its class?"""

import numpy as np

from ..check import Check, not_checked, tested
from ..leak_input import LeakInput
from .columns import told_by

NAME = "cue before the picture"
MIN_TRIALS = 20
N_BINS = 8


def check_cue(given: LeakInput) -> Check:
    """Check whether other events before an onset (cues, triggers, keys) tell the class that follows: by what the last
    three are, or by when they are.
    """
    if not given.evidence:
        return not_checked(NAME, "the recordings are not at hand, only windows")
    rows, cues = given.evidence_rows("cue")
    when = given.evidence_rows("cue_s")[1]
    columns = [np.unique(cue, return_inverse=True)[1].reshape(-1) for cue in cues.T] if len(rows) else []
    columns += [_in_bins(seconds) for seconds in when.T] if len(rows) else []
    columns = [column for column in columns if column.any()]
    if not columns:
        return Check(NAME, True, 0.0, "No events of several kinds or times come before the pictures.")
    label = given.trials.label[rows]
    if len(rows) < MIN_TRIALS or len(np.unique(label)) < 2:
        return not_checked(NAME, "there are too few trials or classes")
    told = told_by(columns, label, given.kind[rows], given.seed)
    figures = f"{told.accuracy:.1%} right, {told.shuffled:.1%} if shuffled, p = {told.p:.2g}"
    return tested(
        NAME,
        told.p,
        told.accuracy,
        f"An event before the picture foretells its class ({figures}): a cue is decoded as well as a picture.",
        f"Events before the picture do not foretell its class ({figures}).",
    )


def _in_bins(seconds: np.ndarray) -> np.ndarray:
    """Return the number of the eighth of all times that each one lies in (n,), and a number for none."""
    there = np.isfinite(seconds)
    if there.sum() < MIN_TRIALS:
        return np.zeros(len(seconds), dtype=np.int64)
    edges = np.unique(np.round(np.quantile(seconds[there], np.arange(1, N_BINS) / N_BINS), 3))
    return np.where(there, np.searchsorted(edges, np.round(np.where(there, seconds, 0.0), 3), side="right"), N_BINS)
