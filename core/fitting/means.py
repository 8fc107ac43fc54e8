"""Left-out windows averaged, so that what averaging does to an answer is measured."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ..evidence.kept import AVERAGED
from ..evidence.scores import cancelled
from ..model.checkpoint import EegEncoder
from ..model.prediction import predict
from .calibration import LeftOut

WANTED = 40  # means of each number of windows, in each fold
MOST_DRAWS = 4  # times that the same windows are dealt into other groups


@dataclass(eq=False)
class Means:
    """Gathers, fold by fold, what encoders say of means of windows they had not seen.

    targets: by regression space (n_labels, n_values), one for each label. averaged: how many windows a mean is of.
    """

    targets: Mapping[str, Tensor]
    averaged: tuple[int, ...] = AVERAGED[1:]
    _parts: list[tuple[int, dict[str, Tensor], np.ndarray, int]] = field(default_factory=list)
    _empty: list[tuple[int, dict[str, Tensor], np.ndarray, int]] = field(default_factory=list)

    def add(self, encoder: EegEncoder, eeg: np.ndarray, label: np.ndarray, run: int) -> None:
        """Average left-out windows (n, channels, times) of one run by label (n,) and decode the means."""
        for averaged in self.averaged:
            dealt = list(dealt_by(label, averaged, run))
            if dealt:
                means = np.stack([np.asarray(eeg[rows], dtype=np.float64).mean(axis=0) for rows in dealt])
                own = np.array([label[rows[0]] for rows in dealt], dtype=np.int64)
                self._parts.append((averaged, predict(encoder, means.astype(np.float32)), own, run))
        for averaged in AVERAGED:
            empty = cancelled(eeg, label, averaged, run)
            if len(empty):
                none = np.zeros(len(empty), dtype=np.int64)
                self._empty.append((averaged, predict(encoder, empty), none, run))

    def left_out(self) -> list[LeftOut]:
        """Return what was gathered, for each number of windows."""
        return self._gathered(self._parts)

    def nothing(self) -> list[LeftOut]:
        """Return what encoders say of means of windows in which what was shown had been cancelled."""
        return self._gathered(self._empty)

    def _gathered(self, gathered: list[tuple[int, dict[str, Tensor], np.ndarray, int]]) -> list[LeftOut]:
        found: list[LeftOut] = []
        for averaged in AVERAGED:
            parts = [part for part in gathered if part[0] == averaged]
            if not parts:
                continue
            outputs = {space: torch.cat([part[1][space] for part in parts]) for space in parts[0][1]}
            label = np.concatenate([part[2] for part in parts])
            run = np.concatenate([np.full(len(part[2]), part[3]) for part in parts])
            targets = {space: (values, label) for space, values in self.targets.items()}
            found.append(LeftOut(outputs, torch.from_numpy(label), targets, averaged, run))
        return found


def dealt_by(group: np.ndarray, averaged: int, seed: int, most_draws: int = MOST_DRAWS) -> Iterator[np.ndarray]:
    """Yield rows, so many at a time, that belong to one group (n,): every row once, and again in other company where
    that would be only a few, at most so many times.
    """
    rng = np.random.default_rng([seed, averaged])
    once = sum(int(n) // averaged for n in np.unique(group, return_counts=True)[1])
    for _ in range(min(most_draws, -(-WANTED // max(once, 1))) if once else 0):
        for one in np.unique(group):
            rows = rng.permutation(np.flatnonzero(group == one))
            for start in range(0, len(rows) - averaged + 1, averaged):
                yield rows[start : start + averaged]
