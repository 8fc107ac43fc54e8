"""GDF 1 and 2 through MNE, with the units read from the header by ourselves (MNE knows uV, and mV only in GDF 2)."""

from __future__ import annotations

import struct
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...recording import Event
from ..containers.companions import under_names
from ..containers.mne_raw import load_samples, read_quietly, signals_from_raw
from ..containers.truncated import cut_off, whole_part, without
from ..contract.clock import FASTEST_HZ, SLOWEST_HZ
from ..contract.signals import Head, Reader, ReadOptions, Signals
from ..contract.suffixes import SUFFIXES
from ..contract.units import VOLTS, canonical_unit

# ISO 11073 codes: volts is 4256, and the low five bits are the power of ten
_CODES = {4256: "V", 4274: "mV", 4275: "uV", 4276: "nV", 0: "", 512: ""}
# GDF's numbers for the kinds of numbers (Schloegl 2006), and how many bytes each takes
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 8, 8: 8, 16: 4, 17: 8, 18: 16, 279: 3, 535: 3}


def read_gdf(path: Path, options: ReadOptions) -> Signals:
    """Read a GDF file: all rows in volts where the header says how; event codes become events labelled with them.

    A file that was cut off is read up to its last whole record. Raises ValueError saying what in the header is wrong.
    """
    header = read_header(path)
    size = path.stat().st_size
    n_whole = max((size - header.first_byte) // header.record_bytes, 0)
    if n_whole == 0:
        raise ValueError(f"{path}: holds no complete record of data after its header: it is cut off, or only a header")
    notes: list[str] = []
    # what follows the last record is the table of events, which may be longer than a record
    n_whole = min(n_whole, header.n_records) if header.n_records >= 0 else n_whole
    if header.n_records < 0:
        notes.append(f"its header leaves the number of records open (never closed?): all {n_whole} were read")
    elif n_whole < header.n_records:
        notes.append(
            cut_off(n_whole, header.n_records, "records", header.record_s) + ", and with them its table of events"
        )
    at_table = header.first_byte + header.n_records * header.record_bytes
    has_table, event_rate, n_events = False, 0.0, 0
    if n_whole == header.n_records:
        has_table, event_rate, n_events = _table_of_events(path, header, at_table, notes)
    raw, warned = _through_mne(path, header, n_whole, has_table)
    signals = signals_from_raw(raw, [*notes, *warned])
    if SLOWEST_HZ <= event_rate <= FASTEST_HZ and abs(event_rate / signals.sfreq - 1) > 1e-6:
        signals.events = _events_at(path, at_table, n_events, event_rate)
        signals.notes[:] = without(signals.notes, "outside data range")
        signals.notes.append(f"its events are counted at {event_rate:g} Hz, not at the signals' {signals.sfreq:g} Hz")
    if len(signals.ch_names) != len(header.units):
        raise ValueError(
            f"{path}: its header lists {len(header.units)} signals but {len(signals.ch_names)} could be read"
        )
    for i, (unit, factor) in enumerate(zip(header.units, header.applied, strict=True)):
        if signals.ch_types[i] == "eeg":
            signals.units[i] = unit
            signals.data[i] *= (VOLTS[unit] if unit else 1.0) / factor
    return signals


def _table_of_events(path: Path, header: GdfHeader, at: int, notes: list[str]) -> tuple[bool, float, int]:
    """Return whether the table of events holds all that it counts, its own rate, and their number; a note where not."""
    with open(path, "rb") as file:
        left = file.seek(0, 2) - at
        file.seek(at)
        start = file.read(8)
    if left == 0:
        return header.version >= 1.9, 0.0, 0  # MNE reads version 1 as if it always had one
    if len(start) == 8 and start[0] in (1, 3):
        if header.version < 1.94:
            rate, count = float(int.from_bytes(start[1:4], "little")), int.from_bytes(start[4:8], "little")
        else:
            rate, count = struct.unpack("<f", start[4:8])[0], int.from_bytes(start[1:4], "little")
        if 8 + count * (6 if start[0] == 1 else 12) <= left:
            return True, rate, count
    notes.append("its table of events is damaged or cut off: read without events")
    return False, 0.0, 0


def _events_at(path: Path, at: int, count: int, rate: float) -> list[Event]:
    """Return a table's events by its own rate: MNE takes the signals' and drops what then lies outside them."""
    with open(path, "rb") as file:
        file.seek(at)
        content = file.read(8 + 12 * count)
    with_durations = content[0] == 3
    places = np.frombuffer(content, "<u4", count, 8)
    codes = np.frombuffer(content, "<u2", count, 8 + 4 * count)
    lengths = np.frombuffer(content, "<u4", count, 8 + 8 * count) if with_durations else np.zeros(count)
    return [
        Event((float(place) - 1) / rate, float(length) / rate, str(int(code)))
        for place, code, length in zip(places, codes, lengths, strict=True)
    ]


def _through_mne(path: Path, header: GdfHeader, n_whole: int, has_table: bool) -> tuple[Any, list[str]]:
    import mne

    def once() -> Any:
        with ExitStack() as stack:
            named = path
            if not has_table:
                stop = header.first_byte + n_whole * header.record_bytes
                patch = {236: struct.pack("<q", n_whole)}
                # an empty table of events in either version's form
                tail = b"\x01" + bytes(7)
                named = stack.enter_context(whole_part(path, "recording.gdf", stop, patch, tail))
            elif path.suffix.lower() != ".gdf":
                named = stack.enter_context(under_names({"recording.gdf": path})) / "recording.gdf"
            return load_samples(path, mne.io.read_raw_gdf(named, verbose="WARNING"), whole=not header.one_rate)

    return read_quietly(path, "GDF", once)


@dataclass(frozen=True)
class GdfHeader:
    """What of a GDF header is needed before MNE reads it; `applied` is the factor that MNE multiplies each row by."""

    version: float
    n_records: int
    record_s: float
    first_byte: int
    record_bytes: int
    one_rate: bool
    units: tuple[str | None, ...]
    applied: tuple[float, ...]


def read_header(path: Path) -> GdfHeader:
    """Read a GDF header; ValueError says what in it is not as the format demands."""
    with open(path, "rb") as file:
        fixed = file.read(256)
        if not fixed.startswith(b"GDF ") or len(fixed) < 256:
            raise ValueError(f"{path}: not a GDF file: it does not start with 'GDF' and a whole header (cut off?)")
        try:
            version = float(fixed[4:8])
        except ValueError as error:
            raise ValueError(f"{path}: its GDF version is {fixed[4:8]!r}, not a number") from error
        old = version < 1.9
        n_signals = struct.unpack("<I", fixed[252:256])[0] if old else struct.unpack("<H", fixed[252:254])[0]
        if not 0 < n_signals <= 4096:
            raise ValueError(f"{path}: its GDF header claims {n_signals} signals")
        signals = file.read(256 * n_signals)
    if len(signals) < 256 * n_signals:
        raise ValueError(f"{path}: ends inside its own header ({256 + len(signals)} bytes for {n_signals} signals)")

    def column(at: int, width: int) -> list[bytes]:
        return [signals[at * n_signals + i * width : at * n_signals + (i + 1) * width] for i in range(n_signals)]

    n_records = struct.unpack("<q", fixed[236:244])[0]
    numerator, denominator = struct.unpack("<II", fixed[244:252])
    blocks = struct.unpack("<H", fixed[184:186])[0]
    first_byte = struct.unpack("<q", fixed[184:192])[0] if old else blocks * 256
    n_samples = np.array([int.from_bytes(raw, "little", signed=True) for raw in column(216, 4)])
    widths = [_TYPE_BYTES.get(int.from_bytes(raw, "little"), 0) for raw in column(220, 4)]
    record_bytes = int((n_samples * widths).sum())
    if (n_samples < 0).any() or not all(widths) or record_bytes <= 0 or first_byte < 256 * (1 + n_signals):
        raise ValueError(
            f"{path}: its GDF header claims {n_samples.tolist()[:8]} samples a record after {first_byte} bytes"
        )
    if old:
        texts = [raw.decode("latin-1") for raw in column(96, 8)]
        units = tuple(canonical_unit(text) for text in texts)
        applied = tuple(1e-6 if text.strip()[:2] == "uV" else 1.0 for text in texts)
    else:
        codes = [int.from_bytes(raw, "little") for raw in column(102, 2)]
        units = tuple(_CODES.get(code) for code in codes)
        applied = tuple({4275: 1e-6, 4274: 1e-3}.get(code, 1.0) for code in codes)
    return GdfHeader(
        version=version,
        n_records=n_records,
        record_s=numerator / denominator if denominator else 0.0,
        first_byte=first_byte,
        record_bytes=record_bytes,
        one_rate=len(set(n_samples.tolist())) == 1,
        units=units,
        applied=applied,
    )


def _is_gdf(head: Head) -> bool:
    return head.start.startswith(b"GDF ")


READER = Reader("gdf", SUFFIXES["gdf"], read_gdf, "GDF 1 and 2", _is_gdf, "GDF (the letters GDF)")
