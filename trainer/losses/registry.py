"""Which losses there are: those of `--loss` by name, and those that a head's kind prescribes."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from core.registry import by_name, registry

from .cosine import cosine
from .cross_entropy import cross_entropy
from .infonce import infonce, soft_clip
from .loss_input import LossInput
from .mmd import mmd, mmd_infonce
from .mse import mse, spread_mse
from .picture import picture
from .positives import cross_person, multi_positive

LossFunction = Callable[[LossInput], Tensor]


@dataclass(frozen=True)
class Loss:
    """A loss by name: `compute` gives the scalar; `has_temperature` tells whether it trains `LossInput.temperature`.

    reads_shares: it knows what to do with rows of mixed eeg; others are given targets mixed likewise. compares_people:
    it needs to know who each trial is of.
    """

    name: str
    compute: LossFunction
    has_temperature: bool = False
    reads_shares: bool = False
    compares_people: bool = False

    def of(self, given: LossInput) -> Tensor:
        """Return the scalar for what is given."""
        return self.compute(given if self.reads_shares else given.blended())


def mixture(name: str, *parts: tuple[float, Loss]) -> Loss:
    """Return the weighted sum of losses as one under a name of its own."""

    def compute(given: LossInput) -> Tensor:
        total = given.predicted.new_zeros(())
        for weight, part in parts:
            total = total + weight * part.of(given)
        return total

    losses = [part for _, part in parts]
    contrasts, people = any(one.has_temperature for one in losses), any(one.compares_people for one in losses)
    return Loss(name, compute, contrasts, reads_shares=True, compares_people=people)


MSE = Loss("mse", mse)
COSINE = Loss("cosine", cosine)
INFONCE = Loss("infonce", infonce, has_temperature=True, reads_shares=True)
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
        Loss("soft-clip", soft_clip, has_temperature=True, reads_shares=True),
        Loss("multi-positive", multi_positive, has_temperature=True),
        Loss("cross-person", cross_person, has_temperature=True, compares_people=True),
        Loss("mmd", mmd),
        Loss("mmd-infonce", mmd_infonce, has_temperature=True, reads_shares=True),
    ]
)

# Kinds of heads whose targets are no vectors to come near to; all other kinds take the loss that `--loss` names.
BY_HEAD_KIND: dict[str, Loss] = registry(
    ("prompts", Loss("cross-entropy", cross_entropy)),
    ("generator", Loss("picture", picture)),
)


def loss_named(name: str) -> Loss:
    """Return a loss, or the weighted sum of several: `infonce=0.7,mse=0.3`.

    An unknown name raises ValueError listing the known ones; so does a weight that is not above 0, and a loss that
    stands there twice.
    """
    if "=" not in name and "," not in name:
        return _known(name)
    parts: dict[str, tuple[float, Loss]] = {}
    for text in name.split(","):
        known, _, number = text.strip().partition("=")
        try:
            weight = float(number) if number else 1.0
        except ValueError:
            weight = math.nan
        if not 0 < weight < math.inf or known in parts:
            raise ValueError(f"--loss takes NAME=WEIGHT,NAME=WEIGHT, each once and each weight above 0, not {name!r}")
        parts[known] = (weight, _known(known))
    return mixture(name, *parts.values())


def _known(name: str) -> Loss:
    if name not in LOSSES:
        raise ValueError(f"no loss {name!r}; known: {', '.join(LOSSES)}")
    return LOSSES[name]
