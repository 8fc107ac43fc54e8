"""LossInput: what a loss may look at, one head's outputs for one batch beside what they should have been."""

from dataclasses import dataclass

from torch import Tensor

from core.model.heads import Head


@dataclass(frozen=True, eq=False)
class LossInput:
    """One head's raw outputs for a batch and their targets; where several processes train, for the rows of all.

    predicted: (batch, n), the head's outputs, with gradient. target: (batch, n_values) in the target's own units (it
    may have a gradient, where something on the target's side is trained too); for a `prompts` head class numbers
    (batch,) or shares of the classes (batch, n_prompts). index: (batch,), the number of each row's target, equal for
    equal targets. head: whose outputs they are; it knows what is comparable in its space. temperature: scalar, the
    trained one of the contrastive losses, whatever it is computed from. epoch: the stage's, from 0, for weights that
    change on the way. ssim_weight: of 1 - SSIM, for heads that draw pictures.
    """

    predicted: Tensor
    target: Tensor
    index: Tensor
    head: Head
    temperature: Tensor
    epoch: int = 0
    ssim_weight: float = 1.0

    def found(self) -> Tensor:
        """Return the vectors (batch, n_coordinates) by which predictions are compared with targets: `Head.comparable`.

        Computed anew each time, so that a mixture's parts have their gradients by themselves.
        """
        return self.head.comparable(self.predicted)

    def wanted(self) -> Tensor:
        """Return the targets' vectors (batch, n_coordinates), beside those of `found`."""
        return self.head.comparable(self.target)
