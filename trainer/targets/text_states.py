"""Text states of captions through a model's text encoders."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.model.spaces import find_space, n_values, shape_in

from .features.computing import BATCH, Model
from .features.model_files import load_pretrained


@dataclass(frozen=True)
class Caption:
    """A text, told from another by what it says."""

    name: str

    @property
    def key(self) -> str:
        """SHA-256 of the text in UTF-8."""
        return hashlib.sha256(self.name.encode()).hexdigest()

    def read(self) -> str:
        """Return the text."""
        return self.name


@torch.no_grad()
def text_states(space: str, clip: str, captions: Sequence[str], device: str = "cpu") -> Tensor:
    """Return flat text states (n, n_values) of captions; see `load_text_encoder`."""
    encode = load_text_encoder(space, clip, device).encode
    parts = [encode(list(captions[start : start + BATCH])) for start in range(0, len(captions), BATCH)]
    return torch.cat(parts).float().cpu()


def load_text_encoder(space: str, clip: str, device: str, config: str = "") -> Model:
    """Load what gives flat text states (n, n_values): the last hidden state, or SDXL's two penultimate ones and the
    pooled vector.

    clip: folder, checkpoint of Stable Diffusion or hub id. config: of a checkpoint's family, a diffusers folder. Raises
    FileNotFoundError with the way to the weights, ValueError where they are not SDXL's two, and, of a batch, where the
    model is of another family than the space.
    """
    sdxl = space == "sdxl.text"
    wanted = n_values(find_space(space), shape_in(find_space(space), None))
    towers = _of_checkpoint(clip, sdxl, config) if Path(clip).is_file() else _of_folder(clip, sdxl)
    towers = [(tokenizer, model.to(device).eval()) for tokenizer, model in towers]

    def encode(captions: list[Any]) -> Tensor:
        states, pooled = [], None
        for tokenizer, model in towers:
            ids = tokenizer(captions, padding="max_length", max_length=77, truncation=True, return_tensors="pt")
            out = model(ids.input_ids.to(device), output_hidden_states=sdxl)
            states.append(out.hidden_states[-2] if sdxl else out.last_hidden_state)
            pooled = getattr(out, "text_embeds", None)
        flat = torch.cat(states, dim=-1).flatten(1)
        if sdxl and pooled is not None:
            flat = torch.cat([flat, pooled], dim=-1)
        if flat.shape[-1] != wanted:
            raise ValueError(
                f"the text encoder at {clip!r} gives {flat.shape[-1]} values a caption, {space} has {wanted}; "
                "use the text encoder of a model of that family"
            )
        return flat

    return Model(lambda text: text, encode)


def _of_folder(clip: str, sdxl: bool) -> list[tuple[Any, Any]]:
    """Return the tokenizers and text encoders of a transformers or diffusers folder, or of a hub id."""
    from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

    diffusers = (Path(clip) / "model_index.json").is_file()
    if sdxl and not diffusers:
        raise ValueError(
            "sdxl.text needs both of SDXL's text encoders: give --clip the folder of an SDXL model in diffusers' "
            "format, or its .safetensors checkpoint"
        )
    return [
        (
            load_pretrained(CLIPTokenizer, clip, f"tokenizer{suffix}" if diffusers else ""),
            load_pretrained(
                CLIPTextModelWithProjection if suffix else CLIPTextModel,
                clip,
                f"text_encoder{suffix}" if diffusers else "",
            ),
        )
        for suffix in (("", "_2") if sdxl else ("",))
    ]


def _of_checkpoint(clip: str, sdxl: bool, config: str) -> list[tuple[Any, Any]]:
    """Return the tokenizers and text encoders inside one checkpoint file of Stable Diffusion."""
    from core.conditioning.diffusers_pipeline import is_sdxl, load_pipeline

    pipeline = load_pipeline(clip, config=config or None, without=("unet", "vae"))
    if sdxl != is_sdxl(pipeline):
        raise ValueError(
            f"{clip} is {'' if is_sdxl(pipeline) else 'not '}SDXL: its text states are "
            f"{'sdxl.text' if is_sdxl(pipeline) else 'sd1.text or sd2.text'} (--space)"
        )
    first = (pipeline.tokenizer, pipeline.text_encoder)
    return [first, (pipeline.tokenizer_2, pipeline.text_encoder_2)] if sdxl else [first]
