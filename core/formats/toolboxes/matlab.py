"""MATLAB's .mat files, versions 4, 5 to 7 (scipy) and 7.3 (HDF5): any numbers in them, by dotted names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..containers import hdf5
from ..containers.array_contents import Contents, collect
from ..containers.mne_raw import read_quietly
from ..contract.signals import Head, Reader, ReadOptions, Signals
from ..contract.suffixes import SUFFIXES
from .arrays import signals_from
from .mat_outline import check_whole, is_hdf5

_MOST_CELLS = 20_000


def read_matlab(path: Path, options: ReadOptions) -> Signals:
    """Read the array that `options.variable` names ("EEG.data"); see `arrays.signals_from` for what is asked.

    Raises ValueError where the file is no MATLAB file, is cut off or damaged, or does not say what is asked.
    """
    with open(path, "rb") as file:
        start = file.read(1024)
    contents, notes = Contents(), []
    check_whole(path, start)
    if is_hdf5(start):
        with hdf5.opened(path) as file:
            _from_hdf5(path, file, contents)
            return signals_from(path, contents, options, notes)

    def read() -> Any:
        from scipy.io import loadmat

        return loadmat(path, simplify_cells=True, chars_as_strings=True)

    found, said = read_quietly(path, "MATLAB (damaged or cut off?)", read)
    for name, value in found.items():
        if not name.startswith("__"):
            collect(contents, name, value)
    return signals_from(path, contents, options, [*notes, *said])


def _from_hdf5(path: Path, file: Any, contents: Contents) -> None:
    import h5py

    for where, item in hdf5.walk(file):
        if where.startswith("#") or not isinstance(item, h5py.Dataset):
            continue
        name, kind = where.replace("/", "."), str(hdf5.attribute(item, "MATLAB_class", ""))
        if kind == "char":
            contents.texts[name] = _chars(path, where, item)
        elif item.dtype.kind == "O" and h5py.check_ref_dtype(item.dtype) is not None:
            _cells(path, where, item, name, contents)
        elif item.dtype.kind in "iufb" and "MATLAB_empty" not in item.attrs:
            turned = bool(kind)  # MATLAB writes its columns as HDF5's rows
            shape = tuple(item.shape[::-1] if turned else item.shape)
            hdf5.check_size(path, where, item)
            contents.add_array(name, shape, item.dtype, lambda i=item, w=where, t=turned: _numbers(path, w, i, t))
        elif item.dtype.kind in "SO" and (told := hdf5.texts(path, where, item)):
            contents.texts[name] = [" ".join(text.split())[:200] for text in told]


def _numbers(path: Path, where: str, item: Any, turned: bool) -> np.ndarray:
    values = hdf5.numbers(path, where, item)
    return values.T if turned else values


def _chars(path: Path, where: str, item: Any) -> list[str]:
    if item.dtype.kind not in "iu" or item.size > 200 * _MOST_CELLS:
        return []
    codes = np.atleast_2d(hdf5.numbers(path, where, item).T).astype("<u2")
    rows = codes.reshape(-1, codes.shape[-1])
    return [row.tobytes().decode("utf-16-le", "replace").strip("\x00 ") for row in rows]


def _cells(path: Path, where: str, item: Any, name: str, contents: Contents) -> None:
    """Take a cell array, or a field of a structure array: texts or numbers, one a cell."""
    import h5py

    if item.size > _MOST_CELLS:
        return
    values: list[Any] = []
    for reference in np.asarray(item[()]).T.ravel():
        cell: Any = item.file[reference] if reference else None
        if not isinstance(cell, h5py.Dataset) or cell.dtype is None:
            return
        if hdf5.attribute(cell, "MATLAB_class", "") == "char":
            values.append(" ".join(_chars(path, where, cell)))
        elif cell.dtype.kind in "iuf" and "MATLAB_empty" not in cell.attrs:
            numbers = hdf5.numbers(path, where, cell).T
            values.append(numbers.item() if numbers.size == 1 else numbers)
        else:
            return
    collect(contents, name, values)


def _is_matlab(head: Head) -> bool:
    # EEGLAB's .set files are MATLAB files too; their own reader has them
    return head.start.startswith(b"MATLAB ") and not head.path.name.lower().endswith(".set")


def _is_hdf5(head: Head) -> bool:
    return is_hdf5(head.start)


READERS = (
    Reader(
        "matlab",
        SUFFIXES["matlab"],
        read_matlab,
        "MATLAB .mat, version 4 to 7.3; variable, rate and axes asked for",
        _is_matlab,
        "MATLAB ('MATLAB' in the first bytes)",
        isolated=True,
    ),
    Reader(
        "hdf5",
        SUFFIXES["hdf5"],
        read_matlab,
        "HDF5 arrays; variable, rate and axes asked for",
        _is_hdf5,
        "HDF5 (its mark)",
        general=True,
        isolated=True,
    ),
)
