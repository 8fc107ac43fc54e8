"""The cross-validated score of an encoder for one person, and what makes it worthless."""

from collections.abc import Callable

import numpy as np

from .design import Units, exchangeable_units, stretches
from .intervals import auc_interval, balanced_share_interval
from .permutations import (
    SHARED_AT_MOST,
    null_of,
    permuted_by_units,
    spread_of_answers,
    spread_of_folds,
    spread_of_scores,
)
from .scores import roc_auc

PERMUTATIONS = 1000


def balanced_accuracy(best: np.ndarray, truth: np.ndarray, n_labels: int) -> float:
    """Return the mean over labels of the share of its trials (n,) that are found; a label without trials counts 0."""
    return balanced_means(best == truth, truth, n_labels)


def balanced_means(values: np.ndarray, label: np.ndarray, n_labels: int) -> float:
    """Return the mean over labels of each label's mean value (n,); a label without trials counts 0."""
    sums = np.bincount(label, weights=values, minlength=n_labels)
    return float((sums / np.maximum(np.bincount(label, minlength=n_labels), 1)).mean())


def judge(logits: np.ndarray) -> Callable[[np.ndarray], float]:
    """Return labels (n,) → the balanced accuracy of logits (n, n_labels), which a rest decides where two are alike.

    The rest, too small to change it, is how much higher the labels' own logits stand than those of other trials:
    encoders that answer nothing but one label differ in it still.
    """
    n, n_labels = logits.shape
    best, place = logits.argmax(axis=1), logits.argsort(axis=0, kind="stable").argsort(axis=0) / n

    def value(truth: np.ndarray) -> float:
        own = balanced_means(place[np.arange(n), truth], truth, n_labels)
        return balanced_accuracy(best, truth, n_labels) + own / (4 * n_labels * n)

    return value


def units_in_time(label: np.ndarray, n_labels: int, fold: np.ndarray | None = None) -> Units:
    """Return what of labels (n,) in order of time is exchangeable: the blocks where they were shown in blocks, else
    trials inside their stretch of the recording (n,).
    """
    block = stretches(label, n_labels)
    if block is not None:
        return Units("block", block, np.zeros(block.max() + 1, dtype=np.int64))
    return exchangeable_units(label, run=None if fold is None or len(np.unique(fold)) < 2 else np.asarray(fold))


def scores_of(
    logits: np.ndarray,
    label: np.ndarray,
    fold: np.ndarray,
    refit: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]] | None = None,
    all_labels: np.ndarray | None = None,
    usual: float = SHARED_AT_MOST,
    agreement: float | None = None,
) -> dict[str, float]:
    """Return cross-validated figures of held-out logits (n, n_labels): balanced accuracy with its interval, chance, p,
    ROC-AUC of two with its interval.

    label, fold: (n,), in order of time; labels are shuffled inside stretches, whole blocks over all of them where they
    were shown in blocks. refit: `all_labels` (default label) shuffled → logits and labels of what is scored, from
    encoders fitted to them; the stretches share training trials (`null_of`). agreement: as `spread_of_folds`; None
    takes the widest. Intervals are of the score that such a
    recording is expected to give, not of this encoder's on one stretch.
    """
    n_labels = logits.shape[1]
    best = logits.argmax(axis=1)
    accuracy, units = balanced_accuracy(best, label, n_labels), units_in_time(label, n_labels, fold)
    value = judge(logits)
    permuted = permuted_by_units(logits, label, lambda _, given: value(given), units, PERMUTATIONS)

    def again(given: np.ndarray) -> float:
        assert refit is not None
        found, truth = refit(given)
        return judge(found)(truth)

    whole = label if all_labels is None else all_labels
    null = null_of(
        value(label), permuted, units, label, shared=len(np.unique(fold)) > 1,
        usual=spread_of_answers(usual),
        refit=None if refit is None else again,
        refit_units=units_in_time(whole, n_labels, np.arange(len(whole)) * len(np.unique(fold)) // len(whole)),
        refit_truth=whole,
        linked=units.linked(fold),
    )  # fmt: skip
    if null.shared and agreement is not None:
        of_scores = spread_of_folds(spread_of_scores(null.inflation), agreement, len(np.unique(fold)))
    else:
        of_scores = spread_of_scores(null.spread_at(accuracy, permuted, spread_of_answers(SHARED_AT_MOST)))
    inflation = spread_of_answers(of_scores)
    low, high = balanced_share_interval(best == label, label, units.unit, inflation)
    figures = {
        "accuracy": accuracy,
        "accuracy_low": low,
        "accuracy_high": high,
        "chance": 1 / n_labels,
        "shuffled": null.mean,
        "p_value": null.p_value,
        "p_least": null.least,
        "n_events": float(len(label)),
        "n_units": float(len(units)),
        "n_shuffles": float(null.n_drawn),
        "n_refits": float(null.n_refits),
    }
    if n_labels == 2:
        score = logits[:, 1] - logits[:, 0]
        figures["roc_auc"] = roc_auc(score, label)
        figures["roc_auc_low"], figures["roc_auc_high"] = auc_interval(score, label, None, units.unit, of_scores)
    return figures


def score_line(figures: dict[str, float]) -> str:
    """Return the figures as one readable line."""
    auc = ""
    if "roc_auc" in figures:
        auc = f", ROC-AUC {figures['roc_auc']:.3f}"
        if "roc_auc_low" in figures:
            auc += f" (95 % {figures['roc_auc_low']:.3f} to {figures['roc_auc_high']:.3f})"
    spread = (
        f"95 % {figures['accuracy_low']:.3f} to {figures['accuracy_high']:.3f}, " if "accuracy_low" in figures else ""
    )
    drawn = f", {figures['n_shuffles']:.0f} shuffles" if "n_shuffles" in figures else ""
    refits = f", {figures['n_refits']:.0f} refits" if figures.get("n_refits") else ""
    least = figures.get("p_least", 0.0)
    bound = f", no less than {least:.2g} is possible" if figures["p_value"] <= 4 * least else ""
    return (
        f"accuracy of single events {figures['accuracy']:.3f} ({spread}chance {figures['chance']:.3f}, shuffled labels "
        f"{figures['shuffled']:.3f}, p = {figures['p_value']:.2g}{drawn}{refits}{bound}){auc}"
    )


def warnings_of(figures: dict[str, float], label: np.ndarray, labels: tuple[str, ...]) -> list[str]:
    """Return what makes the score worthless: it is no better than chance, or labels were shown in long runs.

    label: (n,) in order of time.
    """
    found = []
    changes = int((np.diff(label) != 0).sum())
    if stretches(label, len(labels)) is not None:
        found.append(
            f"LABELS WERE SHOWN IN BLOCKS ({changes} changes in {len(label)} events): drifts over time alone can tell "
            "them apart, so the score may have nothing to do with what was shown"
        )
    if figures["p_value"] > 0.05:
        shown = ", ".join(labels[:4])
        found.append(f"NOT BETTER THAN CHANCE: this recording does not tell {shown} apart; do not use this encoder")
    return found
