"""The sampler's hook: at every step the prompt's conditioning is steered by what was decoded from the EEG."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from ..host.host import family_of, parts_of, prompt_encoder

if TYPE_CHECKING:
    from torch import Tensor

    from .decoded import Decoded, Rows

STATE = "_sd_eeg"  # on the host's processing object, so that jobs never share it


def on_cfg_denoiser(params: Any) -> None:
    """Replace `text_cond` and `text_uncond` of this step; does nothing where the generation has no EEG.

    params: the host's CFGDenoiserParams. The host's own tensors, which it caches, are left as they are. The host
    prints what is raised here and draws on, so a failure is kept for `job.after_sampling`, and sampling is interrupted.
    """
    p = getattr(params.denoiser, "p", None)
    decoded: Decoded | None = getattr(p, STATE, None)
    if decoded is None or params.text_cond is None:
        return
    try:
        act(params, p, decoded)
    except Exception as error:
        from modules import shared

        decoded.failure = decoded.failure or error
        shared.state.interrupt()


def act(params: Any, p: Any, decoded: Decoded) -> None:
    """Steer this step's conditioning, where the request wants the EEG to act in it."""
    request = decoded.request
    done = part_done(params)
    if not (request.start <= done < request.end or request.end == 1 <= done):
        return
    parts = parts_per_picture(p, len(parts_of(params.text_cond)[0]))
    rows = rows_on(p, decoded, params.text_cond, windows_of_batch(p, decoded, len(parts)))
    if rows is None:
        return
    params.text_cond = steered(params.text_cond, rows, parts, request.mode, request.strength)
    if request.negative == "train mean" and params.text_uncond is not None:
        params.text_uncond = with_parts(params.text_uncond, *train_mean(params.text_uncond, rows))


def part_done(params: Any) -> float:
    """Return which part of the sampling lies behind, 0 at the first step.

    The denoiser counts its own calls, two a step in second-order samplers; the host's `sampling_step` is set after a
    step, so it says 0 twice.
    """
    step, total = getattr(params.denoiser, "step", None), getattr(params.denoiser, "total_steps", None)
    if step is None or not total:
        step, total = params.sampling_step, params.total_sampling_steps
    return step / max(total, 1)


def windows_of_batch(p: Any, decoded: Decoded, n_pictures: int) -> tuple[int, ...]:
    """Return which window each picture of the present batch draws."""
    first = p.iteration * p.batch_size
    return tuple(decoded.window_of(first + number) for number in range(n_pictures))


def rows_on(p: Any, decoded: Decoded, cond: Any, windows: tuple[int, ...]) -> Rows | None:
    """Return what was decoded of a batch's windows for the model that samples now, on its device and in its type.

    A refiner, or another checkpoint for hires, may be of a family that the encoder has no head for: then the prompt
    alone acts from there on, which a comment under the picture says.
    """
    try:
        context, _ = parts_of(cond)
        key = (context.shape[-1], context.device, context.dtype, windows)
        if key not in decoded.sampled:
            rows = decoded.rows_for(family_of(cond), windows, prompt_encoder(p))
            decoded.sampled = {key: rows.to(context.device, context.dtype)}
        return decoded.sampled[key]
    except ValueError as error:
        if not decoded.kept:
            raise  # not even the first model can be steered
        p.comment(f"The EEG did not act in the second model, which drew from the prompt: {error}")
        return None


def parts_per_picture(p: Any, n_rows: int) -> list[int]:
    """Return how many rows of the conditioning belong to each picture of the batch: the parts of its AND prompt."""
    conds = getattr(p, "hr_c", None) if getattr(p, "is_hr_pass", False) else getattr(p, "c", None)
    parts = [len(one) for one in getattr(conds, "batch", [])]
    return parts if sum(parts) == n_rows else [1] * n_rows


def steered(cond: Any, rows: Rows, parts: list[int], mode: str, strength: float) -> Any:
    """Return the conditioning of a step, each picture's first AND part steered by its window; the others stay.

    cond: a tensor (rows, tokens, width), or a mapping with `crossattn` and `vector`. rows: one a picture. parts: how
    many rows of `cond` each picture has. Returns a new object of the same kind.
    """
    import torch

    from ...core.conditioning.blending import pad_tokens, steer

    context, vector = parts_of(cond)
    eeg, pooled, share = rows.context, rows.pooled, rows.share
    firsts = [sum(parts[:number]) for number in range(len(parts))]
    alone = len(firsts) == len(context)
    text = context if alone else context[firsts]
    found = steer(text, eeg, rows.mean_context, mode=mode, strength=strength, share=share)
    if found is not text and not alone:
        every = pad_tokens(context, max(context.shape[1], found.shape[1])).clone()
        every[firsts] = pad_tokens(found, every.shape[1])
        found = every
    elif found is text:
        found = context
    if vector is None or pooled is None or rows.mean_pooled is None:
        return with_parts(cond, found, vector)
    width = pooled.shape[-1]
    text_pooled = vector[:, :width] if alone else vector[firsts, :width]
    found_pooled = steer(text_pooled, pooled, rows.mean_pooled, mode=mode, strength=strength, share=share)
    vector = vector.clone()
    vector[torch.as_tensor(firsts, device=vector.device), :width] = found_pooled
    return with_parts(cond, found, vector)


def train_mean(uncond: Any, rows: Rows) -> tuple[Tensor, Tensor | None]:
    """Return the encoder's train mean in the form of the host's negative conditioning."""
    context, vector = parts_of(uncond)
    mean = rows.mean_context.expand(len(context), -1, -1)
    if vector is not None and rows.mean_pooled is not None:
        vector = vector.clone()
        vector[:, : rows.mean_pooled.shape[-1]] = rows.mean_pooled
    return mean, vector


def with_parts(cond: Any, context: Tensor, vector: Tensor | None) -> Any:
    """Return a conditioning like `cond` with another context and vector; `cond` itself stays as it is."""
    if not isinstance(cond, dict):
        return context
    made = copy.copy(cond)
    made["crossattn"] = context
    if vector is not None:
        made["vector"] = vector
    return made


def first_cond(p: Any) -> Any:
    """Return one prompt's conditioning of a processing object after setup_conds, to tell the family from."""
    return p.c.batch[0][0].schedules[0].cond
