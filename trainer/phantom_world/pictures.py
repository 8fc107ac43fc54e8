"""Batches of drawn pictures with their captions, for the parts of the phantom world to train on."""

import numpy as np
import torch

from core.phantom.scenes import Scene, draw


def draw_many(scenes: list[Scene], variants: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw every scene in several variants.

    Returns pictures uint8 (n_scenes × variants, 3, 64, 64) and the index of each picture's scene (n_scenes ×
    variants,).
    """
    pictures = np.stack([draw(scene, seed * 10_000 + variant) for scene in scenes for variant in range(variants)])
    index = torch.arange(len(scenes)).repeat_interleave(variants)
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous(), index


def to_unit(pictures: torch.Tensor) -> torch.Tensor:
    """Return uint8 pictures as float32 in [-1, 1], what the autoencoder takes."""
    return pictures.float() / 127.5 - 1.0
