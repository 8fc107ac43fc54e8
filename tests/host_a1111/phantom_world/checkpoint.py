"""The phantom's diffusion model as a checkpoint of AUTOMATIC1111's: LDM's names, and a yaml that says how it is built.

    python -m tests.host_a1111.phantom_world.checkpoint FOLDER

Its values are those in assets/phantom, which is in diffusers' format. The yaml names classes of `on_path`.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from core.files import PHANTOM

NAME = "phantom.safetensors"
WEIGHTS = {"unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model", "text_encoder": "model"}
Renames = dict[str, str]
# Patterns of diffusers' names and LDM's in their place, one level after the other and then what a block holds.
RESIDUAL: Renames = {
    r"\.norm1\.(\w+)$": r".in_layers.0.\1",
    r"\.conv1\.": ".in_layers.2.",
    r"\.time_emb_proj\.": ".emb_layers.1.",
    r"\.norm2\.(\w+)$": r".out_layers.0.\1",
    r"\.conv2\.": ".out_layers.3.",
    r"\.conv_shortcut\.": ".skip_connection.",
}
UNET: Renames = {
    r"^time_embedding\.linear_1": "time_embed.0",
    r"^time_embedding\.linear_2": "time_embed.2",
    r"^conv_in": "input_blocks.0.0",
    r"^down_blocks\.0\.resnets\.0": "input_blocks.1.0",
    r"^down_blocks\.0\.attentions\.0": "input_blocks.1.1",
    r"^down_blocks\.0\.downsamplers\.0\.conv": "input_blocks.2.0.op",
    r"^down_blocks\.1\.resnets\.0": "input_blocks.3.0",
    r"^mid_block\.resnets\.0": "middle_block.0",
    r"^mid_block\.attentions\.0": "middle_block.1",
    r"^mid_block\.resnets\.1": "middle_block.2",
    r"^up_blocks\.0\.resnets\.0": "output_blocks.0.0",
    r"^up_blocks\.0\.resnets\.1": "output_blocks.1.0",
    r"^up_blocks\.0\.upsamplers\.0": "output_blocks.1.1",
    r"^up_blocks\.1\.resnets\.0": "output_blocks.2.0",
    r"^up_blocks\.1\.attentions\.0": "output_blocks.2.1",
    r"^up_blocks\.1\.resnets\.1": "output_blocks.3.0",
    r"^up_blocks\.1\.attentions\.1": "output_blocks.3.1",
    r"^conv_norm_out": "out.0",
    r"^conv_out": "out.2",
}
VAE: Renames = {
    r"\.down_blocks\.(\d)\.resnets\.(\d)": r".down.\1.block.\2",
    r"\.down_blocks\.(\d)\.downsamplers\.0": r".down.\1.downsample",
    **{rf"\.up_blocks\.{number}\.resnets\.(\d)": rf".up.{3 - number}.block.\1" for number in range(4)},
    **{rf"\.up_blocks\.{number}\.upsamplers\.0": f".up.{3 - number}.upsample" for number in range(4)},
    r"\.mid_block\.resnets\.0": ".mid.block_1",
    r"\.mid_block\.resnets\.1": ".mid.block_2",
    r"\.mid_block\.attentions\.0": ".mid.attn_1",
    r"\.group_norm\.": ".norm.",
    r"\.to_([qkv])\.": r".\1.",
    r"\.to_out\.0\.": ".proj_out.",
    r"\.conv_shortcut\.": ".nin_shortcut.",
    r"\.conv_norm_out\.": ".norm_out.",
}


def renamed(name: str, renames: Renames) -> str:
    for pattern, ours in renames.items():
        name = re.sub(pattern, ours, name)
    return name


def read(part: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """One part's config and its weights, under diffusers' names."""
    folder = PHANTOM / part
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return config, load_file(folder / f"{WEIGHTS[part]}.safetensors")


def unet_weights(given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The denoiser's weights; the norms of an attention's inner blocks keep their names."""
    found = {}
    for name, values in given.items():
        inner = RESIDUAL if ".resnets." in name else {}
        found[f"model.diffusion_model.{renamed(name, {**inner, **UNET})}"] = values
    return found


def vae_weights(given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The autoencoder's weights; LDM's attention is of 1 × 1 convolutions."""
    found = {}
    for name, values in given.items():
        whole = values[:, :, None, None] if ".attentions." in name and values.ndim == 2 else values
        found[f"first_stage_model.{renamed(name, VAE)}"] = whole
    return found


def text_weights(given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {f"cond_stage_model.transformer.text_model.{name.removeprefix('text_model.')}": values
            for name, values in given.items()}  # fmt: skip


def write_words(folder: Path, config: dict[str, Any]) -> Path:
    """The text encoder's config and its tokenizer in the form that transformers 4.30 reads."""
    words = json.loads((PHANTOM / "tokenizer" / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    names = {number: word for word, number in words["vocab"].items()}
    first, last = names[config["bos_token_id"]], names[config["eos_token_id"]]
    special = {"bos_token": first, "eos_token": last, "unk_token": last, "pad_token": last}
    about = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "do_lower_case": True, **special}
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (("config", config), ("vocab", words["vocab"]), ("special_tokens_map", special),
                          ("tokenizer_config", about)):  # fmt: skip
        (folder / f"{name}.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    merges = "\n".join(["#version: 0.2", *(" ".join(pair) for pair in words["merges"]), ""])
    (folder / "merges.txt").write_text(merges, encoding="utf-8")
    return folder


def write_phantom(folder: Path) -> Path:
    """Write phantom.safetensors, phantom.yaml and the folder phantom-clip; returns the first one's path."""
    (unet, noise), (vae, pictures), (text, states) = read("unet"), read("vae"), read("text_encoder")
    schedule = json.loads((PHANTOM / "scheduler" / "scheduler_config.json").read_text(encoding="utf-8"))
    network = {
        "widths": unet["block_out_channels"], "groups": unet["norm_num_groups"], "image_size": unet["sample_size"],
        "in_channels": 4, "out_channels": 4, "attention_resolutions": [1], "num_res_blocks": unet["layers_per_block"],
        "num_heads": unet["attention_head_dim"], "use_spatial_transformer": True, "transformer_depth": 1,
        "context_dim": unet["cross_attention_dim"], "use_checkpoint": False, "legacy": False,
    }  # fmt: skip
    sizes = {
        "double_z": True, "z_channels": 4, "resolution": 64, "in_channels": 3, "out_ch": 3, "attn_resolutions": [],
        "num_res_blocks": vae["layers_per_block"], "dropout": 0.0,
    }  # fmt: skip
    autoencoder = {
        "widths": vae["block_out_channels"], "groups": vae["norm_num_groups"], "embed_dim": 4, "monitor": "none",
        "lossconfig": {"target": "torch.nn.Identity"}, "ddconfig": sizes,
    }  # fmt: skip
    words = write_words(folder / "phantom-clip", text)
    params = {
        "linear_start": schedule["beta_start"], "linear_end": schedule["beta_end"], "num_timesteps_cond": 1,
        "log_every_t": 200, "timesteps": schedule["num_train_timesteps"], "first_stage_key": "jpg",
        "cond_stage_key": "txt", "image_size": 8, "channels": 4, "cond_stage_trainable": False,
        "conditioning_key": "crossattn", "monitor": "none", "scale_factor": vae["scaling_factor"], "use_ema": False,
        "unet_config": {"target": "phantom_parts.UNetModel", "params": network},
        "first_stage_config": {"target": "phantom_parts.AutoencoderKL", "params": autoencoder},
        "cond_stage_config": {"target": "ldm.modules.encoders.modules.FrozenCLIPEmbedder",
                              "params": {"version": str(words.resolve())}},
    }  # fmt: skip
    model = {"target": "ldm.models.diffusion.ddpm.LatentDiffusion", "base_learning_rate": 1e-4, "params": params}
    path = folder / NAME
    weights = {**unet_weights(noise), **vae_weights(pictures), **text_weights(states)}
    save_file(weights, path, metadata={"format": "pt"})
    path.with_suffix(".yaml").write_text(json.dumps({"model": model}, indent=1), encoding="utf-8")
    return path


if __name__ == "__main__":
    print(write_phantom(Path(sys.argv[1])))
