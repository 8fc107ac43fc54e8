"""A card's features of pictures, computed once: the first of two stages, usable without any training."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from core.files import sha256_of

from ..features.computing import Model, kept_rows
from ..features.model_files import available_device, model_fingerprint
from ..features.pictures import Picture
from ..features.stored_rows import StoredRows
from .affine import base_of, read_transform
from .blur import with_blur
from .card import ImageEncoder
from .families import FAMILIES


def features_of(
    card: ImageEncoder, pictures: Sequence[Picture], *, cache: Path, device: str = ""
) -> tuple[StoredRows, np.ndarray]:
    """Return the card's rows, on disk, and each picture's row (n,): `rows[index]` are the pictures' features.

    pictures: see `pictures_of`. cache: folder where rows are kept, shared by every split and run that names it.
    device: by default cuda or mps where there is one. Only what no row is there for is computed, each distinct picture
    once; a transformed card's rows are made of its base's. Raises what `kept_rows` and the card's family do.
    """
    numbers = {**card.numbers(), "model": model_fingerprint(card.source, card.revision)}
    if card.adapter:
        numbers["adapter"] = sha256_of(Path(card.adapter))
    if card.transform:
        return _transformed(card, numbers, pictures, cache, device)
    return kept_rows(
        cache,
        card.name,
        numbers,
        pictures,
        lambda: with_blur(card, FAMILIES[card.family].load(card, device or available_device())),
        check=card.check,
        stored=card.stored,
    )


def _transformed(
    card: ImageEncoder, numbers: Mapping[str, object], pictures: Sequence[Picture], cache: Path, device: str
) -> tuple[StoredRows, np.ndarray]:
    affine = read_transform(Path(card.transform))
    rows, index = features_of(base_of(card), pictures, cache=cache, device=device)
    items = [_BaseRow(one.key, one.name, rows, int(row)) for one, row in zip(pictures, index, strict=True)]
    model = Model(torch.from_numpy, lambda several: affine(torch.stack(several)))
    with_map = {**numbers, "transform": sha256_of(Path(card.transform))}
    return kept_rows(cache, card.name, with_map, items, lambda: model, stored=card.stored)


@dataclass(frozen=True)
class _BaseRow:
    """A picture's row of the card that a transformed one is made from."""

    key: str
    name: str
    rows: StoredRows
    row: int

    def read(self) -> np.ndarray:
        return self.rows[self.row]
