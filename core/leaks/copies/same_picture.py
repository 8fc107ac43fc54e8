"""The same picture under two names, told by a perceptual hash."""

import numpy as np

from ..check import Check, not_checked
from ..leak_input import LeakInput
from .displaced import displaced
from .thumbnails import gradients, thumbnail

NAME = "same picture under two names"
CLOSE = 0.98  # correlation of two thumbnails' gradients, mirrored too: such pictures cannot be told apart
MAX_PICTURES = 4000


def check_same_picture(given: LeakInput) -> Check:
    """Check that no two names in different parts of the split show one picture: scaled, recoloured, mirrored, turned,
    negative, cropped, framed or compressed.

    Thumbnails of 16 x 16 grey values are compared by the correlation of their horizontal and vertical differences
    (after the difference hash, with the values themselves in place of their signs). What is not in place is looked for
    by `displaced`.
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
    vectors = gradients(np.stack([thumbnail(given.pictures[name]) for name in names]))
    mirrored = gradients(np.stack([thumbnail(given.pictures[name][:, ::-1]) for name in names]))
    alike = np.maximum(vectors @ vectors.T, vectors @ mirrored.T)
    np.fill_diagonal(alike, 0.0)
    pairs = list(zip(*(rows.tolist() for rows in np.nonzero(np.triu(alike > CLOSE))), strict=True))
    pairs += [pair for pair in displaced([given.pictures[name] for name in names]) if pair not in pairs]
    split = "test" in given.rows
    label = dict(zip(image_id.tolist(), given.trials.label.tolist(), strict=True))
    found = [
        (names[a], names[b])
        for a, b in pairs
        if not split or part_of[names[a]] != part_of[names[b]] or label[names[a]] != label[names[b]]
    ]
    if found:
        told = ", ".join(f"{a} = {b}" for a, b in found[:3])
        where = "in two splits or classes" if split else "of the recordings"
        return Check(
            NAME, False, len(found) / len(names), f"{len(found)} pairs of pictures {where} are one picture ({told})."
        )
    return Check(NAME, True, 0.0, f"No two of {len(names)} pictures are one under two names.")
