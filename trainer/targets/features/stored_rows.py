"""The rows of a folder of shards as one array that stays on disk."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .shard import Shard

MAX_OPEN = 256  # memory maps kept at once


class StoredRows:
    """Looks like an array (n, ...) of float16 or float32; only what is indexed is read.

    Indexing the first axis (number, slice, mask or numbers) gives a plain array of just those rows. `np.asarray` reads
    all of them. What other processes append is in no `StoredRows` made before, and moves no row of it.
    """

    def __init__(self, shards: Sequence[Shard]) -> None:
        """Take shards whose rows have one shape and dtype; raises ValueError where they differ."""
        kinds = sorted({(shard.shape[1:], shard.dtype) for shard in shards})
        if len(kinds) != 1:
            raise ValueError(f"rows of one kind are needed, not {kinds or 'none'}")
        self._shards = tuple(shards)
        self._ends = np.cumsum([shard.shape[0] for shard in shards], dtype=np.int64)
        self._open: dict[int, np.ndarray] = {}
        self.shape = (int(self._ends[-1]), *kinds[0][0])
        self.dtype = np.dtype(kinds[0][1])
        self.ndim = len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def manifest(self) -> Iterator[tuple[int, str, str]]:
        """Yield each row's number, the name of the picture or text it is of, and the SHA-256 of that."""
        row = 0
        for shard in self._shards:
            for name, key in zip(shard.names, shard.keys, strict=True):
                yield row, name, key
                row += 1

    def __getitem__(self, chosen: Any) -> np.ndarray:
        rows = np.asarray(np.arange(len(self), dtype=np.int64)[chosen], dtype=np.int64)
        return self._read(rows[None])[0] if rows.ndim == 0 else self._read(rows)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("rows on disk cannot become an array without a copy")
        whole = self._read(np.arange(len(self)))
        return whole if dtype is None else whole.astype(dtype, copy=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": {}}  # a worker process maps the files itself

    def _read(self, rows: NDArray[np.int64]) -> np.ndarray:
        taken = np.empty((len(rows), *self.shape[1:]), dtype=self.dtype)
        shard = np.searchsorted(self._ends, rows, side="right")
        for number in map(int, np.unique(shard)):
            here = np.flatnonzero(shard == number)
            first = int(self._ends[number]) - self._shards[number].shape[0]
            taken[here] = self._mapped(number)[rows[here] - first]
        return taken

    def _mapped(self, number: int) -> np.ndarray:
        if number not in self._open:
            if len(self._open) >= MAX_OPEN:
                self._open.pop(next(iter(self._open)))
            self._open[number] = self._shards[number].rows()
        return self._open[number]
