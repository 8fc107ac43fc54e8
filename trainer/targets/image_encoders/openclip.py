"""OpenCLIP's picture sides that transformers lacks: ResNets, and other weights, through the package open_clip."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..features.computing import Model
from .card import ImageEncoder, ImageFamily
from .loading import optional_package, outputs_of, way_to
from .preparation import pooled, prepare_for


def load_open_clip(card: ImageEncoder, device: str) -> Model:
    """Load a CLIP's picture side from the hub or a folder with open_clip_config.json.

    A ResNet's layers are its four stages, whose tokens are the places of their maps; there is no CLS among them.
    Raises ValueError without the package, FileNotFoundError with the way to the weights.
    """
    open_clip = optional_package("open_clip", "open_clip_torch", card)
    where = f"local-dir:{card.source}" if Path(card.source).is_dir() else f"hf-hub:{card.source}"
    try:
        model = open_clip.create_model(where, device="cpu")
    except (OSError, ValueError, RuntimeError) as error:
        raise FileNotFoundError(f"no model of open_clip at {card.source!r}. {way_to(card)}") from error
    visual: Any = model.visual.eval().to(device)
    own = visual.image_size
    size = card.size or (own if isinstance(own, int) else own[0])
    resnet = not hasattr(visual, "transformer")
    if resnet and card.pooling == "cls":
        raise ValueError(f"image encoder {card.name}: a ResNet has no CLS; take model, patch-mean or token-mean")
    blocks = [getattr(visual, f"layer{n}") for n in range(1, 5)] if resnet else list(visual.transformer.resblocks)

    def tokens(found: Tensor) -> Tensor:
        if resnet:
            return found.flatten(2).transpose(1, 2)
        return found if getattr(visual.transformer, "batch_first", False) else found.transpose(0, 1)

    def encode(pixels: list[Any]) -> Tensor:
        batch = torch.stack(pixels).to(device)
        if card.pooling == "model":
            return visual(batch)
        maps = [tokens(found) for found in outputs_of(blocks, lambda: visual(batch))]
        if resnet and len({maps[layer - 1].shape[-1] for layer in card.layers if layer <= len(maps)}) > 1:
            raise ValueError(f"image encoder {card.name}: the stages of a ResNet differ in width; take one layer")
        return pooled(card, maps, 0 if resnet else 1, nn.Identity() if resnet else visual.ln_post)

    return Model(prepare_for(card, size), encode)


OPEN_CLIP = ImageFamily(
    "open-clip",
    load_open_clip,
    (
        ImageEncoder("clip-rn50", "open-clip", "timm/resnet50_clip.openai", 1024, "MIT", block_width=2048),
        ImageEncoder(
            "clip-l14-laion400m", "open-clip", "timm/vit_large_patch14_clip_224.laion400m_e32", 768, "MIT",
            block_width=1024,
        ),
    ),
)  # fmt: skip
