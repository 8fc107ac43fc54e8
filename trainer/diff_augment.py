"""DiffAugment (Zhao et al., NeurIPS 2020): random changes of pictures that gradients pass through, so that a
discriminator of few pictures does not learn them by heart. Written from the paper.
"""

import torch
from torch import Tensor

POLICIES = ("colour", "translation", "cutout")
SHIFT = 1 / 8  # of a side, at most
CUT = 1 / 2  # of a side


def diff_augment(pictures: Tensor, policies: tuple[str, ...] = POLICIES) -> Tensor:
    """Return pictures (batch, 3, H, W), each changed at random by the named policies, in their order.

    Raises ValueError for an unknown policy.
    """
    for policy in policies:
        if policy not in POLICIES:
            raise ValueError(f"no augmentation {policy!r}; known: {', '.join(POLICIES)}")
        pictures = {"colour": colour, "translation": translation, "cutout": cutout}[policy](pictures)
    return pictures


def colour(pictures: Tensor) -> Tensor:
    """Return pictures with brightness shifted by up to 0.5, saturation scaled by 0 to 2 and contrast by 0.5 to 1.5."""

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(len(pictures), 1, 1, 1, device=pictures.device)

    pictures = pictures + uniform(-0.5, 0.5)
    grey = pictures.mean(dim=1, keepdim=True)
    pictures = grey + (pictures - grey) * uniform(0.0, 2.0)
    mean = pictures.mean(dim=(1, 2, 3), keepdim=True)
    return mean + (pictures - mean) * uniform(0.5, 1.5)


def translation(pictures: Tensor) -> Tensor:
    """Return pictures moved by up to an eighth of their sides, zeros coming in."""
    rows, inside_y = _shifted(pictures, pictures.shape[2])
    columns, inside_x = _shifted(pictures, pictures.shape[3])
    picture = torch.arange(len(pictures), device=pictures.device)[:, None, None]
    moved = pictures[picture, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    return moved * (inside_y[:, None, :, None] & inside_x[:, None, None, :])


def _shifted(pictures: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Return where each position along a side comes from and whether that lies inside, both (batch, side)."""
    most = int(side * SHIFT + 0.5)
    by = torch.randint(-most, most + 1, (len(pictures), 1), device=pictures.device)
    source = torch.arange(side, device=pictures.device)[None] + by
    return source.clamp(0, side - 1), (source >= 0) & (source < side)


def cutout(pictures: Tensor) -> Tensor:
    """Return pictures with a square of half their sides set to zero, its middle anywhere in the picture."""
    kept_y, kept_x = _cut(pictures, pictures.shape[2]), _cut(pictures, pictures.shape[3])
    return pictures * (kept_y[:, None, :, None] | kept_x[:, None, None, :])


def _cut(pictures: Tensor, side: int) -> Tensor:
    """Return whether each position along a side lies outside the square, bool (batch, side)."""
    half = int(side * CUT + 0.5) / 2
    middle = torch.randint(0, side + 1, (len(pictures), 1), device=pictures.device)
    return (torch.arange(side, device=pictures.device)[None] + 0.5 - middle).abs() > half
