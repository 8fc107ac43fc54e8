"""Mixing a prompt's conditioning with the EEG's: once, or while a picture is drawn (in its place, blended, added)."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import torch
from torch import Tensor

from ..choices import BLEND_MODES, check_steering
from ..model.confidence import confidence_share


def blend_rows(
    text: Tensor,
    eeg: Tensor,
    amount: float,
    mode: str,
    pooled: tuple[Tensor | None, Tensor | None] = (None, None),
    confidence: tuple[Tensor | None, float | None] | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Blend context and pooled vector alike, each row as far as the decoder is sure of it.

    text, eeg: (batch or 1, tokens, width). pooled: the text's and the EEG's (batch or 1, width), or None. confidence:
    None for the same amount everywhere, else each window's (batch,) and what guessing gets; amounts are scaled by
    `confidence_share`. Returns the blended context (`text` itself where nothing is taken) and pooled vector (the
    text's where only one of the two has any).

    Raises ValueError as `blend` does, or where confidence is asked of an encoder that was never calibrated.
    """
    share: float | Tensor = amount
    if confidence is not None:
        if confidence[0] is None:
            raise ValueError(
                "this EEG conditioning carries no confidence: its encoder was never calibrated, or it went through a "
                "node that dropped it. Let the amount alone drive the blend"
            )
        share = amount * confidence_share(confidence[0], confidence[1] or 0.0)
    mixed = blend(text, eeg, share, mode)
    if mixed is text or pooled[0] is None or pooled[1] is None:
        return mixed, pooled[0] if pooled[0] is not None or mixed is text else pooled[1]
    return mixed, blend(pooled[0], pooled[1], share, "lerp" if mode == "concat" else mode)


def blend(text: Tensor, eeg: Tensor, amount: float | Tensor, mode: str = "lerp") -> Tensor:
    """Blend a text conditioning with an EEG one.

    text, eeg: (batch or 1, tokens, width) or pooled (batch or 1, width). amount: one number, or one for each row
    (batch,), for example the confidence; 0 returns `text` itself, bit for bit, 1 the EEG. mode: "lerp", "slerp" (along
    the arc, lengths mixed) or "concat" (tokens side by side, the EEG's scaled by amount). Where token counts differ,
    the shorter one is padded by repeating its last token.

    Raises ValueError for an unknown mode, amounts outside [0, 1], or widths that differ.
    """
    if mode not in BLEND_MODES:
        raise ValueError(f"no blend mode {mode!r}; known: {', '.join(BLEND_MODES)}")
    if text.shape[-1] != eeg.shape[-1] or text.ndim != eeg.ndim:
        raise ValueError(
            f"text conditioning has shape {tuple(text.shape)}, EEG conditioning {tuple(eeg.shape)}: "
            "they are of different model families. "
            "Use an encoder whose head fits the model, or one with a `prompts` head"
        )
    if len(text) != len(eeg) and 1 not in (len(text), len(eeg)):
        raise ValueError(
            f"text conditioning has {len(text)} rows, EEG conditioning {len(eeg)}; one of them must have one row, or "
            "both as many"
        )
    share = torch.as_tensor(amount, dtype=torch.float32, device=text.device)
    if not bool(((share >= 0) & (share <= 1)).all()):
        raise ValueError(f"the blend amount lies in [0, 1], not {amount}")
    if not bool((share > 0).any()):
        return text
    share = share.reshape(-1, *[1] * (text.ndim - 1))
    eeg = eeg.to(text.device, text.dtype)
    if mode == "concat" and text.ndim == 3:
        batch = max(len(text), len(eeg), len(share))
        scaled = (eeg * share.to(eeg.dtype)).expand(batch, -1, -1)
        return torch.cat([text.expand(batch, -1, -1), scaled], dim=1)
    if text.ndim == 3 and text.shape[1] != eeg.shape[1]:
        tokens = max(text.shape[1], eeg.shape[1])
        text, eeg = pad_tokens(text, tokens), pad_tokens(eeg, tokens)
    a, b = text.float(), eeg.float()
    mixed = _slerp(a, b, share) if mode == "slerp" else a + share * (b - a)
    # Rows of amount 0 and 1 are the inputs themselves, not their rounding through float32.
    mixed = mixed.to(text.dtype)
    return torch.where(share == 0, text.expand_as(mixed), torch.where(share == 1, eeg.expand_as(mixed), mixed))


def pad_tokens(context: Tensor, tokens: int) -> Tensor:
    """Return a context (batch, n, width) with its last token repeated up to `tokens`."""
    short = tokens - context.shape[1]
    return context if not short else torch.cat([context, context[:, -1:].expand(-1, short, -1)], dim=1)


def _slerp(a: Tensor, b: Tensor, share: Tensor) -> Tensor:
    """Interpolate along the arc between vectors of the last axis, their lengths linearly."""
    length_a, length_b = a.norm(dim=-1, keepdim=True), b.norm(dim=-1, keepdim=True)
    cosine = ((a * b).sum(-1, keepdim=True) / (length_a * length_b).clamp(min=1e-12)).clamp(-1, 1)
    angle = torch.acos(cosine)
    arc = torch.sin((1 - share) * angle) * a / length_a.clamp(min=1e-12) + torch.sin(
        share * angle
    ) * b / length_b.clamp(min=1e-12)
    along = arc / torch.sin(angle).clamp(min=1e-6) * (length_a + share * (length_b - length_a))
    return torch.where(angle.abs() < 1e-3, a + share * (b - a), along)


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
