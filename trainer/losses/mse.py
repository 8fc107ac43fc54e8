"""Squared error, in the target's own units or in units of the targets' variance."""

from torch import Tensor
from torch.nn import functional as F

from .loss_input import LossInput


def mse(given: LossInput) -> Tensor:
    """Return the mean squared difference of all values."""
    return F.mse_loss(given.predicted, given.target)


def spread_mse(given: LossInput) -> Tensor:
    """Return the mean squared difference of comparable vectors in units of the targets' own variance: predicting the
    train mean costs 1.
    """
    found, wanted = given.found(), given.wanted()
    return F.mse_loss(found, wanted) / wanted.square().mean().detach().clamp(min=1e-12)
