"""Pictures and latents at another size, without leaving floating point."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import torch
from torch import Tensor
from torch.nn import functional as F

from ..choices import FITS, RESIZES


def wanted_size(own: tuple[int, int], width: int, height: int, cell: int = 8) -> tuple[int, int]:
    """Return (width, height) in pixels: as asked for, 0 taken from the other with `own`'s proportions, both 0 `own`.

    own: (width, height). cell: what a size that was not asked for is rounded to, in pixels.
    """
    if not width and not height:
        return own
    if not width:
        return max(round(height * own[0] / own[1] / cell), 1) * cell, height
    return (width, height) if height else (width, max(round(width * own[1] / own[0] / cell), 1) * cell)


def resize(pictures: Tensor, size: tuple[int, int], how: str = "bicubic", fit: str = "stretch") -> Tensor:
    """Return pictures (batch, channels, height, width) at `size`, (width, height).

    how: one of RESIZES; bicubic and lanczos may overshoot the values given. fit: "stretch" changes the proportions,
    "crop" keeps them and cuts off what hangs over, evenly. Pictures that have the size already come back as they are.
    Raises ValueError for an unknown way.
    """
    if how not in RESIZES:
        raise ValueError(f"no way to resize called {how!r}; known: {', '.join(RESIZES)}")
    if fit not in FITS:
        raise ValueError(f"no fit called {fit!r}; known: {', '.join(FITS)}")
    width, height = size
    own_height, own_width = pictures.shape[-2:]
    if (own_width, own_height) == (width, height):
        return pictures
    if fit == "stretch":
        return _scaled(pictures, width, height, how)
    scale = max(width / own_width, height / own_height)
    covers = max(round(own_width * scale), width), max(round(own_height * scale), height)
    left, top = (covers[0] - width) // 2, (covers[1] - height) // 2
    return _scaled(pictures, *covers, how)[..., top : top + height, left : left + width]


def _scaled(pictures: Tensor, width: int, height: int, how: str) -> Tensor:
    if how == "lanczos":
        return _lanczos(pictures, width, height)
    if how == "nearest":
        return F.interpolate(pictures, (height, width), mode="nearest-exact")
    return F.interpolate(pictures, (height, width), mode=how, align_corners=False, antialias=True)


def _lanczos(pictures: Tensor, width: int, height: int) -> Tensor:
    """Resize each channel as Pillow does floating-point pictures."""
    import numpy as np
    from PIL import Image

    planes = pictures.float().cpu().flatten(0, -3).numpy()
    scaled = [np.asarray(Image.fromarray(p).resize((width, height), Image.Resampling.LANCZOS)) for p in planes]
    found = torch.from_numpy(np.stack(scaled)).reshape(*pictures.shape[:-2], height, width)
    return found.to(pictures.device, pictures.dtype)
