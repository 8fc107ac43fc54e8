"""What img2img starts from: the picture of a `saliency` head, or the latent of an `sd1.latent` head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .checkpoint import EegEncoder
from .conditioning import condition
from .selection import Selection, encoder_input

if TYPE_CHECKING:
    from PIL.Image import Image

INITS = {"saliency": "saliency", "latent": "sd1.latent"}  # what a user says, and the target space that gives it


def check_init(encoder: EegEncoder, init: str) -> str:
    """Return the target space that gives an init image of this kind; ValueError where the encoder has no such head."""
    if init not in INITS:
        raise ValueError(f"no init image called {init!r}; known: {', '.join(INITS)}")
    if INITS[init] not in encoder.spaces:
        raise ValueError(
            f"an init image from the {init} needs an encoder with a {INITS[init]!r} head; this one has "
            f"{', '.join(encoder.spaces)}"
        )
    return INITS[init]


def init_picture(encoder: EegEncoder, selection: Selection, init: str) -> Image | Tensor:
    """Return the init image that the selected windows, taken as one, stand for.

    init: "saliency" gives a PIL image, "latent" a tensor (4, height, width), scaled as SD 1.x's sampler has it. Raises
    ValueError where the encoder has no such head.
    """
    found = condition(encoder, encoder_input(selection, encoder), space=check_init(encoder, init)).picture
    assert found is not None
    mean = found.float().mean(dim=0).cpu()
    return mean if init == "latent" else as_image(mean)


def as_image(picture: Tensor) -> Any:
    """Return a picture (3, height, width) in [0, 1] as a PIL image."""
    from PIL import Image

    pixels = (picture.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0)
    return Image.fromarray(pixels.contiguous().cpu().numpy())
