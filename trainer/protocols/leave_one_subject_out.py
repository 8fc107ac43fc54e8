"""Each person tested by what was fitted to the others."""

from collections.abc import Iterator

import numpy as np

from core.preprocessing.trials import Trials

from .fold import Fold, FoldOptions, TooLittle, fold_of, names, trials_of


def leave_one_subject_out(trials: Trials, options: FoldOptions) -> Iterator[Fold]:
    """Yield a fold for each person, by name in sorted order; raises TooLittle for fewer than two people.

    A picture may stand on both sides, seen by different people.
    """
    chosen = trials_of(trials, options)
    subject = trials.subject[chosen]
    if len(np.unique(subject)) < 2:
        raise TooLittle("leave-one-subject-out", "at least two people", f"the store has one person ({names(subject)})")
    for name in np.unique(subject):
        yield fold_of(str(name), trials, chosen, subject == name, options)
