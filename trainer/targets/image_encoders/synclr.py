"""SynCLR (Tian et al., CVPR 2024): a ViT trained on synthetic pictures, from its authors' checkpoint, through timm."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..features.computing import Model
from .card import IMAGENET_MEAN, IMAGENET_STD, ImageEncoder, ImageFamily
from .loading import optional_package, outputs_of
from .preparation import pooled, prepare_for

WHERE = "https://github.com/google-research/syn-rep-learn"
ARCHITECTURES = {"synclr-b16": "vit_base_patch16_224", "synclr-l14": "vit_large_patch14_224"}


def load_synclr(card: ImageEncoder, device: str) -> Model:
    """Load a checkpoint of SynCLR's picture side, a file or a folder with one; nothing in it is executed.

    Raises ValueError without timm or for another file, FileNotFoundError with the way to the weights.
    """
    timm = optional_package("timm", "timm", card)
    path = Path(card.source)
    files = sorted(path.glob("*.pth")) if path.is_dir() else [path]
    if len(files) != 1 or not files[0].is_file():
        raise FileNotFoundError(
            f"no checkpoint of {card.name} at {card.source!r}. Download it from {WHERE} (SynCLR, its table of "
            "checkpoints) and give --image-source FILE"
        )
    try:
        held = torch.load(files[0], map_location="cpu", weights_only=True)
    except Exception as error:  # whatever unpickling a strange file raises
        raise ValueError(f"{files[0]} is no checkpoint that can be read without executing it") from error
    weights: dict[str, Tensor] = held.get("model", held)
    prefix = "module.visual."
    weights = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
    base, stem = ARCHITECTURES.get(card.name, ARCHITECTURES["synclr-b16"]), weights.get("patch_embed.proj.weight")
    if stem is None:
        raise ValueError(f"{files[0]} is no checkpoint of SynCLR: it has no {prefix}patch_embed.proj.weight")
    depth = 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("blocks."))
    model: Any = timm.create_model(
        base, num_classes=0, embed_dim=stem.shape[0], depth=depth, num_heads=max(1, stem.shape[0] // 64)
    )
    model.load_state_dict(weights)
    model = model.eval().to(device)

    def encode(pixels: list[Any]) -> Tensor:
        batch = torch.stack(pixels).to(device)
        found = outputs_of(model.blocks, lambda: model.forward_features(batch))
        return model.norm(found[-1])[:, 0] if card.pooling == "model" else pooled(card, found, 1, model.norm)

    return Model(prepare_for(card, 224), encode)


def _card(name: str, width: int) -> ImageEncoder:
    return ImageEncoder(
        name, "synclr", WHERE, width, "Apache-2.0", crop_share=224 / 256, mean=IMAGENET_MEAN, std=IMAGENET_STD
    )


SYNCLR = ImageFamily("synclr", load_synclr, (_card("synclr-b16", 768), _card("synclr-l14", 1024)))
