"""Confidence: a calibrated probability, for each decoded window, that its best match is the right one."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from .heads import Head

MORE_REPEATS, MORE_WAYS = 4, 1.5  # times the most that a map was fitted for, up to which its edge is taken


@dataclass(frozen=True)
class Confidence:
    """Platt's logistic map from a head's own score to the probability of being right (Platt 1999).

    slope, intercept: of the logistic in the score. chance: the accuracy of guessing where it was fitted, so one over
    the number of alternatives. n: windows it was fitted on. averaged: how many repeats each of them is the mean of.
    others: the same for other numbers of repeats or of alternatives.
    """

    slope: float
    intercept: float
    chance: float
    n: int
    averaged: int = 1
    others: tuple["Confidence", ...] = ()

    def probability(self, score: Tensor, averaged: Tensor | int = 1, chance: float | None = None) -> Tensor:
        """Return the probability of being right (batch,) in [0, 1] for scores (batch,).

        averaged: of how many repeats each window is the mean (batch,). chance: one over the number of alternatives, by
        default the one it was fitted for. Between what was fitted, log-odds are taken in proportion; four times
        as many repeats or half as many alternatives more than were fitted are not known, and get chance.
        """
        chance = self.chance if chance is None else chance
        repeats = torch.as_tensor(averaged, device=score.device).expand(score.shape)
        found = torch.empty_like(score)
        for number in repeats.unique().tolist():
            rows = repeats == number
            found[rows] = self._for_repeats(score[rows], int(number), chance)
        return found

    def _for_repeats(self, score: Tensor, averaged: int, chance: float) -> Tensor:
        fits = (self, *self.others)
        most = max(fit.averaged for fit in fits)
        if chance < min(fit.chance for fit in fits) / MORE_WAYS or averaged > MORE_REPEATS * most:  # `unmeasured`
            return torch.full_like(score, chance)
        return torch.sigmoid(_between(fits, score, math.log2(max(averaged, 1)), -math.log2(chance)))

    def unmeasured(self, averaged: Sequence[int]) -> str:
        """Return in words that some windows are means of more repeats than is known; empty where none is."""
        measured = max(fit.averaged for fit in (self, *self.others))
        most = MORE_REPEATS * measured
        if max(averaged, default=1) <= most:
            return ""
        of = "single windows" if measured == 1 else f"means of up to {measured} moments"
        return (
            f"means of more than {most} moments count as guessing, for how often it is right was measured on {of} "
            f"only, and here are means of up to {max(averaged)}: choose fewer moments to average"
        )

    def fitted_for(self) -> str:
        """Return in words what it was fitted for."""
        fits = (self, *self.others)
        repeats = sorted({fit.averaged for fit in fits})
        ways = sorted({round(1 / fit.chance) for fit in fits})
        of = f"{ways[0]}" if len(ways) == 1 else f"{ways[0]} to {ways[-1]}"
        means = "single windows" if repeats == [1] else f"means of {', '.join(map(str, repeats))} windows"
        return f"fitted for {means} among {of} alternatives, on {self.n} windows that training left out"

    def to_json(self) -> dict[str, Any]:
        """Return the numbers as plain JSON values."""
        return asdict(self)


def confidence_from(values: Any) -> Confidence:
    """Return the map that `to_json` gave, or an older version; ValueError where the values are no such thing."""
    try:
        others = tuple(confidence_from(one) for one in values.get("others", ()))
        given: dict[str, Any] = {**values, "others": others}
        found = Confidence(**given)
        numbers = (found.slope, found.intercept, found.chance, found.n, found.averaged)
        if not all(math.isfinite(number) for number in numbers) or not 0 < found.chance < 1 or found.averaged < 1:
            raise ValueError(f"its confidence holds numbers that cannot be: {numbers}")
    except (TypeError, AttributeError) as error:
        raise ValueError(f"its confidence does not fit this version: {error}") from error
    return found


def _between(fits: Sequence[Confidence], score: Tensor, octaves: float, bits: float) -> Tensor:
    """Return log-odds of scores for a number of repeats and of alternatives, both as base-2 logarithms, in proportion
    between the nearest of what was fitted, and as at its edge outside.
    """

    def weights(places: Sequence[float], wanted: float) -> dict[float, float]:
        below = max((place for place in places if place <= wanted + 1e-9), default=min(places))
        above = min((place for place in places if place >= wanted - 1e-9), default=max(places))
        if above - below < 1e-9:
            return {below: 1.0}
        share = (wanted - below) / (above - below)
        return {below: 1 - share, above: share}

    total = torch.zeros_like(score)
    for place, of_repeats in weights(sorted({math.log2(fit.averaged) for fit in fits}), octaves).items():
        same = [fit for fit in fits if math.log2(fit.averaged) == place]
        for bit, of_ways in weights(sorted({-math.log2(fit.chance) for fit in same}), bits).items():
            fit = next(fit for fit in same if -math.log2(fit.chance) == bit)
            total = total + of_repeats * of_ways * (fit.slope * score + fit.intercept)
    return total


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


def fit_confidence(
    score: Tensor, right: Tensor, chance: float, averaged: int = 1, steps: int = 50, slope: float | None = None
) -> Confidence:
    """Fit the logistic by Newton's method on held-out scores (n,) and whether each was right (n,), or the
    probability that it was.

    averaged: how many repeats each window is the mean of. slope: taken as given, so that only the mean probability is
    fitted. Uses Platt's smoothed targets, so that a perfect or hopeless
    decoder stays short of certainty. The slope is never negative: where scores do not tell right from wrong the result
    is the plain share of right ones.
    """
    score, right = score.double(), right.double()
    n_right, n_wrong = right.sum(), (1 - right).sum()
    target = right * (n_right + 1) / (n_right + 2) + (1 - right) / (n_wrong + 2)
    if slope is not None:
        offset, wanted = torch.logit(target.mean()) - slope * score.mean(), target.mean()
        for _ in range(steps):
            p = torch.sigmoid(slope * score + offset)
            offset = offset - ((p.mean() - wanted) / (p * (1 - p)).mean().clamp(min=1e-9)).clamp(-2, 2)
        return Confidence(slope, offset.item(), chance, len(score), averaged)
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
    found = weights[0] / spread
    if found <= 0:
        return Confidence(0.0, torch.logit(target.mean()).item(), chance, len(score), averaged)
    return Confidence(found.item(), (weights[1] - found * middle).item(), chance, len(score), averaged)
