"""What an encoder says of each window, as a table: its nearest concepts or prompts, and how sure it is."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from ..model.checkpoint import EegEncoder
from ..model.confidence import concept_similarity, confidence_score
from ..model.decodable import Decodable, decodable
from ..model.prediction import encoder_input, in_batches
from ..preprocessing.selection import Selection
from .conditioning import confident, gate_for, reworded
from .for_host import repeats_of


@dataclass(frozen=True)
class Reading:
    """One window: its label, the moment of its first event in seconds, of how many it is the mean, and the answer.

    best: (concept or prompt, cosine similarity or weight), the best first, empty where the head names none. confidence:
    in [0, 1], 0 where nothing is decodable, None where the encoder was never calibrated; right: the probability that
    the answer is right if anything is; chance: what guessing would get. decodable: whether anything is.
    """

    label: str
    onset: float
    averaged: int
    best: tuple[tuple[str, float], ...]
    confidence: float | None
    chance: float | None
    right: float | None = None
    decodable: Decodable | None = None


@torch.inference_mode()
def read_windows(
    encoder: EegEncoder, selection: Selection, *, prompts: Sequence[str] | None = None, n_best: int = 5
) -> list[Reading]:
    """Return a reading for each selected window, from the encoder's main head.

    prompts: a rewording of a `prompts` head's, same number and order. Raises ValueError where the recording does not
    fit the encoder, a window cannot be cut, or the rewording has another number of prompts.
    """
    head = encoder.head()
    fitted = encoder.confidence.get(head.config.space)
    names = reworded(head, prompts) if head.config.kind == "prompts" else head.config.concepts
    moments = zip(selection.labels, selection.groups, strict=True)
    repeats = iter(repeats_of(selection))
    judged = decodable(encoder, selection)
    gate = gate_for(encoder, head.config.space, judged)

    def read(eeg: Tensor, who: Tensor | None) -> list[Reading]:
        # Predictions are let go of batch by batch: those of a text head are thousands of times larger than a reading.
        predicted = encoder(eeg, who)[head.config.space]
        right = sure = [None] * len(eeg)
        if fitted is not None:
            averaged = torch.tensor(list(islice(repeats, len(eeg))), device=predicted.device)
            probability = fitted.probability(confidence_score(head, predicted), averaged)
            right, sure = probability.tolist(), confident(probability, fitted.chance, gate).tolist()
        if head.config.kind == "prompts":
            scores = head.weights(predicted)
        else:
            scores = concept_similarity(head, predicted) if names else predicted[:, :0]
        found: list[Reading] = []
        for row, confidence, likely in zip(scores, sure, right, strict=True):
            label, group = next(moments)
            order = row.argsort(descending=True)[:n_best].tolist()
            best = tuple((names[i], float(row[i])) for i in order)
            chance = fitted.chance if fitted else None
            found.append(Reading(label, group[0], len(group), best, confidence, chance, likely, judged))
        return found

    return [one for part in in_batches(encoder, [encoder_input(selection, encoder)], read) for one in part]
