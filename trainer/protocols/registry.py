"""Which protocols there are."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from core.preprocessing.trials import Trials
from core.registry import by_name

from .cross_session import cross_session
from .fold import Fold, FoldOptions
from .given_split import given_split
from .in_subject import in_subject, pooled
from .k_fold_by_picture import k_fold_by_picture
from .leave_one_run_out import leave_one_run_out
from .leave_one_subject_out import leave_one_subject_out


@dataclass(frozen=True)
class Protocol:
    """A protocol by name: `folds` yields them; `unit` and `units` are what a fold tests, one and several.

    by_picture: folds test pictures of their own, so that pictures, not trials, are what a null shuffles and an
    interval draws. by_split: folds test what the given split tests, and not every trial.
    """

    name: str
    folds: Callable[[Trials, FoldOptions], Iterator[Fold]]
    unit: str
    units: str
    by_picture: bool = False
    by_split: bool = False


PROTOCOLS: dict[str, Protocol] = by_name(
    [
        Protocol("given-split", given_split, "split", "splits", by_split=True),
        Protocol("in-subject", in_subject, "person", "people", by_split=True),
        Protocol("pooled", pooled, "fit", "fits", by_split=True),
        Protocol("leave-one-run-out", leave_one_run_out, "run", "runs"),
        Protocol("leave-one-subject-out", leave_one_subject_out, "person", "people"),
        Protocol("cross-session", cross_session, "session", "sessions"),
        Protocol("k-fold-by-picture", k_fold_by_picture, "fold", "folds", by_picture=True),
    ]
)


def protocol_named(name: str) -> Protocol:
    """Return a protocol; an unknown name raises ValueError listing the known ones."""
    if name not in PROTOCOLS:
        raise ValueError(f"no protocol {name!r}; known: {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]
