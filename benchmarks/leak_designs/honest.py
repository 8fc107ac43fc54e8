"""Honest experiments of many kinds: no leak check may fail on them."""

import numpy as np

from .design import Design, experiment


def honest(seed: int) -> Design:
    """Return an experiment without a leak: classes, orders, people, intervals and answers drawn from the seed."""
    rng = np.random.default_rng([seed, 41])
    people, runs, each = int(rng.integers(1, 4)), int(rng.integers(2, 5)), int(rng.integers(36, 73))
    classes = int(rng.choice([2, 2, 2, 3, 4, 6]))
    kind = ("independent", "balanced runs", "balanced in tens", "never at once again", "one in three")[seed % 5]
    labels, names = [], []
    for person in range(people):
        for _ in range(runs):
            n = each + int(rng.integers(0, 6))
            labels.append(_order(rng, kind, n, classes))
            names.append(f"person {person + 1}")
    design = experiment(
        rng, labels, names, jitter_s=float(rng.choice([0.0, 0.1, 0.4])), own_v=float(rng.choice([0.0, 3e-6, 8e-6]))
    )
    if rng.random() < 0.4:  # sessions and blocks that mean nothing
        for number, row in enumerate(design.rows):
            row["block"] = f"block {number // 12}"
            row["session"] = f"day {int(row['file'][3:].split('.')[0]) % 2}"
    return design


def _order(rng: np.random.Generator, kind: str, n: int, classes: int) -> np.ndarray:
    if kind == "balanced runs":
        return rng.permutation(np.arange(n) % classes)
    if kind == "balanced in tens":
        tens = [rng.permutation(np.arange(5 * classes) % classes) for _ in range(n // (5 * classes) + 1)]
        return np.concatenate(tens)[:n]
    if kind == "never at once again" and classes > 3:
        return np.cumsum(rng.integers(1, classes, size=n)) % classes
    if kind == "one in three":
        return (rng.random(n) < 1 / 3).astype(int)
    return rng.integers(classes, size=n)
