"""Scores of decoded windows, each with chance, the train-mean and shuffled-EEG baselines, a permutation p and an
interval.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from core.model.heads import Head
from core.scoring.retrieval import similarities
from core.scoring.scores import (
    bootstrap_interval,
    bootstrap_statistic,
    calibration_error,
    p_of,
    permuted_statistics,
    roc_auc,
    topk_accuracy,
    truth_ranks,
)

PERMUTATIONS = 1000
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
    ceiling: float | None = None,
    note: str = "",
    groups: np.ndarray | None = None,
) -> dict:
    """Return one row of the report's table.

    scores, truth: what `statistic` takes. hits: (n,) whose mean the statistic is, for the bootstrap; without it the
    statistic itself is bootstrapped. train_mean: what the decoder gets that always answers the training mean. groups:
    permute within these only.
    """
    value = statistic(scores, truth)
    permuted = permuted_statistics(scores, truth, statistic, n=PERMUTATIONS, seed=0, groups=groups)
    interval = bootstrap_interval(hits) if hits is not None else bootstrap_statistic(scores, truth, statistic)
    baselines = {"shuffled EEG": float(permuted.mean())}
    if train_mean is not None:
        baselines = {"train mean": float(train_mean), **baselines}
    return {
        "name": name,
        "value": float(value),
        "interval": [float(bound) for bound in interval],
        "chance": float(chance),
        "baselines": baselines,
        "p_value": float(p_of(value, permuted)),
        "ceiling": None if ceiling is None else float(ceiling),
        "n": len(truth),
        "note": note,
    }


def retrieval_entries(
    head: Head,
    predicted: Tensor,
    gallery: Tensor,
    truth: np.ndarray,
    ideal: np.ndarray | None = None,
    of: str = "",
) -> tuple[list[dict], np.ndarray]:
    """Return the n-way top-1/3/5 rows and the similarities (n, n_gallery) of predictions to a gallery.

    predicted: (n, n_values). gallery: (n_gallery, n_values), the test targets. truth: (n,), each window's row of the
    gallery. ideal: the ideal observer's scores (n, n_gallery), whose top-k is the ceiling. of: stands before the rows'
    names, where several heads are scored.
    """
    scores = similarities(head.comparable(predicted), head.comparable(gallery)).numpy()
    # The mean itself, uncentred: the one answer that a decoder without information settles on.
    constant = similarities(head.target_mean[None], gallery).numpy().repeat(len(truth), 0)
    rank, n_way = truth_ranks(scores, truth), gallery.shape[0]
    entries = []
    for k in KS:
        if k >= n_way:
            continue
        entries.append(
            score_entry(
                f"{of}{n_way}-way top-{k}",
                scores,
                truth,
                lambda s, t, k=k: topk_accuracy(s, t, (k,))[k],
                chance=k / n_way,
                train_mean=topk_accuracy(constant, truth, (k,))[k],
                hits=(rank < k).astype(float),
                ceiling=None if ideal is None else topk_accuracy(ideal, truth, (k,))[k],
            )
        )
    return entries, scores


def prompt_entries(
    head: Head, logits: Tensor, label: np.ndarray, train_label: np.ndarray, groups: np.ndarray
) -> list[dict]:
    """Return accuracy, balanced accuracy and (for two prompts) ROC-AUC rows of a `prompts` head.

    logits: (n, n_prompts). label, train_label: class numbers; the training mean's answer is the class seen most.
    groups: (n,), runs inside which labels are permuted.
    """
    weights = head.weights(logits).numpy()
    n_classes = len(head.config.prompts)
    usual = int(np.bincount(train_label, minlength=n_classes).argmax())
    hits = (weights.argmax(1) == label).astype(float)
    entries = [
        score_entry(
            "accuracy",
            weights,
            label,
            top1,
            chance=1 / n_classes,
            train_mean=float((label == usual).mean()),
            hits=hits,
            groups=groups,
        )
    ]
    if n_classes == 2 and len(np.unique(label)) == 2:
        entries.append(score_entry("ROC-AUC", weights[:, 1], label, roc_auc, chance=0.5, train_mean=0.5, groups=groups))
    return entries


def confidence_section(confidence: Tensor, right: np.ndarray, chance: float | None) -> dict:
    """Return what the report says of the confidence: its mean, the share of right answers, the calibration error."""
    values = confidence.float().numpy()
    return {
        "mean confidence": float(values.mean()),
        "share right": float(right.mean()),
        "calibration error": float(calibration_error(values, right.astype(float))),
        "chance": chance,
    }


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
