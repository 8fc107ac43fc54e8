"""Several tests at once: which p-values still hold when the best of many was bound to look good."""

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Return the p-values of one family adjusted so that any false one is as rare as a single one was (Holm 1979).

    None stands for a test that was not made and stays None. Raises ValueError for values outside [0, 1].
    """
    made = [(float(p), place) for place, p in enumerate(p_values) if p is not None]
    if any(not 0 <= p <= 1 for p, _ in made):
        raise ValueError(f"p-values lie between 0 and 1, not {min(made)[0]} to {max(made)[0]}")
    adjusted: list[float | None] = [None] * len(p_values)
    raised = 0.0
    for rank, (p, place) in enumerate(sorted(made)):
        raised = max(raised, min(1.0, p * (len(made) - rank)))
        adjusted[place] = float(np.float64(raised))
    return adjusted
