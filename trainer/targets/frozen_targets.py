"""Targets: captions and pictures through frozen text, image and latent models, each computed once and kept beside the
store.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from core.model.spaces import find_space, shape_in

from ..config.image_options import ImageOptions
from .features.computing import kept_rows
from .features.model_files import available_device, model_fingerprint
from .features.pictures import Picture, pictures_of
from .features.stored_rows import StoredRows
from .image_encoders.chosen import chosen_card
from .image_encoders.features_of import features_of
from .latents import common_size, load_latents
from .saliency_targets import load_saliency
from .text_states import Caption, load_text_encoder


def load_targets(
    space: str,
    clip: str,
    keys: list[str],
    *,
    cache: Path,
    images: Path | None = None,
    vae: str = "",
    size: int = 0,
    saliency: str = "picture",
    device: str = "",
    config: str = "",
    image: ImageOptions | None = None,
) -> tuple[Tensor, tuple[int, ...]]:
    """Return targets (n, n_values) float32 for captions (text spaces) or image ids (image, latent and saliency
    spaces), and their shape.

    clip: folder, checkpoint or hub id of the model; of the image spaces of Stable Diffusion it stands in the place of
    their cards' own. cache: folder where they are kept, a row for each distinct caption or picture, whoever asked for
    it. images: folder of pictures named by image id, or of folders of pictures; an id that stands for several gets
    the mean of their targets. vae: autoencoder of latents, by default that of `clip`. size: pixels a side to which
    pictures are stretched for latents (0 keeps them) and saliency targets. saliency: which, see `saliency_target`.
    device: by default cuda or mps where there is one. config: of a checkpoint's family, a diffusers folder. image:
    what is asked of image spaces' cards. Raises FileNotFoundError saying how to get the weights, ValueError where the
    model does not fit the space, and OSError where the disk is full.
    """
    kind = find_space(space).kind
    if kind not in ("text", "image", "latent", "picture"):
        raise ValueError(
            f"the space {space!r} has no targets to compute; "
            "trainable here are text, image, latent and saliency spaces, and prompts"
        )
    where = vae or clip if kind == "latent" else clip
    if not where and kind in ("text", "latent"):
        raise ValueError(
            f"targets in {space!r} need --clip: a folder, a .safetensors checkpoint or a hub id of the model, "
            "for example --clip openai/clip-vit-large-patch14 "
            "or a Stable Diffusion folder in diffusers' format. A `prompts` head (--space prompts) needs none"
        )
    if kind == "text":
        rows, index = _text_rows(space, where, keys, cache, device, config)
        return _gathered(rows, index).flatten(1), shape_in(find_space(space), None)
    card = chosen_card(space, clip, image) if kind == "image" else None
    shown = pictures_of(images, keys)
    pictures = [picture for several in shown for picture in several]
    if card is not None:
        rows, index = features_of(card, pictures, cache=cache, device=device)
    elif kind == "latent":
        rows, index = _latent_rows(space, where, pictures, size, cache, device, config)
    else:
        rows, index = _saliency_rows(space, pictures, size, saliency, cache)
    shape = shape_in(find_space(space), tuple(rows.shape[1:]))
    return _means(rows, index, [len(several) for several in shown]).flatten(1), shape


def within_reach(values: Tensor, shape: tuple[int, ...], kind: str, empty: Tensor | None = None) -> Tensor:
    """Return text targets (n, n_values) as near to their own as a head of a one-vector kind can come in squared L2.

    shape: (tokens, width). kind: "broadcast" takes each caption's mean over tokens, repeated; "last-token" its last
    token's state, in which a causal text encoder has read the whole caption, after the first ones of `empty`, the empty
    prompt's states (n_values,).
    """
    tokens = values.unflatten(1, shape)
    if kind == "broadcast":
        return tokens.mean(1, keepdim=True).expand_as(tokens).flatten(1)
    assert empty is not None
    found = empty.reshape(1, *shape).repeat(len(values), 1, 1)
    found[:, -1] = tokens[:, -1]
    return found.flatten(1)


def _text_rows(
    space: str, clip: str, captions: Sequence[str], cache: Path, device: str, config: str
) -> tuple[StoredRows, np.ndarray]:
    items = [Caption(text) for text in captions]
    numbers = {"model": model_fingerprint(clip)}
    where = device or available_device()
    return kept_rows(cache, space, numbers, items, lambda: load_text_encoder(space, clip, where, config))


def _latent_rows(
    space: str, model: str, pictures: Sequence[Picture], size: int, cache: Path, device: str, config: str
) -> tuple[StoredRows, np.ndarray]:
    numbers = {"model": model_fingerprint(model), "size": size or common_size(pictures)}
    where = device or available_device()
    return kept_rows(cache, space, numbers, pictures, lambda: load_latents(model, size, where, config))


def _saliency_rows(
    space: str, pictures: Sequence[Picture], size: int, saliency: str, cache: Path
) -> tuple[StoredRows, np.ndarray]:
    return kept_rows(cache, space, {"target": saliency, "size": size}, pictures, lambda: load_saliency(size, saliency))


def _means(rows: StoredRows, index: np.ndarray, counts: Sequence[int]) -> Tensor:
    """Return the mean row (n, ...) of each run of `counts` pictures, read one id at a time where there are several."""
    if all(count == 1 for count in counts):
        return _gathered(rows, index)
    means = torch.empty(len(counts), *rows.shape[1:])
    for number, several in enumerate(np.split(index, np.cumsum(counts)[:-1])):
        means[number] = _gathered(rows, several).mean(0)
    return means


def _gathered(rows: StoredRows, index: np.ndarray) -> Tensor:
    return torch.from_numpy(rows[index]).float()
