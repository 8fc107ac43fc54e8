"""Thumbnails of pictures, and what of them is compared."""

import numpy as np

SIDE = 16


def thumbnail(picture: np.ndarray, side: int = SIDE) -> np.ndarray:
    """Return a picture, uint8 (H, W, 3) or (H, W), as float64 (side, side) grey values, each the mean of its area."""
    grey = np.asarray(picture, dtype=np.float64)
    grey = grey.mean(axis=2) if grey.ndim == 3 else grey
    for axis in (0, 1):
        n = grey.shape[axis]
        sums = np.concatenate([np.zeros_like(grey.take([0], axis)), grey.cumsum(axis)], axis)
        edges = np.linspace(0, n, side + 1)
        low = np.floor(edges).astype(int)
        high = np.minimum(low + 1, n)
        shape = [1, 1]
        shape[axis] = -1
        share = (edges - low).reshape(shape)
        at = sums.take(low, axis) * (1 - share) + sums.take(high, axis) * share
        grey = np.diff(at, axis=axis) / (n / side)
    return grey


def gradients(thumbnails: np.ndarray) -> np.ndarray:
    """Return unit vectors (n, d) of the differences between neighbouring values of thumbnails (n, side, side)."""
    parts = [np.diff(thumbnails, axis=axis).reshape(len(thumbnails), -1) for axis in (1, 2)]
    vectors = np.concatenate(parts, axis=1)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
