"""Scores of drawn pictures through a classifier or a feature extractor: N-way accuracy, inception score, FID, CLIP
similarity.

None of them looks at pixels. All of them depend on the network that looks, so a figure is only comparable with figures
made with the same one (`picture_classifiers.py`), at the same number of pictures.
"""

from collections.abc import Callable

import numpy as np

from core.scoring.scores import truth_ranks

N_WAY = 50
N_TRIALS = 1000
BOOTSTRAPS = 500


def n_way_shares(
    probabilities: np.ndarray,
    truth: np.ndarray,
    n_way: int = N_WAY,
    k: int = 1,
    n_trials: int = N_TRIALS,
    seed: int = 0,
) -> np.ndarray:
    """Return for each drawn picture the share (n,) of trials in which its true class is among the k best of n_way.

    probabilities: (n, n_classes) of the drawn pictures. truth: (n,), the classifier's own best class of the seen
    pictures. In each trial the true class meets n_way - 1 others drawn at random, as in MinD-Vis (Chen et al., CVPR
    2023). A tie counts against the picture. How many of the drawn classes are better is hypergeometric, so that is
    what is drawn.

    Raises ValueError where there are not so many classes.
    """
    probabilities, truth = np.asarray(probabilities), np.asarray(truth)
    n_classes = probabilities.shape[-1]
    if not 2 <= n_way <= n_classes:
        raise ValueError(f"n_way must lie between 2 and the classifier's {n_classes} classes; got {n_way}")
    if not 1 <= k < n_way:
        raise ValueError(f"k must lie between 1 and n_way - 1 = {n_way - 1}; got {k}")
    if n_trials < 1:
        raise ValueError(f"n_trials must be at least 1; got {n_trials}")
    better = truth_ranks(probabilities, truth)
    rng = np.random.default_rng(seed)
    met = rng.hypergeometric(better[:, None], (n_classes - 1 - better)[:, None], n_way - 1, (len(truth), n_trials))
    return (met < k).mean(axis=1)


def inception_score(probabilities: np.ndarray, splits: int = 1) -> float:
    """Return exp(mean KL(p(y | picture) || p(y))) of class probabilities (n, n_classes) (Salimans et al. 2016).

    Between 1 (every picture looks alike to the classifier, or nothing at all) and the number of classes. splits: the
    mean over so many parts in order, as is often reported; few pictures a part give less.
    """
    found = np.asarray(probabilities, dtype=np.float64)
    if found.ndim != 2 or not 1 <= splits <= len(found):
        raise ValueError(f"{found.shape} class probabilities cannot be scored in {splits} parts")
    scores = []
    for part in np.array_split(found, splits):
        marginal = np.broadcast_to(part.mean(axis=0), part.shape)
        seen = part > 0
        divergence = np.zeros_like(part)
        divergence[seen] = part[seen] * (np.log(part[seen]) - np.log(marginal[seen]))
        scores.append(np.exp(divergence.sum(axis=1).mean()))
    return float(np.mean(scores))


def frechet_distance(features: np.ndarray, others: np.ndarray) -> float:
    """Return the Fréchet distance of two sets of features (n, width), (m, width), each taken as a Gaussian: FID
    (Heusel et al. 2017).

    0 for equal sets, larger for less alike ones; with fewer pictures than features the covariances are singular and the
    figure is far too high to compare with published ones. Raises ValueError for fewer than two pictures in a set.
    """
    a, b = (np.asarray(x, dtype=np.float64) for x in (features, others))
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2:
        raise ValueError(f"FID needs two sets (n, width) of at least two pictures each, not {a.shape} and {b.shape}")
    # With centred rows x / sqrt(n - 1) the covariances are xᵀx and yᵀy, and the trace of (xᵀx yᵀy)^1/2 is the sum of
    # the singular values of x yᵀ, which is as wide as there are pictures or, after QR, as there are features.
    x, y = (_factor(rows) for rows in (a, b))
    shared = np.linalg.svd(x @ y.T, compute_uv=False).sum()
    apart = np.square(a.mean(axis=0) - b.mean(axis=0)).sum()
    return float(max(apart + np.square(x).sum() + np.square(y).sum() - 2 * shared, 0.0))


def _factor(rows: np.ndarray) -> np.ndarray:
    """Return the smaller of two x with xᵀx = the covariance of rows (n, width): the centred rows, or their triangle."""
    centred = (rows - rows.mean(axis=0)) / np.sqrt(len(rows) - 1)
    return np.asarray(np.linalg.qr(centred, mode="r")) if len(rows) > rows.shape[1] else centred


def cosine_similarity(embeddings: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the cosine of each pair of rows (n, width), (n, width) → (n,): CLIP similarity where they are CLIP's."""
    a, b = (np.asarray(x, dtype=np.float64) for x in (embeddings, others))
    if a.shape != b.shape or a.ndim != 2:
        raise ValueError(f"similarity needs one embedding a picture on both sides, not {a.shape} and {b.shape}")
    norm = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.divide((a * b).sum(axis=1), norm, out=np.zeros(len(a)), where=norm > 0)


def set_interval(
    statistic: Callable[..., float], *columns: np.ndarray, n_draws: int = BOOTSTRAPS, seed: int = 0
) -> tuple[float, float]:
    """Return the bootstrap interval, 95 %, of a statistic of whole sets, such as IS or FID, over pictures.

    columns: arrays with one row a picture, resampled together. Resampling repeats pictures, which lowers IS and raises
    FID whatever the data; so the draws' spread around their own mean is laid around the value.
    """
    rng, n = np.random.default_rng(seed), len(columns[0])
    found = []
    for _ in range(n_draws):
        drawn = rng.integers(n, size=n)
        found.append(statistic(*(column[drawn] for column in columns)))
    low, high = np.quantile(found, [0.025, 0.975]) - np.mean(found) + statistic(*columns)
    return float(low), float(high)
