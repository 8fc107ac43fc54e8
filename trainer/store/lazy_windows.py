"""Windows of a whole trial store as one array that stays on disk."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .shard import read_rows_into, where


class LazyWindows:
    """Looks like a float32 array (n, n_channels, n_times) in volts; only what is indexed is read.

    Indexing the first axis (number, slice, mask or numbers) gives a plain array of just those windows, so a training
    loop takes batches from it and `Trials.select` reads what it chooses. `subset` chooses without reading.
    `np.asarray` reads it all.
    """

    def __init__(
        self, shards: Sequence[tuple[Path, int]], window_shape: tuple[int, int], rows: np.ndarray | None = None
    ) -> None:
        """Take files with their numbers of windows, a window's shape, and which of all windows (None: every one)."""
        self._shards = tuple(shards)
        self._ends = np.cumsum([n for _, n in self._shards], dtype=np.int64)
        total = int(self._ends[-1]) if self._shards else 0
        self._rows = np.arange(total) if rows is None else np.asarray(rows, dtype=np.int64)
        self._starts: dict[int, int] = {}
        self.shape = (len(self._rows), *map(int, window_shape))
        self.dtype = np.dtype(np.float32)
        self.ndim = 3

    def __len__(self) -> int:
        return self.shape[0]

    def subset(self, chosen: Any) -> "LazyWindows":
        """Return the windows that a mask, a slice or numbers choose, still on disk."""
        return LazyWindows(self._shards, (self.shape[1], self.shape[2]), self._rows[chosen])

    def __getitem__(self, chosen: Any) -> np.ndarray:
        if isinstance(chosen, tuple):
            return self[chosen[0]][
                (slice(None), *chosen[1:]) if np.ndim(chosen[0]) or isinstance(chosen[0], slice) else chosen[1:]
            ]
        rows = self._rows[chosen]
        if np.ndim(rows) == 0:
            return self._read(np.array([rows]))[0]
        return self._read(rows)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("windows on disk cannot become an array without a copy")
        whole = self._read(self._rows)
        return whole if dtype is None else whole.astype(dtype, copy=False)

    def _read(self, rows: np.ndarray) -> np.ndarray:
        taken = np.empty((len(rows), *self.shape[1:]), dtype="<f4")
        shard = np.searchsorted(self._ends, rows, side="right")
        for number in np.unique(shard):
            here = np.flatnonzero(shard == number)
            first = self._ends[number] - self._shards[number][1]
            order = here[np.argsort(rows[here], kind="stable")]  # what lies together is read together
            start = self._start(int(number))
            read_rows_into(self._shards[number][0], start, taken, order, rows[order] - first)
        return taken

    def _start(self, number: int) -> int:
        """Return the byte at which a shard's windows begin; ValueError where it holds others than its store says."""
        if number not in self._starts:
            path, n = self._shards[number]
            shape, start = where(path)
            if shape != (n, *self.shape[1:]):
                raise ValueError(
                    f"{path} holds windows {shape}; its store says {(n, *self.shape[1:])}: run prepare.py again"
                )
            self._starts[number] = start
        return self._starts[number]
