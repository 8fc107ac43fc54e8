"""Target: what a head is trained towards, one row for each distinct caption or picture."""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from core.model.heads import ONE_TOKEN
from core.model.spaces import SPACES, find_space
from core.preprocessing.trials import Trials

from ..config.image_options import ImageOptions
from ..config.model_options import TargetOptions
from .frozen_targets import load_targets, within_reach
from .image_encoders.chosen import check_taken, chosen_card
from .tuned_pictures import Pixels, pixels_of


@dataclass(frozen=True)
class Target:
    """One space's targets: `values` (n_distinct, n_values), named by `names`, the distinct values of the trials'
    `column`. levels: the same of pictures little, usually and much blurred, of which the usual ones are `values`; none
    where all are blurred alike. side: what is trained on the pictures' side and makes vectors (n, side.out) of values.
    pixels: of pictures that a tuned side sees; values are then their numbers.
    """

    values: Tensor
    names: tuple[str, ...]
    shape: tuple[int, ...]
    column: str
    levels: tuple[Tensor, ...] = ()
    side: nn.Module | None = None
    pixels: Pixels | None = None

    @property
    def predicted_shape(self) -> tuple[int, ...]:
        """Return the shape of what a head predicts."""
        return self.shape if self.side is None else (int(cast("int", self.side.out)),)

    @torch.no_grad()
    def settled(self) -> "Target":
        """Return the targets as their trained picture side makes them."""
        if self.side is None:
            return self
        side, device = self.side.eval(), next(self.side.parameters()).device
        values = torch.cat([side(part.float().to(device)).cpu() for part in self.values.split(1024)])
        return Target(values, self.names, self.predicted_shape, self.column)

    def of(self, trials: Trials) -> "Target":
        """Return the targets of these trials alone."""
        wanted = set(getattr(trials, self.column).tolist())
        rows = [row for row, name in enumerate(self.names) if name in wanted]
        levels = tuple(values[rows] for values in self.levels)
        names = tuple(self.names[row] for row in rows)
        return Target(self.values[rows], names, self.shape, self.column, levels, self.side, self.pixels)

    def at_levels(self, rows: Tensor, level: Tensor) -> Tensor:
        """Return the targets (n, n_values) of rows (n,), each at its own level: level (n_distinct,) into `levels`."""
        return torch.stack(self.levels)[level[rows], rows]

    def rows(self, trials: Trials) -> np.ndarray:
        """Return the row of `values` for each trial (n,); raises KeyError for one without a target."""
        where = {name: row for row, name in enumerate(self.names)}
        return np.array([where[name] for name in getattr(trials, self.column).tolist()], dtype=np.int64)


def trial_targets(trials: Trials, options: TargetOptions, cache: Path) -> dict[str, Target]:
    """Return the targets of the options' regression spaces, computed once for each distinct caption or picture."""
    check_taken(options.space, options.image)
    found = {}
    for space in options.space:
        kind = find_space(space).kind
        if kind == "prompts":
            continue
        column = "caption" if kind == "text" else "image_id"
        names = np.unique(getattr(trials, column)).tolist()
        if options.mix == "lora" and kind == "image" and space not in SPACES:
            pixels = pixels_of(chosen_card(space, options.clip, options.image), options.images, names, cache)
            found[space] = Target(torch.arange(len(names))[:, None].float(), tuple(names), (1,), column, pixels=pixels)
            continue
        values, shape = load_targets(
            space,
            options.clip,
            names,
            cache=cache,
            images=options.images,
            vae=options.vae,
            size=options.picture_size if kind == "picture" else options.latent_size,
            saliency=options.saliency_target,
            config=options.clip_config,
            image=options.image,
        )
        if options.head in ONE_TOKEN and kind == "text":
            empty = load_targets(space, options.clip, [""], cache=cache, config=options.clip_config)[0][0]
            values = within_reach(values, shape, options.head, empty)
        values, shape, levels = levelled(values, shape, space, options.image)
        found[space] = Target(values, tuple(names), shape, column, levels)
    return found


def levelled(
    values: Tensor, shape: tuple[int, ...], space: str, image: ImageOptions
) -> tuple[Tensor, tuple[int, ...], tuple[Tensor, ...]]:
    """Return targets at their usual blur, one's shape, and those of less, usual and more blur where training chooses.

    values: (n, n_values), of three levels where the options say uncertain. shape: of one, its levels first.
    """
    if image.blur_use != "uncertain" or space in SPACES or find_space(space).kind != "image":
        return values, shape, ()
    levels = tuple(level.flatten(1).contiguous() for level in values.unflatten(1, shape).unbind(1))
    return levels[1], shape[1:], levels
