"""How the EEG acts on a prompt while a picture is drawn: in its place, blended with it, or added to it."""

import torch
from torch import Tensor

from .blending import blend, pad_tokens

MODES = ("replace", "blend", "add")
MAX_STRENGTH = 2.0


def check_steering(mode: str, strength: float) -> None:
    """Raise ValueError for an unknown mode, or a strength outside [0, 2] (of `blend` outside [0, 1])."""
    if mode not in MODES:
        raise ValueError(f"no mode {mode!r}; known: {', '.join(MODES)}")
    most = 1.0 if mode == "blend" else MAX_STRENGTH
    if not 0 <= strength <= most:
        raise ValueError(f"the strength of {mode!r} lies between 0 and {most:g}, not {strength:g}")


def steer(
    text: Tensor, eeg: Tensor, mean: Tensor, *, mode: str, strength: float, share: Tensor | None = None
) -> Tensor:
    """Return what the sampler gets instead of the prompt's conditioning.

    text: (batch or 1, tokens, width) or a pooled vector (batch or 1, width). eeg: what was decoded, at full strength,
    same form. mean: the encoder's train mean (1, ...). mode: "replace" goes from the train mean (0) to what was
    decoded (1) and beyond, "blend" from the text (0, bit for bit) to what was decoded (1), "add" moves the text by
    strength times the difference between the two. share: how far each row is trusted (batch,), the rest is the text.
    Where token counts differ, the shorter one is padded by repeating its last token. Returns the text's type and
    device. Raises ValueError for an unknown mode or strength, or widths that differ.
    """
    check_steering(mode, strength)
    if mode == "blend":
        return blend(text, eeg, strength if share is None else strength * share)
    if mode == "replace":
        found = mean if strength == 0 else eeg if strength == 1 else mean + strength * (eeg - mean)
    else:
        length = max(text.shape[1], eeg.shape[1]) if text.ndim == 3 else 0
        moved, base = (eeg - mean, text) if not length else (pad_tokens(eeg - mean, length), pad_tokens(text, length))
        if moved.shape[-1] != base.shape[-1]:
            return blend(text, eeg, 1.0)  # which says what does not fit
        found = base.float() + strength * moved.to(base.device, torch.float32)
    # blend() checks widths and rows, moves to the text's device and type, and keeps rows of share 0 bit for bit.
    return blend(text, found, 1.0 if share is None else share)
