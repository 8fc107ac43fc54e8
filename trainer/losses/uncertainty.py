"""How sure the training is of each picture, and how far the picture is blurred for it in the next epoch."""

import torch
from torch import Tensor, nn

LOW, MEDIUM, HIGH = 0, 1, 2
KEPT, BEYOND = 0.7, 1.96  # of the old value; standard deviations


class UncertainBlur(nn.Module):
    """One value and one level of blur for each training picture (Wu et al., "Uncertainty-aware Blur Prior", CVPR 2025).

    After each batch a picture's value moves towards the logit of its own pair; pictures whose value lies above mean +
    1.96 standard deviations of the batch are shown with little blur in the next epoch, those below with much, the
    others with the usual. Buffers, so that a resumed run goes on with them. Only training batches may be told to
    `update`; what validates and tests is always at the usual level.
    """

    value: Tensor
    level: Tensor
    next_level: Tensor

    def __init__(self, n_pictures: int) -> None:
        super().__init__()
        self.register_buffer("value", torch.ones(n_pictures))
        self.register_buffer("level", torch.full((n_pictures,), MEDIUM))
        self.register_buffer("next_level", torch.full((n_pictures,), MEDIUM))

    def begin_epoch(self) -> None:
        """Let the levels that the last epoch chose hold from now on."""
        self.level.copy_(self.next_level)

    @torch.no_grad()
    def update(self, picture: Tensor, likeness: Tensor) -> None:
        """Take the pairs' logits (batch,) of pictures (batch,); a picture that stands there several times counts by its
        mean.
        """
        which, place = torch.unique(picture, return_inverse=True)
        sums = torch.zeros(len(which), dtype=self.value.dtype, device=self.value.device)
        sums.index_add_(0, place, likeness.detach().to(sums))
        seen = sums / torch.bincount(place, minlength=len(which))
        self.value[which] = (1 - KEPT) * seen + KEPT * self.value[which]
        if len(which) < 2:
            return
        values = self.value[which]
        half = BEYOND * values.std()
        chosen = torch.full_like(self.level[which], MEDIUM)
        chosen[seen > values.mean() + half] = LOW
        chosen[seen < values.mean() - half] = HIGH
        self.next_level[which] = chosen
