"""Cue: does an event before the picture foretell its class?"""

import numpy as np

from ..check import Check, not_checked, tested
from ..leak_input import LeakInput
from .columns import told_by

NAME = "cue before the picture"
MIN_TRIALS = 20


def check_cue(given: LeakInput) -> Check:
    """Check whether the last other event before an onset (a cue, a trigger, a key) tells the class that follows."""
    if not given.evidence:
        return not_checked(NAME, "the recordings are not at hand, only windows")
    rows, cues = given.evidence_rows("cue")
    if not len(rows) or len(np.unique(cues)) < 2:
        return Check(NAME, True, 0.0, "No events of several kinds come before the pictures.")
    label = given.trials.label[rows]
    if len(rows) < MIN_TRIALS or len(np.unique(label)) < 2:
        return not_checked(NAME, "there are too few trials or classes")
    told = told_by(np.unique(cues, return_inverse=True)[1], label, given.kind[rows], given.seed)
    figures = f"{told.accuracy:.1%} right, {told.shuffled:.1%} if shuffled, p = {told.p:.2g}"
    return tested(
        NAME,
        told.p,
        told.accuracy,
        f"An event before the picture foretells its class ({figures}): a cue is decoded as well as a picture.",
        f"Events before the picture do not foretell its class ({figures}).",
    )
