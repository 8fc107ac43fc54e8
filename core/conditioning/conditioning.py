"""Conditioning: what an encoder says about a recording, in the tensors diffusion models take."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..model.checkpoint import EegEncoder
from ..model.confidence import concept_similarity, confidence_score
from ..model.decodable import Decodable, gate_of_p
from ..model.heads import Head
from ..model.prediction import outputs_of
from ..model.spaces import EncodePrompts


@dataclass(frozen=True)
class Conditioning:
    """Decoded windows in one target space; only the tensors of that space are set.

    context: (batch, tokens, width). pooled: (batch, width). image_embeds: (batch, width). picture: latent or saliency
    (batch, channels, height, width). weights: (batch, n_prompts), one column for each of `prompts`. right: (batch,),
    the calibrated probability that each answer is right if anything is decodable; None where the encoder was never
    calibrated. decodable: whether anything is. confidence: (batch,) in [0, 1], what both come to; 0 where nothing is
    decodable, None where `right` is. chance: what guessing would get. unmeasured: why some windows count as guessing
    whatever they say, empty where none does. negative: the train mean in the same tensors, batch 1. report: readable
    lines.
    """

    space: str
    context: Tensor | None = None
    pooled: Tensor | None = None
    image_embeds: Tensor | None = None
    picture: Tensor | None = None
    weights: Tensor | None = None
    prompts: tuple[str, ...] = ()
    right: Tensor | None = None
    decodable: Decodable | None = None
    confidence: Tensor | None = None
    chance: float | None = None
    unmeasured: str = ""
    negative: "Conditioning | None" = None
    report: str = ""


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
    outputs: dict[str, Tensor] | None = None,
    decodable: Decodable | None = None,
    averaged: Sequence[int] | None = None,
) -> Conditioning:
    """Encode normalised windows and turn one head's output into conditioning.

    eeg: (batch, channels, times) as `encoder_input` gives it. strength: 0 gives the train mean, 1 what was decoded.
    restore_spread: 0 takes regression's own, shrunken spread, 1 the targets' spread. recall: pull the answer among the
    training targets (`Head.recall`). encode_prompts: the host's text encoder, needed to turn a `prompts` head's weights
    into a context; without it only weights are returned. prompts: a rewording of the head's prompts, same number and
    order. outputs: what `outputs_of` gave for `eeg`, where several heads are asked in a row. decodable: what
    `core.model.decodable` says of the recording; without it confidence is 0, for nobody has looked. averaged: of how
    many repeats each window is the mean, by default of one.

    Raises ValueError for an unknown space or a rewording that does not match.
    """
    head = encoder.head(space)
    predicted = (outputs_of(encoder, eeg, [head.config.space]) if outputs is None else outputs)[head.config.space]
    fitted = encoder.confidence.get(head.config.space)
    right = confidence = chance = None
    if fitted is not None:
        repeats = 1 if averaged is None else torch.as_tensor(averaged, device=predicted.device)
        right, chance = fitted.probability(confidence_score(head, predicted), repeats), fitted.chance
        confidence = confident(right, chance, gate_for(encoder, head.config.space, decodable))
    shared: dict[str, Any] = {
        "right": right,
        "decodable": decodable,
        "confidence": confidence,
        "chance": chance,
        "unmeasured": "" if fitted is None or averaged is None else fitted.unmeasured(averaged),
        "space": head.config.space,
    }
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


def gate_for(encoder: EegEncoder, space: str, decodable: Decodable | None) -> float:
    """Return how far a head's probability of being right counts, in [0, 1]: 0 where nobody has looked whether anything
    is decodable, and for a head that did no better than guessing where others did.
    """
    if decodable is None or encoder.evidence is None:
        return 0.0
    return decodable.gate * gate_of_p(encoder.evidence.guess_p.get(space, 1.0))


def confident(right: Tensor, chance: float, gate: float) -> Tensor:
    """Return the confidence (batch,) that hosts get: from guessing to the probability of being right (batch,) as far as
    the gate is open, and 0 where it is shut.
    """
    return chance + gate * (right - chance) if gate > 0 else torch.zeros_like(right)


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


def _confidence_text(confidence: Tensor | None, row: int) -> str:
    return "" if confidence is None else f", confidence {confidence[row].item():.2f}"


def _prompt_report(prompts: Sequence[str], weights: Tensor, confidence: Tensor | None) -> str:
    lines: list[str] = []
    for row, shares in enumerate(weights):
        best = shares.argsort(descending=True)[:3].tolist()
        said = ", ".join(f"{shares[i].item():.2f} {prompts[i]}" for i in best)
        lines.append(f"window {row + 1}: {said}{_confidence_text(confidence, row)}")
    return "\n".join(lines)


def _concept_report(head: Head, predicted: Tensor, confidence: Tensor | None) -> str:
    if not head.config.concepts:
        return "\n".join(f"window {row + 1}{_confidence_text(confidence, row)}" for row in range(len(predicted)))
    lines: list[str] = []
    for row, found in enumerate(concept_similarity(head, predicted)):
        best = found.argsort(descending=True)[:3].tolist()
        said = ", ".join(f"{head.config.concepts[i]} ({found[i].item():.2f})" for i in best)
        lines.append(f"window {row + 1}: nearest {said}{_confidence_text(confidence, row)}")
    return "\n".join(lines)
