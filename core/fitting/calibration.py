"""Calibration on held-out predictions: recall, spread gain, temperature, confidence, and whether they beat guessing."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..evidence.association import own_label_p, separation_of
from ..evidence.kept import AVERAGED, QUANTILES, Evidence
from ..model.checkpoint import EegEncoder
from ..model.confidence import Confidence, confidence_score, fit_confidence
from ..model.decodable import answers_of
from ..model.heads import Head
from ..scoring.retrieval import similarities
from .closed_form import fit_temperature

MIN_TRIALS = 10  # fewer say nothing about probabilities
MIN_AVERAGED = 20  # means of several windows that a map of their own is fitted to
N_WAYS = (2, 10, 50, 200, 1000)  # numbers of alternatives that a gallery is judged at, beside its own


@dataclass(frozen=True, eq=False)
class LeftOut:
    """Raw outputs (n, ·) by space on windows that were left out of training.

    label: (n,), class numbers, for a `prompts` head. targets: for each regression space the distinct targets
    (n_distinct, n_values) and each window's row among them (n,). averaged: of how many repeats each window is the mean.
    run: (n,), which run or fold a window is of; None takes them as one.
    """

    outputs: dict[str, Tensor]
    label: Tensor
    targets: Mapping[str, tuple[Tensor, np.ndarray]]
    averaged: int = 1
    run: np.ndarray | None = None


def calibrate(
    encoder: EegEncoder,
    outputs: dict[str, Tensor],
    label: Tensor,
    targets: Mapping[str, tuple[Tensor, np.ndarray]],
    *,
    averaged: int = 1,
    run: np.ndarray | None = None,
    others: Sequence[LeftOut] = (),
    nothing: Sequence[LeftOut] = (),
) -> None:
    """Set recall, spread gain, temperature and confidence of every head from raw outputs (n, ·) on trials it was not
    trained on.

    label, targets, averaged, run: see `LeftOut`. others: the same windows averaged otherwise. nothing: windows in which
    what was shown had been cancelled. Being right means: the
    most likely prompt is the label's, or among the held-out trials' distinct targets the nearest is the trial's own.
    With fewer than ten trials nothing is set. Where the encoder keeps evidence, it is told how likely guessing would
    have scored as high (on these windows, or those of `others` that tell more), and how far labels lay apart.
    """
    if len(label) < MIN_TRIALS:
        return
    held = LeftOut(outputs, label, targets, averaged, run)
    guess_p: dict[str, float] = {}
    for head in encoder.heads:
        space, output = head.config.space, outputs[head.config.space].float()
        if head.config.kind == "prompts":
            head.temperature.copy_(fit_temperature(output, label))
        else:
            values, rows = targets[space]
            if len(np.unique(rows)) < 2:
                continue
            wanted = values[torch.from_numpy(rows)]
            head.fit_recall(output, wanted)
            head.fit_spread_gain(head.recall(output), wanted)
        encoder.confidence[space] = _confidence_of(head, held, others)
        guess_p[space] = min(1.0, guess_p_of(*_scored(head, held)[:2], run))
    if encoder.evidence is not None:
        encoder.evidence = _told(encoder, encoder.evidence, (held, *others), nothing, guess_p)


def _told(
    encoder: EegEncoder,
    evidence: Evidence,
    held: Sequence[LeftOut],
    nothing: Sequence[LeftOut],
    guess_p: dict[str, float],
) -> Evidence:
    single = next((one for one in held if one.averaged == 1 and len(one.label) >= MIN_TRIALS), None)
    separation = 0.0
    if single is not None:
        head = encoder.head()
        label = single.label.numpy()
        if head.config.kind != "prompts":
            label = single.targets[head.config.space][1]
        run = single.run if single.run is not None else np.zeros(len(label), dtype=np.int64)
        separation = separation_of(answers_of(head, single.outputs[head.config.space]), label, run)
    scores = np.zeros((2, len(AVERAGED), QUANTILES))
    scored = np.zeros((2, len(AVERAGED)), dtype=np.int64)
    drifts: list[float] = []
    head = encoder.head()
    for which, left_out in enumerate((nothing, held)):
        for one in left_out:
            if one.averaged not in AVERAGED:
                continue
            score = confidence_score(head, one.outputs[head.config.space].float()).double().cpu().numpy()
            row = AVERAGED.index(one.averaged)
            scores[which, row] = np.quantile(score, (np.arange(QUANTILES) + 0.5) / QUANTILES)
            scored[which, row] = len(score)
            if which == 0 and one.run is not None:
                drifts.append(_drift(score, one.run))
    return replace(
        evidence,
        guess_p=guess_p,
        separation=separation,
        scores=scores.astype(np.float32),
        scored=(tuple(scored[0].tolist()), tuple(scored[1].tolist())),
        drift=max(drifts, default=0.0) if len(drifts) < 3 else float(np.median(drifts)),
    )


def _drift(score: np.ndarray, run: np.ndarray) -> float:
    """Return how much the mean score differs between runs beyond what so few windows explain, in windows' spread."""
    spread = max(float(score.std()), 1e-12)
    groups = [score[run == one] for one in np.unique(run)]
    groups = [group for group in groups if len(group) >= 4]
    if len(groups) < 2:
        return 0.0
    means = np.array([group.mean() for group in groups]) / spread
    by_chance = float(np.mean([1 / len(group) for group in groups]))
    return float(np.sqrt(max(means.var(ddof=1) - by_chance, 0.0)))


def _confidence_of(head: Head, held: LeftOut, others: Sequence[LeftOut]) -> Confidence:
    """Return the map for windows as they are used, with those for other numbers of repeats and of alternatives."""
    fits: list[Confidence] = []
    for one in (held, *(other for other in others if other.averaged != held.averaged)):
        if one is not held and len(one.label) < MIN_AVERAGED:
            continue
        scores, truth, n_own = _scored(head, one)
        score = confidence_score(head, one.outputs[head.config.space].float())
        if head.config.kind == "prompts":
            right = (scores.argmax(-1) == truth).double()
            fits.append(fit_confidence(score, right, 1 / n_own, one.averaged))
            continue
        right = (scores[:, :n_own].argmax(-1) == truth).double()
        of_own = fit_confidence(score, right, 1 / n_own, one.averaged)
        fits.append(of_own)
        for n_way in (n for n in N_WAYS if n <= scores.shape[1] and abs(n - n_own) > 0.2 * n_own):
            # The score is a similarity to training's alternatives, so where these are what a window may be taken for, a
            # strong rival makes it sure and wrong: how fast certainty grows is told by the windows' own alternatives.
            among = scores[:, :n_own] if n_way < n_own else scores
            beaten = (among < scores.gather(1, truth[:, None])).sum(1).double()
            right = _chance_to_win(beaten, among.shape[1] - 1, n_way)
            slope = None if n_way < n_own else of_own.slope
            fits.append(fit_confidence(score, right, 1 / n_way, one.averaged, slope=slope))
    return replace(fits[0], others=tuple(fits[1:]))


def _chance_to_win(beaten: Tensor, n_others: int, n_way: int) -> Tensor:
    """Return the probability that the true item beats n_way - 1 others drawn from those there are, of which it beats
    so many (n,).
    """
    wanted = torch.full_like(beaten, float(n_way - 1))
    log = (
        torch.lgamma(beaten + 1)
        - torch.lgamma((beaten - wanted).clamp(min=0) + 1)
        - torch.lgamma(torch.tensor(n_others + 1.0).double())
        + torch.lgamma(torch.tensor(n_others - n_way + 2.0).double())
    )
    return torch.where(beaten >= wanted, log.exp(), torch.zeros_like(log))


def _scored(head: Head, held: LeftOut) -> tuple[Tensor, Tensor, int]:
    """Return each window's scores (n, n_alternatives), the true one's place (n,), and how many alternatives come from
    the windows themselves; further ones, where there are any, are training's, of which none is the window's own.
    """
    output = held.outputs[head.config.space].float()
    if head.config.kind == "prompts":
        return output, held.label, output.shape[1]
    values, rows = held.targets[head.config.space]
    distinct, index = np.unique(rows, return_inverse=True)
    gallery = head.comparable(values[torch.from_numpy(distinct)].float())
    truth = torch.from_numpy(index.reshape(-1))
    found = similarities(head.comparable(output), gallery)
    if head.config.concepts:
        same = similarities(gallery, head.gallery).amax(0) > 1 - 1e-5  # a picture that training saw too
        if not bool(same.all()):
            found = torch.cat([found, similarities(head.comparable(output), head.gallery[~same])], dim=1)
    return found, truth, len(distinct)


def guess_p_of(scores: Tensor, truth: Tensor, run: np.ndarray | None = None, seed: int = 0) -> float:
    """Return the probability that answers which know nothing score as high on left-out windows.

    scores: (n, n_alternatives). truth: (n,). Truths are shuffled within runs (n,), see `own_label_p`.
    """
    return own_label_p(scores.double().cpu().numpy(), truth.cpu().numpy(), run, seed)
