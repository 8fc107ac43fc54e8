"""CLIP's picture side (Radford et al., ICML 2021) through transformers: its own vectors, or a block's tokens."""

from typing import Any

import torch
from torch import Tensor

from core.files import PHANTOM

from ..features.computing import Model
from ..features.model_files import load_pretrained
from .card import ImageEncoder, ImageFamily
from .lora import with_lora
from .preparation import pooled, prepare_for


def load_clip(card: ImageEncoder, device: str) -> Model:
    """Load a CLIP vision model with projection; raises FileNotFoundError with the way to the weights."""
    from transformers import CLIPVisionModelWithProjection

    encoder: Any = load_pretrained(CLIPVisionModelWithProjection, card.source, revision=card.revision)
    encoder = with_lora(card, encoder.float()).eval().to(device)  # the phantom's own lies in half precision
    size = card.size or encoder.config.image_size
    more = {"interpolate_pos_encoding": True} if size != encoder.config.image_size else {}

    def encode(pixels: list[Any]) -> Tensor:
        batch = torch.stack(pixels).to(device)
        if card.pooling == "model":
            return encoder(batch, **more).image_embeds
        found = encoder(batch, output_hidden_states=True, **more)
        return pooled(card, found.hidden_states[1:], 1, encoder.vision_model.post_layernorm)

    return Model(prepare_for(card, size), encode)


# Vectors after the projection, not normalised, as unCLIP and IP-Adapter take them.
CLIP = ImageFamily(
    "clip",
    load_clip,
    (
        ImageEncoder(
            "clip-l", "clip", "openai/clip-vit-large-patch14", 768, "MIT",
            revision="32bd64288804d66eefd0ccbe215aa642df71cc41", block_width=1024,
        ),
        ImageEncoder(
            "clip-h", "clip", "laion/CLIP-ViT-H-14-laion2B-s32B-b79K", 1024, "MIT",
            revision="1c2b8495b28150b8a4922ee1c8edee224c284c0c", block_width=1280,
        ),
        ImageEncoder(
            "clip-g", "clip", "laion/CLIP-ViT-bigG-14-laion2B-39B-b160k", 1280, "MIT",
            revision="743c27bd53dfe508a0ade0f50698f99b39d03bec", block_width=1664,
        ),
        ImageEncoder("clip-b32", "clip", "openai/clip-vit-base-patch32", 512, "MIT", block_width=768),
        ImageEncoder("clip-b16", "clip", "openai/clip-vit-base-patch16", 512, "MIT", block_width=768),
        ImageEncoder(
            "clip-b32-laion2b", "clip", "laion/CLIP-ViT-B-32-laion2B-s34B-b79K", 512, "MIT", block_width=768
        ),
        ImageEncoder(
            "clip-l14-laion2b", "clip", "laion/CLIP-ViT-L-14-laion2B-s32B-b82K", 768, "MIT", block_width=1024
        ),
        # Six blocks that know the phantom's drawn scenes and nothing else; trainer/build_phantom.py trains it.
        ImageEncoder("phantom-clip", "clip", str(PHANTOM / "clip"), 64, "Apache-2.0 (made by this program)"),
    ),
    named_by_clip=True,
)  # fmt: skip
