"""The loss of heads that draw pictures, before a discriminator sees them."""

from torch import Tensor
from torch.nn import functional as F

from .loss_input import LossInput


def picture(given: LossInput) -> Tensor:
    """Return the mean absolute difference, the mean squared one in units of the target's variance, and `ssim_weight`
    times (1 - SSIM) of flat pictures (batch, n_values), added.

    The squared one is there to begin with: pictures of small things on a flat ground give the other two a plateau
    around the mean picture, from which they hardly learn.
    """
    head, predicted, target = given.head, given.predicted, given.target
    variance = (target - head.target_mean).square().mean().clamp(min=1e-12)
    total = F.l1_loss(predicted, target) + F.mse_loss(predicted, target) / variance
    if not given.ssim_weight:
        return total
    return total + given.ssim_weight * ssim_loss(head.unpack(predicted)[0], head.unpack(target)[0])


def ssim_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """Return 1 - SSIM (Wang et al. 2004), meaned over pictures (batch, 3, H, W) in [0, 1]."""
    from pytorch_msssim import ssim

    # As the channels of one picture: the same mean, three times as fast on a CPU.
    one, other = (pictures.float().reshape(1, -1, *pictures.shape[2:]) for pictures in (predicted, target))
    return 1 - ssim(one, other, data_range=1.0)
