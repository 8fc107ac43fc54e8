"""Small random checkpoints of every model family, built from ComfyUI's own classes; for tests, never shown as models.

    cd $COMFYUI_DIR && $COMFYUI_PYTHON .../checkpoints.py FOLDER [FAMILY ...]

ComfyUI tells a family by names and shapes alone, so the depth may be cut to almost nothing. A tiny autoencoder stands
in for the VAE. Only `sd1-text` holds a text encoder.
"""

import json
import sys
from pathlib import Path

FAMILIES = ("sd1", "sd1-text", "sd2", "sd2-unclip", "sdxl", "sd3", "flux")


def filled(module, seed: int) -> dict:
    """Random weights, scaled by fan-in so that signals neither vanish nor explode; norms stay at one."""
    import torch

    generator, tensors = torch.Generator().manual_seed(seed), {}
    for name, tensor in module.state_dict().items():
        if tensor.ndim < 2:
            is_norm = name.endswith(("weight", "scale"))
            tensors[name] = torch.ones(tensor.shape) if is_norm else torch.zeros(tensor.shape)
        else:
            spread = tensor[0].numel() ** -0.5
            tensors[name] = torch.randn(tensor.shape, generator=generator) * spread
    return tensors


def unet(context: int, *, linear: bool, depths=(1,), extra: int | None = None):
    """A UNet of as many blocks as `depths` has transformers, one level each two, with none of them on the way up."""
    from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel

    each = min(2, len(depths))
    levels = len(depths) // each
    return UNetModel(
        image_size=32, in_channels=4, out_channels=4, model_channels=320, channel_mult=[1] * levels,
        num_res_blocks=[each] * levels, transformer_depth=list(depths), transformer_depth_middle=1,
        transformer_depth_output=[0] * (each + 1) * levels, use_spatial_transformer=True, context_dim=context,
        num_head_channels=64, use_linear_in_transformer=linear, adm_in_channels=extra,
        num_classes="sequential" if extra else None, legacy=False,
    )  # fmt: skip


def denoiser(family: str):
    import comfy.ops
    import torch

    place = {"dtype": torch.float32, "device": "cpu", "operations": comfy.ops.disable_weight_init}
    if family in ("sd1", "sd1-text"):
        return unet(768, linear=False)
    if family == "sd2":
        return unet(1024, linear=True)
    if family == "sd2-unclip":
        return unet(1024, linear=True, extra=2048)
    if family == "sdxl":
        return unet(2048, linear=True, depths=(0, 0, 2, 2, 10, 10), extra=2816)
    if family == "sd3":
        from comfy.ldm.modules.diffusionmodules.mmdit import MMDiT

        linear = {"target": "torch.nn.Linear", "params": {"in_features": 4096, "out_features": 128}}
        return MMDiT(
            input_size=None, in_channels=16, depth=2, adm_in_channels=2048, context_embedder_config=linear,
            num_patches=256, pos_embed_max_size=16, **place,
        )  # fmt: skip
    from comfy.ldm.flux.model import Flux

    return Flux(
        image_model="flux", in_channels=16, out_channels=16, vec_in_dim=768, context_in_dim=4096, hidden_size=128,
        mlp_ratio=4.0, num_heads=1, depth=1, depth_single_blocks=1, axes_dim=[16, 56, 56], theta=10000, patch_size=2,
        qkv_bias=True, guidance_embed=True, txt_ids_dims=[], **place,
    )  # fmt: skip


def text_encoder():
    import comfy.clip_model
    import comfy.ops
    import comfy.sd1_clip
    import torch

    config = json.loads((Path(comfy.sd1_clip.__file__).parent / "sd1_clip_config.json").read_text())
    return comfy.clip_model.CLIPTextModel(config, torch.float32, "cpu", comfy.ops.disable_weight_init)


def build(family: str, folder: Path) -> Path:
    import comfy.taesd.taesd
    import torch
    from safetensors.torch import save_file

    vae = comfy.taesd.taesd.TAESD(latent_channels=16 if family in ("sd3", "flux") else 4)
    parts = {"model.diffusion_model.": denoiser(family), "vae." if family == "flux" else "first_stage_model.": vae}
    if family == "sd1-text":
        parts["cond_stage_model.transformer."] = text_encoder()
    seed = FAMILIES.index(family.replace("sd1-text", "sd1"))
    tensors = {prefix + name: value for prefix, part in parts.items() for name, value in filled(part, seed).items()}
    tensors.pop("cond_stage_model.transformer.text_projection.weight", None)
    path = folder / f"{family}.safetensors"
    save_file({name: tensor.to(torch.float16).contiguous() for name, tensor in tensors.items()}, path)
    return path


def main() -> None:
    folder, *families = sys.argv[1:]
    sys.argv = [sys.argv[0], "--cpu"]
    sys.path[0] = str(Path.cwd())  # the checkout
    import comfy.options

    comfy.options.enable_args_parsing()
    for family in families or FAMILIES:
        print(build(family, Path(folder)))


if __name__ == "__main__":
    main()
