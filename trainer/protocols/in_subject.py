"""Each person tested by what was fitted to that person alone, and all people tested by one fit."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from core.preprocessing.trials import Trials

from .fold import Fold, FoldOptions, TooLittle, names, trials_of
from .given_split import split_of


def in_subject(trials: Trials, options: FoldOptions) -> Iterator[Fold]:
    """Yield the given split of each person by itself, by name in sorted order.

    Raises TooLittle where a person's trials have no test, ValueError as `split_of` does.
    """
    chosen = trials_of(trials, options)
    for person in np.unique(trials.subject[chosen]).tolist():
        fold = split_of(trials, replace(options, only_subject=person))
        if not len(fold.test):
            who = f"person {person}" if person else "the store"
            raise TooLittle(
                "in-subject", "a test of each person's own: a store with a split, or --test", f"{who} has none"
            )
        yield Fold(person or "all", fold.train, fold.val, fold.test)


def pooled(trials: Trials, options: FoldOptions) -> Iterator[Fold]:
    """Yield one fold, all people's given split together; raises TooLittle for one person or nothing to test."""
    chosen = trials_of(trials, options)
    people = trials.subject[chosen]
    if len(np.unique(people)) < 2:
        raise TooLittle("pooled", "at least two people", f"the store has one person ({names(people)})")
    fold = split_of(trials, options)
    if not len(fold.test):
        raise TooLittle("pooled", "test trials: a store with a split, or --test", "there are none")
    yield Fold("all people", fold.train, fold.val, fold.test)
