"""Scores of decoded windows, each with chance, the train-mean and shuffled-EEG baselines, a permutation p and an
interval.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from core.model.heads import Head
from core.scoring.design import Units
from core.scoring.families import holm
from core.scoring.identification import places, top_k_share, twins
from core.scoring.intervals import auc_interval, mean_interval, share_interval
from core.scoring.permutations import null_of, permuted_aucs, permuted_by_units, permuted_picks
from core.scoring.retrieval import similarities
from core.scoring.scores import calibration_error, roc_auc, topk_accuracy, truth_ranks

PERMUTATIONS = 1000
MAX_SAID = 8  # verdicts a report lists
KS = (1, 3, 5)


def top1(scores: np.ndarray, truth: np.ndarray) -> float:
    """Return the share of rows of scores (n, n_gallery) whose true item comes first."""
    return topk_accuracy(scores, truth, (1,))[1]


def score_entry(
    name: str,
    scores: np.ndarray,
    truth: np.ndarray,
    statistic: Callable[[np.ndarray, np.ndarray], float],
    *,
    chance: float,
    train_mean: float | None,
    hits: np.ndarray | None = None,
    interval: tuple[float, float] | None = None,
    permuted: np.ndarray | None = None,
    tie: tuple[float, np.ndarray] | None = None,
    ceiling: float | None = None,
    note: str = "",
    units: Units | None = None,
) -> dict:
    """Return one row of the report's table.

    scores, truth: what `statistic` takes. hits: (n,) whose mean the statistic is, for the interval (Wilson's where they
    are 0 or 1), or that interval itself. train_mean: what the decoder gets that always answers the training mean.
    units: what is shuffled and drawn as a whole; by default single trials. permuted: the statistic of such shuffles,
    where they were made faster. tie: between 0 and 1, of the windows and of each shuffle, what decides which of two is
    better where as many are found. Raises ValueError without hits and interval.
    """
    trials = Units("trial", np.arange(len(truth)), np.zeros(len(truth), dtype=np.int64)) if units is None else units
    value = statistic(scores, truth)
    if permuted is None:
        permuted = permuted_by_units(scores, truth, statistic, trials, PERMUTATIONS)
    null = null_of(value, permuted, trials, truth)
    if tie is not None:
        finer = permuted + (tie[1] - tie[0]) / (2 * len(truth))
        null = replace(null_of(value, finer, trials, truth), mean=null.mean)
    if interval is None:
        if hits is None:
            raise ValueError("a score needs its hits or its interval")
        of = share_interval if np.isin(hits, (0, 1)).all() else mean_interval
        interval = of(hits, trials.unit)
    said = [note] if note else []
    if len(trials) < len(truth):
        said.append(f"{len(trials)} {null.unit}s shuffled and drawn as wholes")
    if null.p_value <= 4 * null.least:
        said.append(f"{null.n_drawn} shuffles: p can be no less than {null.least:.2g}")
    baselines = {"shuffled EEG": null.mean}
    if train_mean is not None:
        baselines = {"train mean": float(train_mean), **baselines}
    return {
        "name": name,
        "value": float(value),
        "interval": [float(bound) for bound in interval],
        "chance": float(chance),
        "baselines": baselines,
        "p_value": null.p_value,
        "p_least": null.least,
        "unit": null.unit,
        "n_units": len(trials),
        "n_shuffles": null.n_drawn,
        "ceiling": None if ceiling is None else float(ceiling),
        "n": len(truth),
        "note": "; ".join(said),
    }


def with_family(entries: list[dict]) -> list[dict]:
    """Return rows with `p_holm`, their p-values adjusted for being looked at together."""
    adjusted = holm([entry["p_value"] for entry in entries])
    return [{**entry, "p_holm": p} for entry, p in zip(entries, adjusted, strict=True)]


def retrieval_entries(
    head: Head,
    predicted: Tensor,
    gallery: Tensor,
    truth: np.ndarray,
    ideal: np.ndarray | None = None,
    of: str = "",
    units: Units | None = None,
) -> tuple[list[dict], np.ndarray]:
    """Return the n-way top-1/3/5 rows and the similarities (n, n_gallery) of predictions to a gallery; a tie is a
    share of a hit, and so is the find of a target that stands in the gallery twice.

    predicted: (n, n_values). gallery: (n_gallery, n_values), the test targets. truth: (n,), each window's row of the
    gallery. ideal: the ideal observer's scores (n, n_gallery), whose top-k is the ceiling. of: stands before the rows'
    names, where several heads are scored. units: what is shuffled as a whole; by default single windows.
    """
    vectors = head.comparable(gallery)
    scores = similarities(head.comparable(predicted), vectors).numpy()
    # The mean itself, uncentred: the one answer that a decoder without information settles on.
    constant = similarities(head.target_mean[None], gallery).numpy().repeat(len(truth), 0)
    group, n_way, rows = twins(vectors.numpy()), gallery.shape[0], np.arange(len(truth))
    if units is None:
        units = Units("trial", rows, np.zeros(len(rows), dtype=np.int64))
    # every item's place in every window, so that a shuffle only picks other entries
    above, level = places(scores, group)
    usual = places(constant, group)
    best = None if ideal is None else places(ideal)
    nearness = 1 - (above + (level - 1) / 2) / n_way
    n_twins = n_way - len(np.unique(group))
    note = f"{n_twins} of the gallery's {n_way} targets are another's twin, and a find is shared" if n_twins else ""
    entries = []
    for k in KS:
        if k >= n_way:
            continue
        found = top_k_share(above, level, k)
        entries.append(
            score_entry(
                f"{of}{n_way}-way top-{k}",
                found,
                truth,
                picked,
                chance=k / n_way,
                train_mean=picked(top_k_share(*usual, k), truth),
                hits=found[rows, truth],
                permuted=permuted_picks(found, truth, units, PERMUTATIONS),
                tie=(picked(nearness, truth), permuted_picks(nearness, truth, units, PERMUTATIONS)),
                ceiling=None if best is None else picked(top_k_share(*best, k), truth),
                note=note,
                units=units,
            )
        )
    return entries, scores


def picked(values: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean of each row's value (n, m) at its own item (n,)."""
    return float(values[np.arange(len(truth)), truth].mean())


def prompt_entries(head: Head, logits: Tensor, label: np.ndarray, train_label: np.ndarray, units: Units) -> list[dict]:
    """Return accuracy and (for two prompts) ROC-AUC rows of a `prompts` head.

    logits: (n, n_prompts). label, train_label: class numbers; the training mean's answer is the class seen most. units:
    what is shuffled and drawn as a whole.
    """
    answers = logits.double().numpy()  # prompt weights put answers that hardly differ level
    weights = head.weights(logits).double().numpy()
    n_classes = len(head.config.prompts)
    usual = int(np.bincount(train_label, minlength=n_classes).argmax())
    rows = np.arange(len(label))
    ranks = np.stack([truth_ranks(answers, np.full(len(label), one)) for one in range(n_classes)], axis=1)
    entries = [
        score_entry(
            "accuracy",
            answers,
            label,
            top1,
            chance=1 / n_classes,
            train_mean=float((label == usual).mean()),
            hits=(ranks[rows, label] == 0).astype(float),
            permuted=permuted_picks(ranks == 0, label, units, PERMUTATIONS),
            # a decoder that hardly dares to answer otherwise than the commonest label is still judged by its weights
            tie=(float(weights[rows, label].mean()), permuted_picks(weights, label, units, PERMUTATIONS)),
            units=units,
        )
    ]
    if n_classes == 2 and len(np.unique(label)) == 2:
        second = answers[:, 1] - answers[:, 0]
        permuted = permuted_aucs(second, label, np.zeros(len(label)), units, PERMUTATIONS)
        interval = auc_interval(second, label, None, units.unit)
        entries.append(
            score_entry("ROC-AUC", second, label, roc_auc, chance=0.5, train_mean=0.5, interval=interval,
                        permuted=permuted, units=units)
        )  # fmt: skip
    return entries


def confidence_section(
    probability: Tensor, right: np.ndarray, chance: float | None, gates: Tensor | None = None, said: Sequence[str] = ()
) -> dict:
    """Return what the report says of the confidence.

    probability: (n,), of being right if anything is decodable. gates: (n,), how far that counts. said: sentences on
    whether anything is decodable. The calibration error is that of the probability where something is.
    """
    values = probability.double().numpy()
    gate = np.ones(len(values)) if gates is None else gates.double().numpy()
    confidence = np.where(gate > 0, (chance or 0.0) + gate * (values - (chance or 0.0)), 0.0)
    table = {
        "mean confidence": float(confidence.mean()),
        "probability of being right, if anything is decodable": float(values.mean()),
        "share right": float(right.mean()),
        "calibration error": float(calibration_error(values, right.astype(float))),
        "windows counted as decodable": float((gate >= 0.5).mean()),
        "chance": chance,
    }
    return {**table, **{f"verdict {number}": line for number, line in enumerate(said[:MAX_SAID], 1)}}


def spread_section(head: Head, predicted: Tensor, targets: Tensor) -> dict:
    """Return how far regression shrank predictions: their spread over the targets', before and after restoration."""
    wanted = head.coordinates(targets).std(0).square().sum().sqrt()
    found = head.coordinates(predicted).std(0).square().sum().sqrt()
    wide = head.coordinates(head.restore_spread(head.recall(predicted))).std(0).square().sum().sqrt()
    mean_error = torch.nn.functional.mse_loss(head.target_mean.expand_as(targets), targets)
    return {
        "spread over targets' spread": (found / wanted).item(),
        "after restoration": (wide / wanted).item(),
        "MSE over the train mean's": (torch.nn.functional.mse_loss(predicted, targets) / mean_error).item(),
    }
