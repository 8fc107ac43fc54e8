"""Write a small diffusers model as one checkpoint file in Stable Diffusion 1.x's original key layout, for tests."""

import re
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import save_file

RESNET = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0",
    "conv2": "out_layers.3", "conv_shortcut": "skip_connection",
}  # fmt: skip
FIXED = {
    "conv_in": "input_blocks.0.0", "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
    "conv_norm_out": "out.0", "conv_out": "out.2",
}  # fmt: skip
VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def unet_name(name: str, layers: int) -> str:
    for ours, original in FIXED.items():
        if name.startswith(ours + "."):
            return original + name[len(ours) :]
    part, rest = re.fullmatch(r"(mid_block|(?:down|up)_blocks\.\d+)\.(.+)", name).groups()
    kind, index, inner = re.fullmatch(r"(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)", rest).groups()
    if kind == "resnets":
        head, _, tail = inner.partition(".")
        inner = f"{RESNET[head]}.{tail}"
    if part == "mid_block":
        return f"middle_block.{1 if kind == 'attentions' else 2 * int(index)}.{inner}"
    block = int(part.rsplit(".", 1)[1])
    slot = {"resnets": 0, "attentions": 1}.get(kind)
    if part.startswith("down"):
        if kind == "downsamplers":
            return f"input_blocks.{(block + 1) * (layers + 1)}.0.op.{inner.removeprefix('conv.')}"
        return f"input_blocks.{1 + block * (layers + 1) + int(index)}.{slot}.{inner}"
    if kind == "upsamplers":  # the up block that has one here has no attention
        return f"output_blocks.{(block + 1) * (layers + 1) - 1}.1.{inner}"
    return f"output_blocks.{block * (layers + 1) + int(index)}.{slot}.{inner}"


def vae_name(name: str, blocks: int) -> str:
    name = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", name)
    name = re.sub(r"down_blocks\.(\d)\.resnets\.", r"down.\1.block.", name)
    name = re.sub(r"down_blocks\.(\d)\.downsamplers\.0\.", r"down.\1.downsample.", name)
    name = re.sub(r"up_blocks\.(\d)\.resnets\.", lambda m: f"up.{blocks - 1 - int(m[1])}.block.", name)
    name = re.sub(r"up_blocks\.(\d)\.upsamplers\.0\.", lambda m: f"up.{blocks - 1 - int(m[1])}.upsample.", name)
    name = name.replace("conv_shortcut", "nin_shortcut").replace("conv_norm_out", "norm_out")
    if "mid_block.attentions.0." in name:
        name = name.replace("mid_block.attentions.0.", "mid.attn_1.")
        for ours, original in VAE_ATTENTION.items():
            name = name.replace(f"attn_1.{ours}.", f"attn_1.{original}.")
    return name


def write_single_file(folder: Path, path: Path) -> Path:
    """Write the diffusers folder's weights as one `.safetensors` checkpoint."""
    pipeline = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None, requires_safety_checker=False)
    layers, tensors = pipeline.unet.config.layers_per_block, {}
    for name, tensor in pipeline.unet.state_dict().items():
        tensors["model.diffusion_model." + unet_name(name, layers)] = tensor
    blocks = len(pipeline.vae.config.block_out_channels)
    for name, tensor in pipeline.vae.state_dict().items():
        original = vae_name(name, blocks)
        is_convolution = re.search(r"attn_1\.(q|k|v|proj_out)\.weight$", original)
        tensors["first_stage_model." + original] = tensor[..., None, None] if is_convolution else tensor
    for name, tensor in pipeline.text_encoder.state_dict().items():
        inner = name if name.startswith("text_model.") else f"text_model.{name}"
        tensors[f"cond_stage_model.transformer.{inner}"] = tensor
    save_file({name: tensor.contiguous().to(torch.float32) for name, tensor in tensors.items()}, path)
    return path
