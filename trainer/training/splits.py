"""Which trials train, validate and test: by the store's own split, by run, or by picture, never by repeat."""

import hashlib

import numpy as np

from core.preprocessing.trials import Trials

from ..config.data_options import DataOptions
from ..config.options import TrainOptions
from ..protocols.fold import FoldOptions
from ..protocols.given_split import split_of


def fold_options(options: TrainOptions, n_folds: int = 5) -> FoldOptions:
    """Return what a training's options tell a protocol."""
    return FoldOptions(
        options.data.only_subject, options.data.test_run, options.data.val_share, n_folds, options.training.seed
    )


def split_trials(trials: Trials, options: TrainOptions) -> dict[str, np.ndarray]:
    """Return trial indices under `train`, `val` and `test` (any of the last two may be empty).

    The store's own split wins. Else `--test-run` holds a run out. Where no validation split is prescribed,
    `--val-share` of the training pictures is held out with all their repeats, drawn from the seed.

    Raises ValueError where the test run or the subject does not exist, or nothing is left to train on.
    """
    return split_of(trials, fold_options(options)).parts


def trials_in_training(trials: Trials, rows: np.ndarray, data: DataOptions) -> Trials:
    """Return the trials of one part as a closed form is fitted to them: a picture's repeats averaged as `--average`
    says.
    """
    chosen = trials.select(rows)
    return chosen.average_repeats() if data.average != "none" and len(rows) else chosen


def trials_at_use(trials: Trials, rows: np.ndarray, data: DataOptions) -> Trials:
    """Return the trials of one part as they are decoded: a picture's repeats averaged as `--test-average` says, by
    default where training averages them.
    """
    if data.test_average == "same":
        return trials_in_training(trials, rows, data)
    chosen = trials.select(rows)
    return chosen.average_repeats() if data.test_average == "all" and len(rows) else chosen


def split_hash(trials: Trials, parts: dict[str, np.ndarray]) -> str:
    """Return a short hash of who is in which part, for the encoder's card."""
    digest = hashlib.sha256()
    for name in ("train", "val", "test"):
        rows = parts[name]
        lines = zip(trials.run[rows].tolist(), trials.image_id[rows].tolist(), trials.onset[rows].tolist(), strict=True)
        digest.update(f"{name}:{sorted(lines)}".encode())
    return digest.hexdigest()[:16]
