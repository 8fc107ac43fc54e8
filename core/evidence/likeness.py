"""How like a recording is those that an encoder was trained on, and what about it is not."""

from __future__ import annotations

import math

import numpy as np

from ..preprocessing.config import PreprocessingConfig
from .background import KINDS, Layout
from .kept import Evidence

WIDER = 2.0  # stretches of one recording are this much more alike than sittings, at the least
LEAST_LIMIT = 0.8  # of the distance, in spreads over runs: below it nothing is called unlike
LEAST_OF_STRETCHES = 1.0  # the same where training's runs were stretches of one recording


def distance_parts(
    evidence: Evidence, layout: Layout, seen: np.ndarray, n_windows: float, effect: float, n: int
) -> dict[str, float]:
    """Return how far a recording lies from those of training in each kind of number, in spreads over runs.

    seen: (n_features,), the recording's median background. n_windows: how many independent windows it is the median of.
    effect, n: the mean response's size and of how many moments; NaN where that is not known.
    """
    deviation = deviations(evidence, seen, n_windows)
    found = {kind: float(np.sqrt(np.mean(deviation[layout.of(kind)] ** 2))) for kind in KINDS if layout.of(kind).any()}
    if evidence.locked and math.isfinite(effect):
        usual, n_runs = float(evidence.effects.mean()), len(evidence.effects)
        over_runs = float(evidence.effects.var(ddof=1)) if n_runs > 1 else 0.0
        over_runs = max(over_runs, (0.15 * usual) ** 2) * (1 + 1 / n_runs) * (WIDER**2 if evidence.stretches else 1)
        found["response"] = max(usual - effect, 0.0) / math.sqrt(over_runs + 1 / max(n, 1))
    return found


def deviations(evidence: Evidence, seen: np.ndarray, n_windows: float) -> np.ndarray:
    """Return how far a recording's median background (n_features,) lies from training's, in spreads over runs."""
    n_runs = len(evidence.effects)
    of_median = 1.57 * evidence.within.astype(np.float64) ** 2 / max(n_windows, 1.0)
    return (seen - evidence.level) / np.sqrt(evidence.between.astype(np.float64) ** 2 * (1 + 1 / n_runs) + of_median)


def together(parts: dict[str, float]) -> float:
    """Return one distance for all kinds: their root mean square."""
    return math.sqrt(sum(part * part for part in parts.values()) / len(parts))


def limit_of(evidence: Evidence) -> float:
    """Return the largest distance that counts as like the training's recordings, from those of left-out runs.

    Two robust deviations above their median, in logarithms: one sitting that went wrong does not open the door.
    """
    logs = np.log(np.maximum(evidence.distances.astype(np.float64), 1e-3))
    middle = float(np.median(logs))
    spread = 1.4826 * float(np.median(np.abs(logs - middle)))
    least = LEAST_OF_STRETCHES if evidence.stretches else LEAST_LIMIT
    few = 1 + 2 / len(logs)  # runs tell the less of their spread, the fewer there are
    return max(least, math.exp(middle + 2 * min(max(spread, 0.3), 0.5) * few))


def unlike(
    evidence: Evidence,
    layout: Layout,
    config: PreprocessingConfig,
    seen: np.ndarray,
    n_windows: float,
    parts: dict[str, float],
) -> str:
    """Say in plain words what about a recording is unlike training, the most unlike thing named."""
    kind = max(parts, key=lambda one: parts[one])
    said = "this recording is unlike the ones the encoder was made from"
    if kind == "response":
        return f"{said}: the response to what was shown is weaker than in training"
    deviation = np.where(layout.of(kind), np.abs(deviations(evidence, seen, n_windows)), -1.0)
    place = int(deviation.argmax())
    names = " and ".join(config.ch_names[i] for i in layout.channel[place])
    by = float(seen[place] - evidence.level[place])
    if kind == "amplitude":
        times = math.exp(abs(by))
        what = (
            f"{names} has {times:.2g} times the amplitude" if by > 0 else f"{names} has 1/{times:.2g} of the amplitude"
        )
        return f"{said}: {what} it was trained on"
    if kind == "spectrum":
        low, high = layout.band[place] or (0.0, 0.0)
        more = "more" if by > 0 else "less"
        return f"{said}: {names} has {more} of its power at {low:.3g} to {high:.3g} Hz"
    return f"{said}: {names} go together {'more' if by > 0 else 'less'} than in training"
