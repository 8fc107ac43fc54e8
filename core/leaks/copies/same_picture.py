"""The same picture under two names, told by a perceptual hash."""

import numpy as np

from ..check import Check, not_checked
from ..leak_input import LeakInput

NAME = "same picture under two names"
SIDE = 16
CLOSE = 0.98  # correlation of two thumbnails' gradients, mirrored too
MAX_PICTURES = 4000


def check_same_picture(given: LeakInput) -> Check:
    """Check that no two names in different parts of the split show one picture: scaled, recoloured, mirrored.

    Thumbnails of 16 x 16 grey values are compared by the correlation of their horizontal and vertical differences
    (after the difference hash, with the values themselves in place of their signs).
    """
    image_id = given.trials.image_id
    names = [name for name in np.unique(image_id[given.used]).tolist() if name in given.pictures]
    if len(names) < 2:
        return not_checked(NAME, "the pictures themselves are not at hand")
    part_of: dict[str, set[str]] = {}
    for part, rows in given.rows.items():
        for name in np.unique(image_id[rows]).tolist():
            part_of.setdefault(name, set()).add(part)
    names = names[:MAX_PICTURES]
    prints = np.stack([thumbnail(given.pictures[name]) for name in names])
    vectors = gradients(prints)
    alike = np.maximum(vectors @ vectors.T, vectors @ gradients(prints[:, :, ::-1]).T)
    np.fill_diagonal(alike, 0.0)
    first, second = np.nonzero(np.triu(alike > CLOSE))
    split = "test" in given.rows
    label = dict(zip(image_id.tolist(), given.trials.label.tolist(), strict=True))
    found = [
        (names[a], names[b])
        for a, b in zip(first.tolist(), second.tolist(), strict=True)
        if not split or part_of[names[a]] != part_of[names[b]] or label[names[a]] != label[names[b]]
    ]
    if found:
        told = ", ".join(f"{a} = {b}" for a, b in found[:3])
        where = "in two splits or classes" if split else "of the recordings"
        return Check(
            NAME, False, len(found) / len(names), f"{len(found)} pairs of pictures {where} are one picture ({told})."
        )
    return Check(NAME, True, 0.0, f"No two of {len(names)} pictures are one under two names.")


def thumbnail(picture: np.ndarray) -> np.ndarray:
    """Return a picture, uint8 (H, W, 3) or (H, W), as float64 (16, 16) grey values, each the mean of its area."""
    grey = np.asarray(picture, dtype=np.float64)
    grey = grey.mean(axis=2) if grey.ndim == 3 else grey
    for axis in (0, 1):
        n = grey.shape[axis]
        sums = np.concatenate([np.zeros_like(grey.take([0], axis)), grey.cumsum(axis)], axis)
        edges = np.linspace(0, n, SIDE + 1)
        low = np.floor(edges).astype(int)
        high = np.minimum(low + 1, n)
        shape = [1, 1]
        shape[axis] = -1
        share = (edges - low).reshape(shape)
        at = sums.take(low, axis) * (1 - share) + sums.take(high, axis) * share
        grey = np.diff(at, axis=axis) / (n / SIDE)
    return grey


def gradients(thumbnails: np.ndarray) -> np.ndarray:
    """Return unit vectors (n, d) of the differences between neighbouring values of thumbnails (n, 16, 16)."""
    parts = [np.diff(thumbnails, axis=axis).reshape(len(thumbnails), -1) for axis in (1, 2)]
    vectors = np.concatenate(parts, axis=1)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
