"""DINO (Caron et al., ICCV 2021) and DINOv2 (Oquab et al., TMLR 2024) through transformers."""

from typing import Any

import torch
from torch import Tensor

from ..features.computing import Model
from ..features.model_files import load_pretrained
from .card import IMAGENET_MEAN, IMAGENET_STD, ImageEncoder, ImageFamily
from .loading import blocks_of, outputs_of, way_to
from .preparation import pooled, prepare_for


def load_dino(card: ImageEncoder, device: str) -> Model:
    """Load a ViT without a head; raises FileNotFoundError with the way to the weights."""
    from transformers import ViTModel

    model = load_pretrained(ViTModel, card.source, revision=card.revision, way=way_to(card), add_pooling_layer=False)
    size = card.size or model.config.image_size
    more = {"interpolate_pos_encoding": True} if size != model.config.image_size else {}
    return _model(card, model.to(device), size, device, more)


def load_dinov2(card: ImageEncoder, device: str) -> Model:
    """Load a DINOv2; its positions are stretched to any size. Raises FileNotFoundError with the way to the weights."""
    from transformers import Dinov2Model

    model = load_pretrained(Dinov2Model, card.source, revision=card.revision, way=way_to(card))
    return _model(card, model.to(device), card.size or model.config.image_size, device, {})


def _model(card: ImageEncoder, model: Any, size: int, device: str, more: dict[str, Any]) -> Model:
    blocks = blocks_of(model)

    def encode(pixels: list[Any]) -> Tensor:
        batch = torch.stack(pixels).to(device)
        if card.pooling == "model":
            return model(batch, **more).last_hidden_state[:, 0]
        return pooled(card, outputs_of(blocks, lambda: model(batch, **more)), 1, model.layernorm)

    return Model(prepare_for(card, size), encode)


def _card(name: str, family: str, source: str, width: int) -> ImageEncoder:
    return ImageEncoder(
        name, family, source, width, "Apache-2.0", size=224, crop_share=224 / 256, mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
    )  # fmt: skip


# The model's own end is CLS after the last normalisation.
DINO = ImageFamily(
    "dino",
    load_dino,
    (
        _card("dino-s16", "dino", "facebook/dino-vits16", 384),
        _card("dino-s8", "dino", "facebook/dino-vits8", 384),
        _card("dino-b16", "dino", "facebook/dino-vitb16", 768),
        _card("dino-b8", "dino", "facebook/dino-vitb8", 768),
    ),
)
DINOV2 = ImageFamily(
    "dinov2",
    load_dinov2,
    (
        _card("dinov2-s14", "dinov2", "facebook/dinov2-small", 384),
        _card("dinov2-b14", "dinov2", "facebook/dinov2-base", 768),
        _card("dinov2-l14", "dinov2", "facebook/dinov2-large", 1024),
        _card("dinov2-g14", "dinov2", "facebook/dinov2-giant", 1536),
    ),
)
