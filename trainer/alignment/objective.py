"""gLocal's objective (Muttenthaler et al., NeurIPS 2023): people's choices, and neighbours that stay neighbours."""

import torch
from torch import Tensor
from torch.nn import functional as F


def pair_scores(rows: Tensor, triplets: Tensor) -> Tensor:
    """Return the dot products of a triplet's three pairs, (n, 3): the pair called alike first.

    rows: (n_pictures, width). triplets: (n, 3) numbers of rows.
    """
    one, two, odd = rows[triplets].unbind(1)
    return torch.stack([(one * two).sum(-1), (one * odd).sum(-1), (two * odd).sum(-1)], dim=1)


def choice_loss(rows: Tensor, triplets: Tensor) -> Tensor:
    """Return the mean −log probability of the pair that was called alike, a softmax over the three pairs."""
    return -F.log_softmax(pair_scores(rows, triplets), dim=1)[:, 0].mean()


def neighbour_loss(before: Tensor, after: Tensor, temperature: float) -> Tensor:
    """Return the cross entropy of each picture's neighbours after the map against those before, over one batch.

    before, after: (n, width). Neighbours are a softmax over cosines divided by the temperature, the picture itself left
    out.
    """
    mask = torch.eye(len(before), dtype=torch.bool, device=before.device)

    def neighbours(rows: Tensor) -> Tensor:
        rows = F.normalize(rows, dim=-1)
        return F.log_softmax((rows @ rows.T / temperature).masked_fill(mask, -torch.inf), dim=1)

    found = neighbours(after).masked_fill(mask, 0.0)
    return -(neighbours(before).exp() * found).sum(1).mean()


def distance_to_identity(weights: Tensor) -> Tensor:
    """Return ‖W − (tr W / p) I‖²: how far the map is from leaving all directions as they are."""
    return (weights - torch.diagonal(weights).mean() * torch.eye(len(weights), device=weights.device)).square().sum()


def choice_accuracy(rows: Tensor, triplets: Tensor) -> Tensor:
    """Return whether the pair called alike has the largest dot product, (n,) float64; ties share."""
    scores = pair_scores(rows, triplets)
    best = scores == scores.max(1, keepdim=True).values
    return best[:, 0].double() / best.sum(1)
