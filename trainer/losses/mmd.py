"""The maximum mean discrepancy between brain and target vectors, by itself and in SAMGA's schedule with InfoNCE."""

from collections.abc import Sequence

import torch
from torch import Tensor

from .infonce import infonce
from .loss_input import LossInput

WIDTHS = (0.1, 0.2, 0.5, 1.0, 2.0)
FARTHEST = 1e4
START, END = 0.9, 0.5  # the discrepancy's weight in the first and in the last epoch of the schedule


def mmd2(one: Tensor, other: Tensor, widths: Sequence[float] = WIDTHS) -> Tensor:
    """Return the unbiased squared maximum mean discrepancy of vectors (n, d) and (m, d), at least 0.

    The kernel is the mean of Gaussians exp(-|x - y|² / 2w²) of these widths (Gretton et al., JMLR 2012). Of fewer than
    two vectors on a side there is no unbiased estimate, and 0 is returned.
    """
    if min(len(one), len(other)) < 2:
        return 0 * (one.sum() + other.sum())
    within = [_without_diagonal(_kernel(rows, rows, widths)) for rows in (one, other)]
    return (within[0] + within[1] - 2 * _kernel(one, other, widths).mean()).clamp(min=0)


def mmd(given: LossInput) -> Tensor:
    """Return `mmd2` of comparable vectors in units of the batch's targets' root mean square length, so that the widths
    mean the same in every space.
    """
    found, wanted = given.found(), given.wanted()
    unit = wanted.detach().square().sum(-1).mean().sqrt().clamp(min=1e-6)
    # beyond so many units every kernel is 0, and squares would overflow
    return mmd2((found / unit).clamp(-FARTHEST, FARTHEST), wanted / unit)


def mmd_weight(epoch: int, epochs: int) -> float:
    """Return the discrepancy's weight: from 0.9 to 0.5 in equal steps over the first `epochs`, and 0 from then on."""
    if epoch >= epochs:
        return 0.0
    return START + (END - START) * epoch / max(epochs - 1, 1)


def mmd_infonce(given: LossInput) -> Tensor:
    """Return m · MMD² + (1 - m) · InfoNCE with m as `mmd_weight` has it over `given.mmd_epochs`.

    As in SAMGA (arXiv 2604.17782), whose second stage is InfoNCE alone.
    """
    weight = mmd_weight(given.epoch, given.mmd_epochs)
    contrast = (1 - weight) * infonce(given)
    return contrast + weight * mmd(given) if weight else contrast


def _kernel(one: Tensor, other: Tensor, widths: Sequence[float]) -> Tensor:
    apart = one.square().sum(-1)[:, None] + other.square().sum(-1)[None] - 2 * one @ other.T
    apart = apart.clamp(min=0)
    return torch.stack([torch.exp(-apart / (2 * width**2)) for width in widths]).mean(0)


def _without_diagonal(kernel: Tensor) -> Tensor:
    n = len(kernel)
    return (kernel.sum() - kernel.diagonal().sum()) / (n * (n - 1))
