"""Which trials train, validate and test: by the store's own split, by run, or by picture, never by repeat."""

import hashlib

import numpy as np

from core.preprocessing.trials import Trials

from ..config.data_options import DataOptions
from ..config.options import TrainOptions


def split_trials(trials: Trials, options: TrainOptions) -> dict[str, np.ndarray]:
    """Return trial indices under `train`, `val` and `test` (any of the last two may be empty).

    The store's own split wins. Else `--test-run` holds a run out. Where no validation split is prescribed,
    `--val-share` of the training pictures is held out with all their repeats, drawn from the seed.

    Raises ValueError where the test run or the subject does not exist, or nothing is left to train on.
    """
    data, chosen = options.data, np.arange(len(trials))
    if data.only_subject:
        chosen = chosen[trials.subject == data.only_subject]
        if not len(chosen):
            raise ValueError(
                f"no trials of subject {data.only_subject!r}; the store has {sorted(set(trials.subject.tolist()))}"
            )
    prescribed = trials.split[chosen]
    if (prescribed != "").any():
        parts = {name: chosen[prescribed == name] for name in ("train", "val", "test")}
    else:
        is_test = np.zeros(len(chosen), dtype=bool)
        if data.test_run:
            is_test = trials.run[chosen] == data.test_run
            if not is_test.any():
                raise ValueError(
                    f"no trials of run {data.test_run!r}; the store has {sorted(set(trials.run.tolist()))}"
                )
        parts = {"train": chosen[~is_test], "val": chosen[:0], "test": chosen[is_test]}
    if not len(parts["val"]) and data.val_share:
        parts["train"], parts["val"] = _hold_out(trials, parts["train"], data.val_share, options.training.seed)
    if not len(parts["train"]):
        raise ValueError("no trials are left to train on; check --test-run, --only-subject and the store's split")
    return parts


def _hold_out(trials: Trials, train: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    pictures = trials.image_id[train]
    rng = np.random.default_rng([seed, 11])
    distinct = np.unique(pictures)
    if len(distinct) <= 2 * len(trials.labels):
        # Few pictures shown often (or pictures unknown): hold out trials, since no picture can be spared.
        is_val = rng.random(len(train)) < share
    else:
        n_val = max(1, round(share * len(distinct)))
        is_val = np.isin(pictures, rng.permutation(distinct)[:n_val])
    return train[~is_val], train[is_val]


def trials_at_use(trials: Trials, rows: np.ndarray, data: DataOptions) -> Trials:
    """Return the trials of one part as they are decoded: a picture's repeats averaged, where training averages them."""
    chosen = trials.select(rows)
    return chosen.average_repeats() if data.average != "none" and len(rows) else chosen


def split_hash(trials: Trials, parts: dict[str, np.ndarray]) -> str:
    """Return a short hash of who is in which part, for the encoder's card."""
    digest = hashlib.sha256()
    for name in ("train", "val", "test"):
        rows = parts[name]
        lines = zip(trials.run[rows].tolist(), trials.image_id[rows].tolist(), trials.onset[rows].tolist(), strict=True)
        digest.update(f"{name}:{sorted(lines)}".encode())
    return digest.hexdigest()[:16]
