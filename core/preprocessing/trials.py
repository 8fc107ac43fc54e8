"""Trials: cut EEG with what was shown, to whom and when, so that every split and leak check can be computed."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

_READ_AT_ONCE = 512  # windows
COLUMNS = ("image_id", "caption", "subject", "session", "run", "block", "split")


@dataclass(frozen=True)
class Trials:
    """Labelled windows of EEG.

    eeg: float32 (n, n_channels, n_times) in volts, filtered and cut but not yet normalised. label: int64 (n,), an
    index into `labels`. onset: float64 (n,), seconds from the start of the trial's recording. repeats: int64 (n,), how
    many presentations a row is the mean of. The other columns are arrays of strings (n,); `split` is "train", "val",
    "test" or "" where the data set prescribes none.
    """

    eeg: np.ndarray
    label: np.ndarray
    labels: tuple[str, ...]
    image_id: np.ndarray
    caption: np.ndarray
    subject: np.ndarray
    session: np.ndarray
    run: np.ndarray
    block: np.ndarray
    split: np.ndarray
    onset: np.ndarray
    repeats: np.ndarray

    def __post_init__(self) -> None:
        n = len(self.eeg)
        for name in (*COLUMNS, "label", "onset", "repeats"):
            if len(getattr(self, name)) != n:
                raise ValueError(f"trials have {n} windows but {len(getattr(self, name))} values in {name!r}")

    def __len__(self) -> int:
        return len(self.eeg)

    def select(self, chosen: np.ndarray) -> "Trials":
        """Return the trials where `chosen` (a boolean mask or indices) says so."""
        taken = {f.name: getattr(self, f.name)[chosen] for f in fields(self) if f.name != "labels"}
        return replace(self, **taken)

    def unread(self, chosen: np.ndarray) -> "Trials":
        """Return the trials where `chosen` says so; windows that lie on disk stay there until they are indexed."""
        subset = getattr(self.eeg, "subset", None)
        return self.select(chosen) if subset is None else replace(self.select_columns(chosen), eeg=subset(chosen))

    def select_columns(self, chosen: np.ndarray) -> "Trials":
        """Return the chosen trials without reading their eeg: it becomes an empty array (n, 0, 0)."""
        return replace(self, eeg=np.empty((len(self), 0, 0), dtype=np.float32)).select(chosen)

    def groups(self, *columns: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the first row of each distinct combination of columns, and for each trial the number of its
        combination (n,).
        """
        keys = list(zip(*(getattr(self, column).tolist() for column in columns), strict=True))
        numbers: dict[tuple[Any, ...], int] = {}
        group = np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)
        first = np.zeros(len(numbers), dtype=np.int64)
        first[group[::-1]] = np.arange(len(keys))[::-1]
        return first, group

    def average_repeats(self, at_most: int | None = None, seed: int = 0) -> "Trials":
        """Average the presentations of one picture to one subject.

        at_most: size of the groups that are averaged; None averages all of a picture's presentations into one row. The
        order inside a picture is drawn from `seed`. Rows keep the first member's columns and `repeats` counts the
        members.
        """
        _, group = self.groups("subject", "image_id", "split")
        order = np.random.default_rng(seed).permutation(len(self))
        order = order[np.argsort(group[order], kind="stable")]
        sorted_group = group[order]
        starts = np.flatnonzero(np.r_[True, sorted_group[1:] != sorted_group[:-1]])
        place = np.arange(len(order)) - np.repeat(starts, np.diff(np.r_[starts, len(order)]))
        chunk = place // at_most if at_most else np.zeros_like(place)
        heads = np.flatnonzero(np.r_[True, (sorted_group[1:] != sorted_group[:-1]) | (chunk[1:] != chunk[:-1])])
        weight = self.repeats[order]
        counts = np.add.reduceat(weight, heads)
        averaged = self.select_columns(order[heads])
        means = np.empty((len(heads), *self.eeg.shape[1:]), dtype=np.float32)
        ends = np.append(heads[1:], len(order))
        first = 0
        while first < len(heads):  # windows on disk are read for a few rows at a time, each row's together
            last = max(first + 1, int(np.searchsorted(ends, heads[first] + _READ_AT_ONCE, side="right")))
            members = slice(heads[first], ends[last - 1])
            read = np.asarray(self.eeg[order[members]]) * weight[members, None, None].astype(np.float32)
            sums = np.add.reduceat(read, heads[first:last] - heads[first])
            means[first:last] = sums / counts[first:last, None, None]
            first = last
        return replace(averaged, eeg=means, repeats=counts)


def build_trials(eeg: np.ndarray, rows: Sequence[Mapping[str, Any]], labels: Sequence[str] | None = None) -> Trials:
    """Build Trials from windows and one dict a window.

    eeg: float32 (n, n_channels, n_times) in volts. rows: `label` (text) and `onset` (s) are needed; `image_id`,
    `caption`, `subject`, `session`, `run`, `block`, `split` are text and default to "" (`image_id` and `caption` to
    the label). labels: their order; by default sorted.

    Raises ValueError where a row has no label or one that `labels` lacks.
    """
    if missing := [i for i, row in enumerate(rows) if not row.get("label")]:
        raise ValueError(
            f"rows {missing[:5]} have no 'label'; every trial needs one (say so in the table or the events)"
        )
    names = tuple(labels) if labels is not None else tuple(sorted({row["label"] for row in rows}))
    if unknown := sorted({row["label"] for row in rows} - set(names)):
        raise ValueError(f"labels {unknown} are not among {names}")
    numbers = {name: number for number, name in enumerate(names)}
    columns: dict[str, np.ndarray] = {}
    for column in COLUMNS:
        by_label = column in ("image_id", "caption")
        texts = [str(row.get(column) or (row["label"] if by_label else "")) for row in rows]
        columns[column] = np.array(texts, dtype=np.str_)
    return Trials(
        eeg=eeg,
        label=np.array([numbers[row["label"]] for row in rows], dtype=np.int64),
        labels=names,
        onset=np.array([float(row["onset"]) for row in rows], dtype=np.float64),
        repeats=np.array([int(row.get("repeats", 1)) for row in rows], dtype=np.int64),
        **columns,
    )
