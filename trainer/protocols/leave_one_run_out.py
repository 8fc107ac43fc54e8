"""Each run tested by what was fitted to the other runs."""

from collections.abc import Iterator

import numpy as np

from core.preprocessing.trials import Trials

from .fold import Fold, FoldOptions, TooLittle, fold_of, names, trials_of


def leave_one_run_out(trials: Trials, options: FoldOptions) -> Iterator[Fold]:
    """Yield a fold for each run, by the runs' names in sorted order; raises TooLittle for fewer than two runs.

    A picture may stand on both sides: runs often show the same ones.
    """
    chosen = trials_of(trials, options)
    run = trials.run[chosen]
    if len(np.unique(run)) < 2:
        raise TooLittle("leave-one-run-out", "at least two runs", f"the store has one run ({names(run)})")
    for name in np.unique(run):
        yield fold_of(str(name), trials, chosen, run == name, options)
