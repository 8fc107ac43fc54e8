"""Which losses there are: those of `--loss` by name, and those that a head's kind prescribes."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from core.registry import by_name, registry

from .cosine import cosine
from .cross_entropy import cross_entropy
from .infonce import infonce
from .loss_input import LossInput
from .mse import mse, spread_mse
from .picture import picture

LossFunction = Callable[[LossInput], Tensor]


@dataclass(frozen=True)
class Loss:
    """A loss by name: `compute` gives the scalar; `has_temperature` tells whether it trains `LossInput.temperature`."""

    name: str
    compute: LossFunction
    has_temperature: bool = False


def mixture(name: str, *parts: tuple[float, Loss]) -> Loss:
    """Return the weighted sum of losses as one under a name of its own."""

    def compute(given: LossInput) -> Tensor:
        total = given.predicted.new_zeros(())
        for weight, part in parts:
            total = total + weight * part.compute(given)
        return total

    return Loss(name, compute, any(part.has_temperature for _, part in parts))


MSE = Loss("mse", mse)
COSINE = Loss("cosine", cosine)
INFONCE = Loss("infonce", infonce, has_temperature=True)
SPREAD_MSE = Loss("spread-mse", spread_mse)

# Braincoder's final runs use 0.9 MSE + 0.1 cosine.
LOSSES: dict[str, Loss] = by_name(
    [
        MSE,
        COSINE,
        mixture("braincoder", (0.9, MSE), (0.1, COSINE)),
        INFONCE,
        mixture("infonce-mse", (0.5, INFONCE), (0.5, SPREAD_MSE)),
        SPREAD_MSE,
    ]
)

# Kinds of heads whose targets are no vectors to come near to; all other kinds take the loss that `--loss` names.
BY_HEAD_KIND: dict[str, Loss] = registry(
    ("prompts", Loss("cross-entropy", cross_entropy)),
    ("generator", Loss("picture", picture)),
)


def loss_named(name: str) -> Loss:
    """Return a loss; an unknown name raises ValueError listing the known ones."""
    if name not in LOSSES:
        raise ValueError(f"no loss {name!r}; known: {', '.join(LOSSES)}")
    return LOSSES[name]
