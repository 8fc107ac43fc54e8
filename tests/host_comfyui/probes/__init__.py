"""Nodes that only tests use: they write down what flows through a graph in the real host."""

from pathlib import Path

import folder_paths
import torch
from safetensors.torch import save_file


class Anything(str):
    """A socket type that every other one may be connected to."""

    def __ne__(self, other: object) -> bool:
        return False


def flattened(value, prefix: str = "") -> dict:
    """Every tensor and number inside a value, by a path of keys; `value` where it is one itself."""
    if isinstance(value, (bool, int, float)):
        return {prefix or "value": torch.tensor(value, dtype=torch.float64)}
    if torch.is_tensor(value):
        return {prefix or "value": value.detach().cpu().contiguous().clone()}
    if hasattr(value, "image_embeds"):
        return flattened({"image_embeds": value.image_embeds}, prefix)
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, (list, tuple)) else ()
    return {k: v for key, part in parts for k, v in flattened(part, f"{prefix}.{key}" if prefix else str(key)).items()}


def write(name: str, value) -> None:
    save_file(flattened(value), Path(folder_paths.get_output_directory()) / f"{name}.safetensors")


class Save:
    """Writes what is connected to it, all items of a list together, into the output folder."""

    CATEGORY, FUNCTION, RETURN_TYPES, OUTPUT_NODE, INPUT_IS_LIST = "test", "run", (), True, True

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": (Anything("*"),), "name": ("STRING", {"default": "probe"})}}

    def run(self, value, name):
        write(name[0], value if len(value) > 1 else value[0])
        return {"ui": {"text": [str(len(value))]}}


class Sampler:
    """Writes down the conditioning of a model's first step: what the sampler really gave it."""

    CATEGORY, FUNCTION, RETURN_TYPES = "test", "run", ("MODEL",)

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"model": ("MODEL",), "name": ("STRING", {"default": "sampler"})}}

    @classmethod
    def IS_CHANGED(cls, **_):
        return float("nan")

    def run(self, model, name):
        seen = []

        def step(apply_model, call):
            if not seen:
                seen.append(True)
                given = {key: value for key, value in call["c"].items() if torch.is_tensor(value)}
                write(name, {**given, "cond_or_uncond": torch.tensor(call["cond_or_uncond"])})
            return apply_model(call["input"], call["timestep"], **call["c"])

        copy = model.clone()
        copy.set_model_unet_function_wrapper(step)
        return (copy,)


class Text:
    """The host's own text encoder of a family, cut to a few layers and filled with noise."""

    CATEGORY, FUNCTION, RETURN_TYPES = "test", "run", ("CLIP",)

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"family": (["sdxl", "sd3", "flux"],)}}

    def run(self, family):
        import comfy.sd
        from comfy import sdxl_clip
        from comfy.supported_models_base import ClipTarget
        from comfy.text_encoders import flux, sd3_clip

        target = {
            "sdxl": lambda: ClipTarget(sdxl_clip.SDXLTokenizer, sdxl_clip.SDXLClipModel),
            "sd3": lambda: ClipTarget(sd3_clip.SD3Tokenizer, sd3_clip.sd3_clip(clip_g=False)),
            "flux": lambda: ClipTarget(flux.FluxTokenizer, flux.flux_clip()),
        }[family]()
        small = {f"{name}_model_config": {"num_hidden_layers": 3} for name in ("clip_l", "clip_g")}
        small["t5xxl_model_config"] = {"num_layers": 1, "d_ff": 64, "vocab_size": 8000}
        clip = comfy.sd.CLIP(target, model_options={**small, "dtype": torch.float32})
        generator = torch.Generator().manual_seed(0)
        for parameter in clip.cond_stage_model.parameters():
            parameter.data.normal_(0, 0.02, generator=generator)
        return (clip,)


NODE_CLASS_MAPPINGS = {"ProbeSave": Save, "ProbeSampler": Sampler, "ProbeText": Text}
