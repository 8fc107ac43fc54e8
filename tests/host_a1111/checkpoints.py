"""Small checkpoints of random weights that the hosts load as the real thing; for tests, never shown as models.

    python -m tests.host_a1111.checkpoints KIND FOLDER      KIND: a1111, forge, neo or reforge

AUTOMATIC1111 builds a model from NAME.yaml beside NAME.safetensors, so every part may be small. The Forge family tells
models by the shapes in the file and builds text encoder and autoencoder at full size, so only the UNet is cut down.
Each tensor comes from a generator of its own, seeded with its name: the same name and shape give the same values.
"""

import json
import math
import sys
import zlib
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

Shapes = dict[str, tuple[int, ...]]
# The hosts' emphasis divides by the mean of the text encoder's output, so these biases keep it off zero.
TEXT_OUTPUTS = ("mlp.fc2.bias", "mlp.c_proj.bias", "final_layer_norm.bias", "ln_final.bias")
SMALL_L = {"width": 768, "layers": 2, "inner": 256}
SMALL_G = {"width": 1280, "layers": 2, "inner": 256}
SIZES = ("original_size_as_tuple", "crop_coords_top_left", "target_size_as_tuple")
SMALL_VAE = {"channels": 32, "mult": (1, 1, 1, 1), "res_blocks": 1}


def conv(name: str, n_in: int, n_out: int, size: int = 3) -> Shapes:
    return {f"{name}.weight": (n_out, n_in, size, size), f"{name}.bias": (n_out,)}


def linear(name: str, n_in: int, n_out: int, bias: bool = True) -> Shapes:
    return {f"{name}.weight": (n_out, n_in), **({f"{name}.bias": (n_out,)} if bias else {})}


def norm(name: str, n: int) -> Shapes:
    return {f"{name}.weight": (n,), f"{name}.bias": (n,)}


def residual(name: str, n_in: int, n_out: int, emb: int) -> Shapes:
    found = {**norm(f"{name}.in_layers.0", n_in), **conv(f"{name}.in_layers.2", n_in, n_out)}
    found |= {**linear(f"{name}.emb_layers.1", emb, n_out), **norm(f"{name}.out_layers.0", n_out)}
    found |= conv(f"{name}.out_layers.3", n_out, n_out)
    return found if n_in == n_out else {**found, **conv(f"{name}.skip_connection", n_in, n_out, 1)}


def attention(name: str, n: int, context: int, flat: bool) -> Shapes:
    found = norm(f"{name}.norm", n)
    for side in ("proj_in", "proj_out"):
        found |= linear(f"{name}.{side}", n, n) if flat else conv(f"{name}.{side}", n, n, 1)
    block = f"{name}.transformer_blocks.0"
    for part, width in (("attn1", n), ("attn2", context)):
        for letter, n_in in (("q", n), ("k", width), ("v", width)):
            found |= linear(f"{block}.{part}.to_{letter}", n_in, n, False)
        found |= linear(f"{block}.{part}.to_out.0", n, n)
    found |= {**linear(f"{block}.ff.net.0.proj", n, 8 * n), **linear(f"{block}.ff.net.2", 4 * n, n)}
    for number in (1, 2, 3):
        found |= norm(f"{block}.norm{number}", n)
    return found


def unet(
    channels: int, mult: tuple[int, ...], blocks: tuple[int, ...], context: int, *, attended: tuple[bool, ...],
    flat: bool = False, extra: int = 0,
) -> Shapes:  # fmt: skip
    """A UNet under LDM's names; blocks and attended: of each level. extra: width of the vector, 0 for none."""
    at, emb, n, number = "model.diffusion_model", 4 * channels, channels, 1
    found = {**linear(f"{at}.time_embed.0", channels, emb), **linear(f"{at}.time_embed.2", emb, emb)}
    if extra:
        found |= {**linear(f"{at}.label_emb.0.0", extra, emb), **linear(f"{at}.label_emb.0.2", emb, emb)}
    found |= conv(f"{at}.input_blocks.0.0", 4, channels)
    skips, last = [channels], len(mult) - 1
    for level, factor in enumerate(mult):
        for _ in range(blocks[level]):
            found |= residual(f"{at}.input_blocks.{number}.0", n, channels * factor, emb)
            n = channels * factor
            if attended[level]:
                found |= attention(f"{at}.input_blocks.{number}.1", n, context, flat)
            skips.append(n)
            number += 1
        if level < last:
            found |= conv(f"{at}.input_blocks.{number}.0.op", n, n)
            skips.append(n)
            number += 1
    for part in (0, 2):
        found |= residual(f"{at}.middle_block.{part}", n, n, emb)
    found |= attention(f"{at}.middle_block.1", n, context, flat)
    number = 0
    for level in reversed(range(len(mult))):
        for block in range(blocks[level] + 1):
            found |= residual(f"{at}.output_blocks.{number}.0", n + skips.pop(), channels * mult[level], emb)
            n = channels * mult[level]
            if attended[level]:
                found |= attention(f"{at}.output_blocks.{number}.1", n, context, flat)
            if level and block == blocks[level]:
                found |= conv(f"{at}.output_blocks.{number}.{1 + attended[level]}.conv", n, n)
            number += 1
    return {**found, **norm(f"{at}.out.0", n), **conv(f"{at}.out.2", channels, 4)}


def vae_residual(name: str, n_in: int, n_out: int) -> Shapes:
    found = {**norm(f"{name}.norm1", n_in), **conv(f"{name}.conv1", n_in, n_out)}
    found |= {**norm(f"{name}.norm2", n_out), **conv(f"{name}.conv2", n_out, n_out)}
    return found if n_in == n_out else {**found, **conv(f"{name}.nin_shortcut", n_in, n_out, 1)}


def vae_middle(name: str, n: int) -> Shapes:
    found = {**vae_residual(f"{name}.block_1", n, n), **vae_residual(f"{name}.block_2", n, n)}
    found |= norm(f"{name}.attn_1.norm", n)
    for part in ("q", "k", "v", "proj_out"):
        found |= conv(f"{name}.attn_1.{part}", n, n, 1)
    return found


def vae(channels: int = 128, mult: tuple[int, ...] = (1, 2, 4, 4), res_blocks: int = 2) -> Shapes:
    """An autoencoder under LDM's names; by default as large as Stable Diffusion's."""
    at, top, last = "first_stage_model", channels * mult[-1], len(mult) - 1
    found, n = conv(f"{at}.encoder.conv_in", 3, channels), channels
    for level, factor in enumerate(mult):
        for block in range(res_blocks):
            found |= vae_residual(f"{at}.encoder.down.{level}.block.{block}", n, channels * factor)
            n = channels * factor
        if level < last:
            found |= conv(f"{at}.encoder.down.{level}.downsample.conv", n, n)
    for side, width in (("encoder", 8), ("decoder", 3)):
        found |= vae_middle(f"{at}.{side}.mid", top)
        n = top if side == "encoder" else channels * mult[0]
        found |= {**norm(f"{at}.{side}.norm_out", n), **conv(f"{at}.{side}.conv_out", n, width)}
    found |= {**conv(f"{at}.decoder.conv_in", 4, top), **conv(f"{at}.quant_conv", 8, 8, 1)}
    found, n = found | conv(f"{at}.post_quant_conv", 4, 4, 1), top
    for level in reversed(range(len(mult))):
        for block in range(res_blocks + 1):
            found |= vae_residual(f"{at}.decoder.up.{level}.block.{block}", n, channels * mult[level])
            n = channels * mult[level]
        if level:
            found |= conv(f"{at}.decoder.up.{level}.upsample.conv", n, n)
    return found


def clip_l(at: str, width: int = 768, layers: int = 12, inner: int = 3072, vocab: int = 49408) -> Shapes:
    """A CLIP text encoder under transformers' names; by default as large as ViT-L/14's."""
    model = f"{at}.text_model"
    found = {f"{model}.embeddings.token_embedding.weight": (vocab, width), **norm(f"{model}.final_layer_norm", width)}
    found[f"{model}.embeddings.position_embedding.weight"] = (77, width)
    for number in range(layers):
        block = f"{model}.encoder.layers.{number}"
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            found |= linear(f"{block}.self_attn.{part}", width, width)
        found |= {**norm(f"{block}.layer_norm1", width), **norm(f"{block}.layer_norm2", width)}
        found |= {**linear(f"{block}.mlp.fc1", width, inner), **linear(f"{block}.mlp.fc2", inner, width)}
    return found


def clip_g(at: str, width: int, layers: int, inner: int, vocab: int) -> Shapes:
    """A CLIP text encoder under open_clip's names."""
    found = {f"{at}.token_embedding.weight": (vocab, width), f"{at}.positional_embedding": (77, width)}
    found |= {f"{at}.text_projection": (width, width), **norm(f"{at}.ln_final", width)}
    for number in range(layers):
        block = f"{at}.transformer.resblocks.{number}"
        found |= {f"{block}.attn.in_proj_weight": (3 * width, width), f"{block}.attn.in_proj_bias": (3 * width,)}
        found |= {**linear(f"{block}.attn.out_proj", width, width), **norm(f"{block}.ln_1", width)}
        found |= {**norm(f"{block}.ln_2", width), **linear(f"{block}.mlp.c_fc", width, inner)}
        found |= linear(f"{block}.mlp.c_proj", inner, width)
    return found


def write_tokenizer(folder: Path, heads: int, width: int, layers: int, inner: int) -> int:
    """Write a CLIP tokenizer that knows single bytes and its encoder's config; returns the vocabulary's size."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    letters = [*map(chr, plain), *(chr(256 + number) for number in range(256 - len(plain)))]
    tokens = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    first, last = len(tokens) - 2, len(tokens) - 1
    special = {"bos_token": tokens[first], "eos_token": tokens[last], "unk_token": tokens[last],
               "pad_token": tokens[last]}  # fmt: skip
    config = {
        "architectures": ["CLIPTextModel"], "model_type": "clip_text_model", "hidden_size": width,
        "intermediate_size": inner, "num_attention_heads": heads, "num_hidden_layers": layers,
        "max_position_embeddings": 77, "vocab_size": len(tokens), "projection_dim": width, "hidden_act": "quick_gelu",
        "layer_norm_eps": 1e-5, "bos_token_id": first, "eos_token_id": last, "pad_token_id": last,
    }  # fmt: skip
    about = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "do_lower_case": True, **special}
    files = {"vocab": {token: number for number, token in enumerate(tokens)}, "special_tokens_map": special,
             "tokenizer_config": about, "config": config}  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    return len(tokens)


def random_weights(shapes: Shapes) -> dict[str, np.ndarray]:
    """Values that keep a signal's size: matrices over the root of their inputs, norms near one; half precision."""
    found = {}
    for name, shape in shapes.items():
        values = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape, dtype=np.float32)
        if len(shape) == 1:
            middle = 1.0 if name.endswith("weight") else 0.3 if name.endswith(TEXT_OUTPUTS) else 0.0
            values = middle + 0.02 * values
        elif "embedding" not in name:
            values /= math.sqrt(math.prod(shape[1:]))
        if ".quant_conv." in name:  # a spread of nothing, as trained ones nearly have: hosts draw it unseeded
            values[4:] = -30.0 if len(shape) == 1 else 0.0
        found[name] = values.astype(np.float16)
    return found


def write(path: Path, model: dict | None, shapes: Shapes) -> Path:
    """Write NAME.safetensors and, where the host builds from one, NAME.yaml (JSON is YAML)."""
    save_file(random_weights(shapes), path, metadata={"format": "pt"})
    if model:
        path.with_suffix(".yaml").write_text(json.dumps({"model": model}, indent=1), encoding="utf-8")
    return path


def vae_params(**more) -> dict:
    config = {
        "double_z": True, "z_channels": 4, "resolution": 256, "in_channels": 3, "out_ch": 3, "ch": 32,
        "ch_mult": [1, 1, 1, 1], "num_res_blocks": 1, "attn_resolutions": [], "dropout": 0.0, **more,
    }  # fmt: skip
    return {"embed_dim": 4, "monitor": "none", "lossconfig": {"target": "torch.nn.Identity"}, "ddconfig": config}


def small_sd15(folder: Path) -> Path:
    """SD 1.x by a yaml: context 768, a text encoder of 2 layers, a UNet of 64 and 128 channels."""
    tokenizer = folder / "random-sd15-clip"
    vocab = write_tokenizer(tokenizer, 12, **SMALL_L)
    network = {
        "image_size": 32, "in_channels": 4, "out_channels": 4, "model_channels": 64, "attention_resolutions": [2, 1],
        "num_res_blocks": 1, "channel_mult": [1, 2], "num_heads": 4, "use_spatial_transformer": True,
        "transformer_depth": 1, "context_dim": 768, "use_checkpoint": False, "legacy": False,
    }  # fmt: skip
    parts = {
        "unet_config": {"target": "ldm.modules.diffusionmodules.openaimodel.UNetModel", "params": network},
        "first_stage_config": {"target": "ldm.models.autoencoder.AutoencoderKL", "params": vae_params()},
        "cond_stage_config": {
            "target": "ldm.modules.encoders.modules.FrozenCLIPEmbedder",
            "params": {"version": str(tokenizer.resolve())},
        },
    }
    params = {
        "linear_start": 0.00085, "linear_end": 0.0120, "num_timesteps_cond": 1, "log_every_t": 200, "timesteps": 1000,
        "first_stage_key": "jpg", "cond_stage_key": "txt", "image_size": 64, "channels": 4,
        "cond_stage_trainable": False, "conditioning_key": "crossattn", "monitor": "none", "scale_factor": 0.18215,
        "use_ema": False, **parts,
    }  # fmt: skip
    model = {"target": "ldm.models.diffusion.ddpm.LatentDiffusion", "base_learning_rate": 1e-4, "params": params}
    shapes = {**unet(64, (1, 2), (1, 1), 768, attended=(True, True)), **vae(**SMALL_VAE)}
    return write(
        folder / "random-sd15.safetensors",
        model,
        shapes | clip_l("cond_stage_model.transformer", vocab=vocab, **SMALL_L),
    )


def small_sdxl(folder: Path) -> Path:
    """SDXL base by a yaml: context 2048 (768 and 1280), vector 2816; CLIP-G is a class of `on_path`."""
    tokenizer = folder / "random-sdxl-clip"
    vocab = write_tokenizer(tokenizer, 12, **SMALL_L)
    encoders, parts = "sgm.modules.encoders.modules", "sgm.modules.diffusionmodules"
    clip = {"layer": "hidden", "layer_idx": 1, "version": str(tokenizer.resolve())}
    words = {"is_trainable": False, "input_key": "txt"}
    embedders = [
        {**words, "target": f"{encoders}.FrozenCLIPEmbedder", "params": clip},
        {**words, "target": "small_open_clip.FrozenOpenCLIPEmbedder2",
         "params": {"vocab": 512, "heads": 20, **SMALL_G}},
        *({"is_trainable": False, "input_key": key, "target": f"{encoders}.ConcatTimestepEmbedderND",
           "params": {"outdim": 256}} for key in SIZES),
    ]  # fmt: skip
    denoiser = {
        "num_idx": 1000,
        "weighting_config": {"target": f"{parts}.denoiser_weighting.EpsWeighting"},
        "scaling_config": {"target": f"{parts}.denoiser_scaling.EpsScaling"},
        "discretization_config": {"target": f"{parts}.discretizer.LegacyDDPMDiscretization"},
    }
    network = {
        "adm_in_channels": 2816, "num_classes": "sequential", "use_checkpoint": False, "in_channels": 4,
        "out_channels": 4, "model_channels": 64, "attention_resolutions": [2], "num_res_blocks": 1,
        "channel_mult": [1, 2], "num_head_channels": 32, "use_spatial_transformer": True,
        "use_linear_in_transformer": True, "transformer_depth": [1, 1], "context_dim": 2048,
        "spatial_transformer_attn_type": "softmax-xformers", "legacy": False,
    }  # fmt: skip
    model = {"target": "sgm.models.diffusion.DiffusionEngine", "params": {
        "scale_factor": 0.13025, "disable_first_stage_autocast": True,
        "denoiser_config": {"target": f"{parts}.denoiser.DiscreteDenoiser", "params": denoiser},
        "network_config": {"target": f"{parts}.openaimodel.UNetModel", "params": network},
        "conditioner_config": {"target": "sgm.modules.GeneralConditioner", "params": {"emb_models": embedders}},
        "first_stage_config": {"target": "sgm.models.autoencoder.AutoencoderKLInferenceWrapper",
                               "params": vae_params(attn_type="vanilla-xformers")},
    }}  # fmt: skip
    shapes = {**unet(64, (1, 2), (1, 1), 2048, attended=(False, True), flat=True, extra=2816), **vae(**SMALL_VAE)}
    shapes |= clip_l("conditioner.embedders.0.transformer", vocab=vocab, **SMALL_L)
    return write(
        folder / "random-sdxl.safetensors",
        model,
        shapes | clip_g("conditioner.embedders.1.model", vocab=512, **SMALL_G),
    )


def shaped_sd15(folder: Path) -> Path:
    """SD 1.x told by shapes: 320 channels and context 768; two levels only."""
    # Two blocks in the second level keep input_blocks.4.1, by which many tools tell SD 1.x.
    shapes = {**unet(320, (1, 1), (1, 2), 768, attended=(True, True)), **vae()}
    return write(folder / "random-sd15.safetensors", None, shapes | clip_l("cond_stage_model.transformer"))


CHECKPOINTS = {
    "a1111": (small_sd15, small_sdxl),
    "forge": (shaped_sd15,),
    "neo": (shaped_sd15,),
    "reforge": (shaped_sd15,),
}


if __name__ == "__main__":
    for make in CHECKPOINTS[sys.argv[1]]:
        made = make(Path(sys.argv[2]))
        print(f"{made} {made.stat().st_size / 1e6:.1f} MB")
