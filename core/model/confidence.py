"""Confidence: a calibrated probability, for each decoded window, that its best match is the right one."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from .heads import Head


@dataclass(frozen=True)
class Confidence:
    """Platt's logistic map from a head's own score to the probability of being right (Platt 1999).

    slope, intercept: of the logistic in the score. chance: the accuracy of guessing where it was fitted. n: windows it
    was fitted on.
    """

    slope: float
    intercept: float
    chance: float
    n: int

    def probability(self, score: Tensor) -> Tensor:
        """Return the probability of being right (batch,) in [0, 1] for scores (batch,)."""
        return torch.sigmoid(self.slope * score + self.intercept)

    def to_json(self) -> dict[str, Any]:
        """Return the numbers as plain JSON values."""
        return asdict(self)


def confidence_share(confidence: Tensor, chance: float) -> Tensor:
    """Return how far confidences (n,) lie between guessing, 0, and certainty, 1."""
    return ((confidence - chance) / max(1 - chance, 1e-6)).clamp(0, 1)


def confidence_score(head: Head, predicted: Tensor) -> Tensor:
    """Return the uncalibrated score (batch,) of a head's raw output (batch, n).

    `prompts`: log-odds of the best prompt. With a gallery: cosine similarity to the nearest concept. Otherwise: log
    size of the deviation from the train mean.
    """
    if head.config.kind == "prompts":
        best = head.weights(predicted).max(-1).values
        return torch.logit(best, eps=1e-6)
    found = head.coordinates(predicted)
    if head.config.concepts:
        return concept_similarity(head, predicted).max(-1).values
    return found.square().mean(-1).clamp(min=1e-20).log() / 2


def concept_similarity(head: Head, predicted: Tensor) -> Tensor:
    """Return cosine similarities (batch, n_concepts) of raw predictions to the head's gallery, each around the train
    mean.
    """
    return F.cosine_similarity(head.comparable(predicted)[:, None], head.gallery[None], dim=-1)


def fit_confidence(score: Tensor, right: Tensor, chance: float, steps: int = 50) -> Confidence:
    """Fit the logistic by Newton's method on held-out scores (n,) and whether each was right (n,).

    Uses Platt's smoothed targets, so that a perfect or hopeless decoder stays short of certainty. The slope is never
    negative: where scores do not tell right from wrong the result is the plain share of right ones.
    """
    score, right = score.double(), right.double()
    n_right, n_wrong = right.sum(), (1 - right).sum()
    target = torch.where(right > 0, (n_right + 1) / (n_right + 2), 1 / (n_wrong + 2))
    middle, spread = score.mean(), score.std().clamp(min=1e-9)
    design = torch.stack([(score - middle) / spread, torch.ones_like(score)], dim=1)
    weights = torch.stack([torch.zeros(()).double(), torch.logit(target.mean())])
    ridge = torch.diag(torch.tensor([1e-3, 1e-9], dtype=torch.float64))
    for _ in range(steps):
        p = torch.sigmoid(design @ weights)
        gradient = design.T @ (p - target) + ridge @ weights
        hessian = design.T @ (design * (p * (1 - p)).clamp(min=1e-9)[:, None]) + ridge
        step = torch.linalg.solve(hessian, gradient)
        weights = weights - step.clamp(-2, 2)
        if step.abs().max() < 1e-10:
            break
    slope = weights[0] / spread
    if slope <= 0:
        return Confidence(0.0, torch.logit(target.mean()).item(), chance, len(score))
    return Confidence(slope.item(), (weights[1] - slope * middle).item(), chance, len(score))
