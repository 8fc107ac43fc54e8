"""CLIP's symmetric contrastive loss."""

import torch
from torch import Tensor
from torch.nn import functional as F

from .loss_input import LossInput


def infonce(given: LossInput) -> Tensor:
    """Return the symmetric contrastive loss of comparable vectors; rows of one target share the label, whoever saw it,
    and mixed rows share it by their parts.
    """
    same = given.same()
    wanted = same.float() / same.sum(-1, keepdim=True)
    return symmetric(given.logits(), wanted if given.shares is None else given.shares.to(wanted) @ wanted)


def info_nce(predicted: Tensor, target: Tensor, temperature: Tensor, same: Tensor) -> Tensor:
    """Return CLIP's symmetric contrastive loss (Radford et al. 2021), a batch's equal targets sharing the label.

    predicted, target: (batch, n), compared by cosine. temperature: scalar. same: bool (batch, batch), true where two
    rows have one target.
    """
    logits = F.normalize(predicted, dim=-1) @ F.normalize(target, dim=-1).T / temperature
    return symmetric(logits, same.float() / same.sum(-1, keepdim=True))


def symmetric(logits: Tensor, wanted: Tensor) -> Tensor:
    """Return the mean of the cross-entropies from brain to target and from target to brain.

    logits: (batch, batch), a row for each brain vector. wanted: (batch, batch), how much of each target is in a row.
    """
    return (F.cross_entropy(logits, wanted) + F.cross_entropy(logits.T, wanted.T)) / 2


def soft_clip(given: LossInput) -> Tensor:
    """Return the symmetric cross-entropy to soft labels: how alike the batch's pictures are, by the same scale.

    As in MindEye (Scotti et al., NeurIPS 2023) and AlignVis: the softmax over scale · Î · Îᵀ, which has no gradient.
    """
    pictures = F.normalize(given.wanted(), dim=-1).detach()
    alike = torch.softmax(pictures @ pictures.T / given.temperature.detach(), dim=-1)
    return symmetric(given.logits(), alike if given.shares is None else given.shares.to(alike) @ alike)
