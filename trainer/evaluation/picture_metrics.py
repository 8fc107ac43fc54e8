"""How alike two pictures are pixel by pixel, with what the training mean and shuffled pictures would get.

Both measures reward blur and the right overall colour: a grey or average picture does well. Never read them without
what the mean of the training pictures and `shuffled_pairs` get.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

Metric = Callable[[Tensor, Tensor], Tensor]
WINDOW = 11  # pixels, with SIGMA: the window of Wang et al. 2004
SIGMA = 1.5
AT_ONCE = 256


def pixel_correlation(decoded: Tensor, seen: Tensor) -> Tensor:
    """Return the Pearson correlation over the RGB values of each pair of pictures (n, 3, H, W), float32 (n,).

    As PixCorr in the MindEye family (Scotti et al. 2023), which first resizes to 425 × 425; we compare at the size
    given. A picture of one flat value correlates with nothing and gets 0.
    """
    _check(decoded, seen)
    # in double: single precision leaves a flat picture a spread of rounding errors
    a, b = (pictures.flatten(1).double() for pictures in (decoded, seen))
    a, b = a - a.mean(dim=1, keepdim=True), b - b.mean(dim=1, keepdim=True)
    norm = a.norm(dim=1) * b.norm(dim=1)
    flat = norm <= 1e-9 * a.shape[1]
    return torch.where(flat, 0.0, (a * b).sum(dim=1) / norm.masked_fill(flat, 1.0)).float()


def ssim(decoded: Tensor, seen: Tensor) -> Tensor:
    """Return the structural similarity (Wang et al. 2004) of pairs of pictures (n, 3, H, W) in [0, 1], float32 (n,).

    The window is a Gaussian of 11 × 11 pixels (sigma 1.5), its average taken where it fits whole and over the three
    colours. In a picture with a side under 11 pixels it shrinks to the largest odd size that fits, sigma in
    proportion. A window covers more of a small picture than of a large one, so figures compare only between pictures
    of one size.
    """
    from pytorch_msssim import ssim as windowed_ssim

    _check(decoded, seen)
    side = min(decoded.shape[-2:])
    if side < 3:
        raise ValueError(f"SSIM needs pictures of at least 3 × 3 pixels; got {tuple(decoded.shape[-2:])}")
    window = min(WINDOW, side - (side + 1) % 2)
    sigma = SIGMA * window / WINDOW
    parts = [
        windowed_ssim(a.float(), b.float(), data_range=1.0, size_average=False, win_size=window, win_sigma=sigma)
        for a, b in zip(decoded.split(AT_ONCE), seen.split(AT_ONCE), strict=True)
    ]
    return torch.cat(parts) if parts else torch.zeros(0)


def shuffled_pairs(
    metric: Metric, decoded: Tensor, seen: Tensor, n_draws: int = 100, seed: int = 0, groups: np.ndarray | None = None
) -> Tensor:
    """Return the mean of a metric for n_draws pairings (n_draws,) of decoded pictures with other trials' seen ones.

    groups: (n,); pictures are exchanged only inside a group.
    """
    rng, found = np.random.default_rng(seed), []
    group = np.zeros(len(seen), dtype=int) if groups is None else np.unique(groups, return_inverse=True)[1]
    for _ in range(n_draws):
        partner = np.arange(len(seen))
        for g in range(group.max() + 1):
            place = np.flatnonzero(group == g)
            partner[place] = rng.permutation(place)
        found.append(metric(decoded, seen[torch.from_numpy(partner)]).mean())
    return torch.stack(found)


def _check(decoded: Tensor, seen: Tensor) -> None:
    if decoded.shape != seen.shape or decoded.ndim != 4 or decoded.shape[1] != 3:
        shapes = f"{tuple(decoded.shape)} and {tuple(seen.shape)}"
        raise ValueError(f"pictures must be two stacks (n, 3, H, W) of one shape, so resize first; got {shapes}")
    for name, pictures in (("decoded", decoded), ("seen", seen)):
        low, high = (float(v) for v in pictures.aminmax()) if pictures.numel() else (0.0, 0.0)
        if not -1e-3 <= low <= high <= 1 + 1e-3:
            raise ValueError(f"the {name} pictures must lie in [0, 1]; got {low:.3g} to {high:.3g}")
