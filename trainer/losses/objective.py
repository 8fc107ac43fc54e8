"""Objective: the chosen loss with what it trains itself, and how the heads' losses become one."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from core.model.heads import Head

from ..processes.together import gather_rows
from .loss_input import LossInput
from .registry import BY_HEAD_KIND, loss_named

TEMPERATURE_RANGE = (0.01, 1.0)


class Objective(nn.Module):
    """A named loss with what it trains itself: InfoNCE's temperature, clamped to 0.01 ... 1.

    ssim_weight: of 1 - SSIM beside the absolute difference, for heads that draw pictures. head_weights: of a space's
    loss beside the others', 1 where it is not named. `epoch` is the one that is being trained. In training the loss is
    that of all processes' rows, the same in each of them; in eval mode, where every process goes over the same trials,
    of its own.
    """

    def __init__(
        self,
        name: str,
        temperature: float = 0.07,
        ssim_weight: float = 1.0,
        head_weights: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__()
        self.loss = loss_named(name)
        self.ssim_weight = ssim_weight
        self.head_weights = dict(head_weights or {})
        self.epoch = 0
        low, high = TEMPERATURE_RANGE
        if not low <= temperature <= high:
            raise ValueError(f"the temperature starts between {low} and {high}, not at {temperature}")
        self.log_temperature = nn.Parameter(
            torch.tensor(math.log(temperature)), requires_grad=self.loss.has_temperature
        )

    @property
    def temperature(self) -> Tensor:
        """Return the temperature, clamped; the gradient passes through, so that one beyond the clamp finds back."""
        low, high = TEMPERATURE_RANGE
        beyond = self.log_temperature.clamp(math.log(low), math.log(high)) - self.log_temperature
        return (self.log_temperature + beyond.detach()).exp()

    @torch.no_grad()
    def keep_in_range(self) -> None:
        """Bring the temperature back to the clamp's edge: called after each step, lest it wander off."""
        low, high = TEMPERATURE_RANGE
        self.log_temperature.clamp_(math.log(low), math.log(high))

    def forward(self, head: Head, predicted: Tensor, target: Tensor, index: Tensor) -> Tensor:
        """Return the loss of one head's raw output.

        predicted: (batch, n). target: (batch, n_values), or class numbers (batch,) for a `prompts` head. index:
        (batch,), the number of each row's target, equal for equal targets.
        """
        loss = BY_HEAD_KIND.get(head.config.kind, self.loss)
        rows = (predicted, target, index)
        predicted, target, index = map(gather_rows, rows) if self.training else rows
        given = LossInput(predicted, target, index, head, self.temperature, self.epoch, self.ssim_weight)
        return loss.compute(given)

    def together(self, losses: Mapping[str, Tensor]) -> Tensor:
        """Return the mean of the spaces' losses, weighted; weights count beside each other, not by their size."""
        weights = torch.tensor([self.head_weights.get(space, 1.0) for space in losses])
        shares = weights / weights.mean()
        found = torch.stack(list(losses.values()))
        return (found * shares.to(found.device)).mean()


def parse_head_weights(pairs: Sequence[str], spaces: Sequence[str] | None = None) -> dict[str, float]:
    """Return `space=weight` pairs as a dict.

    spaces: the spaces there are heads for; None where that is not yet known. Raises ValueError for what is no such
    pair, a weight below 0, a space that stands there twice or has no head, and weights that are all 0.
    """
    weights: dict[str, float] = {}
    for pair in pairs:
        space, _, text = pair.rpartition("=")
        try:
            weight = float(text)
        except ValueError:
            weight = math.nan
        if not space or not 0 <= weight < math.inf:
            raise ValueError(f"--loss-weight takes SPACE=WEIGHT with a weight of at least 0, not {pair!r}")
        if space in weights:
            raise ValueError(f"--loss-weight names {space!r} twice")
        if spaces is not None and space not in spaces:
            raise ValueError(f"--loss-weight {pair}: there is no head for {space!r}; there are {', '.join(spaces)}")
        weights[space] = weight
    if spaces is not None and not any(weights.get(space, 1.0) for space in spaces):
        raise ValueError("--loss-weight gives every head 0; nothing would be trained")
    return weights
