"""Losses between predicted and true targets, in the target's own units."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.model.heads import Head

# Each name is a weighted sum of parts; Braincoder's final runs use 0.9 MSE + 0.1 cosine.
LOSSES: dict[str, dict[str, float]] = {
    "mse": {"mse": 1.0},
    "cosine": {"cosine": 1.0},
    "braincoder": {"mse": 0.9, "cosine": 0.1},
    "infonce": {"infonce": 1.0},
    "infonce-mse": {"infonce": 0.5, "spread_mse": 0.5},
}
TEMPERATURE_RANGE = (0.01, 1.0)


def loss_named(name: str) -> dict[str, float]:
    """Return a loss's parts and weights; an unknown name raises ValueError listing the known ones."""
    if name not in LOSSES:
        raise ValueError(f"no loss {name!r}; known: {', '.join(LOSSES)}")
    return LOSSES[name]


def cosine_loss(head: Head, predicted: Tensor, target: Tensor) -> Tensor:
    """Return 1 - cosine along the last axis of the space's main tensor, meaned over tokens and batch; inputs (batch,
    n_values).
    """
    return 1 - F.cosine_similarity(head.unpack(predicted)[0], head.unpack(target)[0], dim=-1).mean()


def info_nce(predicted: Tensor, target: Tensor, temperature: Tensor, same: Tensor) -> Tensor:
    """Return CLIP's symmetric contrastive loss (Radford et al. 2021), a batch's equal targets sharing the label.

    predicted, target: (batch, n), compared by cosine. temperature: scalar. same: bool (batch, batch), true where two
    rows have one target.
    """
    logits = F.normalize(predicted, dim=-1) @ F.normalize(target, dim=-1).T / temperature
    wanted = same.float() / same.sum(-1, keepdim=True)
    return (F.cross_entropy(logits, wanted) + F.cross_entropy(logits.T, wanted)) / 2


def ssim_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """Return 1 - SSIM (Wang et al. 2004), meaned over pictures (batch, 3, H, W) in [0, 1]."""
    from pytorch_msssim import ssim

    # As the channels of one picture: the same mean, three times as fast on a CPU.
    one, other = (pictures.float().reshape(1, -1, *pictures.shape[2:]) for pictures in (predicted, target))
    return 1 - ssim(one, other, data_range=1.0)


def picture_loss(head: Head, predicted: Tensor, target: Tensor, ssim_weight: float) -> Tensor:
    """Return the mean absolute difference, the mean squared one in units of the target's variance, and ssim_weight (1 -
    SSIM) of flat pictures (batch, n_values), added.

    The squared one is there to begin with: pictures of small things on a flat ground give the other two a plateau
    around the mean picture, from which they hardly learn.
    """
    variance = (target - head.target_mean).square().mean().clamp(min=1e-12)
    total = F.l1_loss(predicted, target) + F.mse_loss(predicted, target) / variance
    return total + ssim_weight * ssim_loss(head.unpack(predicted)[0], head.unpack(target)[0]) if ssim_weight else total


class Objective(nn.Module):
    """A named loss with what it trains itself: InfoNCE's temperature, clamped to 0.01 ... 1.

    ssim_weight: of 1 - SSIM beside the absolute difference, for heads that draw pictures.
    """

    def __init__(self, name: str, temperature: float = 0.07, ssim_weight: float = 1.0):
        super().__init__()
        self.parts = loss_named(name)
        self.ssim_weight = ssim_weight
        low, high = TEMPERATURE_RANGE
        if not low <= temperature <= high:
            raise ValueError(f"the temperature starts between {low} and {high}, not at {temperature}")
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)), requires_grad="infonce" in self.parts)

    @property
    def temperature(self) -> Tensor:
        """Return the temperature, clamped; the gradient passes through the clamp's inside only."""
        low, high = TEMPERATURE_RANGE
        return self.log_temperature.clamp(math.log(low), math.log(high)).exp()

    def forward(self, head: Head, predicted: Tensor, target: Tensor, index: Tensor) -> Tensor:
        """Return the loss of one head's raw output.

        predicted: (batch, n). target: (batch, n_values), or class numbers (batch,) for a `prompts` head. index:
        (batch,), the number of each row's target, equal for equal targets.
        """
        if head.config.kind == "prompts":
            return F.cross_entropy(predicted, target)
        if head.config.kind == "generator":
            return picture_loss(head, predicted, target, self.ssim_weight)
        total = predicted.new_zeros(())
        for part, weight in self.parts.items():
            total = total + weight * self._part(part, head, predicted, target, index)
        return total

    def _part(self, part: str, head: Head, predicted: Tensor, target: Tensor, index: Tensor) -> Tensor:
        if part == "mse":
            return F.mse_loss(predicted, target)
        if part == "cosine":
            return cosine_loss(head, predicted, target)
        found, wanted = head.comparable(predicted), head.comparable(target)
        if part == "infonce":
            return info_nce(found, wanted, self.temperature, index[:, None] == index[None])
        # In units of the targets' own variance: 1 is what predicting the train mean costs.
        return F.mse_loss(found, wanted) / wanted.square().mean().detach().clamp(min=1e-12)
