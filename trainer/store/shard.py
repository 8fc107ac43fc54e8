"""One recording's windows in a file: a safetensors shard that describes itself and is read by memory map."""

import json
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


def read_about(path: Path) -> dict[str, Any]:
    """Return a shard's own account of itself. Raises ValueError for a file that is cut off or no shard."""
    return _header(path)[0]


def map_windows(path: Path) -> np.ndarray:
    """Return a shard's windows, float32 (n, n_channels, n_times), mapped from the file and not read.

    Raises FileNotFoundError where it is missing, ValueError where it is cut off or no shard.
    """
    _, shape, start = _header(path)
    if 0 in shape:
        return np.zeros(shape, dtype=np.float32)
    return np.memmap(path, dtype="<f4", mode="r", offset=start, shape=shape)


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
