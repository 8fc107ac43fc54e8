"""Retrieval for a new person from all of that person's unlabelled windows at once: transductive, a figure of its own.

Each answer depends on the other windows asked about and on the gallery, which an encoder at use does not have.
"""

import numpy as np

NEIGHBOURS = 10  # of the mean similarity that is taken off
PAIRS = 64  # pseudo-pairs at most
PULL = 0.1  # towards no rotation, as a share of the largest singular value


def recovered(query: np.ndarray, gallery: np.ndarray, pairs: int = PAIRS, pull: float = PULL) -> np.ndarray:
    """Return scores (n, m) of queries (n, d) among a gallery (m, d), larger is nearer, without a label.

    As SVTL's refinement (arXiv 2609.36971): each dimension's mean and spread are made the gallery's; mutual nearest
    neighbours are taken for pairs, the nearest `pairs` of them, weighted; an orthogonal map between these, pulled
    towards the identity, is applied to all queries; answers are by CSLS (Lample et al., ICLR 2018). One query alone has
    no spread and stays as it is.
    """
    query, gallery = (np.asarray(rows, dtype=np.float64) for rows in (query, gallery))
    if query.ndim != 2 or gallery.ndim != 2 or query.shape[1] != gallery.shape[1]:
        raise ValueError(f"queries {query.shape} and gallery {gallery.shape} must be (n, d) and (m, d)")
    moved, middle = query, gallery.mean(axis=0)
    if len(query) > 1:
        spread, wanted = query.std(axis=0), gallery.std(axis=0)
        moved = (query - query.mean(axis=0)) * wanted / np.where(spread > 0, spread, 1.0) + middle
    own, items = _unit(moved - middle), _unit(gallery - middle)
    found = csls(own, items)
    first, second, weight = _mutual(found, own @ items.T, pairs)
    if not len(first):
        return found
    cross = (own[first] * weight[:, None]).T @ items[second]
    left, values, right = np.linalg.svd(cross)
    largest = values[0]
    left, _, right = np.linalg.svd(cross + pull * largest * np.eye(len(cross)))
    return csls(own @ left @ right, items)


def csls(query: np.ndarray, gallery: np.ndarray, neighbours: int = NEIGHBOURS) -> np.ndarray:
    """Return twice the cosine less each side's mean cosine with its nearest neighbours, (n, m), of unit vectors."""
    alike = query @ gallery.T

    def hub(rows: np.ndarray) -> np.ndarray:
        k = min(neighbours, rows.shape[1])
        return np.partition(rows, rows.shape[1] - k, axis=1)[:, rows.shape[1] - k :].mean(axis=1)

    return 2 * alike - hub(alike)[:, None] - hub(alike.T)[None]


def one_to_one(n_queries: int, n_gallery: int) -> str:
    """Return a warning where as many are asked about as there are answers, so that mutual neighbours may exploit that
    each answer is right once; "" otherwise.
    """
    if n_queries != n_gallery:
        return ""
    return (
        f"{n_queries} queries and {n_gallery} gallery items: knowledge that each item is shown once may be exploited, "
        "which does not hold at use"
    )


def _mutual(found: np.ndarray, alike: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return queries, items and weights of pairs that are each other's nearest, the nearest of them first."""
    rows = np.arange(len(found))
    item = found.argmax(axis=1)
    mutual = rows[found.argmax(axis=0)[item] == rows]
    order = mutual[np.argsort(-found[mutual, item[mutual]], kind="stable")][:most]
    weight = np.clip(alike[order, item[order]], 0.0, None)
    kept = weight > 0
    return order[kept], item[order][kept], weight[kept]


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-300)
