"""The split that the store prescribes, or a run, a person, pictures or a stretch of time held out."""

from collections.abc import Iterator

from core.preprocessing.trials import Trials

from .fold import Fold, FoldOptions, TooLittle, fewer, hold_out, trials_of
from .held_out_test import tested


def given_split(trials: Trials, options: FoldOptions) -> Iterator[Fold]:
    """Yield the one fold of `split_of`; raises TooLittle where it tests nothing."""
    fold = split_of(trials, options)
    if not len(fold.test):
        raise TooLittle("given-split", "test trials: a store with a test split, or --test-run RUN", "there are none")
    yield fold


def split_of(trials: Trials, options: FoldOptions) -> Fold:
    """Return the store's own split; where it has none, the one that tests what the options say (or nothing).

    Where no validation split is prescribed, `val_share` of the training pictures is held out. Raises ValueError where
    the test's run or person does not exist, where the store prescribes a split and a test is asked for all the same, or
    nothing is left to train on.
    """
    chosen = trials_of(trials, options)
    prescribed = trials.split[chosen]
    if (prescribed != "").any():
        if asked := [f"--test-{name}" for name in ("run", "subject") if getattr(options, f"test_{name}")]:
            raise ValueError(f"{asked[0]}: the store prescribes its own split, which wins; leave it out")
        train, val, test = (chosen[prescribed == name] for name in ("train", "val", "test"))
    else:
        is_test, near = tested(trials, chosen, options)
        train, val, test = chosen[~is_test & ~near], chosen[:0], chosen[is_test]
    if not len(val):
        train, val = hold_out(trials, train, options)
    if not len(train):
        raise ValueError("no trials are left to train on; check --test-run, --only-subject and the store's split")
    return Fold("given", fewer(trials, train, options), val, test)
