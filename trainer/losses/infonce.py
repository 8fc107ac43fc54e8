"""CLIP's symmetric contrastive loss."""

from torch import Tensor
from torch.nn import functional as F

from .loss_input import LossInput


def infonce(given: LossInput) -> Tensor:
    """Return `info_nce` of comparable vectors."""
    same = given.index[:, None] == given.index[None]
    return info_nce(given.found(), given.wanted(), given.temperature, same)


def info_nce(predicted: Tensor, target: Tensor, temperature: Tensor, same: Tensor) -> Tensor:
    """Return CLIP's symmetric contrastive loss (Radford et al. 2021), a batch's equal targets sharing the label.

    predicted, target: (batch, n), compared by cosine. temperature: scalar. same: bool (batch, batch), true where two
    rows have one target.
    """
    logits = F.normalize(predicted, dim=-1) @ F.normalize(target, dim=-1).T / temperature
    wanted = same.float() / same.sum(-1, keepdim=True)
    return (F.cross_entropy(logits, wanted) + F.cross_entropy(logits.T, wanted)) / 2
