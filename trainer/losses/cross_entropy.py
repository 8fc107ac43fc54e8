"""Cross-entropy, the loss of `prompts` heads."""

from torch import Tensor
from torch.nn import functional as F

from .loss_input import LossInput


def cross_entropy(given: LossInput) -> Tensor:
    """Return the cross-entropy of logits (batch, n_prompts) to class numbers (batch,) or shares (batch, n_prompts)."""
    return F.cross_entropy(given.predicted, given.target)
