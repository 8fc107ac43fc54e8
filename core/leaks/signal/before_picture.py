"""Decoding what is shown from EEG before it is shown: the control that must stay at chance."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...scoring.scores import roc_auc
from ..check import Check, not_checked, tested
from ..evidence.windows_before import bins_and_power
from ..leak_input import LeakInput
from ..permutation import permutation_p, shuffler

NAME = "before the picture"
SHRINKAGE, MAX_FOLDS, FOLDS_OF_ONE_RUN, MAX_RUNS = 0.1, 10, 5, 24
MAX_TRIALS, MIN_TRIALS, MAX_CLASSES, MAX_FEATURES = 1500, 20, 40, 256
GUARD_S = 0.1  # a low-pass that runs both ways carries an answer back by less


@dataclass(frozen=True)
class Decoded:
    """A cross-validated score: `kind` is "ROC-AUC" (two classes) or "accuracy", `shuffled` for permuted labels."""

    kind: str
    value: float
    shuffled: float
    p_value: float


def check_before_picture(given: LeakInput) -> Check:
    """Check that EEG from before the picture does not tell its class.

    Of recordings the half second before, filtered so that nothing after the onset reaches it; of windows alone only
    where no high-pass ran both ways, which would carry the answer back in time.
    """
    rows, features = given.evidence_rows("before")
    if len(rows):
        there = np.isfinite(features).all(axis=(1, 2))
        rows, features = rows[there], features[there]
    if not len(rows) and given.has_windows and given.l_freq is None and given.sfreq is not None:
        last = int((-given.tmin - GUARD_S) * given.sfreq)
        if last >= 2:
            rows = _spread(given.used)
            parts = np.array_split(rows, len(rows) // 256 + 1)
            features = np.concatenate([bins_and_power(np.asarray(given.trials.eeg[p])[:, :, :last]) for p in parts])
    if not len(rows):
        filtered = "windows that a zero-phase filter ran over hold an answer before its cause"
        return not_checked(NAME, f"no recording is at hand that begins early enough, and {filtered}")
    return _check(features, given.trials.label[rows], given.unit[rows], given.seed)


def check_prestimulus(windows: np.ndarray, label: np.ndarray, groups: np.ndarray, seed: int = 0) -> Check:
    """Check that EEG from before the picture, windows (n, n_channels, n_times) in volts, does not tell its class, label
    (n,).

    groups: (n,), runs; one is held out at a time, as in `decode_prestimulus`.
    """
    return _check(bins_and_power(np.asarray(windows)), label, groups, seed)


def _check(windows: np.ndarray, label: np.ndarray, groups: np.ndarray, seed: int) -> Check:
    """Check features (n, n_channels, 9) as `bins_and_power` gives them."""
    if len(label) > MAX_TRIALS:
        kept = _spread(np.arange(len(label)))
        windows, label, groups = windows[kept], label[kept], groups[kept]
    if len(np.unique(label)) < 2 or len(label) < MIN_TRIALS:
        return not_checked(NAME, "there are too few trials or classes to decode the time before the picture")
    if len(np.unique(label)) > MAX_CLASSES:
        usual = np.argsort(-np.bincount(label))[:MAX_CLASSES]
        kept = np.isin(label, usual)
        windows, label, groups = windows[kept], label[kept], groups[kept]
        if len(label) < MIN_TRIALS:
            return not_checked(NAME, "each class has too few trials to decode the time before the picture")
    found = decode_prestimulus(windows, label, groups, seed)
    figures = f"{found.kind} {found.value:.3f}, {found.shuffled:.3f} if shuffled, p = {found.p_value:.2g}"
    return tested(
        NAME,
        found.p_value,
        found.value,
        f"The class can be read before the picture is shown ({figures}): the score is not all vision.",
        f"Before the picture is shown its class cannot be read ({figures}).",
    )


def decode_prestimulus(windows: np.ndarray, label: np.ndarray, groups: np.ndarray, seed: int = 0) -> Decoded:
    """Return how well held-out labels are told from features of windows (n, n_channels, n_features), in any unit.

    label: int (n,). groups: (n,), runs: whole runs are held out (with one run, fifths of its trials in order), and
    labels are permuted inside runs; each run is also decoded by itself, and the best of all counts. The
    decoder is a shrunken linear regression, fitted anew for every permutation.

    Raises ValueError where windows, labels and groups differ in number or there is one class.
    """
    windows, groups = np.asarray(windows), np.asarray(groups)
    if windows.ndim != 3 or not len(windows) == len(label) == len(groups):
        raise ValueError(f"windows {windows.shape} must be (n, n_channels, n_times) with n labels and groups")
    classes, label = np.unique(label, return_inverse=True)
    label = label.reshape(-1)
    if len(classes) < 2:
        raise ValueError("decoding needs at least two classes; got one")
    run = np.unique(groups, return_inverse=True)[1].reshape(-1)
    features, n_runs = _features(windows, run), int(run.max()) + 1
    whole = np.arange(len(run))
    scorers = [_scorer(features, run % MAX_FOLDS if n_runs > 1 else _fifths(len(run)), len(classes), whole)]
    # an answer in one run alone is no answer to a decoder of the others
    large = [own for number in range(n_runs) if len(own := np.flatnonzero(run == number)) >= MIN_TRIALS]
    if n_runs > 1:
        scorers += [_scorer(features, _fifths(len(own)), len(classes), own) for own in large[:MAX_RUNS]]
    p, excess = permutation_p(lambda given: np.array([score(given) for score in scorers]), label, run, seed)
    shuffled = shuffler(run, np.random.default_rng([seed, 5]))(label)
    statistic = scorers[int(excess.argmax())]
    kind = "ROC-AUC" if len(classes) == 2 else "accuracy"
    return Decoded(kind, statistic(label), statistic(shuffled), p)


def _fifths(n: int) -> np.ndarray:
    return np.arange(n) * FOLDS_OF_ONE_RUN // n


def _scorer(features: np.ndarray, fold: np.ndarray, n_classes: int, rows: np.ndarray) -> Callable[[np.ndarray], float]:
    """Return the function from labels (n,) to the cross-validated score of the chosen rows, whose folds `fold` has.

    Labels do not enter the fit's matrix, so that a permutation is refitted at the cost of a product.
    """
    readouts = []
    features = features[rows]
    for number in np.unique(fold):
        held, train = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        center = features[train].mean(axis=0)
        x = features[train] - center
        gram = x.T @ x + SHRINKAGE * len(train) * np.eye(x.shape[1])
        readouts.append((held, train, np.linalg.solve(gram, (features[held] - center).T).T, x))

    def score(label: np.ndarray) -> float:
        label = label[rows]
        if n_classes == 2 and not 0 < label.sum() < len(label):
            return 0.5
        scores = np.zeros((len(label), n_classes))
        for held, train, weights, x in readouts:
            wanted = np.eye(n_classes)[label[train]]
            # the shares of the training part would tell which fold it is, and held-out labels miss there
            scores[held] = weights @ (x.T @ (wanted - wanted.mean(axis=0)))
        if n_classes == 2:
            return roc_auc(scores[:, 1], label)
        return float((scores.argmax(axis=1) == label).mean())

    return score


def _features(windows: np.ndarray, run: np.ndarray) -> np.ndarray:
    """Return features (n, d) in few bins, less each run's mean: slow offsets of a run are no answer to a picture."""
    n_channels, n_features = windows.shape[1:]
    kept = max(2, min(n_features, MAX_FEATURES // n_channels))
    bins = [*np.array_split(np.arange(n_features - 1), min(kept - 1, n_features - 1)), np.array([n_features - 1])]
    features = np.concatenate([windows[:, :, b].mean(axis=2, dtype=np.float64) for b in bins], axis=1)
    for number in range(int(run.max()) + 1):
        features[run == number] -= features[run == number].mean(axis=0)
    size = np.median(np.abs(features), axis=0) * 1.4826
    spread = np.where(size > 0, size, features.std(axis=0))
    return np.clip(features / np.where(spread > 0, spread, 1.0), -5, 5)


def _spread(rows: np.ndarray) -> np.ndarray:
    if len(rows) <= MAX_TRIALS:
        return rows
    return rows[np.linspace(0, len(rows) - 1, MAX_TRIALS).astype(int)]
