"""The families of image encoders, one row each, and from them every encoder's card by name."""

from core.model.spaces import IMAGE_SUFFIX, SPACES
from core.registry import by_name

from .card import ImageEncoder, ImageFamily
from .clip import CLIP
from .dino import DINO, DINOV2
from .dreamsim import DREAMSIM
from .internvit import INTERNVIT
from .openclip import OPEN_CLIP
from .synclr import SYNCLR

FAMILIES: dict[str, ImageFamily] = by_name((CLIP, OPEN_CLIP, DINO, DINOV2, SYNCLR, DREAMSIM, INTERNVIT))
IMAGE_ENCODERS: dict[str, ImageEncoder] = by_name(card for family in FAMILIES.values() for card in family.cards)


def image_encoder_named(name: str) -> ImageEncoder:
    """Return the card of that name; an unknown name raises ValueError with the known ones."""
    if name not in IMAGE_ENCODERS:
        raise ValueError(f"no image encoder {name!r}; known: {', '.join(sorted(IMAGE_ENCODERS))}")
    return IMAGE_ENCODERS[name]


def card_of_space(space: str, clip: str = "") -> ImageEncoder:
    """Return the card behind an image space.

    clip: folder or hub id where the CLIPs of Stable Diffusion's spaces lie in the place of their cards' own; for a
    space that has no card it is a CLIP of any width. Raises ValueError where there is neither.
    """
    name = space.removesuffix(IMAGE_SUFFIX)
    if name in IMAGE_ENCODERS:
        card = IMAGE_ENCODERS[name]
        return card.at(clip) if clip and space in SPACES and FAMILIES[card.family].named_by_clip else card
    if not clip:
        raise ValueError(
            f"targets in {space!r} need --clip: a folder or hub id of the model, "
            f"for there is no image encoder {name!r}; known: {', '.join(sorted(IMAGE_ENCODERS))}"
        )
    return ImageEncoder(name, "clip", clip, 0, "as its maker says")
