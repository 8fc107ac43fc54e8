"""What a MATLAB file of EEGLAB's holds, without reading its samples: names, sizes, and whether it is whole."""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..containers.hdf5 import MAGIC, attribute, check_size, child, opened, walk
from ..contract.signals import Head

_COMPRESSED, _MATRIX = 15, 14
_MOST_VARIABLES = 100_000
_FIELDS = ["nbchan", "pnts", "trials", "srate"]
_TOLD_TOO = ["xmin", "xmax", "times"]


@dataclass(frozen=True)
class Outline:
    """`data_file` is the name of the file with the samples, "" where they are inside; the rest as EEGLAB writes it.

    `step` is from one time to the next of `times` (NaN without), `lasting_s` from the first sample to the last.
    """

    n_channels: int
    n_times: int
    trials: int
    sfreq: float
    data_file: str
    is_hdf5: bool
    step: float = math.nan
    lasting_s: float = math.nan

    @property
    def data_bytes(self) -> int:
        """Bytes of all samples in a file of their own: float32."""
        return 4 * self.n_channels * self.n_times * self.trials


def is_hdf5(start: bytes) -> bool:
    """Whether a file's beginning is HDF5's, also behind the 512 bytes that MATLAB puts before it."""
    return start.startswith(MAGIC) or start[512:520] == MAGIC


def outline_of(path: Path) -> Outline:
    """Return a .set file's outline; ValueError where it is cut off or lacks EEGLAB's fields."""
    with open(path, "rb") as file:
        start = file.read(1024)
    check_whole(path, start)
    hdf5 = is_hdf5(start)
    try:
        found = _by_h5py(path) if hdf5 else _by_scipy(path)
    except (ModuleNotFoundError, MemoryError):
        raise
    except ValueError as error:
        if str(error).startswith(f"{path}:"):
            raise
        raise ValueError(f"{path}: cannot be read as a MATLAB file, it is damaged or cut off: {error}") from error
    except Exception as error:  # damaged files make both libraries fail in any way
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(f"{path}: cannot be read as a MATLAB file, it is damaged or cut off: {reason}") from error
    if missing := [name for name in ("nbchan", "pnts") if name not in found]:
        raise ValueError(f"{path}: not an EEGLAB file: a MATLAB file without {' and '.join(missing)}")
    numbers = {name: found.get(name, 1.0) for name in _FIELDS}
    if not all(math.isfinite(value) and 0 <= value < 2**48 for value in numbers.values()):
        raise ValueError(f"{path}: its {numbers} are no numbers of channels, samples, epochs and hertz")
    return Outline(
        n_channels=int(numbers["nbchan"]),
        n_times=int(numbers["pnts"]),
        trials=max(int(numbers["trials"]), 1),
        sfreq=float(numbers["srate"]),
        data_file=str(found.get("data", "")),
        is_hdf5=hdf5,
        step=_step(found.get("times"), int(numbers["pnts"])),
        lasting_s=found.get("xmax", math.nan) - found.get("xmin", math.nan),
    )


def _step(times: np.ndarray | None, n_times: int) -> float:
    """Return what lies between two times of the axis `times` on average, NaN where it does not fit the samples."""
    if times is None or len(times) != n_times or n_times < 3:
        return math.nan
    return float(times[-1] - times[0]) / (n_times - 1)


def check_whole(path: Path, start: bytes) -> None:
    """Raise ValueError where a MATLAB 5 or 7.3 file ends before its own end, as its headers tell it."""
    size = path.stat().st_size
    if is_hdf5(start):
        at = 0 if start.startswith(MAGIC) else 512
        # superblock 0 and 1: sizes of offsets at byte 13, then base, free space, end of file; MATLAB writes 8 bytes
        version, places = start[at + 8], {0: 24, 1: 28, 2: 12, 3: 12}
        if version in places and len(start) >= at + 64:
            first = at + places[version]
            end = struct.unpack("<Q", start[first + 16 : first + 24])[0]
            # the address counts from the superblock's base; where MATLAB's 512 bytes are in it has varied
            if size < end:
                raise ValueError(f"{path}: the file is cut off: {end - size} of its {end} bytes are missing")
        return
    if not start.startswith(b"MATLAB") or len(start) < 136:
        return
    order = "<" if start[126:128] == b"IM" else ">"
    at, number = 128, 0
    with open(path, "rb") as file:
        while at + 8 <= size and number < _MOST_VARIABLES:
            file.seek(at)
            kind, length = struct.unpack(f"{order}II", file.read(8))
            if kind not in (_COMPRESSED, _MATRIX):
                return
            at, number = at + 8 + length, number + 1
            if at > size:
                raise ValueError(
                    f"{path}: the file is cut off: {at - size} of {length} bytes of its variable number {number} are "
                    "missing"
                )
    if at < size and number < _MOST_VARIABLES:
        raise ValueError(f"{path}: cut off or damaged after its variable number {number}")


def _by_scipy(path: Path) -> dict[str, Any]:
    from scipy.io import loadmat, whosmat

    variables = {name: kind for name, _, kind in whosmat(path)}
    if "EEG" in variables:
        eeg = loadmat(path, variable_names=["EEG"], squeeze_me=True, struct_as_record=True)["EEG"]
        names = getattr(eeg.dtype, "names", None) or ()
        found = {name: eeg[name].item() for name in (*_FIELDS, *_TOLD_TOO, "data") if name in names}
    else:
        wanted = [name for name in (*_FIELDS, *_TOLD_TOO) if name in variables]
        wanted += ["data"] if variables.get("data") == "char" else []
        found = loadmat(path, variable_names=wanted, squeeze_me=True)
    return _tidy(found)


def _by_h5py(path: Path) -> dict[str, Any]:
    import h5py

    with opened(path) as file:
        # what reads the samples later believes every size and follows every link
        for where, item in walk(file):
            if isinstance(item, h5py.Dataset):
                check_size(path, where, item)
            elif any(not isinstance(item.get(name, getlink=True), h5py.HardLink) for name in item):
                raise ValueError(f"{path}: {where} links to another place, which no EEGLAB file does: not followed")
        group = child(file, "EEG") or file
        found: dict[str, Any] = {}
        for name in (*_FIELDS, *_TOLD_TOO):
            item = child(group, name)
            if isinstance(item, h5py.Dataset) and item.dtype.kind in "fiu" and (item.size == 1 or name == "times"):
                found[name] = np.asarray(item[()]).ravel()
        data = child(group, "data")
        is_text = isinstance(data, h5py.Dataset) and attribute(data, "MATLAB_class") == "char"
        if is_text and data.size is not None and data.size < 4096:
            found["data"] = "".join(chr(int(code)) for code in np.asarray(data[()]).ravel())
    return _tidy(found)


def _tidy(found: dict[str, Any]) -> dict[str, Any]:
    tidy: dict[str, Any] = {}
    for name in (*_FIELDS, "xmin", "xmax"):
        value = np.asarray(found.get(name, np.nan))
        if value.size == 1 and value.dtype.kind in "fiub" and np.isfinite(value).all():
            tidy[name] = float(value.item())
    times = np.asarray(found.get("times", np.zeros(0))).ravel()
    if times.dtype.kind in "fiu" and np.isfinite(times).all():
        tidy["times"] = times
    data = found.get("data", "")
    if isinstance(data, str) or (isinstance(data, np.ndarray) and data.dtype.kind in "US" and data.size == 1):
        tidy["data"] = str(data)
    return tidy


def is_eeglab(head: Head) -> bool:
    """Say whether a MATLAB file is EEGLAB's: its structure EEG, or its own variables, have EEGLAB's fields."""
    names = mat_names(head)
    return "nbchan" in names and ("EEG" in names or {"srate", "pnts"} <= names)


def mat_names(head: Head) -> set[str]:
    """Return the names of the variables that a MATLAB file's first 64 KiB show; none for other files.

    Of a structure EEG's fields, nbchan is named too.
    """
    start = head.start
    if is_hdf5(start[:1024]):
        return _names_in_hdf5(head)
    if not start.startswith(b"MATLAB"):
        return set()
    order = "<" if start[126:128] == b"IM" else ">"
    names, at = set(), 128
    while at + 8 <= len(start):
        kind, length = struct.unpack(f"{order}II", start[at : at + 8])
        body = start[at + 8 : at + 8 + min(length, 4096)]
        if kind == _COMPRESSED:
            try:
                inner = zlib.decompressobj().decompress(body, 8192)
            except zlib.error:
                break
            body = inner[8:]
        elif kind != _MATRIX:
            break
        names.add(name := _matrix_name(body, order))
        if name == "EEG" and b"nbchan\x00" in body:
            names.add("nbchan")
        at += 8 + length
    return names - {""}


def _matrix_name(body: bytes, order: str) -> str:
    """Return the name in a matrix element: after its flags (16 bytes) and its dimensions."""
    if len(body) < 32:
        return ""
    n_dims = struct.unpack(f"{order}I", body[20:24])[0]
    at = 24 + (n_dims + 7) // 8 * 8
    if n_dims > 128 or len(body) < at + 8:
        return ""
    small = struct.unpack(f"{order}I", body[at : at + 4])[0]
    if small >> 16:  # up to four characters lie in the tag itself
        name = body[at + 4 : at + 4 + (small >> 16)]
    else:
        name = body[at + 8 : at + 8 + struct.unpack(f"{order}I", body[at + 4 : at + 8])[0]]
    text = name.decode("latin-1").strip("\x00")
    # a matrix of numbers that someone called EEG is no EEGLAB data set, which is a structure (class 2)
    is_structure = struct.unpack(f"{order}I", body[8:12])[0] & 0xFF == 2
    return text if text != "EEG" or is_structure else ""


def _names_in_hdf5(head: Head) -> set[str]:
    """Names of links stand as text in a file, near the beginning of a small one."""
    if not head.start.startswith(b"MATLAB"):
        return set()
    return {name for name in ("EEG", "srate", "nbchan", "pnts") if head.holds(name.encode() + b"\x00")}
