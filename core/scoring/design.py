"""What a design lets one shuffle and draw: trials, pictures, blocks, runs or people, inside what strata."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import exp, lgamma, log

import numpy as np

PER_LABEL = 2  # up to this many pictures a label, pictures are what the labels name
AT_ONCE = 1 << 21  # labels of shuffles held in memory at once
MANY = 1000  # arrangements; strata that leave fewer are given up for wider ones


@dataclass(frozen=True)
class Units:
    """What is shuffled and drawn as a whole.

    name: of one ("trial", "picture", "block", "run"). unit: int (n,), each trial's unit, numbered from 0. stratum: int
    (n_units,); units exchange their labels inside a stratum only.
    """

    name: str
    unit: np.ndarray
    stratum: np.ndarray

    def __len__(self) -> int:
        return len(self.stratum)

    @property
    def first(self) -> np.ndarray:
        """Return the first trial of each unit (n_units,)."""
        return np.unique(self.unit, return_index=True)[1]

    def linked(self, group: np.ndarray) -> bool:
        """Tell whether a unit stands in several groups (n,), such as a picture in several folds."""
        pairs = np.unique(np.stack([self.unit, _numbers(group)], axis=1), axis=0)
        return len(pairs) > len(self)

    def arrangements(self, label: np.ndarray) -> float:
        """Return in how many ways label (n,) can be dealt to the units inside their strata (inf above 1e300)."""
        total, of_unit = 0.0, np.asarray(label)[self.first]
        for number in np.unique(self.stratum):
            counts = np.unique(of_unit[self.stratum == number], return_counts=True)[1]
            total += lgamma(counts.sum() + 1) - sum(lgamma(count + 1) for count in counts.tolist())
        return exp(total) if total < 690 else float("inf")

    def select(self, chosen: np.ndarray) -> "Units":
        """Return the units of the chosen trials (indices), numbered anew."""
        left, unit = np.unique(self.unit[chosen], return_inverse=True)
        return Units(self.name, unit.reshape(-1), self.stratum[left])

    def within(self, group: np.ndarray) -> "Units":
        """Return the same units, exchanged only where they lie in the same group (n,) too; a unit that lies in several
        groups stays as it is.
        """
        group = _numbers(group)
        low, high = np.full(len(self), group.max() + 1), np.zeros(len(self), dtype=np.int64)
        np.minimum.at(low, self.unit, group)
        np.maximum.at(high, self.unit, group)
        return Units(self.name, self.unit, _numbers(np.stack([self.stratum, np.where(low == high, low, -1)], axis=1)))

    def shuffles(self, label: np.ndarray, n: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """Yield n random relabellings of label (n_trials,), whole units inside their strata, in blocks (m, n_trials)
        that fit into memory.
        """
        label = np.asarray(label)
        order = np.argsort(self.stratum, kind="stable")
        held, place = label[self.first][order], self.stratum[order]
        at_once = max(1, AT_ONCE // max(len(label), 1))
        for start in range(0, n, at_once):
            m = min(at_once, n - start)
            # sorting random keys inside strata deals each stratum's labels among its own units
            drawn = np.argsort(rng.random((m, len(self))) + place, axis=1, kind="stable")
            found = np.empty((m, len(self)), dtype=label.dtype)
            found[:, order] = held[drawn]
            yield found[:, self.unit]


def exchangeable_units(
    label: np.ndarray,
    *,
    picture: np.ndarray | None = None,
    block: np.ndarray | None = None,
    run: np.ndarray | None = None,
    person: np.ndarray | None = None,
) -> Units:
    """Return what may be shuffled and drawn, given what label (n,) each trial has and where it stands (all (n,)).

    Where each block (or without blocks each run) holds one label, labels go with the block: blocks exchange them inside
    a run, or inside a person where a run holds one label too. Where pictures recur and are more than two a label,
    pictures exchange them, inside groups of pictures that were shown in the same runs to the same people. Else trials
    exchange them inside runs. After Nichols & Holmes (2002): what the design made exchangeable, and no more.
    """
    label = np.asarray(label)
    n = len(label)
    nothing = np.zeros(n, dtype=np.int64)
    people = nothing if person is None else _numbers(person)
    runs = people if run is None else _numbers(np.stack([people, _numbers(run)], axis=1))
    blocks = None if block is None else _numbers(np.stack([runs, _numbers(block)], axis=1))
    for name, group, wider in (("block", blocks, runs), ("run", None if run is None else runs, people)):
        if group is None or not _one_label_each(group, label):
            continue
        inside = wider if not _one_label_each(wider, label) else people
        return Units(name, group, inside[np.unique(group, return_index=True)[1]])
    if picture is not None:
        pictures = _numbers(picture)
        n_pictures = pictures.max() + 1 if n else 0
        recur = PER_LABEL * len(np.unique(label)) < n_pictures < n
        if recur and len(np.unique(np.stack([pictures, _numbers(label)], axis=1), axis=0)) == n_pictures:
            for group in (runs, people, nothing):
                units = Units("picture", pictures, _patterns(pictures, group))
                if units.arrangements(label) >= MANY:
                    return units
            return Units("picture", pictures, np.zeros(n_pictures, dtype=np.int64))
    return Units("trial", np.arange(n), runs)


def stretches(label: np.ndarray, n_labels: int) -> np.ndarray | None:
    """Return the number of each trial's stretch of one label (n,), label in order of time; None where labels change so
    often that they were not shown in blocks. A rare label makes few changes in any order: what counts is how many a
    random order has.
    """
    changes = np.diff(label) != 0
    share = np.unique(label, return_counts=True)[1] / max(len(label), 1)
    at_random = (1 - (share**2).sum()) * len(label)
    many = changes.sum() >= min(len(label) / n_labels, at_random) / 2
    if not len(label) or (many and changes.any()):
        return None
    return np.r_[0, np.cumsum(changes)]


def least_p(n_drawn: int, arrangements: float) -> float:
    """Return the smallest p that n_drawn permutations of a design with so many arrangements can show."""
    return max(1 / (1 + n_drawn), 1 / arrangements if log(arrangements) < 690 else 0.0)


def _numbers(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values)
    return np.unique(values, axis=0, return_inverse=True)[1].reshape(-1)


def _one_label_each(group: np.ndarray, label: np.ndarray) -> bool:
    """Tell whether every group holds one label, and groups hold several trials."""
    n_groups = group.max() + 1 if len(group) else 0
    pairs = np.unique(np.stack([group, _numbers(label)], axis=1), axis=0)
    return 1 < n_groups < len(group) and len(pairs) == n_groups


def _patterns(unit: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Return for each unit the number of the set of groups in which it stands (n_units,)."""
    sets: list[set[int]] = [set() for _ in range(unit.max() + 1)]
    for one, where in zip(unit.tolist(), group.tolist(), strict=True):
        sets[one].add(where)
    known: dict[tuple[int, ...], int] = {}
    return np.array([known.setdefault(tuple(sorted(one)), len(known)) for one in sets])
