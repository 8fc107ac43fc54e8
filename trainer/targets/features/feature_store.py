"""A folder of rows that grows: shards that are written whole or not at all, by any number of processes at once."""

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from .shard import Shard, read_shard, write_shard
from .stored_rows import StoredRows

LEFT_BEHIND_S = 24 * 3600  # a part file as old as this belongs to a process that was killed


class FeatureStore:
    """Rows by key in a folder, `<name from the keys>.safetensors` each.

    No lock is needed: a shard appears by renaming and is never changed. Where two processes have computed the same
    row, the first one that was seen here counts.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._shards: dict[str, Shard] = {}
        self._held: set[str] = set()
        self.refresh()

    def refresh(self) -> None:
        """Read the accounts of the shards that have come since; what is cut off (a power failure) is taken away."""
        for path in sorted(self.folder.glob("*.safetensors")):
            if path.name in self._shards:
                continue
            try:
                shard = read_shard(path)
            except FileNotFoundError:
                continue
            except ValueError:
                with suppress(OSError):
                    path.unlink()  # its rows are computed anew
                continue
            self._shards[path.name] = shard
            self._held.update(shard.keys)

    def __contains__(self, key: str) -> bool:
        return key in self._held

    def add(self, rows: np.ndarray, keys: Sequence[str], names: Sequence[str], about: Mapping[str, Any]) -> None:
        """Append rows (n, ...), less those that another process has appended meanwhile; see `write_shard`."""
        self.refresh()
        new = [number for number, key in enumerate(keys) if key not in self._held]
        if new:
            if len(new) < len(keys):
                rows, keys, names = rows[new], [keys[n] for n in new], [names[n] for n in new]
            write_shard(self.folder, rows, keys, names, about)
            self.refresh()

    def rows_of(self, keys: Iterable[str]) -> tuple[StoredRows, np.ndarray]:
        """Return the rows on disk and the row of each key (n,); raises KeyError for one that is not held."""
        where: dict[str, int] = {}
        row = 0
        for shard in self._shards.values():
            for key in shard.keys:
                where.setdefault(key, row)
                row += 1
        return StoredRows(tuple(self._shards.values())), np.array([where[key] for key in keys], dtype=np.int64)

    def sweep(self) -> None:
        """Take away the unfinished files of processes that were killed."""
        for path in self.folder.glob(".*.part"):
            with suppress(OSError):  # another process may be quicker
                if time.time() - path.stat().st_mtime > LEFT_BEHIND_S:
                    path.unlink()
