"""What lies before and behind every image encoder: cutting and scaling of pictures, pooling of tokens."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .card import ImageEncoder


def prepare_for(card: ImageEncoder, size: int) -> Callable[[np.ndarray], Tensor]:
    """Return what makes of a picture, uint8 (H, W, 3), the pixels (3, size, size) that the card's model sees."""
    from PIL import Image

    shortest = round(size / card.crop_share)
    processor = clip_processor()(
        size={"shortest_edge": shortest} if card.resize == "crop" else {"height": size, "width": size},
        crop_size={"height": size, "width": size},
        resample=Image.Resampling[card.interpolation.upper()],
        image_mean=list(card.mean),
        image_std=list(card.std),
    )

    def prepare(picture: np.ndarray) -> Tensor:
        return processor(picture, return_tensors="pt").pixel_values[0]

    return prepare


def clip_processor() -> Any:
    """Return transformers' class that prepares pictures for CLIP with Pillow, which was renamed in version 5."""
    import transformers

    return getattr(transformers, "CLIPImageProcessorPil", None) or transformers.CLIPImageProcessor


def pooled(card: ImageEncoder, blocks: Sequence[Tensor], n_before: int, norm: Callable[[Tensor], Tensor]) -> Tensor:
    """Return rows (n, width), or (n, n_layers, width) for several layers, from each block's tokens (n, tokens, width).

    blocks: every block's output, the first block first. n_before: tokens in front of the patches, CLS the first of
    them. norm: the model's last normalisation. Raises ValueError for a layer that the model lacks.
    """
    layers = card.layers or (len(blocks),)
    if max(layers) > len(blocks):
        raise ValueError(f"image encoder {card.name}: layer {max(layers)} of a model of {len(blocks)} blocks")
    found: list[Tensor] = []
    for layer in layers:
        tokens = norm(blocks[layer - 1]) if card.final_norm else blocks[layer - 1]
        if card.pooling == "cls":
            found.append(tokens[:, 0])
        else:
            found.append(tokens[:, n_before if card.pooling == "patch-mean" else 0 :].mean(1))
    return found[0] if len(found) == 1 else torch.stack(found, dim=1)
