"""Decoding what is shown from EEG before it is shown: the control that must stay at chance."""

from dataclasses import dataclass

import numpy as np

from core.scoring.scores import p_of, roc_auc

N_BINS = 8
SHRINKAGE = 0.1
MAX_FOLDS = 10
FOLDS_OF_ONE_RUN = 5


@dataclass(frozen=True)
class Decoded:
    """A cross-validated score: `kind` is "ROC-AUC" (two classes) or "accuracy", `shuffled` for permuted labels."""

    kind: str
    value: float
    shuffled: float
    p_value: float


def decode_prestimulus(
    windows: np.ndarray, label: np.ndarray, groups: np.ndarray, n_permutations: int = 200, seed: int = 0
) -> Decoded:
    """Return how well held-out labels are told from windows (n, n_channels, n_times), in any unit.

    label: int (n,). groups: (n,), runs: whole runs are held out (with one run, fifths of its trials in order), and
    labels are permuted inside runs. The decoder is a shrunken linear regression on channels averaged in eight bins of
    time, fitted anew for every permutation.

    Raises ValueError where windows, labels and groups differ in number or there is one class.
    """
    windows, groups = np.asarray(windows), np.asarray(groups)
    if windows.ndim != 3 or not len(windows) == len(label) == len(groups):
        raise ValueError(f"windows {windows.shape} must be (n, n_channels, n_times) with n labels and groups")
    classes, label = np.unique(label, return_inverse=True)
    if len(classes) < 2:
        raise ValueError("decoding needs at least two classes; got one")
    run = np.unique(groups, return_inverse=True)[1]
    fold = run % MAX_FOLDS if run.max() else np.arange(len(run)) * FOLDS_OF_ONE_RUN // len(run)
    readouts = _readouts(_features(windows, run), fold)

    def statistic(label: np.ndarray) -> float:
        scores = np.zeros((len(label), len(classes)))
        for held, train, weights in readouts:
            scores[held] = weights @ np.eye(len(classes))[label[train]]
        return roc_auc(scores[:, 1], label) if len(classes) == 2 else float((scores.argmax(axis=1) == label).mean())

    rng, observed, permuted = np.random.default_rng(seed), statistic(label), np.empty(n_permutations)
    for i in range(n_permutations):
        shuffled = label.copy()
        for r in range(run.max() + 1):
            place = np.flatnonzero(run == r)
            shuffled[place] = label[rng.permutation(place)]
        permuted[i] = statistic(shuffled)
    kind = "ROC-AUC" if len(classes) == 2 else "accuracy"
    return Decoded(kind, observed, float(permuted.mean()), p_of(observed, permuted))


def _features(windows: np.ndarray, run: np.ndarray) -> np.ndarray:
    n_times = windows.shape[2]
    bins = np.array_split(np.arange(n_times), min(N_BINS, n_times))
    features = np.concatenate([windows[:, :, b].mean(axis=2, dtype=np.float64) for b in bins], axis=1)
    for r in range(run.max() + 1):
        # slow offsets of a run are no answer to a picture
        features[run == r] -= features[run == r].mean(axis=0)
    spread = features.std(axis=0)
    return features / np.where(spread > 0, spread, 1.0)


def _readouts(features: np.ndarray, fold: np.ndarray) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    # For each fold: held-out rows, training rows, and the matrix from training targets to held-out scores. Labels do
    # not enter it, so a permutation is refitted at the cost of one product.
    from sklearn.linear_model import Ridge

    readouts = []
    for number in np.unique(fold):
        held, train = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        center = features[train].mean(axis=0)
        fitted = Ridge(SHRINKAGE * len(train), fit_intercept=False)
        fitted.fit(features[train] - center, np.eye(len(train)))
        readouts.append((held, train, fitted.predict(features[held] - center)))
    return readouts
