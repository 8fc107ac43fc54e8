"""Contrastive losses with several positives a row: the same picture, and the same picture in other people's brains."""

import torch
from torch import Tensor
from torch.nn import functional as F

from .loss_input import LossInput


def multi_positive(given: LossInput) -> Tensor:
    """Return minus the log of the probability that all of a row's positives have together, in both directions.

    As in MIL-NCE (Miech et al., CVPR 2020). Rows of one target are positives of each other, whoever saw it. InfoNCE
    shares the label among them instead, and so never falls below the logarithm of their number.
    """
    logits, same = given.logits(), given.same()
    return (_of_all(logits, same) + _of_all(logits.T, same)) / 2


def cross_person(given: LossInput) -> Tensor:
    """Return the contrastive loss among the brain vectors: positives are other people's who saw the same target.

    Each row's label is shared among its positives (Khosla et al., NeurIPS 2020). Its own person's rows of that target
    are neither positive nor negative; rows that nobody else has seen count nothing, and 0 is returned where there are
    no others (`--batch-by picture` brings people together), or people that training does not know validate.
    """
    found = F.normalize(given.found(), dim=-1)
    if given.subject is None:
        return 0 * found.sum()
    same, own = given.same(), given.subject[:, None] == given.subject[None]
    positive = same & ~own
    rows = positive.any(-1)
    if not rows.any():
        return 0 * found.sum()
    logits = (found @ found.T / given.temperature).masked_fill(same & own, -torch.inf)
    wanted = positive.float() / positive.sum(-1, keepdim=True).clamp(min=1)
    # what is masked has no share of the label; 0 times minus infinity is no number
    told = torch.log_softmax(logits[rows], dim=-1).masked_fill((same & own)[rows], 0.0)
    return -(wanted[rows] * told).sum(-1).mean()


def _of_all(logits: Tensor, same: Tensor) -> Tensor:
    own = logits.masked_fill(~same, -torch.inf)
    return (torch.logsumexp(logits, -1) - torch.logsumexp(own, -1)).mean()
