"""BrainVision: a .vhdr header with its .vmrk markers and .eeg data beside it, found again where they were renamed."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from ..containers.companions import bare_name, naming, same_name, under_names, with_suffix_of
from ..containers.mne_raw import load_samples, read_quietly, signals_from_raw
from ..containers.truncated import cut_off, without
from ..contract.signals import Head, Reader, ReadOptions, Signals
from ..contract.suffixes import SUFFIXES
from ..contract.units import VOLTS, canonical_unit
from .vhdr import Vhdr, last_marker, read_vhdr

_DATA = (".eeg", ".dat", ".avg", ".seg")
_NO_MARKERS = b"Brain Vision Data Exchange Marker File, Version 1.0\r\n[Common Infos]\r\n[Marker Infos]\r\n"
_BINARY = b"[Binary Infos]\r\nBinaryFormat=IEEE_FLOAT_32"


def read_brainvision(path: Path, options: ReadOptions) -> Signals:
    """Read a recording by its .vhdr, or by its .vmrk or data file where their header is beside them.

    MNE scales V, mV, uV and nV in one spelling each, takes a blank unit for uV, and marks every other unit as misc; the
    other spellings are scaled here. A file that was renamed is found where there is no doubt which it is. Raises
    FileNotFoundError or ValueError saying what is missing and what lies there instead.
    """
    notes: list[str] = []
    header_path = path if path.suffix.lower() == ".vhdr" or _starts_as_header(path) else None
    if header_path is None:
        header_path = _header_of(path)
        notes.append(f"its header is {header_path.name}, beside it")
    header = read_vhdr(header_path)
    data = _companion(header_path, header, "DataFile", _DATA, notes)
    if data is None:
        raise FileNotFoundError(_data_missing(header_path, header))
    markers = _companion(header_path, header, "MarkerFile", (".vmrk", ".mrk"), notes)
    if markers is None and header.common("MarkerFile"):
        notes.append(f"its markers {header.common('MarkerFile')!r} are missing beside it: read without events")

    notes += _about_length(header_path, header, data, markers)
    raw, warned = _through_mne(header_path, header, data, markers)
    signals = signals_from_raw(raw, [*notes, *without(warned, "outside data range", "MarkerFile")])
    signals.companions = tuple(file for file in (data, markers, header_path) if file is not None and file != path)
    for i, (_, _, text) in enumerate(header.channels):
        unit = canonical_unit(text) if text else "uV"
        if signals.ch_types[i] == "eeg":
            signals.units[i] = unit or "uV"
        elif signals.ch_types[i] == "misc" and unit:
            signals.ch_types[i], signals.units[i] = "eeg", unit
            signals.data[i] *= VOLTS[unit]
            signals.notes.append(f"{signals.ch_names[i]}: the unit written {text!r} was understood")
    return signals


def _through_mne(path: Path, header: Vhdr, data: Path, markers: Path | None) -> tuple[Any, list[str]]:
    """Return MNE's raw object and its warnings; where names are not as the header says, by links that are."""
    import mne

    plain = path.suffix == ".vhdr" and data == path.parent / header.common("DataFile") and not header.is_text
    plain = plain and (markers is not None and markers == path.parent / header.common("MarkerFile"))

    def once() -> Any:
        with ExitStack() as stack:
            named = path
            if not plain:
                text = path.read_bytes()
                samples: Path | bytes = data
                if header.is_text:
                    samples = _numbers(data, header).astype("<f4").tobytes()
                    text = re.sub(rb"(?i)\[ASCII Infos\]", _BINARY, text)
                    text = _set(_set(text, b"DataFormat", b"BINARY"), b"DataOrientation", b"MULTIPLEXED")
                text = _set(_set(text, b"DataFile", b"r.eeg"), b"MarkerFile", b"r.vmrk")
                marks: Path | bytes = markers if markers is not None else _NO_MARKERS
                named = stack.enter_context(under_names({"r.vhdr": text, "r.eeg": samples, "r.vmrk": marks})) / "r.vhdr"
                stack.enter_context(naming({str(named): str(path)}))
            return load_samples(path, mne.io.read_raw_brainvision(named, verbose="WARNING"))

    return read_quietly(path, "BrainVision", once)


def _set(text: bytes, key: bytes, value: bytes) -> bytes:
    """Return a header with an entry changed, or put under [Common Infos] where it was not there."""
    changed, count = re.subn(rb"(?im)^([ \t]*" + key + rb"[ \t]*=)[^\r\n]*", rb"\g<1>" + value, text, count=1)
    if count:
        return changed
    return re.sub(rb"(?i)(\[Common Infos\])", rb"\g<1>\r\n" + key + b"=" + value, text, count=1)


def _companion(path: Path, header: Vhdr, key: str, suffixes: tuple[str, ...], notes: list[str]) -> Path | None:
    """Return the file that a header's entry means, None where there is none or more than one it could be.

    By the name that it says; by the header's own name; or the only one of its kind that belongs to no other header.
    """
    said = header.common(key)
    if not said and key == "MarkerFile":
        return None
    name = bare_name(said.replace("$b", path.stem))
    if name and (found := same_name(path.parent / name)):
        if found.name != said:
            notes.append(f"its {key} says {said!r}: {found.name} was read")
        return found
    suffixes = (Path(name).suffix.lower(), *suffixes) if Path(name).suffix else suffixes
    nearby = [other for other in with_suffix_of(path.parent, suffixes) if other != path]
    fits = [other for other in nearby if other.stem.lower() == path.stem.lower()]
    if not fits:
        taken = _belong_to_others(path)
        fits = [other for other in nearby if other.name.lower() not in taken and other.stem.lower() not in taken]
    if key == "DataFile" and header.frame_bytes:
        fits = [other for other in fits if other.stat().st_size >= header.frame_bytes]
    if len(fits) != 1:
        return None
    notes.append(f"its {key} {said!r} is not there; {fits[0].name} was read, the only file that can be it (renamed?)")
    return fits[0]


def _belong_to_others(path: Path) -> set[str]:
    """Return the names (lower case) that other headers in the folder name, and those headers' stems."""
    taken = set()
    for other in with_suffix_of(path.parent, (".vhdr",)):
        if other.name == path.name:
            continue
        taken.add(other.stem.lower())
        try:
            entries = read_vhdr(other)
        except ValueError:
            continue
        for key in ("DataFile", "MarkerFile"):
            taken.add(bare_name(entries.common(key).replace("$b", other.stem)).lower())
    return taken - {""}


def _header_of(path: Path) -> Path:
    """Return the header of a data or marker file: the one of its name, or the only one that names it."""
    headers = with_suffix_of(path.parent, (".vhdr",))
    same = [header for header in headers if header.stem.lower() == path.stem.lower()]
    naming = [header for header in headers if _names(header, path)]
    found = naming if len(naming) == 1 else same
    if len(found) == 1:
        return found[0]
    there = f"there are {', '.join(header.name for header in headers[:6])}" if headers else "there is none"
    raise FileNotFoundError(
        f"{path}: a BrainVision recording is three files (.vhdr, .vmrk, .eeg), and the header of this one is missing "
        f"beside it ({there}); give the .vhdr, with the other two in its folder"
    )


def _names(header: Path, path: Path) -> bool:
    try:
        entries = read_vhdr(header)
    except ValueError:
        return False
    said = [bare_name(entries.common(key).replace("$b", header.stem)) for key in ("DataFile", "MarkerFile")]
    return path.name.lower() in [name.lower() for name in said]


def _data_missing(path: Path, header: Vhdr) -> str:
    there = [other.name for other in with_suffix_of(path.parent, _DATA)]
    found = f"; beside it are {', '.join(there[:6])}, any of which it could be: rename one" if there else ""
    return (
        f"{path}: its DataFile {header.common('DataFile')!r} is not beside it; a BrainVision recording is three files "
        f"(.vhdr, .vmrk, .eeg) and renaming one breaks the link{found}"
    )


def _about_length(path: Path, header: Vhdr, data: Path, markers: Path | None) -> list[str]:
    """Return what tells that the data were cut off: a stated length, a broken last sample, markers beyond the end."""
    if header.is_text or not header.frame_bytes:
        return []
    size, frame = data.stat().st_size, header.frame_bytes
    n_times, rest = divmod(size, frame)
    if n_times == 0:
        raise ValueError(
            f"{path}: {data.name} is cut off: its {size} bytes hold no sample of {len(header.channels)} channels"
        )
    stated = int(header.common("DataPoints")) if header.common("DataPoints").isdigit() else 0
    if header.vectorized and stated and stated > n_times:
        raise ValueError(
            f"{path}: {data.name} is cut off: it holds {size} bytes of {stated * frame}, and as its channels lie one "
            "after the other, the last ones are missing"
        )
    marked = last_marker(markers) if markers is not None else 0
    if stated > n_times:
        return [cut_off(n_times, stated, "samples")]
    if marked > n_times:
        whose = "the file is cut off, or its markers are another recording's"
        return [f"{whose}: it ends at sample {n_times}, its markers at {marked}"]
    return [f"the file is cut off inside its last sample ({rest} bytes of {frame})"] if rest else []


def _numbers(data: Path, header: Vhdr) -> np.ndarray:
    """Return data written as text, (n_times, n_channels), in the numbers of the file."""

    def info(key: str) -> str:
        return header.entries.get(("ascii infos", key), "")

    lines, columns = (int(info(key)) if info(key).isdigit() else 0 for key in ("skiplines", "skipcolumns"))
    comma = info("decimalsymbol") == ","
    rows = []
    with open(data, encoding="latin-1") as file:
        for number, line in enumerate(file):
            if number < lines or not line.strip():
                continue
            cells = (line.replace(",", ".") if comma else line.replace(",", " ")).replace(";", " ").split()[columns:]
            try:
                rows.append(np.array(cells, dtype=np.float32))
            except ValueError as error:
                raise ValueError(f"{data}: line {number + 1} holds text where a number belongs: {error}") from error
    lengths = {len(row) for row in rows}
    n_channels = len(header.channels)
    if len(lengths) != 1 or (len(rows) if header.vectorized else lengths.pop()) != n_channels:
        raise ValueError(
            f"{data}: {len(rows)} lines of {min(map(len, rows), default=0)} to {max(map(len, rows), default=0)} cells, "
            f"where {n_channels} channels {header.common('DataOrientation')} belong: cut off?"
        )
    table = np.vstack(rows)
    return table.T if header.vectorized else table


def _starts_as_header(path: Path) -> bool:
    with open(path, "rb") as file:
        return _is_text_file(file.read(200), b"header")


def _is_text_file(start: bytes, kind: bytes) -> bool:
    start = start[:200].lower()
    return kind in start and b"data exchange" in start and (b"brain vision" in start or b"brainvision" in start)


def _is_brainvision(head: Head) -> bool:
    return _is_text_file(head.start, b"header file") or _is_text_file(head.start, b"marker file")


READER = Reader(
    "brainvision",
    SUFFIXES["brainvision"],
    read_brainvision,
    "BrainVision (.vhdr with .vmrk and .eeg beside it)",
    _is_brainvision,
    "BrainVision (its header's or marker file's first line)",
)
