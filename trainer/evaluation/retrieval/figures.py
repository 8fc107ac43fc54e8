"""Retrieval in galleries of any size, exactly: k-way, mean average precision, exact picture and class template."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from core.preprocessing.trials import Trials
from core.scoring.design import Units
from core.scoring.identification import (
    chance_precision,
    expected_precision,
    n_way_share,
    places,
    top_k_share,
    twins,
)
from core.scoring.intervals import mean_interval, share_interval
from core.scoring.permutations import permuted_picks

from ...config.options import TrainOptions
from ..decoding_scores import PERMUTATIONS, picked, score_entry, with_family

WAYS = (2, 4, 10, 50, 100)


@dataclass(frozen=True, eq=False)
class Found:
    """How near each query is to each item of a gallery: scores (n, m), larger is nearer, and its own item (n,).

    vectors: (m, d), of the items, by which twins are told; None for none. units: what is shuffled as a whole.
    """

    scores: np.ndarray
    truth: np.ndarray
    units: Units
    vectors: np.ndarray | None = None

    @cached_property
    def placed(self) -> tuple[np.ndarray, np.ndarray]:
        """Return `places` of the scores."""
        return places(self.scores, None if self.vectors is None else twins(self.vectors))

    @property
    def gallery(self) -> int:
        """Return how many items there are."""
        return self.scores.shape[1]

    def top(self, k: int) -> np.ndarray:
        """Return each query's share of a hit among the k best (n,)."""
        return self.shares(k)[np.arange(len(self.truth)), self.truth]

    def entries(self) -> list[dict]:
        """Return a row for each smaller gallery drawn from this one, and one for mean average precision."""
        above, level = self.placed
        rows = [
            self.entry(f"{n}-way, expected", n_way_share(above, level, self.gallery, n), 1 / n)
            for n in WAYS
            if n <= self.gallery
        ]
        return [
            *rows,
            self.entry("mean average precision", expected_precision(above, level), chance_precision(self.gallery)),
        ]

    def shares(self, k: int) -> np.ndarray:
        """Return every item's share of a hit among the k best of every query (n, m)."""
        return top_k_share(*self.placed, k)

    def top_entry(self, name: str, k: int) -> dict:
        """Return the row of finding the own item among the k best."""
        interval = share_interval(self.top(k), self.units.unit)
        return self._row(name, self.shares(k), min(k / self.gallery, 1.0), interval)

    def entry(self, name: str, values: np.ndarray, chance: float) -> dict:
        """Return a row for the mean of each query's value (n, m) at its own item, beside chance and shuffled ones."""
        low, high = mean_interval(values[np.arange(len(self.truth)), self.truth], self.units.unit)
        return self._row(name, values, chance, (max(low, 0.0), min(high, 1.0)))

    def _row(self, name: str, values: np.ndarray, chance: float, interval: tuple[float, float]) -> dict:
        return score_entry(
            name,
            values,
            self.truth,
            picked,
            chance=chance,
            train_mean=None,
            interval=interval,
            permuted=permuted_picks(values, self.truth, self.units, PERMUTATIONS),
            units=self.units,
        )


def rows_of(entries: list[dict]) -> list[dict]:
    """Return entries as rows of a section's table, their p adjusted for being looked at together."""
    return [
        {
            "score": entry["name"],
            "value": entry["value"],
            "interval": entry["interval"],
            "chance": entry["chance"],
            "shuffled EEG": entry["baselines"]["shuffled EEG"],
            "p": entry["p_value"],
            "p (Holm)": entry["p_holm"],
            "n": entry["n"],
        }
        for entry in with_family(entries)
    ]


def how_scored(test: Trials, options: TrainOptions, gallery: int) -> str:
    """Return how many presentations each row is the mean of, by which rule the epoch was chosen, and the gallery."""
    counts = np.unique(test.repeats)
    k = f"{counts[0]}" if len(counts) == 1 else f"{counts.min()} to {counts.max()} (mean {test.repeats.mean():.3g})"
    return f"k = {k} presentations averaged; {epoch_rule(options)}; a gallery of {gallery}"


def epoch_rule(options: TrainOptions) -> str:
    """Return in words which epoch's weights were kept; the test never chooses."""
    from core.encoders import encoder_named

    if encoder_named(options.encoder.name).fit is not None:
        return "fitted in closed form"
    if options.training.keep == "last":
        return f"epoch {options.training.epochs}, fixed beforehand"
    return "the epoch of the lowest validation loss (without a validation split, the last)"


def class_templates(values: np.ndarray, label: np.ndarray) -> np.ndarray | None:
    """Return for each picture the templates of all classes (n_pictures, n_classes, d): means of a class's pictures,
    each of length one, without the picture itself; None where a class has one picture only.

    values: (n_pictures, d), of distinct pictures; label: (n_pictures,) their classes, numbered from 0. NICE's 200-way
    figure is of such templates, which is another question than the exact picture's.
    """
    unit = values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-300)
    n_classes = int(label.max()) + 1
    counts = np.bincount(label, minlength=n_classes)
    if n_classes < 2 or counts.min() < 2:
        return None
    sums = np.zeros((n_classes, values.shape[1]))
    np.add.at(sums, label, unit)
    templates = np.repeat((sums / counts[:, None])[None], len(values), axis=0)
    rows = np.arange(len(values))
    templates[rows, label] = (sums[label] - unit) / (counts[label] - 1)[:, None]
    return templates


def template_found(
    queries: np.ndarray, templates: np.ndarray, of: np.ndarray, label: np.ndarray, units: Units
) -> Found:
    """Return how near queries (n, d) are to class templates (n_pictures, n_classes, d), each to those of its own
    picture `of` (n,); label (n,) is the class of each query.
    """
    unit = queries / np.maximum(np.linalg.norm(queries, axis=1, keepdims=True), 1e-300)
    length = np.linalg.norm(templates, axis=2)
    scores = np.stack([templates[one] @ row for one, row in zip(of, unit, strict=True)]) / np.maximum(
        length[of], 1e-300
    )
    return Found(scores, label, units)
