"""HDF5 files looked at with care: no links out of the file, and no data set larger than its bytes could hold."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ...missing_package import install_hint

if TYPE_CHECKING:
    import h5py

MAGIC = b"\x89HDF\r\n\x1a\n"
MOST_BYTES = 16 << 30
_GROWS_AT_MOST = 64
_ALWAYS_ALLOWED = 64 << 20
_MOST_OBJECTS = 20_000
_MOST_TEXTS = 100_000


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading; ValueError in one line where h5py is missing, or the file damaged or cut off."""
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise ValueError(f"{path}: for HDF5 files {install_hint(error)}") from error
    try:
        with h5py.File(path, "r") as file:
            yield file
    except ValueError as error:
        if str(error).startswith(f"{path}:"):
            raise
        raise ValueError(f"{path}: damaged HDF5: {_one_line(error)}") from error
    except (OSError, RuntimeError, KeyError, TypeError, AttributeError, IndexError, OverflowError) as error:
        said = _one_line(error)
        cut = "cut off" if "truncated file" in said else "damaged HDF5, or cut off"
        raise ValueError(f"{path}: {cut}: {said[:200]}") from error


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def walk(group: h5py.Group) -> Iterator[tuple[str, Any]]:
    """Yield (path, object) of all groups and data sets below a group; links out of the file are passed over."""
    import h5py

    waiting, seen = [("", group)], 0
    visited = {_address(group)}
    while waiting:
        place, here = waiting.pop()
        # h5py's types say that a name may be missing
        for name in cast("Iterable[str]", here):
            if not isinstance(here.get(name, getlink=True), h5py.HardLink):
                continue
            item = here[name]
            address = _address(item)
            # a group may hold itself
            if address in visited:
                continue
            visited.add(address)
            if (seen := seen + 1) > _MOST_OBJECTS:
                raise ValueError(f"{group.file.filename}: more than {_MOST_OBJECTS} objects inside")
            where = f"{place}/{name}" if place else name
            yield where, item
            if isinstance(item, h5py.Group):
                waiting.append((where, item))


def _address(item: Any) -> Any:
    import h5py

    compiled: Any = h5py  # its low-level half says no types
    return compiled.h5o.get_info(item.id).addr


def child(group: Any, name: str) -> Any:
    """Return what a group holds under a name (hard links only), None where there is nothing."""
    import h5py

    if not isinstance(group, h5py.Group) or name not in group:
        return None
    return group[name] if isinstance(group.get(name, getlink=True), h5py.HardLink) else None


def check_size(path: Path, where: str, dataset: h5py.Dataset) -> None:
    """Raise ValueError where a data set lies outside the file or claims far more bytes than the file can hold."""
    if dataset.external or dataset.is_virtual:
        raise ValueError(f"{path}: {where} lies in other files; copy the data into one file")
    needed = math.prod(dataset.shape or (1,)) * dataset.dtype.itemsize
    if needed > min(MOST_BYTES, _ALWAYS_ALLOWED + _GROWS_AT_MOST * path.stat().st_size):
        raise ValueError(
            f"{path}: {where} claims {needed >> 20} MiB ({' x '.join(map(str, dataset.shape))}), which a file of "
            f"{path.stat().st_size >> 20} MiB does not hold: damaged"
        )


def numbers(path: Path, where: str, dataset: h5py.Dataset) -> np.ndarray:
    """Return a data set of numbers, whole; ValueError where it holds none or claims too much."""
    if dataset.dtype.kind not in "iufb":
        raise ValueError(f"{path}: {where} holds no real numbers but {dataset.dtype}")
    check_size(path, where, dataset)
    return np.asarray(dataset[()])


def texts(path: Path, where: str, dataset: h5py.Dataset) -> list[str]:
    """Return a data set of texts or numbers as texts; an empty list where it is neither or too long."""
    if dataset.dtype.kind not in "iufbSO" or math.prod(dataset.shape or (1,)) > _MOST_TEXTS:
        return []
    check_size(path, where, dataset)
    values = np.asarray(dataset[()]).ravel()
    return [value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in values.tolist()]


def attribute(item: Any, name: str, default: Any = None) -> Any:
    """Return an attribute as a plain value (text, number), `default` where it is not there or larger than 1 KiB."""
    if name not in item.attrs:
        return default
    info = item.attrs.get_id(name)
    if math.prod(info.shape or (1,)) > 1024:
        return default
    value = item.attrs[name]
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.ravel()[0]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.item() if isinstance(value, np.generic) else value
