"""A cheap decoder for controls: linear discriminants of binned samples and log power, with a shrunken covariance.

It sees what a drift, an evoked response and a rhythm leave in a window, whatever the band, and is fitted in seconds.
"""

from dataclasses import dataclass

import numpy as np

from core.preprocessing.trials import Trials

MEANS, POWERS = 16, 4  # bins of time for the samples' means, and for the log power within
MOST = 2560  # features; with many channels there are fewer bins
TINY = 1e-18  # V², far below any amplifier's noise: keeps the logarithm of a flat channel finite
CLIP = 8.0  # standard deviations
READ = 256  # windows read at once


def features_of(windows: np.ndarray) -> np.ndarray:
    """Return features (n, n_features) float32 of windows (n, n_channels, n_times), in volts."""
    n, n_channels, n_times = windows.shape
    means = max(1, min(MEANS, n_times, MOST // n_channels - POWERS))
    parts = [part.mean(axis=2) for part in np.array_split(windows, means, axis=2)]
    for part in np.array_split(windows, min(POWERS, n_times), axis=2):
        parts.append(np.log(part.var(axis=2, dtype=np.float64) + TINY))
    return np.concatenate(parts, axis=1).reshape(n, -1).astype(np.float32)


def features_of_trials(trials: Trials) -> np.ndarray:
    """Return `features_of` for all trials, whose windows may lie on disk."""
    parts = [
        features_of(np.asarray(trials.eeg[start : min(start + READ, len(trials))]))
        for start in range(0, len(trials), READ)
    ]
    return np.concatenate(parts)


@dataclass(frozen=True)
class Scored:
    """Held-out scores (n_test, n_classes) of the classes numbered in `classes` (n_classes,)."""

    scores: np.ndarray
    classes: np.ndarray

    @property
    def labels(self) -> np.ndarray:
        """Return the best class's number for each test trial (n_test,)."""
        return self.classes[self.scores.argmax(axis=1)]


def decode(features: np.ndarray, label: np.ndarray, train: np.ndarray, test: np.ndarray) -> Scored:
    """Fit the training trials' classes and score the test trials by log posterior, all classes being equally likely.

    features: (n, d). label: int (n,). train, test: numbers of trials. Raises ValueError for fewer than two classes.
    """
    classes, own = np.unique(label[train], return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"the training trials have {len(classes)} class; a decoder needs at least two")
    middle, spread = features[train].mean(axis=0), features[train].std(axis=0)
    spread = np.where(spread > 0, spread, 1)

    def ready(rows: np.ndarray) -> np.ndarray:
        return np.clip((features[rows] - middle) / spread, -CLIP, CLIP).astype(np.float64)

    known = ready(train)
    means = np.stack([known[own == number].mean(axis=0) for number in range(len(classes))])
    weights = solve_shrunken(known - means[own], means.T)
    return Scored(ready(test) @ weights - 0.5 * np.sum(means * weights.T, axis=1), classes)


def solve_shrunken(centred: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return the covariance's inverse times `wanted` (d, k), for centred rows (n, d).

    The covariance is shrunk towards a multiple of the identity as far as scikit-learn's Ledoit-Wolf estimate says. Its
    own `LinearDiscriminantAnalysis` shrinks each class by itself, needs two trials of each, and solves in all features:
    30 times slower with 2,560 of them. With fewer rows than features only the rows' products are solved here.
    """
    from sklearn.covariance import ledoit_wolf_shrinkage

    n, d = centred.shape
    scale, share = np.sum(centred**2) / n / d, ledoit_wolf_shrinkage(centred, assume_centered=True)
    # features that never vary must not make it singular
    ridge = share * scale + 1e-6 * max(scale, TINY)
    if d <= n:
        return np.linalg.solve((1 - share) / n * centred.T @ centred + ridge * np.eye(d), wanted)
    if share == 1:
        return wanted / ridge
    inner = centred @ centred.T + n * ridge / (1 - share) * np.eye(n)
    return (wanted - centred.T @ np.linalg.solve(inner, centred @ wanted)) / ridge
