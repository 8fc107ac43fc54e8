"""Fold: who trains, validates and tests; what every protocol is told; how trials are held out for validation."""

from dataclasses import dataclass

import numpy as np

from core.preprocessing.trials import Trials


@dataclass(frozen=True, eq=False)
class Fold:
    """One fold by name: numbers of trials (n,) that train, validate (perhaps none) and test; no trial is in two."""

    name: str
    train: np.ndarray
    val: np.ndarray
    test: np.ndarray

    @property
    def parts(self) -> dict[str, np.ndarray]:
        """Return the numbers of trials under `train`, `val` and `test`."""
        return {"train": self.train, "val": self.val, "test": self.test}


@dataclass(frozen=True)
class FoldOptions:
    """What protocols are told.

    only_subject: take this person's trials only. test_run, test_subject, test: what the given split tests, where the
    store prescribes none (`held_out_test`). val_share: share of the training pictures held out for validation. n_folds:
    for protocols that deal out pictures. seed: of what is drawn. keep_split: what the store prescribes as a test is
    tested and nothing else, and never trains, whoever saw it. val_by: "picture" or "concept", what is held out for
    validation as a whole. train_share: of the training pictures that are left, how many train.
    """

    only_subject: str = ""
    test_run: str = ""
    val_share: float = 0.0
    n_folds: int = 5
    seed: int = 0
    test_subject: str = ""
    test: str = "none"
    keep_split: bool = False
    val_by: str = "picture"
    train_share: float = 1.0

    def __post_init__(self) -> None:
        if self.n_folds < 2:
            raise ValueError(f"--n-folds must be at least 2, not {self.n_folds}")


class TooLittle(ValueError):  # noqa: N818 (what the data are, not a fault of the program)
    """A store lacks what a protocol needs; `found` says what there is, without the protocol's name."""

    def __init__(self, protocol: str, needs: str, found: str) -> None:
        super().__init__(f"{protocol} needs {needs}; {found}")
        self.found = found


def trials_of(trials: Trials, options: FoldOptions) -> np.ndarray:
    """Return the numbers of all trials (n,), or of one person's; raises ValueError where there are none of them."""
    chosen = np.arange(len(trials))
    if not len(chosen):
        raise ValueError("every protocol needs trials; the store has none")
    if options.only_subject:
        chosen = chosen[trials.subject == options.only_subject]
        if not len(chosen):
            raise ValueError(
                f"no trials of subject {options.only_subject!r}; the store has {sorted(set(trials.subject.tolist()))}"
            )
    return chosen


def fold_of(name: str, trials: Trials, chosen: np.ndarray, is_test: np.ndarray, options: FoldOptions) -> Fold:
    """Return the fold that tests the chosen trials (n,) where `is_test` (n,) says so and trains on the others, less
    what validates. Raises TooLittle where the store's split is to be kept and it tests or trains nothing here.
    """
    rest, test, val = chosen[~is_test], chosen[is_test], chosen[:0]
    if options.keep_split:
        prescribed = trials.split
        val = rest[prescribed[rest] == "val"]
        rest, test = rest[prescribed[rest] == "train"], test[prescribed[test] == "test"]
        if not len(rest) or not len(test):
            found = f"{name} has {len(rest)} to train on and {len(test)} to test"
            raise TooLittle("--keep-split", "a store that prescribes which trials train and test", found)
    if not len(val):
        rest, val = hold_out(trials, rest, options)
    return Fold(name, fewer(trials, rest, options), val, test)


def fewer(trials: Trials, train: np.ndarray, options: FoldOptions) -> np.ndarray:
    """Return the training trials (n,) of a share of their pictures, drawn from the seed, with all their repeats; a
    larger share holds what a smaller one does.
    """
    if options.train_share >= 1 or not len(train):
        return train
    pictures = np.unique(trials.image_id[train])
    kept = np.random.default_rng([options.seed, 47]).permutation(pictures)
    n = max(1, round(options.train_share * len(pictures)))
    return train[np.isin(trials.image_id[train], kept[:n])]


def hold_out(trials: Trials, train: np.ndarray, options: FoldOptions) -> tuple[np.ndarray, np.ndarray]:
    """Return training trials (n,) without those held out for validation, and these: `val_share` of the pictures with
    all their repeats, or with `val_by` of the concepts (labels) with all their pictures, drawn from the seed.

    Raises ValueError for fewer than three concepts.
    """
    if not options.val_share:
        return train, train[:0]
    if options.val_by == "concept":
        concepts = np.unique(trials.label[train])
        if len(concepts) < 3:
            raise ValueError(f"--val-by concept needs at least three concepts to train on; there are {len(concepts)}")
        n_val = min(max(2, round(options.val_share * len(concepts))), len(concepts) - 1)
        is_val = np.isin(trials.label[train], np.random.default_rng([options.seed, 11]).permutation(concepts)[:n_val])
        return train[~is_val], train[is_val]
    pictures = trials.image_id[train]
    rng = np.random.default_rng([options.seed, 11])
    distinct = np.unique(pictures)
    if len(distinct) <= 2 * len(trials.labels):
        # Few pictures shown often (or pictures unknown): hold out trials, since no picture can be spared.
        is_val = rng.random(len(train)) < options.val_share
    else:
        n_val = max(1, round(options.val_share * len(distinct)))
        is_val = np.isin(pictures, rng.permutation(distinct)[:n_val])
    return train[~is_val], train[is_val]


def names(values: np.ndarray, most: int = 4) -> str:
    """Return the distinct values as a few words for a message."""
    found = [str(value) or "no name" for value in np.unique(values).tolist()]
    return ", ".join(found[:most]) + (f" and {len(found) - most} more" if len(found) > most else "")
