"""A card's features of pictures, computed once: the first of two stages, usable without any training."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..features.computing import kept_rows
from ..features.model_files import available_device, model_fingerprint
from ..features.pictures import Picture
from ..features.stored_rows import StoredRows
from .card import ImageEncoder
from .families import FAMILIES


def features_of(
    card: ImageEncoder, pictures: Sequence[Picture], *, cache: Path, device: str = ""
) -> tuple[StoredRows, np.ndarray]:
    """Return the card's rows, on disk, and each picture's row (n,): `rows[index]` are the pictures' features.

    pictures: see `pictures_of`. cache: folder where rows are kept, shared by every split and run that names it.
    device: by default cuda or mps where there is one. Only what no row is there for is computed, each distinct picture
    once. Raises what `kept_rows` and the card's family do.
    """
    return kept_rows(
        cache,
        card.name,
        {**card.numbers(), "model": model_fingerprint(card.source, card.revision)},
        pictures,
        lambda: FAMILIES[card.family].load(card, device or available_device()),
        check=card.check,
        stored=card.stored,
    )
