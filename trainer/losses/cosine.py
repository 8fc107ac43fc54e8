"""One minus the cosine of each token."""

from torch import Tensor
from torch.nn import functional as F

from .loss_input import LossInput


def cosine(given: LossInput) -> Tensor:
    """Return 1 - cosine along the last axis of the space's main tensor, meaned over tokens and batch."""
    head = given.head
    return 1 - F.cosine_similarity(head.unpack(given.predicted)[0], head.unpack(given.target)[0], dim=-1).mean()
