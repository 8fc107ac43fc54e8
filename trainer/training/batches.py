"""Batches of training trials: shuffled by epoch from the seed alone, repeats averaged as the options say."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from torch import Tensor

from core.model.checkpoint import EegEncoder
from core.model.prediction import encode_ready
from core.preprocessing.trials import Trials


@dataclass(frozen=True)
class Batches:
    """The training split, cut into batches, which several processes share.

    rows: trial indices (n,). average: "none", "all" or "random" (each epoch averages a random subset of a picture's
    repeats, which shows the encoder every level of noise from one repeat to all). batch: rows of one batch, in all
    processes together; a last one of fewer than `least` is left out, since batch norm needs two and every process one.
    seed: with the epoch's number it fixes order and subsets, so that an interrupted run repeats exactly.
    """

    trials: Trials
    rows: np.ndarray
    average: str
    batch: int
    seed: int
    least: int = 2

    @cached_property
    def members(self) -> list[np.ndarray]:
        """Return the trials that make one item: single trials, or all repeats of a picture for one subject."""
        if self.average == "none":
            return list(self.rows[:, None])
        _, group = self.trials.select_columns(self.rows).groups("subject", "image_id")
        order = np.argsort(group, kind="stable")
        cuts = np.flatnonzero(np.diff(group[order])) + 1
        return [np.sort(part) for part in np.split(self.rows[order], cuts)]

    def epoch(
        self, number: int, encoder: EegEncoder, rank: int = 0, world: int = 1
    ) -> Iterator[tuple[Tensor, np.ndarray]]:
        """Yield normalised eeg (batch, channels, times) and the trial whose target each row has: of each batch the
        rows that are dealt out to one process of `world`.
        """
        rng = np.random.default_rng([self.seed, number, 17])
        members = self.members
        order = rng.permutation(len(members))
        sizes = np.array([len(member) for member in members])
        takes = rng.integers(1, sizes + 1) if self.average == "random" else sizes
        subsets = [rng.permutation(member)[:take] for member, take in zip(members, takes, strict=True)]
        for place, size in enumerate(self.sizes):
            items = order[place * self.batch : place * self.batch + size][rank::world]
            wanted = np.concatenate([subsets[i] for i in items])
            lengths = np.array([len(subsets[i]) for i in items])
            cut = np.asarray(self.trials.eeg[wanted])
            starts = np.r_[0, np.cumsum(lengths)[:-1]]
            eeg = np.add.reduceat(cut, starts) / lengths[:, None, None] if len(cut) != len(items) else cut
            yield encode_ready(encoder, eeg.astype(np.float32)), np.array([subsets[i][0] for i in items])

    @cached_property
    def sizes(self) -> list[int]:
        """Return how many rows each batch of an epoch has, in all processes together."""
        whole, rest = divmod(len(self.members), self.batch)
        return [self.batch] * whole + [rest] * (rest >= self.least)

    def count(self) -> int:
        """Return how many batches make an epoch."""
        return len(self.sizes)
