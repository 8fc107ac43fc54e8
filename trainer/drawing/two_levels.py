"""NeuroImagen's two levels together: a saliency or latent head's picture, noised and redrawn under the text states.

Lan et al. 2023, arXiv 2308.02510: the pixel level says where and in which colour, the sample level says what. With a
latent head instead of the saliency it is the route of Takagi & Nishimoto (CVPR 2023).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from core.choices import AUTO, INITS, NONE
from core.conditioning.conditioning import Conditioning, condition
from core.conditioning.diffusers_pipeline import generate, is_sdxl, prompt_encoder
from core.conditioning.init_images import check_init
from core.conditioning.resizing import resize
from core.model.checkpoint import EegEncoder
from core.model.spaces import find_space

INIT_CHOICES = (AUTO, *INITS, NONE)
DENOISE = 0.7  # the share that is redrawn, where nothing was chosen on validation pictures


@dataclass(frozen=True)
class Levels:
    """Decoded windows at both levels.

    text: the sample level, a conditioning with a context. start: the pixel level, pictures (n, 3, H, W) in [0, 1] at
    the model's size, or None. mean_start: (1, 3, H, W), what the pixel level gives when it knows nothing.
    """

    text: Conditioning
    start: Tensor | None = None
    mean_start: Tensor | None = None


def init_of(encoder: EegEncoder, init: str) -> str:
    """Return which pixel level is used, "saliency", "latent" or "none": for "auto", the first the encoder has.

    Raises ValueError for an unknown one or one that the encoder has no head for.
    """
    if init == NONE:
        return NONE
    if init == AUTO:
        return next((name for name, space in INITS.items() if space in encoder.spaces), NONE)
    if init not in INITS:
        raise ValueError(f"no init called {init!r}; known: {', '.join(INIT_CHOICES)}")
    check_init(encoder, init)
    return init


def text_space(encoder: EegEncoder) -> str | None:
    """Return the first of the encoder's spaces that gives text, the sample level; None where it has none."""
    return next((space for space in encoder.spaces if find_space(space).kind in ("text", "prompts")), None)


def picture_size(pipeline: Any) -> tuple[int, int]:
    """Return the (width, height) in pixels that a pipeline draws by itself."""
    sample = pipeline.unet.config.sample_size
    height, width = (sample, sample) if isinstance(sample, int) else sample
    return width * pipeline.vae_scale_factor, height * pipeline.vae_scale_factor


@torch.no_grad()
def as_start(pipeline: Any, init: str, values: Tensor, size: tuple[int, int] | None = None) -> Tensor:
    """Return pictures (n, 3, H, W) in [0, 1] to start img2img from, at `size` (width, height) or the pipeline's own.

    values: saliency pictures (n, 3, h, w) in [0, 1], or SD 1.x latents (n, 4, h, w) with the scaling factor, which the
    pipeline's autoencoder decodes; img2img encodes what comes out again, as Takagi & Nishimoto do. Raises ValueError
    for latents where the pipeline is not of SD 1.x.
    """
    if init == "latent":
        if is_sdxl(pipeline) or pipeline.vae.config.latent_channels != values.shape[1]:
            raise ValueError(
                "a sd1.latent head's latents are SD 1.x's, and this model's autoencoder reads others; use a saliency "
                "head, whose picture any model's autoencoder encodes"
            )
        scaled = (values / pipeline.vae.config.scaling_factor).to(pipeline.vae.device, pipeline.vae.dtype)
        values = torch.cat([pipeline.vae.decode(part).sample for part in scaled.split(16)]).float().cpu() / 2 + 0.5
    return resize(values.float().cpu().clamp(0, 1), size or picture_size(pipeline)).clamp(0, 1)


def empty_prompt(pipeline: Any, n: int) -> Conditioning:
    """Return the conditioning of n empty prompts: what is drawn of the pixel level alone."""
    context, pooled = prompt_encoder(pipeline)([""])
    alone = Conditioning("prompts", context=context, pooled=pooled)
    pooled = None if pooled is None else pooled.expand(n, -1)
    return replace(alone, context=context.expand(n, -1, -1), pooled=pooled, negative=alone)


def decode_levels(
    encoder: EegEncoder,
    outputs: dict[str, Tensor],
    pipeline: Any,
    *,
    init: str = AUTO,
    space: str | None = None,
    restore_spread: float = 1.0,
    size: tuple[int, int] | None = None,
) -> Levels:
    """Return both levels of decoded windows.

    outputs: the encoder's raw outputs by space, each with n rows (`core.model.prediction.predict`). init: one of
    INIT_CHOICES. space: the text head, by default the first; an encoder without one draws under the empty prompt.
    restore_spread: see `condition`. size: of the start, (width, height), by default the pipeline's own.
    """
    init, space = init_of(encoder, init), space or text_space(encoder)
    n = len(next(iter(outputs.values())))

    def said(space: str) -> Conditioning:
        # The windows themselves are not looked at again where the outputs are given.
        return condition(
            encoder,
            torch.empty(n, 0, 0),
            space=space,
            restore_spread=restore_spread,
            encode_prompts=prompt_encoder(pipeline),
            outputs=outputs,
        )

    text = said(space) if space is not None else empty_prompt(pipeline, n)
    if init == NONE:
        return Levels(text)
    pixels = said(INITS[init])
    assert pixels.picture is not None
    assert pixels.negative is not None
    assert pixels.negative.picture is not None
    both = torch.cat([pixels.negative.picture.float(), pixels.picture.float()])
    starts = as_start(pipeline, init, both, size)
    return Levels(text, starts[1:], starts[:1])


def draw_levels(
    pipeline: Any,
    levels: Levels,
    *,
    denoise: float = DENOISE,
    steps: int = 25,
    guidance: float = 3.0,
    seed: int = 0,
    batch: int = 50,
    progress: Callable[[int], object] | None = None,
    **more: Any,
) -> Tensor:
    """Return one picture for each window, (n, 3, H, W) in [0, 1]: img2img from the start where there is one.

    denoise: how much of the start is redrawn, in (0, 1]. steps: of the whole way; the share `denoise` of them is made,
    so that both levels are drawn with the same noise levels as the text alone. more: further arguments of `generate`.
    """
    if levels.start is not None:
        check_denoise(denoise, steps)
        more |= {"init_image": levels.start, "strength": denoise}
    return generate(
        pipeline, levels.text, steps=steps, guidance=guidance, seed=seed, batch=batch, progress=progress, **more
    )


def check_denoise(denoise: float, steps: int) -> None:
    """Raise ValueError where nothing would be redrawn, or more than everything."""
    if not 0 < denoise <= 1 or int(steps * denoise) < 1:
        raise ValueError(
            f"--denoise is {denoise:g}; it lies in (0, 1], the share of a start that is redrawn, and at least one of "
            f"{steps} steps must be made"
        )
