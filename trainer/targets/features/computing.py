"""Rows that are missing are computed: pictures read and prepared in threads, a batch ahead of the model."""

import hashlib
import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from .feature_store import FeatureStore
from .stored_rows import StoredRows

BATCH = 32
FORMAT = 1  # of the rows on disk; a later one has folders of its own
SHARD_BYTES = 1 << 26  # rows held in memory before they are written
SHARD_SECONDS = 30.0  # as much work as a kill may cost
SHOWN_FROM = 200  # pictures or texts; fewer need no progress bar
DTYPES = {"float32": np.float32, "float16": np.float16}


class Item(Protocol):
    """A picture or a text: its key is the SHA-256 of what is in it, its name says which one it is."""

    @property
    def key(self) -> str:
        """64 hexadecimal digits."""
        ...

    @property
    def name(self) -> str:
        """The file, relative to the folder of pictures; the scene; the text."""
        ...

    def read(self) -> Any:
        """Return the picture, uint8 (H, W, 3), or the text."""
        ...


@dataclass(frozen=True)
class Model:
    """A loaded model: `prepare` makes of one picture or text what `encode` takes in a list of up to BATCH.

    prepare: called in threads. encode: returns rows (n, ...) on any device.
    """

    prepare: Callable[[Any], Any]
    encode: Callable[[list[Any]], Tensor]


def kept_rows(
    cache: Path,
    kind: str,
    numbers: Mapping[str, Any],
    items: Sequence[Item],
    load: Callable[[], Model],
    *,
    check: Callable[[tuple[int, ...]], object] = lambda shape: None,
    stored: str = "float32",
) -> tuple[StoredRows, np.ndarray]:
    """Return the rows of items, on disk, and each item's row (n,); rows that are not there are computed first.

    cache: rows lie in a folder of it that is named by `kind` and a hash of `numbers`: whatever changes a row other
    than the item itself (JSON-able). load: called where rows are missing. check: called with a row's shape before
    anything is kept, raises ValueError where it does not fit. stored: float32 or float16.

    What is done is kept when the rest is stopped, by an error or a kill. Under `accelerate launch` every process
    begins elsewhere and takes what the others have done. Raises ValueError where a value is too large for float16,
    OSError where the disk is full, and what `load` and reading raise.
    """
    folder = cache / f"{kind}-{hash_of({**numbers, 'stored': stored, 'format': FORMAT})[:20]}"
    store = FeatureStore(folder)
    missing = list({item.key: item for item in items if item.key not in store}.values())
    if missing:
        store.sweep()
        _compute(store, missing, load(), check, stored, {"kind": kind, **numbers})
    return store.rows_of(item.key for item in items)


def hash_of(value: Any) -> str:
    """Return the SHA-256 of a JSON-able value as hexadecimal digits."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


@torch.no_grad()
def _compute(
    store: FeatureStore,
    missing: list[Item],
    model: Model,
    check: Callable[[tuple[int, ...]], object],
    stored: str,
    about: Mapping[str, Any],
) -> None:
    waiting: list[np.ndarray] = []
    done: list[Item] = []
    last = time.monotonic()

    def keep() -> None:
        nonlocal last
        if done:
            rows = waiting[0] if len(waiting) == 1 else np.concatenate(waiting)
            keys, names = [item.key for item in done], [item.name for item in done]
            waiting.clear()  # whatever becomes of the writing, it is not tried twice
            done.clear()
            store.add(rows, keys, names, about)
        last = time.monotonic()

    batches = [missing[start : start + BATCH] for start in range(0, len(missing), BATCH)]
    first = _share(len(batches))
    batches = batches[first:] + batches[:first]
    try:
        with tqdm(total=len(missing), desc=str(about["kind"]), disable=len(missing) < SHOWN_FROM) as bar:
            for batch, prepared in _prepared(batches, model, store):
                if prepared is not None:
                    rows = _rows(model.encode(prepared), stored, check)
                    waiting.append(rows)
                    done += batch
                    if sum(part.nbytes for part in waiting) >= SHARD_BYTES or time.monotonic() - last > SHARD_SECONDS:
                        keep()
                bar.update(len(batch))
    except BaseException:
        with suppress(OSError):
            keep()
        raise
    keep()


def _prepared(
    batches: Sequence[Sequence[Item]], model: Model, store: FeatureStore
) -> Iterator[tuple[Sequence[Item], list[Any] | None]]:
    """Yield each batch with its prepared items, or with None where another process has appended them meanwhile."""
    ahead: deque[tuple[Sequence[Item], list[Future[Any]]]] = deque()

    def ready_made(item: Item) -> Any:
        return model.prepare(item.read())

    def wanted(batch: Sequence[Item]) -> bool:
        return any(item.key not in store for item in batch)

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for batch in [*batches, None]:
            if batch is not None and not wanted(batch):
                yield batch, None
                continue
            if batch is not None:
                ahead.append((batch, [pool.submit(ready_made, item) for item in batch]))
            while ahead and (len(ahead) > 1 or batch is None):
                ready, futures = ahead.popleft()
                yield ready, [future.result() for future in futures]


def _rows(found: Tensor, stored: str, check: Callable[[tuple[int, ...]], object]) -> np.ndarray:
    """Return a batch's rows as they are stored, once they have been found to fit."""
    check(tuple(found.shape[1:]))
    rows = found.detach().float().cpu().numpy()
    with np.errstate(over="ignore"):
        small = rows.astype(DTYPES[stored])
    if stored == "float16" and np.isinf(small).any() and np.isfinite(rows).all():
        raise ValueError(f"features of up to {np.abs(rows).max():g} do not fit float16; store them as float32")
    return small


def _share(n_batches: int) -> int:
    """Return the batch that this process of `accelerate launch` begins with."""
    rank, processes = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    return n_batches * (rank % processes) // processes if processes > 1 else 0
