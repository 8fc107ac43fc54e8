"""The phantom's diffusion model as the host's MODEL, CLIP and VAE.

Its folder is in diffusers' format and has the shapes of Stable Diffusion 1.x, but other widths, group norms and words;
so the host's own classes are built with its configuration rather than with what their loaders would guess.
"""

import functools
import json
from pathlib import Path
from typing import Any

import torch

from ...core.files import PHANTOM as FOLDER

WEIGHTS = {"unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model", "text_encoder": "model"}


def load_phantom_world(folder: Path = FOLDER) -> tuple[Any, Any, Any]:
    """Load MODEL, CLIP and VAE, all in float32; FileNotFoundError names the file and the command that builds it."""
    return load_model(folder), load_clip(folder), load_vae(folder)


def load_model(folder: Path = FOLDER) -> Any:
    """Return the denoiser as the host's MODEL."""
    import comfy.latent_formats
    import comfy.model_management
    import comfy.model_patcher
    import comfy.ops
    import comfy.supported_models
    import comfy.utils

    denoiser, weights = read_part(folder, "unet")
    autoencoder, schedule = read_json(folder, "vae/config.json"), read_json(folder, "scheduler/scheduler_config.json")
    if schedule["beta_schedule"] != "scaled_linear" or schedule["prediction_type"] != "epsilon":
        raise ValueError(f"{folder}: only scaled_linear betas and epsilon prediction are known, not {schedule}")

    class PhantomLatents(comfy.latent_formats.LatentFormat):
        scale_factor = autoencoder["scaling_factor"]

    class PhantomLayers(comfy.ops.disable_weight_init):
        class GroupNorm(comfy.ops.disable_weight_init.GroupNorm):
            # the host asks for 32 groups everywhere
            def __init__(self, num_groups: int, num_channels: int, **more: Any) -> None:
                super().__init__(denoiser["norm_num_groups"], num_channels, **more)

    class PhantomConfig(comfy.supported_models.SD15):
        unet_extra_config = {"num_heads": denoiser["attention_head_dim"], "num_head_channels": -1}  # noqa: RUF012
        latent_format = PhantomLatents
        custom_operations = PhantomLayers
        sampling_settings = {  # noqa: RUF012
            "linear_start": schedule["beta_start"],
            "linear_end": schedule["beta_end"],
            "timesteps": schedule["num_train_timesteps"],
        }

    config = PhantomConfig(unet_config(denoiser))
    config.set_inference_dtype(torch.float32, None)
    model = config.get_model({}, "")
    names = comfy.utils.unet_to_diffusers(config.unet_config)
    model.diffusion_model.load_state_dict({names[name]: tensor for name, tensor in weights.items()})
    return comfy.model_patcher.ModelPatcher(
        model,
        load_device=comfy.model_management.get_torch_device(),
        offload_device=comfy.model_management.unet_offload_device(),
    )


def load_clip(folder: Path = FOLDER) -> Any:
    """Return the text encoder and its words as the host's CLIP."""
    import comfy.clip_model
    import comfy.sd
    import comfy.sd1_clip
    import comfy.supported_models_base
    from transformers import PreTrainedTokenizerFast

    config, weights = read_part(folder, "text_encoder")

    class PhantomText(comfy.clip_model.CLIPTextModel):
        def __init__(self, config_dict: dict, dtype: Any, device: Any, operations: Any) -> None:
            super().__init__(config_dict, dtype, device, operations)
            size = (config_dict["vocab_size"], config_dict["hidden_size"])  # the host counts on CLIP's own 49408 words
            self.set_input_embeddings(operations.Embedding(*size, dtype=dtype, device=device))

    encoder = functools.partial(
        comfy.sd1_clip.SDClipModel,
        textmodel_json_config=config,
        model_class=PhantomText,
        special_tokens={"start": config["bos_token_id"], "end": config["eos_token_id"], "pad": config["pad_token_id"]},
        return_projected_pooled=False,
    )
    words = functools.partial(
        comfy.sd1_clip.SDTokenizer, tokenizer_path=str(folder / "tokenizer"), tokenizer_class=PreTrainedTokenizerFast
    )
    target = comfy.supported_models_base.ClipTarget(
        functools.partial(comfy.sd1_clip.SD1Tokenizer, tokenizer=words),
        functools.partial(comfy.sd1_clip.SD1ClipModel, clip_model=encoder),
    )
    inside = {f"text_model.{name.removeprefix('text_model.')}": tensor for name, tensor in weights.items()}
    inside["text_projection.weight"] = torch.eye(config["hidden_size"])
    return comfy.sd.CLIP(
        target,
        parameters=sum(tensor.numel() for tensor in inside.values()),
        state_dict=[inside],
        model_options={"dtype": torch.float32},
    )


def load_vae(folder: Path = FOLDER) -> Any:
    """Return the autoencoder as the host's VAE."""
    import comfy.ldm.models.autoencoder
    import comfy.model_management
    import comfy.model_patcher
    import comfy.sd

    from .phantom_autoencoder import Autoencoder

    config, weights = read_part(folder, "vae")
    autoencoder = Autoencoder(config)
    autoencoder.load_state_dict(weights)
    # The host's VAE makes its network itself. It is given the smallest one of the same shapes, then ours in its place.
    smallest = {
        "double_z": True, "z_channels": config["latent_channels"], "resolution": 64, "in_channels": 3, "out_ch": 3,
        "ch": 32, "ch_mult": [1] * len(config["block_out_channels"]), "num_res_blocks": 0, "attn_resolutions": [],
    }  # fmt: skip
    parts = {"ddconfig": smallest, "embed_dim": config["latent_channels"]}
    stand_in = comfy.ldm.models.autoencoder.AutoencoderKL(**parts).state_dict()
    vae = comfy.sd.VAE(sd=stand_in, config={"params": parts}, dtype=torch.float32)
    vae.first_stage_model = autoencoder.eval().requires_grad_(False)
    vae.size = comfy.model_management.module_size(autoencoder)
    vae.patcher = comfy.model_patcher.ModelPatcher(
        autoencoder, load_device=vae.device, offload_device=comfy.model_management.vae_offload_device()
    )
    return vae


class Share:
    """A level's width as a multiple of the first one; the host multiplies by whole numbers, and 128 is 4/3 of 96."""

    def __init__(self, width: int, first: int) -> None:
        self.width, self.first = width, first

    def __mul__(self, first: int) -> int:
        """Return a whole number of channels."""
        return first * self.width // self.first

    __rmul__ = __mul__


def unet_config(denoiser: dict[str, Any]) -> dict[str, Any]:
    """Return a diffusers UNet2DConditionModel's configuration in the host's words."""
    widths, depth = denoiser["block_out_channels"], denoiser["layers_per_block"]
    attends = [int("CrossAttn" in kind) for kind in denoiser["down_block_types"]]
    return {
        "image_size": 32,
        "in_channels": denoiser["in_channels"],
        "out_channels": denoiser["out_channels"],
        "model_channels": widths[0],
        "channel_mult": [Share(width, widths[0]) for width in widths],
        "num_res_blocks": [depth] * len(widths),
        "transformer_depth": [level for level in attends for _ in range(depth)],
        "transformer_depth_middle": 1,
        "transformer_depth_output": [level for level in attends for _ in range(depth + 1)],
        "context_dim": denoiser["cross_attention_dim"],
        "use_spatial_transformer": True,
        "use_linear_in_transformer": denoiser["use_linear_projection"],
        "use_temporal_attention": False,
        "adm_in_channels": None,
        "legacy": False,
    }


def read_part(folder: Path, part: str) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Return a part's configuration and its weights in float32."""
    from safetensors.torch import load_file

    config = read_json(folder, f"{part}/config.json")
    weights = load_file(_existing(folder, f"{part}/{WEIGHTS[part]}.safetensors"))
    return config, {name: tensor.float() for name, tensor in weights.items()}


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """Return the content of one of the folder's JSON files."""
    return json.loads(_existing(folder, name).read_text(encoding="utf-8"))


def _existing(folder: Path, name: str) -> Path:
    if not (folder / name).is_file():
        raise FileNotFoundError(
            f"the phantom world lacks {name} in {folder}; build it with `python trainer/build_phantom.py`"
        )
    return folder / name
