"""Whose judgements an encoder is aligned to: a table of people's, or those of the phantom's person."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np

from core.phantom.perception import geometry_vectors, judge_triplets, triplet_ceiling
from core.phantom.scenes import split_scenes

from .triplets import Triplets, agreement, read_triplets


class Judges(Protocol):
    """Who judged: see `align.AlignOptions`."""

    @property
    def triplets(self) -> Path | None:
        """Table of judgements, or None."""
        ...

    @property
    def names(self) -> Path | None:
        """Names for numbers in the table."""
        ...

    @property
    def geometry(self) -> str:
        """The phantom's person's geometry, where there is no table."""
        ...

    @property
    def n_triplets(self) -> int:
        """How many triplets the phantom's person judges."""
        ...

    @property
    def sharpness(self) -> float:
        """How surely."""
        ...

    @property
    def seed(self) -> int:
        """Of which are asked, and of the answers."""
        ...


def judgements_of(options: Judges) -> tuple[Triplets, Callable[[np.ndarray], float | None]]:
    """Return the judgements, and how well anybody could tell some of them: known for the phantom, else by agreement."""
    if options.triplets is not None:
        return read_triplets(options.triplets, options.names), agreement
    scenes = split_scenes()["train"]  # what is aligned knows no scene that is tested on
    vectors = geometry_vectors(options.geometry, scenes)
    judged = judge_triplets(vectors, options.n_triplets, options.seed, sharpness=options.sharpness)
    names = tuple(scene.id for scene in scenes)
    return Triplets(judged, names), lambda some: triplet_ceiling(vectors, some, options.sharpness)
