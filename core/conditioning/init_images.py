"""What img2img starts from: the picture of a `saliency` head, or the latent of an `sd1.latent` head."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..choices import FAMILIES, INITS
from ..model.checkpoint import EegEncoder
from ..model.decodable import decodable
from ..model.prediction import encoder_input
from ..model.spaces import find_space
from ..preprocessing.selection import Selection
from .conditioning import Conditioning, condition
from .for_host import MAX_ROWS, confidence_lines, repeats_of, selection_lines
from .resizing import resize, wanted_size

if TYPE_CHECKING:
    from PIL.Image import Image

LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue (ITU-R BT.601)
PIXELS_A_CELL = 8  # how many pixels a side one value of a latent stands for
MAX_VALUES = 1 << 30  # 4 GB
LEAST = 1e-4  # a departure that no picture of 8 bits could show


@dataclass(frozen=True)
class Inits:
    """Where img2img starts, one row for each window.

    values: pictures (batch, 3, height, width) in [0, 1], or latents (batch, 4, height / 8, width / 8) as SD 1.x's
    sampler has them, times the autoencoder's scaling factor. mean: the train mean in the same shape, batch 1: what the
    encoder says when it knows nothing. mask: how far each picture departs from it, (batch, height, width) in [0, 1];
    None for latents. confidence: the mean over windows, 0 where nothing is decodable or the head
    was never calibrated. report: readable lines.
    """

    values: Tensor
    mean: Tensor
    mask: Tensor | None
    confidence: float
    report: str


def check_init(encoder: EegEncoder, init: str) -> str:
    """Return the target space that gives an init image of this kind; ValueError where the encoder has no such head."""
    if init not in INITS:
        raise ValueError(f"no init image called {init!r}; known: {', '.join(INITS)}")
    if INITS[init] not in encoder.spaces:
        raise ValueError(
            f"an init image from the {init} needs an encoder with a {INITS[init]!r} head; this one has "
            f"{', '.join(encoder.spaces)}"
        )
    return INITS[init]


def init_picture(encoder: EegEncoder, selection: Selection, init: str) -> Image | Tensor:
    """Return the init image that the selected windows, taken as one, stand for.

    init: "saliency" gives a PIL image, "latent" a tensor (4, height, width), scaled as SD 1.x's sampler has it. Raises
    ValueError where the encoder has no such head.
    """
    found = condition(encoder, encoder_input(selection, encoder), space=check_init(encoder, init)).picture
    assert found is not None
    mean = found.float().mean(dim=0).cpu()
    return mean if init == "latent" else as_image(mean)


def as_image(picture: Tensor) -> Any:
    """Return a picture (3, height, width) in [0, 1] as a PIL image."""
    from PIL import Image

    pixels = (picture.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0)
    return Image.fromarray(pixels.contiguous().cpu().numpy())


def init_pictures(
    encoder: EegEncoder,
    selection: Selection,
    *,
    width: int = 0,
    height: int = 0,
    how: str = "bicubic",
    fit: str = "stretch",
    strength: float = 1.0,
    restore_spread: float = 1.0,
) -> Inits:
    """Return the saliency head's picture of each selected window, at the size of the generation.

    width, height: in pixels; 0 follows from the other, both 0 are the head's own. how, fit: see `resize`. strength,
    restore_spread: see `condition`. Raises ValueError where the encoder has no such head, or for more than fits into
    memory.
    """
    decoded, pictures = _decoded(encoder, selection, "saliency", strength, restore_spread)
    assert decoded.negative is not None
    assert decoded.negative.picture is not None
    if pictures.shape[1] not in (1, 3):
        raise ValueError(f"a picture has 1 or 3 channels; this encoder's saliency head gives {pictures.shape[1]}")
    pictures = pictures.expand(-1, 3, -1, -1).clamp(0, 1)
    mean = decoded.negative.picture.float().expand(-1, 3, -1, -1).clamp(0, 1)
    own = (pictures.shape[3], pictures.shape[2])
    size = wanted_size(own, width, height)
    _check_room(len(pictures), 3, *size)
    far = departure(pictures, mean)
    return Inits(
        resize(pictures, size, how, fit).clamp(0, 1),
        resize(mean, size, how, fit).clamp(0, 1),
        resize(of_most(far)[:, None], size, how, fit).clamp(0, 1)[:, 0],
        0.0 if decoded.confidence is None else float(decoded.confidence.mean()),
        _report(encoder, selection, decoded, far, own, size),
    )


def departure(pictures: Tensor, mean: Tensor) -> Tensor:
    """Return the luminance of |pictures - mean|, (batch, height, width), of (batch or 1, 3, height, width) each."""
    weights = torch.tensor(LUMINANCE, device=pictures.device)[:, None, None]
    return ((pictures - mean).abs() * weights).sum(dim=1)


def of_most(far: Tensor) -> Tensor:
    """Return each row (batch, height, width) over its largest value, 0 throughout where it is nearly 0 throughout."""
    most = far.amax(dim=(1, 2), keepdim=True)
    return torch.where(most > LEAST, far / most.clamp(min=LEAST), torch.zeros_like(far))


def init_latents(
    encoder: EegEncoder,
    selection: Selection,
    *,
    family: str | None = "sd1",
    width: int = 0,
    height: int = 0,
    how: str = "bicubic",
    strength: float = 1.0,
    restore_spread: float = 1.0,
) -> Inits:
    """Return the latent head's latent of each selected window, at the size of the generation.

    family: what the model that will sample belongs to, None where it is unknown. width, height: of the picture in
    pixels, 0 as in `init_pictures`; cut down to whole cells of 8. The others are those of `init_pictures`. Raises
    ValueError for a family with other latents, for an encoder without such a head, or for more than fits into memory.
    """
    space = find_space(check_init(encoder, "latent"))
    if family not in space.families:
        given = FAMILIES[family].name if family in FAMILIES else "of another family"
        raise ValueError(
            f"{space.name} latents are those of {' or '.join(FAMILIES[key].name for key in space.families)}, and the "
            f"connected model is {given}: its latents mean something else. Connect a model that fits, or use a "
            "`saliency` head's picture, which any model's own VAE encodes"
        )
    decoded, latents = _decoded(encoder, selection, "latent", strength, restore_spread)
    assert decoded.negative is not None
    assert decoded.negative.picture is not None
    if latents.shape[1] != 4:
        raise ValueError(f"SD 1.x's latents have 4 channels; this encoder's {space.name} head gives {latents.shape[1]}")
    mean = decoded.negative.picture.float()
    own = (latents.shape[3] * PIXELS_A_CELL, latents.shape[2] * PIXELS_A_CELL)
    width, height = wanted_size(own, width, height)
    cells = max(width // PIXELS_A_CELL, 1), max(height // PIXELS_A_CELL, 1)
    _check_room(len(latents), 4, *cells)
    return Inits(
        resize(latents, cells, how),
        resize(mean, cells, how),
        None,
        0.0 if decoded.confidence is None else float(decoded.confidence.mean()),
        _report(encoder, selection, decoded, (latents - mean).abs(), own, tuple(PIXELS_A_CELL * n for n in cells)),
    )


def _decoded(
    encoder: EegEncoder, selection: Selection, init: str, strength: float, restore_spread: float
) -> tuple[Conditioning, Tensor]:
    space = check_init(encoder, init)
    if len(selection) > MAX_ROWS:
        raise ValueError(f"{len(selection)} windows would be as many pictures; select at most {MAX_ROWS}")
    eeg = encoder_input(selection, encoder)
    decoded = condition(
        encoder,
        eeg,
        space=space,
        strength=strength,
        restore_spread=restore_spread,
        decodable=decodable(encoder, selection),
        averaged=repeats_of(selection),
    )
    assert decoded.picture is not None
    return decoded, decoded.picture.float()


def _check_room(rows: int, channels: int, width: int, height: int) -> None:
    if rows * channels * width * height > MAX_VALUES:
        raise ValueError(
            f"{rows} windows at {width} x {height} take {rows * channels * width * height * 4 / 1e9:.0f} GB of memory; "
            "select fewer windows, or a smaller size"
        )


def _report(
    encoder: EegEncoder,
    selection: Selection,
    decoded: Conditioning,
    far: Tensor,
    own: tuple[int, int],
    size: tuple[int, ...],
) -> str:
    """Say what was decoded; `far` is each row's departure from the train mean, its first axis the rows."""
    resized = "" if own == tuple(size) else f", resized to {size[0]} x {size[1]}"
    said = zip(decoded.report.splitlines(), far.flatten(1).mean(dim=1).tolist(), strict=True)
    return "\n".join(
        [
            *selection_lines(selection, encoder),
            *confidence_lines(decoded),
            f"head: {decoded.space}, {own[0]} x {own[1]} pixels{resized}",
            *(f"{line}; {departs:.3f} from the train mean" for line, departs in said),
        ]
    )
