"""Blurred pictures in front of an image encoder: levels of a Gaussian, or sharper at the middle."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..features.computing import Model
from .card import ImageEncoder

# The kernels of the published blur mix (VisualEEGDecoding, AAAI 2026), pixels of 224; 1 leaves a picture as it is.
BLUR_MIX_KERNELS = (1, 3, 9, 15, 21, 27, 33, 39, 45, 51, 57, 63)
# What the Uncertainty-aware Blur Prior computes: less, usual and more blur. Its text has 45, 51, 57; its code changes
# the kernel in place while it makes the sets, and ends up with these.
UBP_KERNELS = (45, 45, 51)


def blurred(picture: Tensor, kernel: int, kind: str) -> Tensor:
    """Return a picture (3, H, W) in [0, 255] blurred by an odd kernel of pixels; 1 changes nothing if Gaussian.

    kind: "gaussian", or "foveated": out = m · picture + (1 − m) · blurred with m = exp(−3x) / 2 and x the distance from
    the middle as a share of the way to a corner (Uncertainty-aware Blur Prior, CVPR 2025).
    """
    soft = gaussian(picture, kernel)
    if kind == "gaussian":
        return soft
    mask = foveal_mask(picture.shape[-2], picture.shape[-1]).to(picture)
    return mask * picture + (1 - mask) * soft


def gaussian(picture: Tensor, kernel: int) -> Tensor:
    """Blur (3, H, W) by a Gaussian of σ = 0.3 ((kernel − 1) / 2 − 1) + 0.8, OpenCV's automatic one, edges mirrored."""
    if kernel == 1:
        return picture
    sigma, reach = 0.3 * ((kernel - 1) / 2 - 1) + 0.8, kernel // 2
    if reach >= min(picture.shape[-2:]):
        raise ValueError(f"a blur kernel of {kernel} pixels is too large for a picture of {tuple(picture.shape[-2:])}")
    at = torch.arange(-reach, reach + 1, dtype=torch.float32, device=picture.device)
    weights = torch.exp(-0.5 * (at / sigma) ** 2)
    weights = (weights / weights.sum()).to(picture)
    found = F.pad(picture[:, None], (reach, reach, reach, reach), mode="reflect")
    found = F.conv2d(F.conv2d(found, weights[None, None, None]), weights[None, None, :, None])
    return found[:, 0]


def foveal_mask(height: int, width: int) -> Tensor:
    """Return how much of the sharp picture is kept at each pixel, (height, width): a half at the middle."""
    middle = (height / 2, width / 2)
    down = torch.arange(height, dtype=torch.float32)[:, None] - middle[0]
    across = torch.arange(width, dtype=torch.float32)[None, :] - middle[1]
    away = torch.hypot(down, across) / math.hypot(*middle)
    return 0.5 * torch.exp(-3.0 * away.clamp(max=1.0))


def with_blur(card: ImageEncoder, model: Model) -> Model:
    """Return a model whose rows are (n_levels, ...), one for each of the card's kernels; the same where it has none."""
    if not card.blur:
        return model
    from PIL import Image

    side = (card.blur_size, card.blur_size)

    def prepare(picture: np.ndarray) -> Tensor:
        small = np.array(Image.fromarray(picture).resize(side, Image.Resampling.BICUBIC))
        sharp = torch.from_numpy(small).permute(2, 0, 1).float()
        levels = [blurred(sharp, kernel, card.blur_kind).round().clamp(0, 255) for kernel in card.blur]
        return torch.stack([model.prepare(level.byte().permute(1, 2, 0).numpy()) for level in levels])

    def encode(prepared: list[Tensor]) -> Tensor:
        pictures = list(torch.cat(prepared))
        rows = torch.cat([model.encode(pictures[at : at + 32]) for at in range(0, len(pictures), 32)])
        return rows.unflatten(0, (len(prepared), len(card.blur)))

    return Model(prepare, encode)
