"""Pickles of plain values whose large arrays stay on disk: what they hold is read without running anything, and an
array of gigabytes is a place in the file.
"""

# pyright: reportAttributeAccessIssue=false, reportUnknownMemberType=false
from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, ClassVar, cast

import numpy as np

from .restricted_unpickler import PlainUnpickler, plain_values

LEAST_ON_DISK = 1 << 20  # bytes; smaller arrays are read with the rest
_MAGIC = b"\x93NUMPY"
_PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


@dataclass(frozen=True)
class OnDisk:
    """Bytes of a file that have not been read."""

    at: int
    length: int


@dataclass(frozen=True)
class ArrayOnDisk:
    """An array of numbers inside a file: `dtype`, `shape`, where it begins, and whether the first axis runs fastest."""

    path: Path
    at: int
    dtype: np.dtype
    shape: tuple[int, ...]
    fortran: bool = False

    def rows(self, first: int, last: int) -> np.ndarray:
        """Return the part [first:last] of the first axis, read with one request; of arrays that lie so on disk."""
        if self.fortran and len(self.shape) > 1:
            raise ValueError(f"{self.path}: an array {self.shape} that lies column by column is not read by its rows")
        each = math.prod(self.shape[1:])
        found = np.fromfile(self.path, self.dtype, max(last - first, 0) * each, offset=self._byte(first * each))
        return found.reshape(-1, *self.shape[1:])

    def columns(self, rows: np.ndarray, first: int, last: int) -> np.ndarray:
        """Return rows (k,) of a matrix from column `first` to `last`: (k, last - first), and nothing else is read."""
        n_rows, n_columns = self.shape
        if self.fortran:
            block = np.fromfile(self.path, self.dtype, (last - first) * n_rows, offset=self._byte(first * n_rows))
            return block.reshape(last - first, n_rows)[:, rows].T
        found = np.empty((len(rows), last - first), self.dtype)
        with open(self.path, "rb", buffering=0) as file:
            for place, row in enumerate(rows):
                file.seek(self._byte(int(row) * n_columns + first))
                if file.readinto(found[place]) != found[place].nbytes:  # pyright: ignore[reportArgumentType]  # an array is a buffer
                    raise ValueError(f"{self.path} is cut off")
        return found

    def _byte(self, item: int) -> int:
        return self.at + item * self.dtype.itemsize


class _Bounded:
    """A file of which no more is asked than it has: a length in a damaged file claims any memory."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self.file, self.size = file, size

    def read(self, n: int = -1) -> bytes:
        left = self.size - self.file.tell()
        return self.file.read(left if n < 0 else min(n, left))

    def readline(self) -> bytes:
        return self.file.readline(LEAST_ON_DISK)


class _OnDiskUnpickler(PlainUnpickler):
    """Leaves long bytes where they are, outside of frames, where every writer puts them."""

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {**PlainUnpickler.dispatch}

    def __init__(self, file: IO[bytes], size: int) -> None:
        super().__init__(cast(Any, _Bounded(file, size)), size)
        self.file, self.size = file, size

    def take(self, n_length: int, as_array: bool = False) -> None:
        length = int.from_bytes(self.read(n_length), "little")
        frame = self._unframer.current_frame
        if frame is None and length >= LEAST_ON_DISK:
            at = self.file.tell()
            if at + length > self.size:
                raise EOFError
            self.file.seek(length, 1)
            self.append(OnDisk(at, length))
            return
        if length > self.size:
            raise EOFError
        content = self.read(length)
        if len(content) < length:
            raise EOFError
        self.append(bytearray(content) if as_array else content)


_OnDiskUnpickler.dispatch[pickle.BINBYTES[0]] = lambda self: self.take(4)
_OnDiskUnpickler.dispatch[pickle.BINBYTES8[0]] = lambda self: self.take(8)
_OnDiskUnpickler.dispatch[pickle.BYTEARRAY8[0]] = lambda self: self.take(8, as_array=True)


def read_npy(path: Path) -> Any:
    """Return what a `.npy` holds, be it an array, a dict that NumPy pickled or a bare pickle; arrays of a mebibyte or
    more are `ArrayOnDisk`.

    Raises FileNotFoundError where there is none, and ValueError where it is damaged or names anything but plain values
    and arrays of numbers: nothing in it is ever run.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing")
    size = path.stat().st_size
    with open(path, "rb") as file:
        head = file.read(6)
        file.seek(0)
        if head == _MAGIC:
            try:
                version = np.lib.format.read_magic(file)
                reader = np.lib.format.read_array_header_1_0 if version[0] == 1 else np.lib.format.read_array_header_2_0
                shape, fortran, dtype = reader(file)
            except Exception as error:  # damaged headers end in errors of many classes
                raise ValueError(f"{path} is not a NumPy array, or its header is damaged") from error
            if not dtype.hasobject:
                if file.tell() + math.prod(shape) * dtype.itemsize > size:
                    raise ValueError(f"{path} is cut off: its header tells of {shape} {dtype}")
                return ArrayOnDisk(path, file.tell(), dtype, shape, fortran)
        elif not head.startswith(_PICKLES):
            raise ValueError(f"{path} is not a NumPy file: it begins with neither '\\x93NUMPY' nor a pickle's mark")
        return read_pickle_at(path, file.tell(), size - file.tell())


def read_pickle_at(path: Path, start: int, length: int) -> Any:
    """Return what a pickle inside a file holds; see `read_npy`, which says what is raised."""
    with open(path, "rb") as file:
        file.seek(start)
        try:
            return plain_values(
                _OnDiskUnpickler(file, start + length).load,
                lambda dtype, shape, raw, fortran: _array(path, dtype, shape, raw, fortran),
            )
        except ValueError as error:
            raise ValueError(
                f"{path}: {error}. Nothing in a file is ever run here; take it from the authors' own download"
            ) from error


def _array(path: Path, dtype: np.dtype, shape: tuple[int, ...], raw: Any, fortran: bool) -> ArrayOnDisk | None:
    if not isinstance(raw, OnDisk):
        return None
    if math.prod(shape) * dtype.itemsize != raw.length:
        raise ValueError(f"an array of {shape} {dtype} in {raw.length} bytes: cut off")
    return ArrayOnDisk(path, raw.at, dtype, shape, fortran)
