"""Which trials train, validate and test: by the store's own split, by run, or by picture, never by repeat."""

import hashlib
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from core.preprocessing.trials import Trials

from ..config.data_options import DataOptions
from ..config.flags import with_flags
from ..config.options import TrainOptions
from ..protocols.fold import FoldOptions, trials_of
from ..protocols.given_split import split_of
from ..protocols.held_out_test import AUTO, choose_test
from ..targets.target import Target

AT_ONCE = 512  # windows read together

SOUGHT = 100  # trials whose EEG is looked for in another split
AT_ONCE = 256
APART = "prepare the store again with splits that share no trial"


def fold_options(options: TrainOptions, n_folds: int = 5, keep_split: bool = False) -> FoldOptions:
    """Return what a training's options tell a protocol."""
    data = options.data
    return FoldOptions(
        data.only_subject,
        data.test_run,
        data.val_share,
        n_folds,
        options.training.seed,
        data.test_subject,
        data.test,
        keep_split,
        data.val_by,
        data.train_share,
    )


def without_test(
    trials: Trials, parts: Mapping[str, np.ndarray], targets: Mapping[str, Target]
) -> tuple[Trials, dict[str, np.ndarray], dict[str, Target]]:
    """Return a view that holds what trains and validates, and nothing else: no test window, label or target can be read
    through it. Windows that lie on disk stay there.
    """
    used = np.sort(np.concatenate([parts["train"], parts["val"]]))
    view = trials.unread(used)
    left = {name: np.searchsorted(used, parts[name]) for name in ("train", "val")}
    return view, {**left, "test": used[:0]}, {space: target.of(view) for space, target in targets.items()}


def with_test(trials: Trials, options: TrainOptions) -> tuple[TrainOptions, str]:
    """Return options that say what is tested, and a sentence for people: what they say, else what suits the trials.

    "" as the sentence where the store's own split or the options say it.
    """
    told = fold_options(options)
    chosen = trials_of(trials, told)
    if (trials.split[chosen] != "").any() or told.test_run or told.test_subject or told.test != AUTO:
        return options, ""
    way, sentence = choose_test(trials, chosen, told)
    return with_flags(options, test=way), f"{sentence}. Choose it with --test-run, --test-subject or --test"


def split_trials(trials: Trials, options: TrainOptions) -> dict[str, np.ndarray]:
    """Return trial indices under `train`, `val` and `test` (any of the last two may be empty).

    The store's own split wins. Else `--test-run`, `--test-subject` or `--test` say what is held out. Where no
    validation split is prescribed, `--val-share` of the training pictures is held out with all their repeats, drawn
    from the seed.

    Raises ValueError where the run or the subject does not exist, or nothing is left to train on.
    """
    return split_of(trials, fold_options(options)).parts


def check_held_out(trials: Trials, parts: dict[str, np.ndarray]) -> None:
    """Raise ValueError where a trial is in two splits, or the split that chooses the weights is the one that tests.

    The latter is told by the EEG itself, of 100 trials, so that the same recordings under other names are found.
    """
    for one, other in (("train", "val"), ("train", "test"), ("val", "test")):
        if again := len(np.intersect1d(parts[one], parts[other])):
            raise ValueError(f"{again} of {len(parts[one])} {one} trials are also in the {other} split; {APART}")
    chosen = parts["val"][:: max(1, len(parts["val"]) // SOUGHT)]
    sought = _contents(trials, chosen)
    for start in range(0, len(parts["test"]) if sought else 0, AT_ONCE):
        if again := len(sought & _contents(trials, parts["test"][start : start + AT_ONCE])):
            raise ValueError(
                f"the validation split, by which the weights are chosen, holds EEG of the test split ({again} of "
                f"{len(chosen)} trials looked for), so that a score on it says nothing; {APART}"
            )


def _contents(trials: Trials, rows: np.ndarray) -> set[bytes]:
    """Return what tells windows apart, flat ones left out."""
    windows = np.asarray(trials.eeg[rows]) if len(rows) else []
    return {hashlib.sha256(np.ascontiguousarray(window).tobytes()).digest() for window in windows if np.ptp(window)}


def without_artefacts(
    trials: Trials, parts: Mapping[str, np.ndarray], data: DataOptions
) -> tuple[dict[str, np.ndarray], str]:
    """Return the parts, those windows taken out of `train` that `--train-reject` does not allow, and a sentence on it.

    Raises ValueError where a label that trains would have no window left.
    """
    train = parts["train"]
    if not data.train_reject or not len(train):
        return dict(parts), ""
    peaks_uv = np.concatenate(
        [
            1e6 * np.ptp(np.asarray(trials.eeg[train[start : start + AT_ONCE]]), axis=2).max(axis=1)
            for start in range(0, len(train), AT_ONCE)
        ]
    )
    kept = train[peaks_uv <= data.train_reject]
    if gone := sorted(set(trials.label[train].tolist()) - set(trials.label[kept].tolist())):
        raise ValueError(
            f"--train-reject {data.train_reject:g} leaves no window of {trials.labels[gone[0]]!r} to train on (the "
            f"median is {np.median(peaks_uv):.0f} uV peak to peak); raise it"
        )
    said = (
        f"{len(train) - len(kept)} of {len(train)} windows are over {data.train_reject:g} uV peak to peak and do not "
        "train (--train-reject); none is taken from the test"
    )
    return {**parts, "train": kept}, said


def trials_in_training(trials: Trials, rows: np.ndarray, data: DataOptions) -> Trials:
    """Return the trials of one part as a closed form is fitted to them: a picture's repeats averaged as `--average`
    says.
    """
    if data.average != "none" and len(rows):
        return trials.unread(rows).average_repeats()
    return trials.select(rows)


def trials_at_use(trials: Trials, rows: np.ndarray, data: DataOptions) -> Trials:
    """Return the trials of one part as they are decoded: a picture's repeats averaged as `--test-average` says, by
    default where training averages them. With `--test-repeats` rows are means of exactly so many; a picture shown more
    often makes several, and one shown less often none.

    Raises ValueError where no picture was shown so often.
    """
    if data.test_repeats:
        means = trials.unread(rows).average_repeats(data.test_repeats)
        exact = means.repeats == data.test_repeats
        if len(means) and not exact.any():
            raise ValueError(
                f"--test-repeats {data.test_repeats}: no picture was shown to a person so often; the most is "
                f"{means.repeats.max()}"
            )
        return means.select(exact)
    if data.test_average == "same":
        return trials_in_training(trials, rows, data)
    if data.test_average == "all" and len(rows):
        return trials.unread(rows).average_repeats()
    return trials.select(rows)


def subjects_of(trials: Trials, train: np.ndarray) -> tuple[str, ...]:
    """Return the people that training trials (n,) are of, sorted: a backbone's person 0, 1 and so on."""
    return tuple(np.unique(trials.subject[train]).tolist())


def subject_numbers(
    trials: Trials, rows: np.ndarray, subjects: tuple[str, ...], device: torch.device | str = "cpu"
) -> Tensor | None:
    """Return who each of the chosen trials is of (n,), a number into `subjects`, -1 for one who is not known; None
    where no person is named, or none among them is known.
    """
    if not any(subjects):
        return None
    number = {name: place for place, name in enumerate(subjects)}
    found = [number.get(name, -1) for name in trials.subject[rows].tolist()]
    return None if max(found, default=-1) < 0 else torch.tensor(found, dtype=torch.int64, device=device)


def split_hash(trials: Trials, parts: dict[str, np.ndarray]) -> str:
    """Return a short hash of who is in which part, for the encoder's card."""
    digest = hashlib.sha256()
    for name in ("train", "val", "test"):
        rows = parts[name]
        lines = zip(trials.run[rows].tolist(), trials.image_id[rows].tolist(), trials.onset[rows].tolist(), strict=True)
        digest.update(f"{name}:{sorted(lines)}".encode())
    return digest.hexdigest()[:16]
