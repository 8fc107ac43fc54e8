"""A CLIP's picture side that is tuned together with the brain's: pixels kept on disk, low-rank changes trained."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .features.computing import Model, kept_rows
from .features.model_files import load_pretrained
from .features.pictures import pictures_of
from .features.stored_rows import StoredRows
from .image_encoders.card import ImageEncoder
from .image_encoders.lora import VisualLora, write_lora
from .image_encoders.preparation import prepare_for

AT_ONCE = 64  # pictures through the model; what lies between its layers is computed again on the way back


@dataclass(frozen=True)
class Pixels:
    """Prepared pictures on disk: rows (n_distinct, 3, size, size) float16, and the row of each target."""

    card: ImageEncoder
    rows: StoredRows
    index: np.ndarray

    def read(self, numbers: Tensor) -> Tensor:
        """Return the pixels (n, 3, size, size) float32 of targets by number (n,)."""
        return torch.from_numpy(self.rows[self.index[numbers.cpu().numpy()]]).float()


def pixels_of(card: ImageEncoder, images: Path | None, keys: Sequence[str], cache: Path) -> Pixels:
    """Return the pictures of image ids (keys) as the card's model sees them, prepared once.

    images, keys: as `pictures_of`. Raises ValueError for a card whose vectors are not a CLIP's own and for an id of
    several pictures, and what loading the model raises.
    """
    if card.family != "clip" or card.pooling != "model" or card.layers or card.blur or card.transform or card.adapter:
        raise ValueError(
            f"--mix lora tunes a CLIP model as it is, and {card.name} is another ({card.family}) or has layers, blur, "
            "a transform or a tuning of its own; take --space clip-b32-laion2b.image, and no --image-layer or blur"
        )
    shown = pictures_of(images, keys)
    if several := [key for key, found in zip(keys, shown, strict=True) if len(found) > 1]:
        raise ValueError(f"--mix lora needs one picture for each image id; {several[0]!r} stands for several")
    size = card.size or vision_model(card).config.image_size
    model = Model(prepare_for(card, size), torch.stack)
    numbers = {**card.numbers(), "pixels": size}
    rows, index = kept_rows(
        cache, f"{card.name}-pixels", numbers, [one for (one,) in shown], lambda: model, stored="float16"
    )
    return Pixels(card, rows, index)


def vision_model(card: ImageEncoder) -> Any:
    """Load a card's CLIP vision model in single precision; FileNotFoundError with the way to the weights."""
    from transformers import CLIPVisionModelWithProjection

    return load_pretrained(CLIPVisionModelWithProjection, card.source, revision=card.revision).float()


class TunedPictures(nn.Module):
    """Map numbers of pictures (n, 1) to a CLIP's vectors (n, out), its matrices changed by a visual LoRA.

    Only the low-rank changes (Hu et al., ICLR 2022) are parameters and are saved; the model itself is loaded from its
    card. rank: of the changes, whose scale is 1.
    """

    def __init__(self, pixels: Pixels, rank: int = 32) -> None:
        super().__init__()
        self.pixels, self.out = pixels, pixels.card.width
        tuned = VisualLora(pixels.card, vision_model(pixels.card), rank, float(rank))
        self._held = (tuned,)  # no child, so that files and optimisers hold what is trained alone
        trained = {name.replace(".", "/"): one for name, one in tuned.named_parameters() if one.requires_grad}
        self.changes = nn.ParameterDict(trained)

    def forward(self, numbers: Tensor, subject: Tensor | None = None) -> Tensor:
        """Return the tuned vectors (n, out) of pictures by number (n, 1); subject is not looked at."""
        tuned, device = self._held[0], numbers.device
        found = []
        for part in numbers.long().reshape(-1).split(AT_ONCE):
            pixels = self.pixels.read(part).to(device)
            again = torch.is_grad_enabled()
            found.append(checkpoint(tuned, pixels, use_reentrant=False) if again else tuned(pixels))
        return torch.cat(found).float()

    def write_card(self, folder: Path) -> Path:
        """Write the tuned encoder as a card file, which encodes any new gallery, and return where."""
        name = f"{self.pixels.card.name}-lora"
        path = folder / f"{name}.safetensors"
        write_lora(path, name, self._held[0], {"pictures": len(self.pixels.index)})
        return path

    def train(self, mode: bool = True) -> "TunedPictures":
        """Set training or evaluation of the model too."""
        self._held[0].train(mode)
        return super().train(mode)

    def _apply(self, fn: Any, recurse: bool = True) -> "TunedPictures":
        self._held[0]._apply(fn)
        return super()._apply(fn, recurse)
