"""What a saliency head learns to draw: the seen picture, small, or the map of what stands out in it."""

import numpy as np
import torch
from torch import Tensor

from core.model.picture_generator import PICTURE_SIZES

from .features.computing import Model

SALIENCY_TARGETS = ("picture", "saliency")
SPECTRUM_SIZE = 64  # pixels a side at which the spectrum is taken, as Hou & Zhang did
SMOOTHING = 2.5  # pixels at that size, their Gaussian


def saliency_target(picture: np.ndarray, size: int, kind: str = "picture") -> Tensor:
    """Return the target (3, size, size) in [0, 1] for a picture, uint8 (H, W, 3).

    kind: "picture" is NeuroImagen's, the picture itself, stretched to the square; "saliency" is its saliency map,
    alike in the three channels. Raises ValueError for another kind or size.
    """
    if kind not in SALIENCY_TARGETS or size not in PICTURE_SIZES:
        raise ValueError(
            f"a saliency target is {' or '.join(SALIENCY_TARGETS)} at {' or '.join(map(str, PICTURE_SIZES))} pixels, "
            f"not {kind!r} at {size}"
        )
    if kind == "saliency":
        found = spectral_residual(resized(picture, SPECTRUM_SIZE))[..., None].repeat(3, axis=2)
        return as_tensor(resized((found * 255).round().astype(np.uint8), size))
    return as_tensor(resized(picture, size))


def load_saliency(size: int, kind: str) -> Model:
    """Return what gives saliency targets (n, 3, size, size) of pictures; it needs no model."""
    return Model(lambda picture: saliency_target(picture, size, kind), torch.stack)


def resized(picture: np.ndarray, size: int) -> np.ndarray:
    """Return a picture, uint8 (H, W, 3), stretched to (size, size, 3); one of that size is returned as it is."""
    if picture.shape[:2] == (size, size):
        return picture
    from PIL import Image

    return np.asarray(Image.fromarray(picture).resize((size, size), Image.Resampling.LANCZOS))


def as_tensor(picture: np.ndarray) -> Tensor:
    """Return a picture, uint8 (H, W, 3), as float32 (3, H, W) in [0, 1]."""
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255


def spectral_residual(picture: np.ndarray) -> np.ndarray:
    """Return the saliency map (H, W) in [0, 1] of a picture, uint8 (H, W, 3).

    Hou & Zhang, CVPR 2007: what is left of the log amplitude spectrum once its local average is taken away, brought
    back with the picture's own phase, squared and smoothed. Here each opponent colour (lightness, red-green,
    blue-yellow) gives a map and they are added, so that a shape as light as its ground stands out too. A picture of
    one flat colour gives zeros.
    """
    from scipy.ndimage import gaussian_filter, uniform_filter

    red, green, blue = np.moveaxis(picture.astype(np.float64) / 255, -1, 0)
    total = np.zeros(picture.shape[:2])
    for plane in ((red + green + blue) / 3, (red - green) / 2, (red + green) / 4 - blue / 2):
        if np.ptp(plane) < 1e-9:
            continue
        spectrum = np.fft.fft2(plane)
        amplitude = np.abs(spectrum)
        log = np.log(np.maximum(amplitude, 1e-6 * amplitude.max()))
        residual = log - uniform_filter(log, 3, mode="wrap")
        found = np.abs(np.fft.ifft2(np.exp(residual + 1j * np.angle(spectrum)))) ** 2
        total += np.ptp(plane) * gaussian_filter(found, SMOOTHING, mode="nearest")
    span = np.ptp(total)
    return (total - total.min()) / span if span > 0 else total
