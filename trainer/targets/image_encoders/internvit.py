"""InternViT (Chen et al., CVPR 2024) in transformers' own class: the hub's code for it is never run.

The files on the hub name their tensors as that code does; they are renamed, and one matrix split into three.
"""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..features.computing import Model
from ..features.model_files import load_pretrained
from .card import IMAGENET_MEAN, IMAGENET_STD, ImageEncoder, ImageFamily
from .loading import blocks_of, outputs_of, way_to
from .preparation import pooled, prepare_for

PARTS = {
    "attn.proj": "attention.projection_layer", "attn.q_norm": "attention.q_norm", "attn.k_norm": "attention.k_norm",
    "norm1": "layernorm_before", "norm2": "layernorm_after", "mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2",
}  # fmt: skip
EMBEDDINGS = {
    "embeddings.class_embedding": "embeddings.cls_token",
    "embeddings.position_embedding": "embeddings.position_embeddings",
    "embeddings.patch_embedding.weight": "embeddings.patch_embeddings.projection.weight",
    "embeddings.patch_embedding.bias": "embeddings.patch_embeddings.projection.bias",
}


def load_internvit(card: ImageEncoder, device: str) -> Model:
    """Load an InternViT from the hub or a folder, as published or as transformers saves it, in the file's precision.

    Raises ValueError for a transformers that has no InternVL yet, FileNotFoundError with the way to the weights.
    """
    import transformers

    made = getattr(transformers, "InternVLVisionModel", None)
    if made is None:
        raise ValueError(
            f"image encoder {card.name} needs transformers 4.52 or later; {transformers.__version__} is installed"
        )
    folder = _folder(card)
    told = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if told.get("model_type") == "internvl_vision":
        model = load_pretrained(made, str(folder), way=way_to(card))
    else:
        model = _published(card, folder, told, transformers, made)
    model = model.eval().to(device)
    own = model.config.image_size
    blocks, dtype = blocks_of(model.encoder), next(model.parameters()).dtype

    def encode(pixels: list[Any]) -> Tensor:
        batch = torch.stack(pixels).to(device, dtype)
        found = outputs_of(blocks, lambda: model(batch))
        return found[-1][:, 0] if card.pooling == "model" else pooled(card, found, 1, model.layernorm)

    return Model(prepare_for(card, card.size or own[0]), encode)


def _folder(card: ImageEncoder) -> Path:
    if (Path(card.source) / "config.json").is_file():
        return Path(card.source)
    from huggingface_hub import snapshot_download

    try:
        kept = ["*.json", "*.safetensors"]  # and none of its code
        return Path(snapshot_download(card.source, revision=card.revision or None, allow_patterns=kept))
    except (OSError, ValueError) as error:
        raise FileNotFoundError(f"no InternViT at {card.source!r}. {way_to(card)}") from error


def _published(card: ImageEncoder, folder: Path, told: dict[str, Any], transformers: Any, made: Any) -> Any:
    """Return the model of a folder as the hub has it, its tensors taken over as they lie in the files."""
    names = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act", "image_size",
             "patch_size", "layer_norm_eps", "norm_type")  # fmt: skip
    config = transformers.InternVLVisionConfig(
        **{name: told[name] for name in names if name in told},
        attention_bias=bool(told.get("qkv_bias", False)),
        use_qk_norm=bool(told.get("qk_normalization", False)),
        use_mean_pooling=True,  # no normalisation behind the last block, as published
    )
    with torch.device("meta"):
        model = made(config)
    try:
        missing, unknown = model.load_state_dict(dict(_renamed(folder)), strict=False, assign=True)
    except (SafetensorError, RuntimeError) as error:
        raise ValueError(f"the weights in {folder} are cut off or of another model: {str(error)[:200]}") from error
    if missing or unknown:
        raise ValueError(
            f"the weights in {folder} do not fit {card.name}: missing {', '.join(missing[:3]) or 'none'}, "
            f"unknown {', '.join(unknown[:3]) or 'none'}"
        )
    return model


def _renamed(folder: Path) -> Iterator[tuple[str, Tensor]]:
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            for name in file.keys():  # noqa: SIM118
                yield from renamed(name, file.get_tensor(name))


def renamed(name: str, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Yield a published tensor under its names in transformers' class: queries, keys and values are one on the hub."""
    block = re.fullmatch(r"encoder\.layers\.(\d+)\.(.+)", name)
    if block is None:
        yield EMBEDDINGS.get(name, name), tensor
        return
    within, part = f"encoder.layer.{block[1]}.", block[2]
    if part in ("ls1", "ls2"):
        yield f"{within}lambda_{part[-1]}", tensor
    elif part.startswith("attn.qkv."):
        for one, third in zip("qkv", tensor.chunk(3), strict=True):
            yield f"{within}attention.{one}_proj.{part.rpartition('.')[2]}", third
    else:
        stem, _, last = part.rpartition(".")
        yield f"{within}{PARTS.get(stem, stem)}.{last}", tensor


# Patches without CLS of the last block; Brain-side papers take blocks 20 to 36: --image-layer 20 24 28 32 36.
INTERNVIT = ImageFamily(
    "internvit",
    load_internvit,
    (
        ImageEncoder(
            "internvit-6b", "internvit", "OpenGVLab/InternViT-6B-448px-V2_5", 3200, "MIT",
            pooling="patch-mean", size=448, mean=IMAGENET_MEAN, std=IMAGENET_STD, stored="float16",
        ),
    ),
)  # fmt: skip
