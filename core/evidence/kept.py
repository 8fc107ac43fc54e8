"""What an encoder keeps of its training to tell whether a recording holds anything for it: its person's response to
what was shown, and what that person's recordings are like.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..preprocessing.config import PreprocessingConfig
from .background import layout_of

AVERAGED = (1, 2, 4, 8, 16)  # numbers of averaged repeats that scores of nothing are kept for
QUANTILES = 65


@dataclass(frozen=True, eq=False)
class Evidence:
    """What was seen in runs that had been left out, in volts and in the encoder's own preprocessing.

    response: (channels, times), the matched filter for the mean response to what was shown: the mean window, whitened
    over channels and over time. effects: (n_runs,), its mean over a left-out run's windows in standard deviations of a
    single one; `locked` tells whether that is more than nothing. nothing: (5, 65), quantiles of what the filter gives
    where there was nothing to see, for means of 1, 2, 4, 8 and 16 windows, in standard deviations of a single one.

    level, between, within: (n_features,), what `background` is like over runs: its mean, its spread over runs and over
    single windows. distances: (n_runs,), how far each left-out run lay from the others. stretches: the runs are
    stretches of one recording, which are more alike than sittings.

    scores: (2, 5, 65), quantiles of the main head's `confidence_score` for left-out windows in which what was shown had
    been cancelled, and for what was there, as means of 1, 2, 4, 8 and 16. scored: how many windows each of the ten
    comes from, 0 for none. drift: how much the mean score of nothing differs between runs, in its windows' spread.

    guess_p: for each space the probability that guessing would have scored as high on left-out windows. separation: how
    far apart left-out windows of different labels lay in the main head, in standard deviations. leaks: the leak checks
    that failed on the training data. labels: the recorded labels that the main head's prompts stand for, in their
    order; none where that is not known. n_windows: how many windows all of it comes from.
    """

    response: np.ndarray
    effects: np.ndarray
    nothing: np.ndarray
    level: np.ndarray
    between: np.ndarray
    within: np.ndarray
    distances: np.ndarray
    locked: bool
    stretches: bool
    n_windows: int
    scores: np.ndarray = field(default_factory=lambda: np.zeros((2, len(AVERAGED), QUANTILES), np.float32))
    scored: tuple[tuple[int, ...], tuple[int, ...]] = ((0,) * len(AVERAGED), (0,) * len(AVERAGED))
    drift: float = 0.0
    separation: float = 0.0
    guess_p: Mapping[str, float] = field(default_factory=dict)
    leaks: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays by name, float32, as an encoder file holds them."""
        return {name: np.ascontiguousarray(getattr(self, name), dtype=np.float32) for name in _ARRAYS}

    def to_json(self) -> dict[str, Any]:
        """Return the rest as plain JSON values, with the number of runs."""
        plain = {name: getattr(self, name) for name in ("locked", "stretches", "n_windows", "separation", "drift")}
        plain["scored"] = [list(row) for row in self.scored]
        told = {"guess_p": dict(self.guess_p), "leaks": list(self.leaks), "labels": list(self.labels)}
        return {**plain, **told, "n_runs": len(self.effects)}


_ARRAYS = ("response", "effects", "nothing", "level", "between", "within", "distances", "scores")


def evidence_shapes(config: PreprocessingConfig, header: Any) -> dict[str, tuple[int, ...]]:
    """Return the shapes that an encoder's preprocessing asks of the arrays; ValueError for a header that is none."""
    n_runs = header.get("n_runs") if isinstance(header, dict) else None
    if not isinstance(n_runs, int) or not 1 <= n_runs <= 1 << 20:
        raise ValueError("its evidence does not say of how many runs it is")
    n = len(layout_of(config).kind)
    per_feature = dict.fromkeys(("level", "between", "within"), (n,))
    window = (len(config.ch_names), config.n_times)
    per_run = dict.fromkeys(("effects", "distances"), (n_runs,))
    quantiles = {"nothing": (len(AVERAGED), QUANTILES), "scores": (2, len(AVERAGED), QUANTILES)}
    return {"response": window, **quantiles, **per_feature, **per_run}


def evidence_from(arrays: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> Evidence:
    """Return the evidence that `to_arrays` and `to_json` gave; ValueError where values are not what they should be."""
    rest = {name: value for name, value in header.items() if name != "n_runs"}
    guess_p, leaks, labels = rest.pop("guess_p", {}), rest.pop("leaks", ()), rest.pop("labels", ())
    scored = rest.pop("scored", None)
    if not isinstance(scored, list) or [len(row) for row in scored] != [len(AVERAGED)] * 2:
        raise ValueError("its evidence does not say of how many windows its scores are")
    if not isinstance(guess_p, dict) or not all(isinstance(names, (list, tuple)) for names in (leaks, labels)):
        raise ValueError("its evidence is not what this version writes")
    if not all(np.isfinite(arrays[name]).all() for name in _ARRAYS):
        raise ValueError("its evidence holds numbers that are not finite")
    try:
        return Evidence(
            **{name: np.asarray(arrays[name], dtype=np.float32) for name in _ARRAYS},
            locked=bool(rest.pop("locked")),
            stretches=bool(rest.pop("stretches")),
            n_windows=int(rest.pop("n_windows")),
            scored=(tuple(map(int, scored[0])), tuple(map(int, scored[1]))),
            drift=float(rest.pop("drift", 0.0)),
            separation=float(rest.pop("separation", 0.0)),
            guess_p={str(space): float(p) for space, p in guess_p.items()},
            leaks=tuple(map(str, leaks)),
            labels=tuple(map(str, labels)),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"its evidence is not what this version writes: {error}") from error
