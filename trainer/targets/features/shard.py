"""Some rows in a file: a safetensors shard that says of what each row is, written atomically, read by memory map."""

import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.files import write_atomically

TENSOR = "rows"
METADATA_KEY = "sd_eeg_rows"
DTYPES = {"F16": "<f2", "F32": "<f4"}
MAX_HEADER_BYTES = 1 << 28


@dataclass(frozen=True)
class Shard:
    """A shard's account of itself: the key (SHA-256) and the name of what each row is of, and where the rows lie."""

    path: Path
    keys: tuple[str, ...]
    names: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    offset: int

    def rows(self) -> np.ndarray:
        """Return the rows (n, ...), mapped from the file and not read."""
        return np.memmap(self.path, dtype=self.dtype, mode="r", offset=self.offset, shape=self.shape)


def write_shard(
    folder: Path, rows: np.ndarray, keys: Sequence[str], names: Sequence[str], about: Mapping[str, Any]
) -> Path:
    """Write rows, float16 or float32 (n, ...), under a name made from their keys, and return the file.

    Two processes that have computed the same rows so write the same file. about: JSON-able, how the rows were made.
    Raises OSError, one sentence, where they cannot be written; there is then no such file, and no part of it.
    """
    path = folder / f"{hashlib.sha256(''.join(keys).encode()).hexdigest()[:24]}.safetensors"
    told = json.dumps({"names": list(names), "sha256": list(keys), "about": dict(about)}, allow_nan=False)
    rows = np.ascontiguousarray(rows)
    code = next(code for code, dtype in DTYPES.items() if rows.dtype == dtype)
    header = {
        "__metadata__": {METADATA_KEY: told},
        TENSOR: {"dtype": code, "shape": list(rows.shape), "data_offsets": [0, rows.nbytes]},
    }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    try:
        with write_atomically(path) as beside, open(beside, "wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            file.write(rows.data.cast("B"))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        if path.is_file():  # another process was quicker, and Windows lets nobody replace a file that is mapped
            return path
        raise OSError(
            f"{len(rows)} rows of features could not be written to {folder} ({error.strerror or error}); "
            "what was written before is kept: make room and run it again"
        ) from error
    return path


def read_shard(path: Path) -> Shard:
    """Return a shard's account of itself. Raises ValueError for a file that is cut off or no shard."""
    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
                raise ValueError(f"a header of {length} bytes in a file of {size}")
            header = json.loads(file.read(length))
        told = json.loads(header["__metadata__"][METADATA_KEY])
        tensor = header[TENSOR]
        shape, dtype = tuple(int(n) for n in tensor["shape"]), DTYPES[tensor["dtype"]]
        first, last = (int(n) for n in tensor["data_offsets"])
        keys, names = tuple(map(str, told["sha256"])), tuple(map(str, told["names"]))
        if last - first != math.prod(shape) * np.dtype(dtype).itemsize or 8 + length + last > size or 0 in shape:
            raise ValueError(f"it ends before its rows {shape} do")
        if not len(keys) == len(names) == shape[0]:
            raise ValueError(f"{len(keys)} keys and {len(names)} names for {shape[0]} rows")
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise ValueError(f"{path}: no shard of features, or cut off ({' '.join(str(error).split())[:200]})") from error
    return Shard(path, keys, names, shape, dtype, 8 + length + first)
