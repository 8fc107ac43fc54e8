"""The target spaces: what an encoder's head can speak, its shape, and which model families take it."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from ..choices import FAMILIES


@dataclass(frozen=True)
class Space:
    """A target space.

    kind: "prompts" (weights over prompts), "text" (context, and pooled where the family has it), "image" (an image
    encoder's vector), "latent" or "picture". shape: of the main tensor without the batch; None where the head's own
    shape decides. pooled: width of the pooled vector that follows the context, or None. families: keys of FAMILIES
    that take it.
    """

    name: str
    kind: str
    shape: tuple[int, ...] | None = None
    pooled: int | None = None
    families: tuple[str, ...] = ()


SPACES = {
    space.name: space
    for space in (
        Space("prompts", "prompts", families=tuple(FAMILIES)),
        Space("sd1.text", "text", (77, 768), families=("sd1",)),
        Space("sd2.text", "text", (77, 1024), families=("sd2",)),
        Space("sdxl.text", "text", (77, 2048), pooled=1280, families=("sdxl",)),
        Space("clip-l.image", "image", (768,), families=("sd2",)),
        Space("clip-h.image", "image", (1024,), families=("sd1", "sd2", "sdxl")),
        Space("clip-g.image", "image", (1280,), families=("sdxl",)),
        Space("sd1.latent", "latent", families=("sd1",)),
        Space("saliency", "picture", families=("sd1", "sd2", "sdxl")),
    )
}
IMAGE_SUFFIX = ".image"


def find_space(name: str) -> Space:
    """Return a space by name; any `<encoder>.image` names another image encoder's vector, for retrieval and evaluation.

    Raises ValueError listing the known spaces.
    """
    if name in SPACES:
        return SPACES[name]
    if name.endswith(IMAGE_SUFFIX) and len(name) > len(IMAGE_SUFFIX):
        return Space(name, "image")
    raise ValueError(
        f"no target space {name!r}; known: {', '.join(SPACES)}, or <encoder>{IMAGE_SUFFIX} for another image encoder"
    )


def shape_in(space: Space, given: tuple[int, ...] | None) -> tuple[int, ...]:
    """Return the shape of a target: the space's own, or `given` where the space leaves it open.

    Raises ValueError where neither says one, or where they disagree.
    """
    if space.shape is not None:
        if given and tuple(given) != space.shape:
            raise ValueError(f"{space.name} has shape {space.shape}, not {tuple(given)}")
        return space.shape
    if not given:
        raise ValueError(f"{space.name} has no fixed shape; give the target's shape")
    return tuple(given)


def n_values(space: Space, shape: tuple[int, ...]) -> int:
    """Return how many numbers a target holds, the pooled vector included."""
    return math.prod(shape) + (space.pooled or 0)


def unpack(space: Space, shape: tuple[int, ...], flat: Tensor) -> tuple[Tensor, Tensor | None]:
    """Split flat targets (batch, n_values) into the main tensor (batch, *shape) and the pooled vector (batch, width)
    or None.
    """
    main, rest = flat.split([math.prod(shape), flat.shape[-1] - math.prod(shape)], dim=-1)
    return main.reshape(-1, *shape), rest if space.pooled else None


def family_of_width(width: int) -> str:
    """Return the names of the families whose cross-attention has this width, for messages."""
    names = [family.name for family in FAMILIES.values() if family.width == width]
    return " or ".join(names) if names else "no known family"


def check_fits(context: Tensor, width: int, source: str = "this conditioning") -> None:
    """Raise ValueError, naming both shapes and what would fit, where a model of cross-attention `width` cannot take
    `context`.

    context: (batch, tokens, width).
    """
    if context.ndim != 3 or context.shape[-1] != width:
        found = tuple(context.shape[1:])
        raise ValueError(
            f"{source} is {' x '.join(map(str, found))}, which fits {family_of_width(found[-1])}; "
            f"the model takes tokens x {width} ({family_of_width(width)}). Load a model of that family, "
            "or use an encoder with a `prompts` head, which fits every family"
        )


# A text encoder as every host has one: prompts in, context (n, tokens, width) and the pooled vector (n, width) or None
# out.
EncodePrompts = Callable[[list[str]], tuple[Tensor, Tensor | None]]
