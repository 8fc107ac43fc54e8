"""FIF, MNE's own: continuous or epochs, whole or split over several files, always in volts."""

from __future__ import annotations

import gzip
import re
import struct
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from ..containers.mne_raw import load_samples, read_quietly, signals_from_epochs, signals_from_raw
from ..containers.truncated import blank_skips, whole_part, without
from ..contract.signals import Head, Reader, ReadOptions, Signals
from ..contract.suffixes import SUFFIXES

_DIRECTORY_POINTER, _EPOCHS = 101, 373
# kind, type, size in bytes, place of the next tag (0: it follows, -1: it was the last)
_TAG = struct.Struct(">iiii")
_LAST = _TAG.pack(108, 0, 0, -1)


def read_fif(path: Path, options: ReadOptions) -> Signals:
    """Read a continuous FIF file with its further parts, or one of epochs (each becomes a segment with one event).

    A file that was cut off is read up to its last whole buffer. Raises ValueError where that leaves no samples.
    """
    packed = path.name.lower().endswith(".gz")
    notes, stop, kinds = _walk(path, packed)
    if _EPOCHS not in kinds and stop is not None and path.name.lower().endswith(("-epo.fif", "_epo.fif")):
        raise ValueError(f"{path}: {notes[0]}")
    (found, signals), warned = read_quietly(path, "FIF", lambda: _through_mne(path, stop, packed))
    notes += without(
        # a name that is not as MNE likes it is no news to whoever reads the file
        warned,
        "does not conform to MNE naming conventions",
        "Split raw file detected",
        "FIF tag directory missing",
    )
    signals = _with_letters(signals)
    signals.notes[:0] = notes
    if not hasattr(found, "first_time"):  # epochs
        return signals
    blank_skips(found, signals)
    # of a file read from a temporary place, MNE knows no parts
    signals.companions = tuple(Path(name) for name in found.filenames[1:] if name is not None and stop is None)
    if any("Split raw file detected" in note for note in warned):
        signals.notes.append(
            "the file is cut off: the next part of this split recording is missing beside it (renamed?)"
        )
    if before := _part_before(path):
        signals.notes.append(f"this is a later part of a split recording, which begins in {before.name}")
    return signals


def _with_letters(signals: Signals) -> Signals:
    """Undo what MNE makes of letters that Latin-1 lacks when it writes: references such as &#353;."""

    def read(text: str) -> str:
        return re.sub(r"&#(\d{3,6});", lambda found: chr(int(found[1])).encode(errors="replace").decode(), text)

    signals.events = [replace(event, label=read(event.label)) for event in signals.events]
    signals.ch_names = [read(name) for name in signals.ch_names]
    return signals


def _through_mne(path: Path, stop: int | None, packed: bool) -> tuple[Any, Signals]:
    """Return MNE's object and what it holds, which in a damaged file may fail too: a channel of no known kind."""
    import mne

    with ExitStack() as stack:
        named = path
        if stop is not None:
            patch = {52: struct.pack(">i", -1)}  # where the second tag points to the directory, which is gone
            named = stack.enter_context(whole_part(path, "recording_raw.fif", stop, patch, _LAST))
        elif not path.name.lower().endswith((".fif", ".fif.gz")):
            suffix = ".fif.gz" if packed else ".fif"
            named = stack.enter_context(whole_part(path, f"recording_raw{suffix}", path.stat().st_size, {}))
        if path.name.lower().removesuffix(".gz").endswith(("-epo.fif", "_epo.fif")):
            epochs = mne.read_epochs(named, verbose="WARNING")
            return epochs, signals_from_epochs(epochs)
        try:
            raw = load_samples(path, mne.io.read_raw_fif(named, on_split_missing="warn", verbose="WARNING"))
            return raw, signals_from_raw(raw)
        except ValueError as error:
            if "No raw data" not in str(error):
                raise
            epochs = mne.read_epochs(named, verbose="WARNING")
            return epochs, signals_from_epochs(epochs)


def _walk(path: Path, packed: bool) -> tuple[list[str], int | None, set[int]]:
    """Follow a file's tags to its end: what there is to say, where the whole part stops if it was cut off, all kinds.

    Raises ValueError where the chain is damaged: tags that lead back, or a directory of places where no tag begins.
    """
    size = _unpacked_size(path) if packed else path.stat().st_size
    # of each tag 16 bytes are read: a buffer would read thousands
    with gzip.open(path, "rb") if packed else open(path, "rb", buffering=0) as file:
        at, places, kinds, directory = 0, {}, set(), -1
        while True:
            file.seek(at)
            header = file.read(_TAG.size)
            if len(header) < _TAG.size or at + _TAG.size > size:
                break
            kind, of_type, length, after = _TAG.unpack(header)
            end = at + _TAG.size + length
            if length < 0 or after < -1 or 0 < after < end:
                raise ValueError(f"{path}: a damaged FIF file: its tag at byte {at} leads nowhere")
            if end > size:
                break
            places[at] = (kind, of_type, length)
            kinds.add(kind)
            if kind == _DIRECTORY_POINTER and directory < 0 and length == 4:
                directory = struct.unpack(">i", file.read(4))[0]
            if after == -1 or (after == 0 and end == size):
                _check_directory(path, file, directory, places)
                return [], None, kinds
            at = after or end
    if len(places) < 3:
        raise ValueError(f"{path}: a FIF file that ends inside its own header: cut off")
    note = f"the file is cut off at byte {size}: what was recorded after that, and how much it was, is missing"
    return [note], at, kinds


def _check_directory(path: Path, file: BinaryIO | Any, at: int, places: dict[int, tuple[int, int, int]]) -> None:
    """Raise ValueError where the directory names places or sizes that the tags themselves do not have."""
    if at not in places:
        return
    file.seek(at + _TAG.size)
    raw = file.read(places[at][2])
    for i in range(0, len(raw) - len(raw) % _TAG.size, _TAG.size):
        kind, of_type, length, place = _TAG.unpack(raw[i : i + _TAG.size])
        if kind > 0 and places.get(place) != (kind, of_type, length):
            raise ValueError(
                f"{path}: a damaged FIF file: its directory tells of a tag at byte {place} that is not there"
            )


def _unpacked_size(path: Path) -> int:
    size = 0
    try:
        with gzip.open(path, "rb") as file:
            while block := file.read(1 << 20):
                size += len(block)
    except (EOFError, OSError) as error:
        raise ValueError(f"{path}: cannot be unpacked, it is damaged or cut off: {error}") from error
    return size


def _part_before(path: Path) -> Path | None:
    """Return the first part of a split recording of which `path` is a later one, by MNE's and BIDS's names of parts."""
    for pattern, first in ((r"-(\d+)(\.fif)$", r"\2"), (r"_split-0*([2-9]|[1-9]\d+)(_.*\.fif)$", r"_split-01\2")):
        other = path.with_name(re.sub(pattern, first, path.name))
        if other != path and other.is_file():
            return other
    return None


def _is_fif(head: Head) -> bool:
    # the first tag is the file's id (kind 100, type 31), 20 bytes long
    return head.start.startswith(b"\x00\x00\x00\x64\x00\x00\x00\x1f\x00\x00\x00\x14")


READER = Reader(
    "fif", SUFFIXES["fif"], read_fif, "FIF, continuous or epochs", _is_fif, "FIF (its first tag, the file's id)"
)
