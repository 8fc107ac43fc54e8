"""The cross-validated score of an encoder for one person, and what makes it worthless."""

import numpy as np

from .scores import p_of, permuted_statistics, roc_auc

PERMUTATIONS = 500


def scores_of(logits: np.ndarray, label: np.ndarray, fold: np.ndarray) -> dict[str, float]:
    """Return cross-validated figures of held-out logits (n, n_labels): balanced accuracy, chance, p, ROC-AUC of two.

    p: from labels shuffled inside stretches.
    """
    n_labels = logits.shape[1]
    best = logits.argmax(axis=1).astype(np.float64)

    def balanced(found: np.ndarray, truth: np.ndarray) -> float:
        right = np.bincount(truth, weights=found == truth, minlength=n_labels)
        return float((right / np.maximum(np.bincount(truth, minlength=n_labels), 1)).mean())

    accuracy = balanced(best, label)
    permuted = permuted_statistics(best, label, balanced, PERMUTATIONS, groups=fold)
    figures = {
        "accuracy": accuracy,
        "chance": 1 / n_labels,
        "shuffled": float(permuted.mean()),
        "p_value": p_of(accuracy, permuted),
        "n_events": float(len(label)),
    }
    if n_labels == 2:
        figures["roc_auc"] = roc_auc(logits[:, 1] - logits[:, 0], label)
    return figures


def score_line(figures: dict[str, float]) -> str:
    """Return the figures as one readable line."""
    auc = f", ROC-AUC {figures['roc_auc']:.3f}" if "roc_auc" in figures else ""
    return (
        f"accuracy of single events {figures['accuracy']:.3f} (chance {figures['chance']:.3f}, shuffled labels "
        f"{figures['shuffled']:.3f}, p = {figures['p_value']:.2g}){auc}"
    )


def warnings_of(figures: dict[str, float], label: np.ndarray, labels: tuple[str, ...]) -> list[str]:
    """Return what makes the score worthless: it is no better than chance, or labels were shown in long runs.

    label: (n,) in order of time.
    """
    found = []
    changes = int((np.diff(label) != 0).sum())
    if changes < len(label) / (2 * len(labels)):
        found.append(
            f"LABELS WERE SHOWN IN BLOCKS ({changes} changes in {len(label)} events): drifts over time alone can tell "
            "them apart, so the score may have nothing to do with what was shown"
        )
    if figures["p_value"] > 0.05:
        shown = ", ".join(labels[:4])
        found.append(f"NOT BETTER THAN CHANCE: this recording does not tell {shown} apart; do not use this encoder")
    return found
