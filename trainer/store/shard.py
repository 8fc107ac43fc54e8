"""One recording's windows in a file: a safetensors shard that describes itself and is read by memory map."""

import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save_file

from core.files import write_atomically

TENSOR = "eeg"
METADATA_KEY = "sd_eeg_shard"
MAX_HEADER_BYTES = 1 << 28


class CannotWrite(OSError):  # noqa: N818 (what the disk is, not a fault of the program)
    """The disk is full, or cannot be written to: not the fault of what was read."""


def write_shard(path: Path, eeg: np.ndarray, about: dict[str, Any]) -> None:
    """Write windows, float32 (n, n_channels, n_times) volts, and a JSON-able account of them, atomically.

    Raises CannotWrite where the disk is full or cannot be written to.
    """
    text = json.dumps(about, allow_nan=False)
    try:
        with write_atomically(path) as beside:
            save_file({TENSOR: np.ascontiguousarray(eeg, dtype=np.float32)}, beside, metadata={METADATA_KEY: text})
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise CannotWrite(f"{path} cannot be written: {reason}") from error


def write_shard_in_pieces(
    path: Path,
    shape: tuple[int, int, int],
    pieces: Iterable[np.ndarray],
    about: dict[str, Any],
    finish: Callable[[Callable[[np.ndarray], np.ndarray]], None] | None = None,
) -> None:
    """Write windows as `write_shard` does, from pieces (k, n_channels, n_times) that follow one another, of which no
    more than one is held.

    finish: called before the file takes its place, with a function that reads windows back by their numbers. Raises
    ValueError where the pieces are not `shape` together, CannotWrite where the disk is full.
    """
    n_bytes = 4 * math.prod(shape)
    header = {
        "__metadata__": {METADATA_KEY: json.dumps(about, allow_nan=False)},
        TENSOR: {"dtype": "F32", "shape": list(shape), "data_offsets": [0, n_bytes]},
    }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    start = 8 + len(text)
    try:
        with write_atomically(path) as beside:
            done = 0
            with open(beside, "wb") as file:
                file.write(len(text).to_bytes(8, "little") + text)
                for piece in pieces:
                    if piece.shape[1:] != tuple(shape[1:]):
                        raise ValueError(f"{path}: a piece of windows {piece.shape[1:]} among {shape[1:]}")
                    file.write(np.ascontiguousarray(piece, dtype="<f4").data)
                    done += len(piece)
            if done != shape[0]:
                raise ValueError(f"{path}: {done} windows came of {shape[0]}")
            if finish is not None:
                finish(lambda rows: read_rows(beside, start, (shape[1], shape[2]), rows))
    except OSError as error:
        raise CannotWrite(f"{path} cannot be written: {error.strerror or error}") from error


def read_rows(path: Path, start: int, window: tuple[int, int], rows: np.ndarray) -> np.ndarray:
    """Return windows by their numbers (k,), float32 (k, n_channels, n_times); see `read_rows_into`."""
    found = np.empty((len(rows), *window), dtype="<f4")
    read_rows_into(path, start, found, np.arange(len(rows)), np.asarray(rows, dtype=np.int64))
    return found


def read_rows_into(path: Path, start: int, found: np.ndarray, places: np.ndarray, rows: np.ndarray) -> None:
    """Read windows by their numbers (k,) into places (k,) of `found`, float32 (n, n_channels, n_times), contiguous.

    They are read and not mapped, so that memory does not grow with what was ever read. start: the byte at which the
    first window begins. ValueError where the file is cut off.
    """
    each = found[:1].nbytes
    if not len(rows) or not each:
        return
    cuts = np.flatnonzero((np.diff(rows) != 1) | (np.diff(places) != 1)) + 1
    with open(path, "rb", buffering=0) as file:
        for first, last in zip([0, *cuts.tolist()], [*cuts.tolist(), len(rows)], strict=True):
            file.seek(start + int(rows[first]) * each)
            wanted = found[places[first] : places[first] + last - first].data.cast("B")
            got = 0
            while got < len(wanted):  # one request gives 2 GiB at most
                if not (step := file.readinto(wanted[got:])):
                    raise ValueError(f"{path} is cut off; delete it and run prepare.py again")
                got += step


def read_about(path: Path) -> dict[str, Any]:
    """Return a shard's own account of itself. Raises ValueError for a file that is cut off or no shard."""
    return _header(path)[0]


def map_windows(path: Path) -> np.ndarray:
    """Return a shard's windows, float32 (n, n_channels, n_times), mapped from the file and not read.

    Raises FileNotFoundError where it is missing, ValueError where it is cut off or no shard.
    """
    shape, start = where(path)
    if 0 in shape:
        return np.zeros(shape, dtype=np.float32)
    return np.memmap(path, dtype="<f4", mode="r", offset=start, shape=shape)


def where(path: Path) -> tuple[tuple[int, int, int], int]:
    """Return the shape (n, n_channels, n_times) of a shard's windows and the byte at which they begin.

    Raises FileNotFoundError where it is missing, ValueError where it is cut off or no shard.
    """
    _, shape, start = _header(path)
    return shape, start


def _header(path: Path) -> tuple[dict[str, Any], tuple[int, int, int], int]:
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing from its trial store; run prepare.py again to make it anew")
    size = path.stat().st_size
    try:
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
                raise ValueError(f"a header of {length} bytes in a file of {size}")
            header = json.loads(file.read(length))
        tensor = header[TENSOR]
        about = json.loads(header["__metadata__"][METADATA_KEY])
        n, n_channels, n_times = (int(v) for v in tensor["shape"])
        first, last = (int(v) for v in tensor["data_offsets"])
        if tensor["dtype"] != "F32" or min(n, n_channels, n_times, first) < 0:
            raise ValueError(f"tensor {TENSOR!r} of {tensor['dtype']} {tensor['shape']}")
        if last - first != 4 * n * n_channels * n_times or 8 + length + last > size:
            raise ValueError(f"it ends before its {n} windows do")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"{path}: not a shard of a trial store, or cut off ({reason}); delete it and run prepare.py again"
        ) from error
    return about, (n, n_channels, n_times), 8 + length + first
