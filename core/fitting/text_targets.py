"""A checkpoint's own text states of captions, as targets of one person's encoder."""

from collections.abc import Callable

import torch
from torch import Tensor

from ..model.spaces import SPACES, EncodePrompts

Progress = Callable[[int, int], None]


def text_targets(
    prompts: tuple[str, ...], encode_prompts: EncodePrompts | None, progress: Progress, steps: int
) -> dict[str, Tensor]:
    """Return the checkpoint's text states of the captions as flat targets (n_prompts, n_values), by their space's name.

    Raises ValueError without a text encoder, or with one whose states no text space holds.
    """
    if encode_prompts is None:
        raise ValueError("text states need the checkpoint's text encoder: connect its CLIP, or take `prompts` alone")
    encoded = []
    for prompt in prompts:
        progress(1, steps)  # where the user may cancel
        encoded.append(encode_prompts([prompt]))
    if len(widest := {tuple(context.shape[1:]) for context, _ in encoded}) > 1:
        raise ValueError(f"the captions' text states differ in length {sorted(widest)}; shorten the longest caption")
    context = torch.cat([one.detach().float().cpu() for one, _ in encoded])
    for space in SPACES.values():
        if space.kind == "text" and space.shape == tuple(context.shape[1:]):
            parts = [context.flatten(1)]
            if space.pooled:
                parts.append(torch.cat([pooled.detach().float().cpu() for _, pooled in encoded if pooled is not None]))
            return {space.name: torch.cat(parts, dim=1)}
    shape = " x ".join(map(str, context.shape[1:]))
    known = ", ".join(f"{s.name} {' x '.join(map(str, s.shape or ()))}" for s in SPACES.values() if s.kind == "text")
    raise ValueError(
        f"this text encoder gives {shape}; text states can be {known}. Take `prompts`, which fits every family"
    )
