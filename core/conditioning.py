"""Conditioning: what an encoder says about a recording, in the tensors diffusion models take, and how it mixes with
text.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .checkpoint import EegEncoder
from .confidence import concept_similarity, confidence_score
from .heads import Head
from .preprocessing import windows_of
from .recording import Recording

# A text encoder as every host has one: prompts in, context (n, tokens, width) and the pooled vector (n, width) or None
# out.
EncodePrompts = Callable[[list[str]], tuple[Tensor, Tensor | None]]
BLEND_MODES = ("lerp", "slerp", "concat")


@dataclass(frozen=True)
class Conditioning:
    """Decoded windows in one target space; only the tensors of that space are set.

    context: (batch, tokens, width). pooled: (batch, width). image_embeds: (batch, width). picture: latent or saliency
    (batch, channels, height, width). weights: (batch, n_prompts), one column for each of `prompts`. confidence:
    (batch,) in [0, 1], or None where the encoder was never calibrated; `chance` is what guessing would get. negative:
    the train mean in the same tensors, batch 1. report: readable lines.
    """

    space: str
    context: Tensor | None = None
    pooled: Tensor | None = None
    image_embeds: Tensor | None = None
    picture: Tensor | None = None
    weights: Tensor | None = None
    prompts: tuple[str, ...] = ()
    confidence: Tensor | None = None
    chance: float | None = None
    negative: "Conditioning | None" = None
    report: str = ""


def decode(
    encoder: EegEncoder,
    recording: Recording,
    *,
    space: str | None = None,
    label: str | None = None,
    index: int | Sequence[int] | None = None,
    time: float | Sequence[float] | None = None,
    average: bool = False,
    strength: float = 1.0,
    restore_spread: float = 1.0,
    recall: bool = True,
    encode_prompts: EncodePrompts | None = None,
    prompts: Sequence[str] | None = None,
) -> Conditioning:
    """Decode windows of a recording with the encoder's own preprocessing.

    label, index, time: which windows (event label, event numbers, or seconds); average: decode their mean. space:
    which head, by default the main one. The other arguments are those of `condition`. Raises ValueError where the
    recording does not fit the encoder or holds no such window.
    """
    windows = windows_of(
        recording, encoder.preprocessing, encoder.normaliser, label=label, index=index, time=time, average=average
    )
    parameter = next(encoder.parameters())
    eeg = torch.from_numpy(windows.data).to(parameter.device, parameter.dtype)
    return condition(
        encoder,
        eeg,
        space=space,
        strength=strength,
        restore_spread=restore_spread,
        recall=recall,
        encode_prompts=encode_prompts,
        prompts=prompts,
    )


@torch.inference_mode()
def condition(
    encoder: EegEncoder,
    eeg: Tensor,
    *,
    space: str | None = None,
    strength: float = 1.0,
    restore_spread: float = 1.0,
    recall: bool = True,
    encode_prompts: EncodePrompts | None = None,
    prompts: Sequence[str] | None = None,
) -> Conditioning:
    """Encode normalised windows and turn one head's output into conditioning.

    eeg: (batch, channels, times), normalised as the encoder's preprocessing says. strength: 0 gives the train mean, 1
    what was decoded. restore_spread: 0 takes regression's own, shrunken spread, 1 the targets' spread. recall: pull
    the answer among the training targets (`Head.recall`). encode_prompts: the host's text encoder, needed to turn a
    `prompts` head's weights into a context; without it only weights are returned. prompts: a rewording of the head's
    prompts, same number and order.

    Raises ValueError for an unknown space or a rewording that does not match.
    """
    head = encoder.head(space)
    predicted = encoder.eval()(eeg)[head.config.space]
    fitted = encoder.confidence.get(head.config.space)
    confidence = fitted.probability(confidence_score(head, predicted)) if fitted else None
    shared = {"confidence": confidence, "chance": fitted.chance if fitted else None, "space": head.config.space}
    if head.config.kind == "prompts":
        words = reworded(head, prompts)
        weights = head.weights(predicted)
        even = torch.full_like(weights[:1], 1 / len(words))
        report = _prompt_report(words, weights, confidence)
        weights = even + strength * (weights - even)
        context = pooled = negative = None
        if encode_prompts is not None:
            encoded = encode_prompts(list(words))
            context, pooled = mix_prompts(weights, *encoded)
            negative = Conditioning(head.config.space, *mix_prompts(even, *encoded))
        return Conditioning(
            context=context, pooled=pooled, weights=weights, prompts=words, negative=negative, report=report, **shared
        )
    report = _concept_report(head, predicted, confidence)
    mean = head.target_mean[None]
    recalled = head.recall(predicted) if recall else predicted
    wide = torch.lerp(recalled, head.restore_spread(recalled), restore_spread)
    negative = Conditioning(head.config.space, **_tensors(head, mean))
    return Conditioning(**_tensors(head, mean + strength * (wide - mean)), negative=negative, report=report, **shared)


def _tensors(head: Head, flat: Tensor) -> dict[str, Any]:
    """Return the Conditioning's tensors for flat values (batch, n_values) of a head's space."""
    main, pooled = head.unpack(flat)
    if head.space.kind == "text":
        return {"context": main, "pooled": pooled}
    return {"image_embeds": main} if head.space.kind == "image" else {"picture": main}


def reworded(head: Head, prompts: Sequence[str] | None) -> tuple[str, ...]:
    """Return the head's prompts, or the user's rewording of them; raises ValueError where the number differs."""
    if prompts is None:
        return head.config.prompts
    if len(prompts) != len(head.config.prompts):
        raise ValueError(
            f"{len(prompts)} prompts given, the encoder has {len(head.config.prompts)}: {list(head.config.prompts)}. "
            "Reword them in this order; none can be added or left out"
        )
    return tuple(prompts)


def mix_prompts(weights: Tensor, context: Tensor, pooled: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
    """Mix encoded prompts by weight.

    weights: (batch, n_prompts), each row sums to 1. context: (n_prompts, tokens, width). pooled: (n_prompts, width) or
    None. Returns (batch, tokens, width) and (batch, width) or None, on the context's device and in its dtype.

    Raises ValueError where the number of prompts differs.
    """
    if weights.shape[-1] != len(context):
        raise ValueError(
            f"{weights.shape[-1]} prompt weights but {len(context)} encoded prompts; encode each prompt once, in order"
        )
    shares = weights.to(context.device, torch.float32)
    mixed = torch.einsum("bn,ntw->btw", shares, context.float()).to(context.dtype)
    if pooled is None:
        return mixed, None
    return mixed, (shares.to(pooled.device) @ pooled.float()).to(pooled.dtype)


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
        text, eeg = _pad_tokens(text, tokens), _pad_tokens(eeg, tokens)
    a, b = text.float(), eeg.float()
    mixed = _slerp(a, b, share) if mode == "slerp" else a + share * (b - a)
    # Rows of amount 0 and 1 are the inputs themselves, not their rounding through float32.
    mixed = mixed.to(text.dtype)
    return torch.where(share == 0, text.expand_as(mixed), torch.where(share == 1, eeg.expand_as(mixed), mixed))


def _pad_tokens(context: Tensor, tokens: int) -> Tensor:
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


def _confidence_text(confidence: Tensor | None, row: int) -> str:
    return "" if confidence is None else f", confidence {confidence[row].item():.2f}"


def _prompt_report(prompts: Sequence[str], weights: Tensor, confidence: Tensor | None) -> str:
    lines = []
    for row, shares in enumerate(weights):
        best = shares.argsort(descending=True)[:3].tolist()
        said = ", ".join(f"{shares[i].item():.2f} {prompts[i]}" for i in best)
        lines.append(f"window {row + 1}: {said}{_confidence_text(confidence, row)}")
    return "\n".join(lines)


def _concept_report(head: Head, predicted: Tensor, confidence: Tensor | None) -> str:
    if not head.config.concepts:
        return "\n".join(f"window {row + 1}{_confidence_text(confidence, row)}" for row in range(len(predicted)))
    lines = []
    for row, found in enumerate(concept_similarity(head, predicted)):
        best = found.argsort(descending=True)[:3].tolist()
        said = ", ".join(f"{head.config.concepts[i]} ({found[i].item():.2f})" for i in best)
        lines.append(f"window {row + 1}: nearest {said}{_confidence_text(confidence, row)}")
    return "\n".join(lines)
