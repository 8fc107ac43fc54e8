"""What features know about classes: linear probe, nearest neighbours and k-means, fitted on one split, scored on
another.
"""

from typing import Any

import numpy as np

from core.model.checkpoint import EegEncoder
from core.model.prediction import tokens_of

NEIGHBOURS = 5


def features(encoder: EegEncoder, eeg: np.ndarray, batch: int = 256) -> np.ndarray:
    """Return the backbone's flattened features (n, n_tokens * width) of windows in volts (n, channels, times)."""
    return tokens_of(encoder, eeg, batch).flatten(1).numpy()


def linear_probe(train: np.ndarray, label: np.ndarray, others: np.ndarray, n_classes: int) -> np.ndarray:
    """Fit a multinomial logistic regression to standardised features and return log probabilities (n, n_classes).

    train: features (n_train, width), label: (n_train,), others: features (n, width). Classes without a training
    trial get minus infinity. Raises ValueError where there is one class only.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if len(np.unique(label)) < 2:
        raise ValueError("a probe needs at least two classes among its training trials")
    fitted = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000, tol=1e-3)).fit(train, label)
    found = np.full((len(others), n_classes), -np.inf)
    found[:, fitted.classes_] = fitted.predict_log_proba(others)
    return found


def neighbour_accuracy(
    train: np.ndarray, label: np.ndarray, others: np.ndarray, truth: np.ndarray, k: int = NEIGHBOURS
) -> float:
    """Return how often the k nearest training features (cosine distance) vote for the true class."""
    from sklearn.neighbors import KNeighborsClassifier

    nearest = KNeighborsClassifier(min(k, len(train)), metric="cosine", weights="distance").fit(unit(train), label)
    return float((nearest.predict(unit(others)) == truth).mean())


def cluster_accuracy(
    train: np.ndarray, label: np.ndarray, others: np.ndarray, truth: np.ndarray, seed: int = 0
) -> float:
    """Return how often k-means puts a feature into a cluster of its class.

    As many clusters as training classes are found in the training features without their labels; a cluster's class is
    that of most of its training trials. Naming clusters on the scored trials themselves would flatter a small split.
    """
    from sklearn.cluster import KMeans

    n_clusters = len(np.unique(label))
    n_init: Any = 3  # by its default "auto" it is taken for text
    found = KMeans(n_clusters, n_init=n_init, random_state=seed).fit(unit(train))
    names = np.array([np.bincount(label[found.labels_ == cluster]).argmax() for cluster in range(n_clusters)])
    return float((names[found.predict(unit(others))] == truth).mean())


def unit(values: np.ndarray) -> np.ndarray:
    """Return rows (n, width) scaled to length one."""
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)


def probe_scores(
    train: np.ndarray, label: np.ndarray, others: np.ndarray, truth: np.ndarray, n_classes: int, seed: int = 0
) -> dict[str, float]:
    """Return `probe` (linear), `knn` and `kmeans` accuracies and `probe_loss`, the linear probe's cross-entropy.

    Classes that training does not hold cannot be named: rows of `others` with such a class are left out, and the dict
    is empty where none is left or training holds one class only.
    """
    known = np.isin(truth, label)
    if not known.any() or len(np.unique(label)) < 2:
        return {}
    others, truth = others[known], truth[known]
    log_probability = linear_probe(train, label, others, n_classes)
    return {
        "probe": float((log_probability.argmax(1) == truth).mean()),
        "probe_loss": float(-log_probability[np.arange(len(truth)), truth].mean()),
        "knn": neighbour_accuracy(train, label, others, truth),
        "kmeans": cluster_accuracy(train, label, others, truth, seed),
    }
