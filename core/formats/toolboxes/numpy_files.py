"""NumPy's .npy and .npz, and pickles of dicts and arrays that public EEG sets call .npy."""

from __future__ import annotations

import mmap
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..containers.array_contents import Contents, collect
from ..containers.mne_raw import read_quietly
from ..containers.restricted_unpickler import load_plain_pickle
from ..contract.signals import Head, Reader, ReadOptions, Signals
from ..contract.suffixes import SUFFIXES
from .arrays import signals_from

MAGIC = b"\x93NUMPY"
_PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_GROWS_AT_MOST = 64
_ALWAYS_ALLOWED = 64 << 20


def read_numpy(path: Path, options: ReadOptions) -> Signals:
    """Read an array, or the one that `options.variable` names; see `arrays.signals_from` for what is asked.

    Pickles are read by an unpickler that runs nothing. Raises ValueError where the file is damaged or holds more.
    """
    contents = Contents()
    with open(path, "rb") as file:
        magic = file.read(6)
    if magic.startswith(b"PK"):
        _zipped(path, contents)
    elif magic == MAGIC:
        _plain(path, contents)
    elif magic.startswith(_PICKLES):
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
            _pickled(path, contents, "data", whole[:])
    else:
        raise ValueError(f"{path}: not a NumPy file: it begins with neither '\\x93NUMPY' nor a zip's or pickle's mark")
    return signals_from(path, contents, options, [])


def _header(path: Path, file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    def read() -> Any:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            return np.lib.format.read_array_header_1_0(file)
        if version == (2, 0):
            return np.lib.format.read_array_header_2_0(file)
        raise ValueError(f"version {version} of NumPy's format")

    found, _ = read_quietly(path, "a NumPy array", read)
    return found


def _plain(path: Path, contents: Contents) -> None:
    with open(path, "rb") as file:
        shape, _, dtype = _header(path, file)
        at = file.tell()
        if dtype.hasobject:
            _pickled(path, contents, "data", file.read())
            return
    held, needed = path.stat().st_size - at, _n_bytes(path, shape, dtype)
    if held < needed:
        raise ValueError(f"{path}: cut off: its header tells of {needed} bytes of {shape} {dtype}, {held} are there")
    contents.add_array("data", shape, dtype, lambda: np.load(path, mmap_mode="r", allow_pickle=False))


def _zipped(path: Path, contents: Contents) -> None:
    limit = _ALWAYS_ALLOWED + _GROWS_AT_MOST * path.stat().st_size

    def read() -> None:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist()[:2000]:
                name = info.filename.removesuffix(".npy")
                if info.file_size > limit:
                    raise ValueError(f"{path}: {name} claims {info.file_size >> 20} MiB: damaged")
                with archive.open(info) as file:
                    shape, _, dtype = _header(path, file)
                    if dtype.hasobject:
                        _pickled(path, contents, name, file.read())
                        continue
                if _n_bytes(path, shape, dtype) > info.file_size:
                    raise ValueError(f"{path}: {name} is cut off: {shape} {dtype} in {info.file_size} bytes")
                contents.add_array(name, shape, dtype, lambda name=info.filename: _member(path, name))

    read_quietly(path, "a NumPy archive (cut off or damaged?)", read)


def _member(path: Path, name: str) -> np.ndarray:
    def read() -> np.ndarray:
        with zipfile.ZipFile(path) as archive, archive.open(name) as file:
            return np.lib.format.read_array(file, allow_pickle=False)

    return read_quietly(path, f"a NumPy archive (cut off or damaged {name}?)", read)[0]


def _pickled(path: Path, contents: Contents, name: str, content: bytes) -> None:
    try:
        value = load_plain_pickle(content)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    collect(contents, "" if isinstance(value, dict) else name, value)


def _n_bytes(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> int:
    count = 1
    for size in shape:
        count *= int(size)
    if count < 0 or dtype.itemsize <= 0:
        raise ValueError(f"{path}: an array of {shape} {dtype}: damaged")
    return count * dtype.itemsize


def _is_numpy(head: Head) -> bool:
    # a zip file of arrays only is .npz whatever it is called: what packs a recording was unpacked before
    pickled = head.start.startswith(_PICKLES) and head.path.suffix.lower() in (".npy", ".pkl", ".pickle")
    return (
        head.start.startswith(MAGIC)
        or pickled
        or (head.start.startswith(b"PK\x03\x04") and b".npy" in head.start[:300])
    )


READER = Reader(
    "numpy",
    SUFFIXES["numpy"],
    read_numpy,
    "NumPy arrays (.npy, .npz, plain pickles); rate and axes asked for",
    _is_numpy,
    "NumPy ('\\x93NUMPY' in the first bytes, or a zip of .npy)",
)
