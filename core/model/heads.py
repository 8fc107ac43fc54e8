"""Heads: from a backbone's tokens to one target space."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..encoders.dense.projector import Projector
from .picture_generator import PICTURE_SIZES, Generator
from .spaces import find_space, n_values, shape_in, unpack

HEAD_KINDS = ("prompts", "positions", "linear", "basis", "generator", "broadcast", "last-token")
ONE_TOKEN = ("broadcast", "last-token")  # kinds that predict a single vector as wide as the text space
MAX_PROMPTS = 10_000
MAX_RANK = 4096
MAX_CONCEPTS = 100_000
RECALL_TEMPERATURES = (0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.085, 0.1, 0.125, 0.15, 0.2, 0.3, 0.5)


@dataclass(frozen=True)
class HeadConfig:
    """What a head predicts and how.

    space: a target space's name. kind: "prompts" (weights over `prompts`); "positions" (Braincoder's: a linear map
    over positions, the width kept); "linear" (all features to all values); "basis" (all features to the `rank`
    principal components of the training targets). shape: the target's shape where the space leaves it open. projector:
    width of NICE's residual projector before the last layer, or None. concepts: captions of the training targets that
    the head keeps as a gallery, for "nearest concepts" and for confidence. "generator" draws pictures (3, size, size)
    from features and noise: noise and condition are the widths of both, channels those of its finest map, draws how
    many fixed noises a picture is the mean of (1: none, z = 0). "broadcast" predicts one vector that stands in every
    token of a text, "last-token" one that stands in its last token after the empty prompt's others. compare: width of a
    learned linear map of predictions and targets alike, by which a linear or basis head compares them, or None. Raises
    ValueError for values that do not go together.
    """

    space: str
    kind: str
    prompts: tuple[str, ...] = ()
    shape: tuple[int, ...] | None = None
    rank: int | None = None
    projector: int | None = None
    dropout: float = 0.0
    concepts: tuple[str, ...] = ()
    noise: int = 32
    condition: int = 128
    channels: int = 8
    draws: int = 1
    compare: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "prompts", tuple(str(prompt) for prompt in self.prompts))
        object.__setattr__(self, "concepts", tuple(str(concept) for concept in self.concepts))
        if self.shape is not None:
            object.__setattr__(self, "shape", tuple(int(size) for size in self.shape))
            if not self.shape or min(self.shape) < 1 or math.prod(self.shape) > 1 << 26:
                raise ValueError(
                    f"a head's shape must be positive and hold at most 67 million values, not {self.shape}"
                )
        space = find_space(self.space)
        if self.kind not in HEAD_KINDS:
            raise ValueError(f"no head kind {self.kind!r}; known: {', '.join(HEAD_KINDS)}")
        if (self.kind == "prompts") != (space.kind == "prompts"):
            raise ValueError(f"a head of kind {self.kind!r} cannot speak the space {self.space!r}")
        if self.kind == "prompts":
            if not 2 <= len(self.prompts) <= MAX_PROMPTS:
                raise ValueError(f"a `prompts` head needs 2 to {MAX_PROMPTS} prompts, not {len(self.prompts)}")
        else:
            object.__setattr__(self, "shape", shape_in(space, self.shape))
        if self.kind in ("positions", *ONE_TOKEN) and (space.kind != "text" or space.pooled):
            raise ValueError(
                f"a `{self.kind}` head speaks text without a pooled vector, not {self.space!r}; use `basis` or `linear`"
            )
        if self.kind == "generator":
            if space.kind != "picture" or self.shape not in [(3, size, size) for size in PICTURE_SIZES]:
                raise ValueError(
                    f"a `generator` head speaks saliency pictures of 3 x 64 x 64 or 3 x 128 x 128, "
                    f"not {self.space!r} of shape {self.shape}"
                )
            for name, most in (("noise", 1024), ("condition", 1024), ("channels", 128), ("draws", 64)):
                if not 1 <= getattr(self, name) <= most:
                    raise ValueError(f"a generator's {name} is 1 to {most}, not {getattr(self, name)}")
        if self.concepts and (self.kind in ("prompts", "positions", "generator") or len(self.concepts) > MAX_CONCEPTS):
            raise ValueError(f"a `{self.kind}` head keeps no concepts, and others at most {MAX_CONCEPTS} of them")
        if self.kind == "basis" and not (self.rank and 1 <= self.rank <= MAX_RANK):
            raise ValueError(f"a `basis` head needs a rank from 1 to {MAX_RANK}, not {self.rank}")
        if self.compare is not None and (self.kind not in ("linear", "basis") or not 1 <= self.compare <= 8192):
            raise ValueError(
                f"a linear or basis head compares by a map of 1 to 8192 values, not a `{self.kind}` head by "
                f"{self.compare}"
            )
        if self.projector is not None and not 1 <= self.projector <= 8192:
            raise ValueError(f"a projector is 1 to 8192 wide, not {self.projector}")
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout lies in [0, 1), not {self.dropout}")

    @property
    def n_values(self) -> int:
        """Return the length of a prediction: the number of prompts, or of all the target's values."""
        return len(self.prompts) if self.kind == "prompts" else n_values(find_space(self.space), self.shape or ())

    def to_json(self) -> dict[str, Any]:
        """Return the config as plain JSON values, as older versions read them where nothing newer is used."""
        return {name: value for name, value in asdict(self).items() if name != "compare" or value is not None}


class Head(nn.Module):
    """A head built from its config for tokens (batch, n_tokens, width).

    Buffers hold the training targets' mean and, for `basis`, their principal directions and spread, so that the head
    starts at the train mean and works in units of the targets' own spread; `set_target` fills them. `spread_gain`
    widens predictions that regression has shrunk towards the mean; it is fitted on validation data and applied by
    `restore_spread` only when asked.
    """

    target_mean: Tensor
    target_spread: Tensor
    spread_gain: Tensor
    basis: Tensor
    gallery: Tensor
    recall_temperature: Tensor
    temperature: Tensor

    def __init__(self, config: HeadConfig, n_tokens: int, width: int) -> None:
        super().__init__()
        self.config = config
        self.space = find_space(config.space)
        n_features = n_tokens * width
        if config.kind == "positions":
            assert config.shape is not None
            tokens, out_width = config.shape
            self.over_positions = nn.Linear(n_tokens, tokens)
            self.over_width = nn.Linear(width, out_width) if width != out_width else nn.Identity()
            self.register_buffer("target_mean", torch.zeros(config.n_values))
            self.register_buffer("spread_gain", torch.ones(1))
            return
        self.dropout = nn.Dropout(config.dropout)
        self.projector = Projector(n_features, config.projector, config.dropout) if config.projector else nn.Identity()
        last_in = config.projector or n_features
        if config.kind == "generator":
            assert config.shape is not None
            sizes = (config.shape[1], config.noise, config.condition, config.channels, config.draws)
            self.generator = Generator(last_in, *sizes)
            self.register_buffer("target_mean", torch.zeros(config.n_values))
            self.register_buffer("spread_gain", torch.ones(1))
            return
        if config.kind == "prompts":
            self.last = nn.Linear(last_in, len(config.prompts))
            self.register_buffer("temperature", torch.ones(()))
            return
        n_coordinates = config.rank if config.kind == "basis" else config.n_values
        if config.kind in ONE_TOKEN and config.shape is not None:
            n_coordinates = config.shape[1]
        assert n_coordinates is not None
        self.last = nn.Linear(last_in, n_coordinates)
        self.register_buffer("target_mean", torch.zeros(config.n_values))
        self.register_buffer("target_spread", torch.ones(n_coordinates))
        self.register_buffer("spread_gain", torch.ones(n_coordinates))
        self.comparison = nn.Linear(n_coordinates, config.compare) if config.compare else nn.Identity()
        self.register_buffer("gallery", torch.zeros(len(config.concepts), config.compare or n_coordinates))
        self.register_buffer("recall_temperature", torch.zeros(()))
        if config.kind == "basis":
            self.register_buffer("basis", torch.zeros(n_coordinates, config.n_values))

    def forward(self, tokens: Tensor, noise: Tensor | None = None) -> Tensor:
        """Return logits (batch, n_prompts) for `prompts`, else flat predictions (batch, n_values) in the target's own
        units.

        noise: (batch, noise), what a `generator` draws with; by default what `Generator` says.
        """
        if self.config.kind == "generator":
            features = self.projector(self.dropout(tokens.flatten(1)))
            return self.generator(features, self.target_mean, noise).flatten(1)
        if self.config.kind == "positions":
            return self.over_width(self.over_positions(tokens.transpose(1, 2)).transpose(1, 2)).flatten(1)
        found = self.last(self.projector(self.dropout(tokens.flatten(1))))
        return found if self.config.kind == "prompts" else self.from_coordinates(found * self.target_spread)

    def from_coordinates(self, coordinates: Tensor) -> Tensor:
        """Return flat predictions (batch, n_values) for deviations from the train mean in the head's coordinates."""
        if self.config.kind == "last-token":
            return self.target_mean + F.pad(coordinates, (self.config.n_values - coordinates.shape[1], 0))
        if self.config.kind == "broadcast":
            return self.target_mean + coordinates.repeat(1, self.config.n_values // coordinates.shape[1])
        return self.target_mean + (coordinates @ self.basis if self.config.kind == "basis" else coordinates)

    def coordinates(self, flat: Tensor) -> Tensor:
        """Return deviations from the train mean (batch, n_coordinates) of flat targets or predictions (batch,
        n_values).
        """
        deviation = flat - self.target_mean
        if self.config.kind in ONE_TOKEN:
            tokens = self.unpack(deviation)[0]
            return tokens.mean(1) if self.config.kind == "broadcast" else tokens[:, -1]
        return deviation @ self.basis.T if self.config.kind == "basis" else deviation

    def comparable(self, flat: Tensor) -> Tensor:
        """Return the vectors (batch, n_coordinates) whose cosine says how alike flat targets or predictions (batch,
        n_values) are.

        They are deviations from the train mean; those of a `basis` head are in units of each component's spread over
        the training targets, so that a place that moves every token does not drown a colour that changes one. A learned
        comparison maps both sides after that, with a gradient in training only. It stands for a map of each side: what
        the prediction's own would be is in the head's last layer.
        """
        found = self.coordinates(flat)
        found = found / self.target_spread if self.config.kind == "basis" else found
        if self.config.compare is None:
            return found
        with torch.set_grad_enabled(self.training and torch.is_grad_enabled()):
            return self.comparison(found)

    @torch.no_grad()
    def keep_gallery(self, targets: Tensor) -> None:
        """Store what the concepts' targets (n_concepts, n_values) look like where predictions are compared."""
        self.gallery.copy_(self.comparable(targets.to(self.gallery.device)))

    def recall(self, flat: Tensor) -> Tensor:
        """Return the mean of the gallery's targets, weighted by their likeness to flat predictions (batch, n_values).

        Regression answers between targets, where no text ever lies; this pulls the answer back among them, as one step
        of a modern Hopfield network does (Ramsauer et al., ICLR 2021). A head without a gallery, or not yet
        calibrated, or whose comparison is learned, returns `flat` itself.
        """
        if not self.config.concepts or self.config.compare or not self.recall_temperature > 0:
            return flat
        likeness = F.normalize(self.comparable(flat), dim=-1) @ F.normalize(self.gallery, dim=-1).T
        recalled = torch.softmax(likeness / self.recall_temperature, dim=-1) @ self.gallery
        return self.from_coordinates(recalled * self.target_spread if self.config.kind == "basis" else recalled)

    def restore_spread(self, flat: Tensor) -> Tensor:
        """Widen flat predictions around the train mean to the spread the targets had; shapes as `coordinates`.

        A generator's pictures have the contrast they were trained to and stay as they are.
        """
        return self.from_coordinates(self.coordinates(flat) * self.spread_gain)

    def weights(self, logits: Tensor) -> Tensor:
        """Return calibrated prompt weights (batch, n_prompts) that sum to 1."""
        return torch.softmax(logits / self.temperature, dim=-1)

    def unpack(self, flat: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the main tensor (batch, *shape) and the pooled vector or None."""
        return unpack(self.space, self.config.shape or (), flat)

    def fix_noise(self, noise: Tensor) -> None:
        """Let a `generator` draw with these noises (draws, noise) from now on, each picture the mean over them."""
        self.generator.inference_noise = noise
        self.config = replace(self.config, draws=len(noise))

    @torch.no_grad()
    def set_target(self, targets: Tensor) -> None:
        """Store the mean, the principal directions and the spread of the training targets (n, n_values).

        Raises ValueError where a basis has fewer targets than its rank needs.
        """
        if self.config.kind == "prompts":
            return
        targets = targets.float()
        mean = targets.mean(0)
        self.target_mean.copy_(mean)
        if self.config.kind in ("positions", "generator"):
            return
        if self.config.kind in ("linear", *ONE_TOKEN):
            spread = self.coordinates(targets).std(0)
        else:
            assert self.config.rank is not None
            if len(targets) <= self.config.rank:
                raise ValueError(
                    f"a basis of rank {self.config.rank} needs more than that many different targets, "
                    f"not {len(targets)}"
                )
            # The small side's eigenvectors: n targets are far fewer than their values.
            centred = (targets - mean).double()
            variance, vectors = torch.linalg.eigh(centred @ centred.T)
            variance, vectors = variance.flip(0)[: self.config.rank], vectors.flip(1)[:, : self.config.rank]
            spread = (variance.clamp(min=0) / (len(targets) - 1)).sqrt()
            directions = (centred.T @ vectors / variance.clamp(min=1e-12).sqrt()).T
            self.basis.copy_(directions.float())
        self.target_spread.copy_(spread.clamp(min=spread.max() * 1e-4))

    @torch.no_grad()
    def fit_recall(self, predicted: Tensor, targets: Tensor) -> None:
        """Set `recall_temperature` to the one whose recalled answers are most alike their targets, on held-out data
        (n, n_values).
        """
        if not self.config.concepts or self.config.compare:
            return
        wanted, best, chosen = self.comparable(targets), -torch.inf, RECALL_TEMPERATURES[0]
        for temperature in RECALL_TEMPERATURES:
            self.recall_temperature.fill_(temperature)
            alike = F.cosine_similarity(self.comparable(self.recall(predicted)), wanted, dim=-1).mean()
            if alike > best:
                best, chosen = alike, temperature
        self.recall_temperature.fill_(chosen)

    @torch.no_grad()
    def fit_spread_gain(self, predicted: Tensor, targets: Tensor, at_most: float = 3.0) -> None:
        """Set `spread_gain` from held-out predictions, recalled where they will be, and their targets, both (n,
        n_values).

        Gains lie in [1, at_most]: a component that is not decoded at all must not be blown up to the targets' spread.
        """
        if self.config.kind in ("prompts", "generator"):
            return
        wanted, found = self.coordinates(targets), self.coordinates(predicted)
        if self.config.kind == "positions":
            gain = (wanted.square().mean() / found.square().mean().clamp(min=1e-12)).sqrt()[None]
        else:
            gain = wanted.std(0) / found.std(0).clamp(min=1e-12)
        self.spread_gain.copy_(gain.clamp(1.0, at_most))


class Heads(nn.ModuleList):
    """An encoder's heads in order: a module list that says what it holds."""

    def __iter__(self) -> Iterator[Head]:
        return cast("Iterator[Head]", super().__iter__())  # torch's module list promises modules of any kind
