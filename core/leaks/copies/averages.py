"""Averaged test trials whose presentations were trained on."""

import numpy as np

from ..check import Check, not_checked
from ..leak_input import LeakInput

NAME = "averages across the split"


def check_averages(given: LeakInput) -> Check:
    """Check that no averaged test trial holds presentations that are in another part too, alone or averaged.

    An average no longer says when its members were, so a picture shown to one person in both parts counts.
    """
    trials = given.trials
    if not (trials.repeats[given.used] > 1).any():
        return Check(NAME, True, 0.0, "Trials are single presentations, none is an average.")
    if "test" not in given.rows or "train" not in given.rows:
        return not_checked(NAME, "nothing is held out here")
    key = np.array([f"{s}\n{i}" for s, i in zip(trials.subject.tolist(), trials.image_id.tolist(), strict=True)])
    train, test = given.rows["train"], given.rows["test"]
    shared = np.isin(key[test], key[train])
    n_averaged = int((trials.repeats[test] > 1).sum())
    if shared.any():
        sentence = (
            f"{int(shared.sum())} of {len(test)} test averages are of pictures whose presentations to the same person "
            "are trained on too: what they have in common cannot be told from what was seen."
        )
        return Check(NAME, False, float(shared.mean()), sentence)
    return Check(NAME, True, 0.0, f"None of {n_averaged} test averages is of presentations that are trained on.")
