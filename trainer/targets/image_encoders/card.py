"""A card says what one image encoder's vector is: which model, which layer, pooled how, of pictures cut how."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from core.model.spaces import IMAGE_SUFFIX

from ..features.computing import Model

POOLINGS = ("model", "cls", "patch-mean", "token-mean")
RESIZINGS = ("crop", "squash")
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos")
STORED = ("float32", "float16")
BLURS = ("gaussian", "foveated")
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# These change no number themselves; what a transform's file holds does, and is told apart by its SHA-256.
DESCRIPTIVE = (
    "name",
    "family",
    "source",
    "origin",
    "revision",
    "width",
    "block_width",
    "licence",
    "aligned",
    "base",
    "transform",
    "adapter",
)


@dataclass(frozen=True)
class ImageEncoder:
    """A frozen image encoder; its target space is `<name>.image`.

    family: how it is loaded, a name in FAMILIES. source: hub id (with `revision`) or folder. width: of one row as
    the model itself ends; block_width: of its blocks' tokens, so of rows of single layers (0: the same). aligned:
    whether it was trained on human judgements of similarity.

    layers: blocks whose output is taken, counted from 1; none takes the last one. One gives rows (width,), several
    (n_layers, width). pooling: "model" as the model itself ends (projection, attention pooling), "cls", "patch-mean"
    (without CLS and registers) or "token-mean" (all of them). final_norm: whether a block's output goes through the
    model's last normalisation before it is pooled.

    size: pixels a side that the model sees; 0 takes the model's own. resize: "crop" (shortest side to
    size / crop_share, then the middle) or "squash" (both sides to `size`). stored: dtype on disk.

    blur: odd kernels in pixels, a level each, of the picture squashed to blur_size pixels a side; rows are then
    (n_levels, ...), 1 is no blur. blur_kind: "gaussian" all over, or "foveated", less at the middle (UBP). transform:
    file of an affine map of each row, as human alignment makes one; see `affine`. base: name of the card it maps.
    origin: the card's own source, where another was given. adapter: file of a visual LoRA; see `lora`.
    """

    name: str
    family: str
    source: str
    width: int
    licence: str
    revision: str = ""
    aligned: bool = False
    layers: tuple[int, ...] = ()
    pooling: str = "model"
    final_norm: bool = False
    size: int = 0
    resize: str = "crop"
    crop_share: float = 1.0
    interpolation: str = "bicubic"
    mean: tuple[float, float, float] = CLIP_MEAN
    std: tuple[float, float, float] = CLIP_STD
    stored: str = "float32"
    block_width: int = 0
    blur: tuple[int, ...] = ()
    blur_kind: str = "gaussian"
    blur_size: int = 224
    transform: str = ""
    base: str = ""
    origin: str = ""
    adapter: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", self.name):
            raise ValueError(f"an image encoder's name is letters, digits, '.', '_' and '-', not {self.name!r}")
        for name, allowed in (
            ("pooling", POOLINGS),
            ("resize", RESIZINGS),
            ("interpolation", INTERPOLATIONS),
            ("stored", STORED),
            ("blur_kind", BLURS),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"image encoder {self.name}: {name} is {getattr(self, name)!r}; known: {', '.join(allowed)}"
                )
        if min(self.layers, default=1) < 1 or self.width < 0 or self.size < 0 or not 0 < self.crop_share <= 1:
            raise ValueError(
                f"image encoder {self.name}: layers count from 1, width and size are not negative, crop_share lies in "
                f"(0, 1]; they are {self.layers}, {self.width}, {self.size}, {self.crop_share}"
            )
        if any(kernel < 1 or kernel % 2 == 0 for kernel in self.blur) or self.blur_size < 8:
            raise ValueError(
                f"image encoder {self.name}: blur kernels are odd pixels from 1 (no blur) of a picture of at "
                f"least 8 pixels a side; they are {self.blur} of {self.blur_size}"
            )
        if self.layers and self.pooling == "model":
            raise ValueError(
                f"image encoder {self.name}: the model pools its own end only; "
                f"layers {self.layers} need pooling {', '.join(POOLINGS[1:])}"
            )

    def at(self, source: str) -> "ImageEncoder":
        """Return the card for a model that lies elsewhere: a folder or a hub id."""
        if source == self.source:
            return self
        return replace(self, source=source, revision="", origin=self.origin or self.source)

    @property
    def row_width(self) -> int:
        """Return how many numbers a row of one layer has; 0 where the card does not say."""
        return self.width if self.pooling == "model" else self.block_width or self.width

    def numbers(self) -> dict[str, Any]:
        """Return what changes a row, JSON-able: the fields that differ from the defaults, so that a later field with a
        default leaves what is on disk valid.
        """
        given = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in DESCRIPTIVE}
        defaults: Mapping[str, Any] = {one.name: one.default for one in fields(self)}
        told = {name: value for name, value in given.items() if value != defaults[name] and name != "stored"}
        return {"family": self.family, **told}

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise ValueError where a row's shape is not the card's; a card of width 0 takes any."""
        wanted = ((len(self.layers),) if len(self.layers) > 1 else ()) + (self.row_width,)
        wanted = (len(self.blur), *wanted) if self.blur else wanted
        if self.width and shape != wanted:
            raise ValueError(
                f"{self.name}{IMAGE_SUFFIX} has shape {wanted}, not {shape} as the model given; "
                "give the model of that space"
            )


@dataclass(frozen=True)
class ImageFamily:
    """Image encoders that are loaded alike: from a card, to a device. cards: those that there are.

    `load` refuses what it cannot honour of a card with ValueError. named_by_clip: whether --clip says where their
    models lie.
    """

    name: str
    load: Callable[[ImageEncoder, str], Model]
    cards: tuple[ImageEncoder, ...]
    named_by_clip: bool = False
