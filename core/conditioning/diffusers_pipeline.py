"""Pictures from conditioning through the stock diffusers pipelines, outside any host."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportPrivateImportUsage=false

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..choices import NEGATIVES
from ..model.spaces import EncodePrompts, check_fits
from .conditioning import Conditioning


def load_pipeline(
    model: str | Path,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    config: str | Path | None = None,
    without: tuple[str, ...] = (),
) -> Any:
    """Load a Stable Diffusion 1.x, 2.x or SDXL text-to-image pipeline.

    model: a diffusers folder, a single-file checkpoint (`.safetensors`), or a hub id. config: for a single file, a
    diffusers folder of the same family that holds its configuration and tokenizer; without it diffusers fetches them
    from the hub. without: parts of a single file that are not loaded (unet, vae). Returns the diffusers pipeline on
    `device`. Raises FileNotFoundError or ValueError saying what was found instead.
    """
    from diffusers.utils import logging
    from transformers.utils import logging as transformers_logging

    # What they would say here is about image processors that no pipeline of ours uses.
    logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    from diffusers import DiffusionPipeline, StableDiffusionPipeline, StableDiffusionXLPipeline

    path = Path(model)
    shared: dict[str, Any] = {"dtype": dtype, "safety_checker": None, "requires_safety_checker": False}
    if path.is_file():
        if path.suffix != ".safetensors":
            raise ValueError(
                f"{path.name}: only .safetensors checkpoints are read, since others can run code; convert it first"
            )
        made = StableDiffusionXLPipeline if _is_sdxl(path) else StableDiffusionPipeline
        extra = {"dtype": dtype} if made is StableDiffusionXLPipeline else shared
        try:
            extra |= dict.fromkeys(without)
            pipeline = made.from_single_file(str(path), **extra, **({"config": str(config)} if config else {}))
        except OSError as error:
            raise FileNotFoundError(
                f"{path.name} is a single file, and its family's configuration is not on this computer. "
                "Go online once, or give the folder of any model of that family in diffusers' format (--config; for "
                "train.py --clip-config)"
            ) from error
    elif path.is_dir():
        if not (path / "model_index.json").is_file():
            raise ValueError(
                f"{path} is not a diffusers folder (no model_index.json); give its folder or a .safetensors file"
            )
        is_sdxl = "StableDiffusionXL" in (path / "model_index.json").read_text()
        pipeline = DiffusionPipeline.from_pretrained(str(path), **({"dtype": dtype} if is_sdxl else shared))
    elif str(model).count("/") == 1 and not str(model).startswith((".", "/")):
        pipeline = DiffusionPipeline.from_pretrained(str(model), dtype=dtype)
    else:
        raise FileNotFoundError(f"no model at {model}; give a diffusers folder, a .safetensors checkpoint or a hub id")
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device)


def _is_sdxl(path: Path) -> bool:
    """Tell SDXL by its second text encoder's keys; the header alone is read."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return any(name.startswith(("conditioner.embedders.1.", "text_encoder_2.")) for name in file.keys())  # noqa: SIM118


def is_sdxl(pipeline: Any) -> bool:
    """Tell whether a pipeline is of the SDXL family, which needs a pooled vector."""
    return getattr(pipeline, "text_encoder_2", None) is not None or "XL" in type(pipeline).__name__


def prompt_encoder(pipeline: Any) -> EncodePrompts:
    """Return the pipeline's own text encoder as a callable: prompts → context (n, tokens, width), pooled (n, width) or
    None.
    """

    def encode(prompts: list[str]) -> tuple[Tensor, Tensor | None]:
        found = pipeline.encode_prompt(
            prompt=prompts, device=pipeline.device, num_images_per_prompt=1, do_classifier_free_guidance=False
        )
        return (found[0], found[2]) if is_sdxl(pipeline) else (found[0], None)

    return encode


@torch.inference_mode()
def generate(
    pipeline: Any,
    conditioning: Conditioning,
    *,
    negative: str = "empty",
    guidance: float = 7.5,
    steps: int = 30,
    strength: float = 0.8,
    init_image: Tensor | None = None,
    seed: int = 0,
    batch: int = 16,
    width: int | None = None,
    height: int | None = None,
    progress: Callable[[int], object] | None = None,
    on_step: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Draw one picture for each decoded window.

    conditioning: with a context, and a pooled vector for SDXL. negative: "empty" (the empty prompt) or "train-mean"
    (the encoder's train mean). init_image: (1 or n, 3, H, W) in [0, 1] starts img2img, where `strength` says how much
    is redrawn. seed: window i draws its noise from seed + i, whatever the batch. progress: called with the number of
    pictures done. on_step: called with (done, total) after every step of every batch; what it raises ends the drawing.

    Returns pictures (n, 3, H, W) in [0, 1] on the CPU. Raises ValueError naming both shapes where the model cannot
    take the conditioning.
    """
    context, pooled = conditioning.context, conditioning.pooled
    if context is None:
        raise ValueError(
            f"the {conditioning.space!r} head gave no text context to draw from; pass the pipeline's text encoder "
            "(prompt_encoder) to condition(), or use a text head"
        )
    if negative not in NEGATIVES:
        raise ValueError(f"no negative {negative!r}; known: {', '.join(NEGATIVES)}")
    check_fits(context, pipeline.unet.config.cross_attention_dim, f"the {conditioning.space!r} conditioning")
    if is_sdxl(pipeline) and pooled is None:
        raise ValueError(f"SDXL needs a pooled vector (1280), which the {conditioning.space!r} head does not give")
    if negative == "empty":
        against, against_pooled = prompt_encoder(pipeline)([""])
    else:
        against, against_pooled = _train_mean(conditioning)
    painter = _image_to_image(pipeline) if init_image is not None else pipeline
    place = {"device": pipeline.device, "dtype": pipeline.unet.dtype}
    done: list[Tensor] = []
    for start in range(0, len(context), batch):
        rows = slice(start, start + batch)
        part = context[rows].to(**place)
        arguments: dict[str, Any] = {
            "prompt_embeds": part,
            "negative_prompt_embeds": _pad_or_cut(against.to(**place), part),
            "guidance_scale": guidance,
            "num_inference_steps": steps,
            "generator": [torch.Generator().manual_seed(seed + i) for i in range(start, start + len(part))],
            "output_type": "pt",
        }
        if is_sdxl(pipeline):
            assert pooled is not None
            assert against_pooled is not None
            arguments["pooled_prompt_embeds"] = pooled[rows].to(**place)
            arguments["negative_pooled_prompt_embeds"] = against_pooled.to(**place).expand(len(part), -1)
        if on_step is not None:
            arguments["callback_on_step_end"] = _step_reporter(on_step, start // batch, -(-len(context) // batch))
        if init_image is not None:
            arguments |= {"image": init_image.expand(len(context), -1, -1, -1)[rows], "strength": strength}
        elif width or height:
            arguments |= {"width": width, "height": height}
        done.append(painter(**arguments).images.float().cpu())
        if progress is not None:
            progress(min(start + batch, len(context)))
    return torch.cat(done).clamp(0, 1)


def _step_reporter(
    on_step: Callable[[int, int], None], done_batches: int, n_batches: int
) -> Callable[..., dict[str, Any]]:
    """Return a callback of a pipeline's steps that counts over all batches."""

    def report(pipeline: Any, step: int, _timestep: Any, _tensors: dict[str, Any]) -> dict[str, Any]:
        on_step(done_batches * pipeline.num_timesteps + step + 1, n_batches * pipeline.num_timesteps)
        return {}

    return report


def _train_mean(conditioning: Conditioning) -> tuple[Tensor, Tensor | None]:
    if conditioning.negative is None or conditioning.negative.context is None:
        raise ValueError(f"the {conditioning.space!r} conditioning carries no train mean; use negative='empty'")
    return conditioning.negative.context, conditioning.negative.pooled


def _pad_or_cut(against: Tensor, part: Tensor) -> Tensor:
    """Repeat the negative for each row, with as many tokens as the positive (its last one repeated)."""
    short = part.shape[1] - against.shape[1]
    if short > 0:
        against = torch.cat([against, against[:, -1:].expand(-1, short, -1)], dim=1)
    return against[:, : part.shape[1]].expand(len(part), -1, -1)


def _image_to_image(pipeline: Any) -> Any:
    """Return the img2img pipeline around the same loaded parts."""
    from diffusers import AutoPipelineForImage2Image

    painter = AutoPipelineForImage2Image.from_pipe(pipeline)
    painter.set_progress_bar_config(disable=True)
    return painter
