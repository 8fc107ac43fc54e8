"""The card that is meant: a space's name, which may name layers, and what the options change of it."""

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from core.model.spaces import IMAGE_SUFFIX, SPACES

from ...config.image_options import ImageOptions
from .affine import read_card
from .card import ImageEncoder
from .families import IMAGE_ENCODERS, card_of_space, image_encoder_named

NAMED_LAYERS = re.compile(r"(.+)@(\d+(?:-\d+)*)")


def chosen_card(space: str, clip: str = "", options: ImageOptions | None = None) -> ImageEncoder:
    """Return the card behind an image space, with what is asked of it.

    space: `<encoder>.image`, or `<encoder>@20-24-28.image` for layers of it. options: of --image-...; spaces that
    Stable Diffusion takes (clip-l.image ...) keep to their own cards whatever they say. Raises ValueError where there
    is no such encoder, and what reading card files raises.
    """
    options = options or ImageOptions()
    name, layers = layers_named(space.removesuffix(IMAGE_SUFFIX))
    own = own_cards(options.cards)
    card = own[name] if name in own else card_of_space(name + IMAGE_SUFFIX, clip)
    if space in SPACES:
        return card
    return changed(card, options, layers)


def layers_named(name: str) -> tuple[str, tuple[int, ...]]:
    """Split `internvit-6b@20-24` into the encoder's name and its layers; none where none are named."""
    found = NAMED_LAYERS.fullmatch(name)
    return (found[1], tuple(map(int, found[2].split("-")))) if found else (name, ())


def changed(card: ImageEncoder, options: ImageOptions, layers: tuple[int, ...] = ()) -> ImageEncoder:
    """Return a card with what the options ask for; layers in its name come before those of --image-layer.

    Raises ValueError for a transformed card of other layers or another pooling, which its map was not made for.
    """
    layers = layers or options.layers
    wanted: dict[str, object] = {}
    if layers:
        wanted["layers"] = layers
    if options.pooling or (layers and card.pooling == "model"):
        wanted["pooling"] = options.pooling or "patch-mean"
    wanted |= {name: getattr(options, name) for name in ("resize", "size") if getattr(options, name)}
    if options.blur:
        wanted |= {name: getattr(options, name) for name in ("blur", "blur_kind", "blur_size")}
    if card.transform and any(getattr(card, name) != value for name, value in wanted.items()):
        raise ValueError(
            f"{card.name} maps rows of {card.base or 'its base'} as they are; {', '.join(wanted)} cannot be chosen "
            "again: align that layer or pooling with trainer/align.py"
        )
    card = card.at(options.source) if options.source else card
    return replace(card, **wanted)  # type: ignore[arg-type]  # values come from fields of the same types


def own_cards(files: Iterable[Path]) -> dict[str, ImageEncoder]:
    """Return the image encoders in card files by name; a name that is taken raises ValueError."""
    found: dict[str, ImageEncoder] = {}
    for path in files:
        card, _ = read_card(path)
        if card.name in found or card.name in IMAGE_ENCODERS:
            raise ValueError(f"{path}: there is an image encoder {card.name!r} already; give another --name")
        found[card.name] = card
    return found


def card_named(name: str, options: ImageOptions) -> ImageEncoder:
    """Return the card of a name, which may name layers, with what is asked of it; ValueError for an unknown one."""
    name, layers = layers_named(name)
    own = own_cards(options.cards)
    return changed(own[name] if name in own else image_encoder_named(name), options, layers)


def check_taken(spaces: Iterable[str], options: ImageOptions) -> None:
    """Raise ValueError where --image-... options would change no space that is trained towards."""
    images = [space for space in spaces if space.endswith(IMAGE_SUFFIX)]
    if (options.changes or options.cards) and not any(space not in SPACES for space in images):
        said = ", ".join(images) or "there is no image space"
        raise ValueError(
            f"--image-... options change no target ({said}); spaces that Stable Diffusion takes stay as they are: "
            "write for example --space clip-l@20.image for a layer of that model"
        )
