"""Affine maps behind an image encoder, and the card files that carry them: human alignment as gLocal publishes it."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from torch import Tensor

from core.files import PACK, write_atomically

from ...config.options_file import from_json
from .card import ImageEncoder

CARD_KEY = "sd_eeg_image_encoder"
IN_PACK = "pack:"
NAMES = ("weights", "bias", "mean", "std")


@dataclass(frozen=True)
class Affine:
    """x → ((x − mean) / std) · weights + bias, as gLocal's transforms are applied (Muttenthaler et al., NeurIPS 2023).

    weights: (width, width after). bias: (width after,). mean, std: of the features it was fitted on, numbers or
    (width,). All float32.
    """

    weights: np.ndarray
    bias: np.ndarray
    mean: np.ndarray
    std: np.ndarray

    def __call__(self, rows: Tensor) -> Tensor:
        """Return the rows (..., width after) of rows (..., width); ValueError for rows of another width."""
        if rows.shape[-1] != len(self.weights):
            raise ValueError(
                f"this transform takes rows of {len(self.weights)} numbers, not {rows.shape[-1]}; "
                "it was made for another image encoder, or for other layers of this one"
            )
        weights, bias, mean, std = (torch.from_numpy(getattr(self, name)).to(rows.device) for name in NAMES)
        return (rows.float() - mean) / std @ weights + bias


def checked_affine(values: Mapping[str, Any], where: str) -> Affine:
    """Return the map in named arrays; without bias it is 0, mean 0, std 1. ValueError names what does not fit."""
    if "weights" not in values:
        raise ValueError(f"{where} holds no transform: `weights` is missing; it has {', '.join(values) or 'nothing'}")
    weights = np.asarray(values["weights"], np.float32)
    if weights.ndim != 2 or 0 in weights.shape:
        raise ValueError(f"{where}: weights of shape {weights.shape}; (width, width after) is needed")
    defaults = {"bias": np.zeros(weights.shape[1]), "mean": np.zeros(()), "std": np.ones(())}
    found = {name: np.asarray(values.get(name, default), np.float32) for name, default in defaults.items()}
    for name, allowed in (("bias", weights.shape[1]), ("mean", weights.shape[0]), ("std", weights.shape[0])):
        if found[name].shape not in ((), (allowed,)):
            raise ValueError(f"{where}: {name} of shape {found[name].shape} beside weights {weights.shape}")
    if not all(np.isfinite(array).all() for array in (weights, *found.values())) or (found["std"] <= 0).any():
        raise ValueError(f"{where}: a transform of finite numbers and a std above 0 is needed")
    return Affine(weights, **found)


def read_transform(path: Path) -> Affine:
    """Return the affine map in a card file or in a gLocal `transform.npz`; nothing in either is executed.

    Raises FileNotFoundError for no file and ValueError for one that holds none.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no transform at {path}; trainer/align.py writes one")
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                return checked_affine({name: archive[name] for name in archive.files}, str(path))
        with safe_open(path, "np") as file:
            return checked_affine({name: file.get_tensor(name) for name in file.keys()}, str(path))  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, EOFError) as error:
        raise ValueError(f"{path} holds no transform, or is cut off ({' '.join(str(error).split())[:120]})") from error


def write_card(path: Path, card: ImageEncoder, affine: Affine, about: Mapping[str, Any]) -> None:
    """Write a transformed image encoder as one file: its card, the map behind it, and how that was made (JSON-able)."""
    if path.suffix != ".safetensors":
        raise ValueError(f"a card file ends in .safetensors, not {path.name}")
    told = {**card_as_told(card), "transform": ""}
    metadata = {CARD_KEY: json.dumps({"card": told, "about": dict(about)}, allow_nan=False)}
    tensors = {name: np.array(getattr(affine, name), order="C") for name in NAMES}
    with write_atomically(path) as beside:
        save_file(tensors, beside, metadata=metadata)


def card_as_told(card: ImageEncoder) -> dict[str, Any]:
    """Return a card as files hold it: what comes with the pack is named within it, wherever the pack lies."""
    place = Path(card.source)
    inside = place.is_absolute() and place.is_relative_to(PACK)
    source = IN_PACK + place.relative_to(PACK).as_posix() if inside else card.source
    return {**asdict(card), "source": source}


def read_card(path: Path) -> tuple[ImageEncoder, dict[str, Any]]:
    """Return the image encoder in a card file, and how its map was made.

    Raises FileNotFoundError for no file and ValueError for one that is no card.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no card of an image encoder at {path}; trainer/align.py writes one")
    try:
        with safe_open(path, "np") as file:
            told = json.loads((file.metadata() or {})[CARD_KEY])
        kind = "adapter" if "lora" in told else "transform"
        card = replace(from_json(ImageEncoder, told["card"], "card"), **{kind: str(path)})
        if card.source.startswith(IN_PACK):
            card = replace(card, source=str(PACK / card.source.removeprefix(IN_PACK)))
        about: dict[str, Any] = dict(told["about"])
    except (SafetensorError, KeyError, TypeError, OSError, ValueError) as error:
        raise ValueError(f"{path} is no card of an image encoder ({' '.join(str(error).split())[:120]})") from error
    if card.transform:
        read_transform(path)
    return card, about


def base_of(card: ImageEncoder) -> ImageEncoder:
    """Return the card whose rows a transformed one maps."""
    return replace(card, name=card.base or card.name, transform="", base="")
