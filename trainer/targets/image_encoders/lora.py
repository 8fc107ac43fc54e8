"""Visual LoRA: a small CLIP's picture side tuned a little, through the package peft, beside the un-tuned one.

Whoever tunes keeps two spaces: what Stable Diffusion takes is the un-tuned one, retrieval happens in the tuned one, and
a gallery is encoded anew with it.
"""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from core.files import write_atomically

from .affine import CARD_KEY, card_as_told
from .card import ImageEncoder
from .loading import optional_package

TUNED = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")


class VisualLora(nn.Module):
    """A CLIP vision model with low-rank changes of its matrices (Hu et al., ICLR 2022); only they are trained.

    rank, alpha: of the changes; they start at none. dropout: in front of them.
    """

    def __init__(
        self, card: ImageEncoder, model: nn.Module, rank: int = 32, alpha: float = 32.0, dropout: float = 0.0
    ) -> None:
        super().__init__()
        peft = optional_package("peft", "peft", card)
        if rank < 1:
            raise ValueError(f"the rank of a visual LoRA is at least 1, not {rank}")
        self.card, self.settings = card, {"rank": rank, "alpha": alpha, "dropout": dropout}
        config = peft.LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=list(TUNED))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers by names of older versions
            self.model: Any = peft.get_peft_model(model, config)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return the tuned vectors (n, width) of prepared pictures (n, 3, size, size)."""
        return self.model(pixels).image_embeds

    @torch.no_grad()
    def untuned(self, pixels: Tensor) -> Tensor:
        """Return what the model gave before: the space that Stable Diffusion's parts take."""
        with self.model.disable_adapter():
            return self.model(pixels).image_embeds

    def changes(self) -> dict[str, Tensor]:
        """Return the low-rank matrices by name, and nothing else of the model."""
        state = self.model.state_dict()
        return {name: value.detach().cpu().contiguous() for name, value in state.items() if "lora_" in name}


def write_lora(path: Path, name: str, tuned: VisualLora, about: Mapping[str, Any]) -> None:
    """Write what was tuned as a card file that every command takes, under another name than the card's own."""
    if name == tuned.card.name:
        raise ValueError(f"a tuned encoder needs a name of its own, not {name!r}")
    card = {**card_as_told(tuned.card), "name": name, "base": tuned.card.name, "adapter": ""}
    told = json.dumps({"card": card, "about": dict(about), "lora": tuned.settings}, allow_nan=False)
    with write_atomically(path) as beside:
        save_file(tuned.changes(), beside, metadata={CARD_KEY: told})


def with_lora(card: ImageEncoder, model: nn.Module) -> nn.Module:
    """Return the model with the changes of the card's file; the same where it has none.

    Raises ValueError for a file without them, or of another model.
    """
    if not card.adapter:
        return model
    path = Path(card.adapter)
    try:
        with safe_open(path, "pt") as file:
            settings = json.loads(file.metadata()[CARD_KEY])["lora"]
        changes = load_file(path)
        tuned = VisualLora(card, model, **settings)
        _, unknown = tuned.model.load_state_dict(changes, strict=False)
    except (SafetensorError, OSError, KeyError, TypeError, RuntimeError, json.JSONDecodeError) as error:
        said = " ".join(str(error).split())[:160]
        raise ValueError(f"{path} holds no tuning of {card.base or card.name}, or of another model ({said})") from error
    if unknown or changes.keys() != tuned.changes().keys():
        raise ValueError(f"{path} holds no tuning of {card.base or card.name}: its matrices are others")
    return tuned.model
