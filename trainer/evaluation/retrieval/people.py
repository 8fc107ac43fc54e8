"""Each person's figure, their mean, and two ways of decoding the same people or pictures beside each other."""

from typing import Any

import numpy as np

from core.scoring.intervals import LEVEL, corrected_resampled_interval, joined_interval, mean_interval, share_interval

MOST_SIGNS = 14  # pairs whose signs are dealt in every way
FEWEST_PAIRS = 6  # of which Wilcoxon's test can show 0.05


def person_rows(hits: np.ndarray, person: np.ndarray, unit: np.ndarray, chance: float, score: str) -> list[dict]:
    """Return a row for each person and one for their mean: hits (n,) 0 to 1, who each is of (n,), what goes together.

    The mean's interval counts what people differ by. One person gives one row.
    """
    rows, values, bounds = [], [], []
    for name in np.unique(person).tolist():
        own = person == name
        values.append(float(hits[own].mean()))
        bounds.append(share_interval(hits[own], unit[own]))
        rows.append({"person": name or "no name", score: values[-1], "interval": list(bounds[-1]), "n": int(own.sum())})
    if len(rows) < 2:
        return rows
    low, high = joined_interval(values, bounds, between=True)
    mean = {"person": f"mean of {len(rows)} people", score: float(np.mean(values)),
            "interval": [max(low, 0.0), min(high, 1.0)], "n": len(hits)}  # fmt: skip
    p = wilcoxon_p(np.array(values), np.full(len(values), chance), "greater")
    return [*rows, {**mean, "chance": chance, "p (Wilcoxon, people against chance)": p}]


def wilcoxon_p(one: np.ndarray, other: np.ndarray, alternative: str = "two-sided") -> float | None:
    """Return p of Wilcoxon's signed-rank test of pairs (n,), None where fewer than six of them differ."""
    from scipy.stats import rankdata, wilcoxon

    apart = np.asarray(one, dtype=np.float64) - np.asarray(other, dtype=np.float64)
    apart = apart[np.abs(apart) > 1e-12]
    if len(apart) < FEWEST_PAIRS:
        return None
    if len(apart) > MOST_SIGNS:
        found: Any = wilcoxon(apart, alternative=alternative)
        return float(found.pvalue)
    # every way to deal the signs, which holds for tied sizes too; without ties it is scipy's exact p
    rank = rankdata(np.abs(apart).round(12))
    signs = (np.arange(1 << len(rank))[:, None] >> np.arange(len(rank))) & 1
    sums, observed = signs @ rank, float(rank[apart > 0].sum())
    more, less = float((sums >= observed - 1e-9).mean()), float((sums <= observed + 1e-9).mean())
    return {"greater": more, "less": less, "two-sided": min(1.0, 2 * min(more, less))}[alternative]


def paired(one: np.ndarray, other: np.ndarray, unit: np.ndarray) -> dict:
    """Return the mean difference of two ways' hits (n,) on the same queries, its interval with units (n,) as wholes,
    and Wilcoxon's p over units.
    """
    apart = np.asarray(one, dtype=np.float64) - np.asarray(other, dtype=np.float64)
    number = np.unique(np.asarray(unit), return_inverse=True)[1].reshape(-1)
    counts = np.bincount(number)
    first, second = (np.bincount(number, weights=rows) / counts for rows in (one, other))
    return {
        "difference": float(apart.mean()),
        "interval": list(mean_interval(apart, number)),
        "p (Wilcoxon)": wilcoxon_p(first, second),
        "units": len(counts),
    }


def over_seeds(values: np.ndarray, level: float = LEVEL) -> tuple[float, tuple[float, float]]:
    """Return the mean of seeds' figures (k,) and its t interval; seeds share their test, so this is how much a training
    varies and not how sure the figure is.
    """
    return float(np.mean(values)), corrected_resampled_interval(values, 0.0, level)
