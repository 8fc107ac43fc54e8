"""Class-balanced batches: P classes of K items each, drawn from the seed alone, repeats averaged as the options say."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from torch import Tensor

from core.model.checkpoint import EegEncoder
from core.model.prediction import encode_ready
from core.preprocessing.trials import Trials

PER_CLASS = 4


@dataclass(frozen=True)
class ClassBatches:
    """The training split in batches of P classes with at most `PER_CLASS` items, or more where classes are few.

    rows: trial indices (n,). classes: the class of each of them (n,); two items of one class are a positive pair.
    average: "none" (an item is a trial), "all" or "random" (an item is the mean of all, or of a random number, of the
    repeats of one picture for one subject). Items of one batch share no trial. seed: with the epoch's number it fixes
    what is drawn.
    """

    trials: Trials
    rows: np.ndarray
    classes: np.ndarray
    average: str
    batch: int
    seed: int

    def __post_init__(self) -> None:
        if len(self.usable) < 2:
            raise ValueError(
                f"{len(self.rows)} training trials hold {len(self.usable)} classes with at least two trials; "
                "triplets need two (see --contrast)"
            )

    @cached_property
    def pictures(self) -> dict[int, list[np.ndarray]]:
        """Return for each class its pictures, each with its repeats' rows."""
        _, group = self.trials.select_columns(self.rows).groups("subject", "image_id")
        found: dict[int, list[np.ndarray]] = {}
        for number in np.unique(self.classes):
            mine = self.classes == number
            found[int(number)] = [self.rows[mine & (group == picture)] for picture in np.unique(group[mine])]
        return found

    @cached_property
    def usable(self) -> np.ndarray:
        """Return the classes with at least two trials."""
        return np.array([number for number, parts in self.pictures.items() if sum(map(len, parts)) >= 2])

    @property
    def shape(self) -> tuple[int, int]:
        """Return how many classes a batch holds and how many items of each."""
        n_classes = max(2, min(len(self.usable), self.batch // PER_CLASS))
        return n_classes, max(
            2, min(PER_CLASS if n_classes < len(self.usable) else self.batch // n_classes, self.batch)
        )

    @cached_property
    def per_epoch(self) -> int:
        """Return how many batches make an epoch: as many as show each picture, or trial, about once."""
        parts = [picture for number in self.usable for picture in self.pictures[int(number)]]
        n_items = sum(map(len, parts)) if self.average == "none" else len(parts)
        n_classes, n_each = self.shape
        return max(1, round(n_items / (n_classes * n_each)))

    def draw(self, epoch: int) -> Iterator[tuple[list[np.ndarray], np.ndarray]]:
        """Yield for each batch of an epoch the rows that each item is the mean of, and the items' classes."""
        rng = np.random.default_rng([self.seed, epoch, 23])
        n_classes, n_each = self.shape
        for _ in range(self.per_epoch):
            items, labels = [], []
            for number in rng.permutation(self.usable)[:n_classes]:
                drawn = self._of_class(self.pictures[int(number)], n_each, rng)
                items += drawn
                labels += [number] * len(drawn)
            yield items, np.array(labels)

    def _of_class(self, pictures: list[np.ndarray], n_each: int, rng: np.random.Generator) -> list[np.ndarray]:
        """Return up to n_each disjoint items: of different pictures as far as there are, else parts of one."""
        order = rng.permutation(len(pictures))
        slots = np.zeros(len(pictures), dtype=int)
        room = np.array([len(pictures[i]) for i in order])
        while (left := n_each - slots.sum()) > 0 and (slots < room).any():
            slots[np.flatnonzero(slots < room)[:left]] += 1
        items = []
        for picture, n in zip(order, slots, strict=True):
            if n:
                items += [self._take(part, rng) for part in np.array_split(rng.permutation(pictures[picture]), n)]
        return items

    def _take(self, repeats: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if self.average == "all":
            return repeats
        return repeats[: 1 if self.average == "none" else rng.integers(1, len(repeats) + 1)]

    def epoch(self, number: int, encoder: EegEncoder) -> Iterator[tuple[Tensor, np.ndarray]]:
        """Yield normalised eeg (batch, channels, times) and classes (batch,)."""
        for items, labels in self.draw(number):
            wanted, lengths = np.concatenate(items), np.array([len(item) for item in items])
            cut = np.asarray(self.trials.eeg[wanted])
            starts = np.r_[0, np.cumsum(lengths)[:-1]]
            eeg = np.add.reduceat(cut, starts) / lengths[:, None, None]
            yield encode_ready(encoder, eeg.astype(np.float32)), labels
