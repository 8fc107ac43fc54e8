"""Which part of an image encoder is the target, and of which pictures."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from .flags import check_choice, flag

POOLINGS = ("", "model", "cls", "patch-mean", "token-mean")
RESIZINGS = ("", "crop", "squash")
BLURS = ("gaussian", "foveated")
USES = ("levels", "uncertain")


@dataclass(frozen=True)
class ImageOptions:
    """Changes to the cards of image spaces (phantom-clip.image ...), but for those that Stable Diffusion takes."""

    cards: Annotated[tuple[Path, ...], flag("image-card")] = ()
    """Card files of your own, as trainer/align.py writes them; each is then a space called by its name and .image."""
    source: Annotated[str, flag("image-source")] = ""
    """Folder, file or hub id where the image encoder lies, in the place of its card's own."""
    layers: Annotated[tuple[int, ...], flag("image-layer")] = ()
    """Blocks whose output is the target, counted from 1, for example 20 24 28; none takes the model's own end."""
    pooling: Annotated[str, flag("image-pooling")] = ""
    """How a block's tokens become one vector: cls, patch-mean (without CLS; the default with layers) or token-mean."""
    resize: Annotated[str, flag("image-resize")] = ""
    """How pictures are brought to the encoder's size: crop or squash (by default as its card says)."""
    size: Annotated[int, flag("image-size")] = 0
    """Pixels a side that the encoder sees; 0 as its card says."""
    blur: Annotated[tuple[int, ...], flag("image-blur")] = ()
    """Blur kernels in odd pixels of --image-blur-size, one row a level; the blur mix takes 1 3 9 15 21 27 33 39 45 51
    57 63.
    """
    blur_kind: Annotated[str, flag("image-blur-kind")] = "gaussian"
    """gaussian, or foveated (less blur at the middle, as the Uncertainty-aware Blur Prior has it)."""
    blur_size: Annotated[int, flag("image-blur-size")] = 224
    """Pixels a side to which pictures are squashed before they are blurred."""
    blur_use: Annotated[str, flag("image-blur-use")] = "levels"
    """levels (all of them are the target, for a mix), or uncertain (three, less, usual and more, of which each training
    picture has its own).
    """

    def __post_init__(self) -> None:
        check_choice("--image-pooling", self.pooling, POOLINGS)
        check_choice("--image-resize", self.resize, RESIZINGS)
        check_choice("--image-blur-kind", self.blur_kind, BLURS)
        check_choice("--image-blur-use", self.blur_use, USES)
        if self.blur_use == "uncertain" and len(self.blur) != 3:
            raise ValueError(
                f"--image-blur-use uncertain takes three kernels, less, usual and more, not {len(self.blur)}: "
                "--image-blur 45 45 51 are those of the paper's code"
            )
        if min(self.layers, default=1) < 1:
            raise ValueError(f"--image-layer counts from 1, not {min(self.layers)}")
        if self.size < 0 or self.blur_size < 8:
            raise ValueError(f"--image-size {self.size} and --image-blur-size {self.blur_size} must be 0 and 8 or more")

    @property
    def changes(self) -> bool:
        """Tell whether anything but cards of one's own is asked for."""
        given = (self.source, self.layers, self.pooling, self.resize, self.size, self.blur)
        return any(bool(value) for value in given)
