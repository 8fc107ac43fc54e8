"""Each session tested by what was fitted to the others: does it last until another day?"""

from collections.abc import Iterator

import numpy as np

from core.preprocessing.trials import Trials

from .fold import Fold, FoldOptions, TooLittle, fold_of, names, trials_of


def cross_session(trials: Trials, options: FoldOptions) -> Iterator[Fold]:
    """Yield a fold for each session of each person, fitted to all other sessions, those of other people too.

    Raises TooLittle where a person has fewer than two sessions: that person's fold would test another person's decoder
    and not another day. Sessions of one person only: `only_subject`.
    """
    chosen = trials_of(trials, options)
    subject, session = trials.subject[chosen], trials.session[chosen]
    for person in np.unique(subject):
        of = session[subject == person]
        if len(np.unique(of)) < 2:
            who = f"person {person}" if person else "the store"
            raise TooLittle("cross-session", "at least two sessions of each person", f"{who} has one ({names(of)})")
    several = len(np.unique(subject)) > 1
    for person in np.unique(subject):
        for name in np.unique(session[subject == person]):
            title = f"{person} {name}" if several else str(name)
            yield fold_of(title, trials, chosen, (subject == person) & (session == name), options)
