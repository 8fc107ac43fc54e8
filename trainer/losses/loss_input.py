"""LossInput: what a loss may look at, one head's outputs for one batch beside what they should have been."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from core.model.heads import Head


@dataclass(frozen=True, eq=False)
class LossInput:
    """One head's raw outputs for a batch and their targets; where several processes train, for the rows of all.

    predicted: (batch, n), the head's outputs, with gradient. target: (batch, n_values) in the target's own units (it
    may have a gradient, where something on the target's side is trained too); for a `prompts` head class numbers
    (batch,) or shares of the classes (batch, n_prompts). index: (batch,), the number of each row's target, equal for
    equal targets. head: whose outputs they are; it knows what is comparable in its space. temperature: scalar, the
    trained one of the contrastive losses, whatever it is computed from. epoch: the stage's, from 0, for weights that
    change on the way. ssim_weight: of 1 - SSIM, for heads that draw pictures. normalise_brain: whether contrastive
    losses compare by cosine, or the predictions' length counts. mmd_epochs: over which SAMGA's discrepancy fades.
    shares: (batch, batch), how much of each row's target is in each row, where a batch transform mixed the eeg alone.
    subject: (batch,), the number of each row's person, None where nobody is named.
    """

    predicted: Tensor
    target: Tensor
    index: Tensor
    head: Head
    temperature: Tensor
    epoch: int = 0
    ssim_weight: float = 1.0
    normalise_brain: bool = True
    mmd_epochs: int = 20
    shares: Tensor | None = None
    subject: Tensor | None = None

    def found(self) -> Tensor:
        """Return the vectors (batch, n_coordinates) by which predictions are compared with targets: `Head.comparable`.

        Computed anew each time, so that a mixture's parts have their gradients by themselves.
        """
        return self.head.comparable(self.predicted)

    def wanted(self) -> Tensor:
        """Return the targets' vectors (batch, n_coordinates), beside those of `found`."""
        return self.head.comparable(self.target)

    def same(self) -> Tensor:
        """Return where two rows have one target, bool (batch, batch)."""
        return self.index[:, None] == self.index[None]

    def logits(self) -> Tensor:
        """Return how near each prediction is to each target (batch, batch), over the temperature."""
        found = self.found()
        found = F.normalize(found, dim=-1) if self.normalise_brain else found
        return found @ F.normalize(self.wanted(), dim=-1).T / self.temperature

    def blended(self) -> "LossInput":
        """Return the same with targets mixed as the eeg is, for losses that want one target a row.

        A row of two different targets has a number of its own afterwards, for it shares its target with no other.
        """
        if self.shares is None:
            return self
        target = self.target
        if self.head.config.kind == "prompts" and target.ndim == 1:
            target = F.one_hot(target, len(self.head.config.prompts))
        pure = (self.shares * self.same()).sum(-1) > 1 - 1e-6
        own = -1 - torch.arange(len(self.index), device=self.index.device)
        index = torch.where(pure, self.index, own)
        return replace(self, target=self.shares @ target.to(self.shares), index=index, shares=None)
