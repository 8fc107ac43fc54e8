"""Objective: the chosen loss with what it trains itself, and how the heads' losses become one."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from core.model.heads import Head

from ..config.training_options import TrainingOptions
from ..processes.together import gather_rows
from .loss_input import LossInput
from .registry import BY_HEAD_KIND, Loss, loss_named
from .similarity import Similarity, check_similarity, parse_similarity
from .uncertainty import UncertainBlur

TEMPERATURE_RANGE = (0.01, 1.0)


class Objective(nn.Module):
    """A named loss with what it trains itself: InfoNCE's temperature, clamped to 0.01 ... 1.

    ssim_weight: of 1 - SSIM beside the absolute difference, for heads that draw pictures. head_weights: of a space's
    loss beside the others', 1 where it is not named. similarity: of contrastive losses; by default a learned cosine
    that starts at `temperature`. head_losses: other losses than `name`, by space. uncertain: by space, what is told the
    logits of training pairs. `epoch` is the one that is being trained. In training the loss is that of all processes'
    rows, the same in each of them; in eval mode, where every process goes over the same trials, of its own.
    """

    def __init__(
        self,
        name: str,
        temperature: float = 0.07,
        ssim_weight: float = 1.0,
        head_weights: Mapping[str, float] | None = None,
        similarity: Similarity | None = None,
        head_losses: Mapping[str, Loss] | None = None,
        mmd_epochs: int = 20,
        uncertain: Mapping[str, UncertainBlur] | None = None,
    ) -> None:
        super().__init__()
        self.loss = loss_named(name)
        self.head_losses = dict(head_losses or {})
        self.ssim_weight = ssim_weight
        self.mmd_epochs = mmd_epochs
        self.head_weights = dict(head_weights or {})
        self.epoch = 0
        low, high = TEMPERATURE_RANGE
        if not low <= temperature <= high:
            raise ValueError(f"the temperature starts between {low} and {high}, not at {temperature}")
        self.similarity = Similarity(scale=1 / temperature) if similarity is None else similarity
        start = temperature if similarity is None else similarity.temperature
        self.contrasts = any(loss.has_temperature for loss in (self.loss, *self.head_losses.values()))
        self.log_temperature = nn.Parameter(
            torch.tensor(math.log(start)), requires_grad=self.contrasts and self.similarity.learned
        )
        self.uncertain = nn.ModuleDict({_key(space): blur for space, blur in (uncertain or {}).items()})

    @property
    def compares_people(self) -> bool:
        """Tell whether a loss needs to know who each trial is of."""
        return any(loss.compares_people for loss in (self.loss, *self.head_losses.values()))

    @property
    def temperature(self) -> Tensor:
        """Return the temperature, clamped; the gradient passes through, so that one beyond the clamp finds back."""
        low, high = TEMPERATURE_RANGE
        beyond = self.log_temperature.clamp(math.log(low), math.log(high)) - self.log_temperature
        return (self.log_temperature + beyond.detach()).exp()

    def begin_epoch(self, epoch: int) -> None:
        """Say which epoch is trained from now on, and let the last one's blur hold in it."""
        self.epoch = epoch
        for blur in self.uncertain.values():
            assert isinstance(blur, UncertainBlur)
            blur.begin_epoch()

    @torch.no_grad()
    def keep_in_range(self) -> None:
        """Bring the temperature back to the clamp's edge: called after each step, lest it wander off."""
        low, high = TEMPERATURE_RANGE
        self.log_temperature.clamp_(math.log(low), math.log(high))

    def forward(
        self,
        head: Head,
        predicted: Tensor,
        target: Tensor,
        index: Tensor,
        shares: Tensor | None = None,
        subject: Tensor | None = None,
    ) -> Tensor:
        """Return the loss of one head's raw output.

        predicted: (batch, n). target: (batch, n_values), or class numbers (batch,) for a `prompts` head. index:
        (batch,), the number of each row's target, equal for equal targets. shares, subject: as `LossInput`.
        """
        space = head.config.space
        loss = BY_HEAD_KIND.get(head.config.kind, self.head_losses.get(space, self.loss))
        if self.training:
            predicted, target, index = map(gather_rows, (predicted, target, index))
            shares, subject = (None if rows is None else gather_rows(rows) for rows in (shares, subject))
        given = LossInput(
            predicted,
            target,
            index,
            head,
            self.temperature,
            self.epoch,
            self.ssim_weight,
            self.similarity.normalise_brain,
            self.mmd_epochs,
            shares,
            subject,
        )
        if self.training and (blur := self.blur_of(space)) is not None:
            with torch.no_grad():
                blur.update(index, given.logits().diagonal())
        return loss.of(given)

    def blur_of(self, space: str) -> UncertainBlur | None:
        """Return how far a space's pictures are blurred, None where that is the same for all."""
        found = dict(self.uncertain.items()).get(_key(space))
        assert found is None or isinstance(found, UncertainBlur)
        return found

    def together(self, losses: Mapping[str, Tensor]) -> Tensor:
        """Return the mean of the spaces' losses, weighted; weights count beside each other, not by their size."""
        weights = torch.tensor([self.head_weights.get(space, 1.0) for space in losses])
        shares = weights / weights.mean()
        found = torch.stack(list(losses.values()))
        return (found * shares.to(found.device)).mean()


def objective_of(
    settings: TrainingOptions, spaces: Sequence[str], uncertain: Mapping[str, int] | None = None
) -> tuple[Objective, str]:
    """Return the objective that options ask for, and a warning about its scale ("" for none).

    spaces: of the heads. uncertain: how many pictures there are, for each space with targets of several blurs. Raises
    ValueError as the parsers do, and for a fixed scale at which no answer can be right.
    """
    similarity = parse_similarity(settings.similarity, settings.temperature)
    made = Objective(
        settings.loss,
        settings.temperature,
        settings.alphas[2],
        parse_head_weights(settings.loss_weight, spaces),
        similarity,
        parse_head_losses(settings.head_loss, spaces),
        settings.mmd_epochs,
        {space: UncertainBlur(n) for space, n in (uncertain or {}).items()},
    )
    told = check_similarity(similarity, settings.batch) if made.contrasts else ""
    return made, told


def _key(space: str) -> str:
    return space.replace(".", "_")  # a module's name has no dot


def parse_head_losses(pairs: Sequence[str], spaces: Sequence[str] | None = None) -> dict[str, Loss]:
    """Return `space=loss` pairs, or `space=loss=weight,loss=weight`, as losses by space.

    spaces: the spaces there are heads for; None where that is not yet known. Raises ValueError for what is no such
    pair, an unknown loss, and a space that stands there twice or has no head.
    """
    found: dict[str, Loss] = {}
    for pair in pairs:
        space, _, name = pair.partition("=")
        if not space or not name:
            raise ValueError(f"--head-loss takes SPACE=LOSS or SPACE=LOSS=WEIGHT,LOSS=WEIGHT, not {pair!r}")
        if space in found:
            raise ValueError(f"--head-loss names {space!r} twice")
        if spaces is not None and space not in spaces:
            raise ValueError(f"--head-loss {pair}: there is no head for {space!r}; there are {', '.join(spaces)}")
        found[space] = loss_named(name)
    return found


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
