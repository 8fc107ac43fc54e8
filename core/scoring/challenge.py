"""The scores of the NeurIPS 2026 EEG/EMG Foundation Challenge, image track: single epochs, and means a person and
picture.
"""

from dataclasses import dataclass

import numpy as np

from .identification import places, top_k_share, twins

NAME = "challenge-2026"
TOP = 5


@dataclass(frozen=True, eq=False)
class ChallengeScores:
    """How alike each query is to each item of the gallery (n, m), and which item is its own (n,).

    person, picture: (n,), of each query; n_averaged: (n,), how many epochs it is the mean of.
    """

    alike: np.ndarray
    truth: np.ndarray
    person: np.ndarray
    picture: np.ndarray
    n_averaged: np.ndarray

    @property
    def value(self) -> float:
        """Return the top-5 accuracy, a tie a share of a hit."""
        return float(top_k_share(*places(self.alike), TOP)[np.arange(len(self.truth)), self.truth].mean())


def challenge_scores(
    predicted: np.ndarray, target: np.ndarray, person: np.ndarray, picture: np.ndarray
) -> tuple[ChallengeScores, ChallengeScores]:
    """Return the scores of single epochs, and of the mean of the raw predictions for each person and picture.

    predicted, target: (n, d), an epoch a row. The gallery is every different target; likeness is the cosine, and ties
    count by their share. The board's figure of the warm-up is the first, of the sealed data the second.
    """
    predicted, target = (np.asarray(rows, dtype=np.float64) for rows in (predicted, target))
    if predicted.shape != target.shape or predicted.ndim != 2 or not len(predicted):
        raise ValueError(f"predictions {predicted.shape} and targets {target.shape} must both be (n, d) with n > 0")
    _, first = np.unique(target, axis=0, return_index=True)
    group = twins(target[first])
    kept = first[np.unique(group)]
    items = target[kept]
    truth = _nearest_row(target, items)
    single = _scored(predicted, truth, items, person, picture, np.ones(len(predicted), dtype=np.int64))
    keys = np.unique(np.stack([_numbers(person), _numbers(picture)], axis=1), axis=0, return_inverse=True)[1].ravel()
    counts = np.bincount(keys)
    sums = np.zeros((len(counts), predicted.shape[1]))
    np.add.at(sums, keys, predicted)
    head = np.unique(keys, return_index=True)[1]
    means = sums / counts[:, None]
    return single, _scored(means, truth[head], items, person[head], picture[head], counts)


def _scored(
    predicted: np.ndarray, truth: np.ndarray, items: np.ndarray, person: np.ndarray, picture: np.ndarray, n: np.ndarray
) -> ChallengeScores:
    alike = _unit(predicted) @ _unit(items).T
    return ChallengeScores(alike, truth, np.asarray(person), np.asarray(picture), n)


def _nearest_row(target: np.ndarray, items: np.ndarray) -> np.ndarray:
    apart = np.square(target).sum(1)[:, None] + np.square(items).sum(1)[None] - 2 * target @ items.T
    return apart.argmin(axis=1)


def _numbers(values: np.ndarray) -> np.ndarray:
    return np.unique(np.asarray(values), return_inverse=True)[1].reshape(-1)


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-300)
