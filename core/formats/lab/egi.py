"""EGI's simple binary files (.raw), which NetStation exports."""

from __future__ import annotations

import struct
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from ...recording import Event
from ..containers.companions import under_names
from ..containers.mne_raw import load_samples, read_quietly, signals_from_raw
from ..containers.truncated import cut_off, whole_part
from ..contract.signals import Head, Reader, ReadOptions, Signals
from ..contract.suffixes import SUFFIXES

_HEADER = struct.Struct(">i6hi5hih")
_SAMPLE_BYTES = {2: 2, 4: 4, 6: 8}


def read_simple_binary(path: Path, options: ReadOptions) -> Signals:
    """Read a continuous simple binary file: microvolts; each of its event tracks gives an event where it rises.

    Numbers of the converter are microvolts times range / 2^bits, as EGI documents it (MNE 1.13 takes that for volts).
    A file that was cut off is read up to its last whole sample. Raises ValueError for segmented files and odd headers.
    """
    import mne

    version, rate, n_channels, bits, span, n_samples, n_tracks, codes = _header(path)
    frame = (n_channels + n_tracks) * _SAMPLE_BYTES[version]
    first = _HEADER.size + 4 * n_tracks
    n_whole = min((path.stat().st_size - first) // frame, n_samples)
    if n_whole <= 0:
        raise ValueError(f"{path}: holds no complete sample after its header: it is cut off, or only a header")
    notes = [cut_off(n_whole, n_samples, "samples", 1 / rate)] if n_whole < n_samples else []

    def once() -> Any:
        with ExitStack() as stack:
            named = path
            if n_whole < n_samples:
                patch = {30: struct.pack(">i", n_whole)}
                named = stack.enter_context(whole_part(path, "recording.raw", first + n_whole * frame, patch))
            elif path.suffix.lower() not in (".raw", ".egi"):
                named = stack.enter_context(under_names({"recording.raw": path})) / "recording.raw"
            return load_samples(path, mne.io.read_raw_egi(named, verbose="WARNING"))

    raw, warned = read_quietly(path, "EGI simple binary", once)
    signals = signals_from_raw(raw, [*notes, *warned])
    if bits and span:
        signals.data[:n_channels] *= 1e-6
    signals.units = ["uV" if kind == "eeg" else None for kind in signals.ch_types]
    # MNE's annotations mark each sample of a pulse, and not in all of its versions; the tracks are read here
    tracks = {name: row for name, row in zip(signals.ch_names, signals.data, strict=True) if name in codes}
    signals.events = sorted(
        (Event(int(at) / rate, 0.0, name.strip()) for name, row in tracks.items() for at in _rises(row)),
        key=lambda event: event.onset,
    )
    signals.event_source = "event tracks"
    rows = [i for i, kind in enumerate(signals.ch_types) if kind != "stim"]
    signals.dropped = {name: "triggers" for name in codes if name in signals.ch_names}
    return _only(signals, rows)


def _only(signals: Signals, rows: list[int]) -> Signals:
    signals.data = signals.data[rows]
    signals.ch_names = [signals.ch_names[i] for i in rows]
    signals.ch_types = [signals.ch_types[i] for i in rows]
    signals.units = [signals.units[i] for i in rows]
    if signals.positions is not None:
        signals.positions = signals.positions[rows]
    return signals


def _rises(row: np.ndarray) -> np.ndarray:
    on = row != 0
    return np.flatnonzero(on & ~np.concatenate([[False], on[:-1]]))


def _header(path: Path) -> tuple[int, int, int, int, int, int, int, list[str]]:
    with open(path, "rb") as file:
        raw = file.read(_HEADER.size)
        if len(raw) < _HEADER.size or not _plausible(raw):
            raise ValueError(
                f"{path}: not an EGI simple binary file: it does not start with version 2, 4 or 6 and a date"
            )
        fields = _HEADER.unpack(raw)
        version, rate, n_channels, bits, span, n_samples, n_tracks = (fields[i] for i in (0, 8, 9, 11, 12, 13, 14))
        codes = file.read(4 * max(n_tracks, 0))
    if version % 2:
        raise ValueError(f"{path}: a segmented EGI file (version {version}): export the recording as a continuous one")
    if not (0 < n_channels <= 4096 and rate > 0 and n_samples > 0 and 0 <= n_tracks <= 4096):
        raise ValueError(
            f"{path}: its header claims {n_channels} channels, {n_tracks} tracks of events, {n_samples} samples at "
            f"{rate} Hz"
        )
    names = [codes[i : i + 4].decode("latin-1") for i in range(0, len(codes), 4)]
    return version, rate, n_channels, bits, span, n_samples, n_tracks, names


def _plausible(raw: bytes) -> bool:
    version, year, month, day, hour, minute, second = struct.unpack(">i6h", raw[:16])
    in_range = 1 <= month <= 12 and 1 <= day <= 31 and 0 <= hour < 24 and 0 <= minute < 60 and 0 <= second < 61
    return 2 <= version <= 7 and 1970 <= year <= 2200 and in_range


def _is_simple_binary(head: Head) -> bool:
    return len(head.start) >= _HEADER.size and _plausible(head.start)


READER = Reader(
    "egi",
    SUFFIXES["egi"],
    read_simple_binary,
    "EGI simple binary, continuous",
    _is_simple_binary,
    "EGI simple binary (version 2 to 7 and a date)",
)
