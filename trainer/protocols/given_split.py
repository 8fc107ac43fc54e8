"""The split that the store prescribes, or one run held out."""

from collections.abc import Iterator

import numpy as np

from core.preprocessing.trials import Trials

from .fold import Fold, FoldOptions, TooLittle, hold_out, trials_of


def given_split(trials: Trials, options: FoldOptions) -> Iterator[Fold]:
    """Yield the one fold of `split_of`; raises TooLittle where it tests nothing."""
    fold = split_of(trials, options)
    if not len(fold.test):
        raise TooLittle("given-split", "test trials: a store with a test split, or --test-run RUN", "there are none")
    yield fold


def split_of(trials: Trials, options: FoldOptions) -> Fold:
    """Return the store's own split; where it has none, the one that tests `test_run` (or nothing).

    Where no validation split is prescribed, `val_share` of the training pictures is held out. Raises ValueError where
    the test run or the person does not exist, or nothing is left to train on.
    """
    chosen = trials_of(trials, options)
    prescribed = trials.split[chosen]
    if (prescribed != "").any():
        train, val, test = (chosen[prescribed == name] for name in ("train", "val", "test"))
    else:
        is_test = np.zeros(len(chosen), dtype=bool)
        if options.test_run:
            is_test = trials.run[chosen] == options.test_run
            if not is_test.any():
                raise ValueError(
                    f"no trials of run {options.test_run!r}; the store has {sorted(set(trials.run.tolist()))}"
                )
        train, val, test = chosen[~is_test], chosen[:0], chosen[is_test]
    if not len(val):
        train, val = hold_out(trials, train, options)
    if not len(train):
        raise ValueError("no trials are left to train on; check --test-run, --only-subject and the store's split")
    return Fold("given", train, val, test)
