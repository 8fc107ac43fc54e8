"""XDF, what Lab Streaming Layer records: the EEG stream by its clock, the marker streams as events.

The container's chunks are walked first (https://github.com/sccn/xdf/wiki/Specifications), so that a damaged file is
understood before pyxdf is asked to make arrays of it; pyxdf reads the samples, joins the clocks and straightens them.
"""

from __future__ import annotations

import io
import logging
import math
import mmap
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ...missing_package import install_hint
from ..containers.mne_raw import read_quietly
from ..contract.clock import measured_rate
from ..contract.clock_events import clock_events
from ..contract.signals import NoEeg, Reader, ReadOptions, Signals
from ..contract.suffixes import SUFFIXES
from ..contract.units import VOLTS, canonical_unit
from .xdf_clock import join_clocks, needs_joining

MAGIC = b"XDF:"
_BOUNDARY = bytes.fromhex("43a546dccbf5410fb30ed5467383cbe4")
_BYTES = {"float32": 4, "double64": 8, "int8": 1, "int16": 2, "int32": 4, "int64": 8, "string": 2}
_MOST_CHANNELS = 16384
_MOST_HEADER = 16 << 20
_MARKERS = re.compile(r"marker|event|trigger|stim", re.IGNORECASE)
_TYPES = {"eog": "eog", "ecg": "ecg", "ekg": "ecg", "emg": "emg", "trigger": "stim", "stim": "stim", "markers": "stim"}
_NOT_EEG = {"misc", "aux", "acc", "accelerometer", "gyro", "gyroscope", "quality", "battery", "gsr", "ppg", "resp"}


@dataclass
class Stream:
    """One stream as its header tells of it, and how many samples its chunks hold."""

    id: int
    name: str
    type: str
    format: str
    n_channels: int
    sfreq: float
    n_samples: int = 0
    footer: bool = False
    chunks: list[tuple[int, int]] = field(default_factory=list)

    def __str__(self) -> str:
        rate = f"{self.sfreq:g} Hz" if self.sfreq else "irregular"
        shape = f"{self.n_channels} x {self.format}, {rate}, {self.n_samples} samples"
        return f"{self.name!r} ({self.type or 'no type'}, {shape})"


def read_xdf(path: Path, options: ReadOptions) -> Signals:
    """Read one EEG stream (`options.stream` names it by name, type or number where there are several) and all markers.

    The rate is the stream's nominal one; `stamps` are the samples' times after the clocks were joined. Events stand
    where the clocks say, so that drift and gaps do not shift them. Raises ValueError that lists the streams where none
    or several are EEG, and says where a file is damaged.
    """
    try:
        import pyxdf
    except ModuleNotFoundError as error:
        raise ValueError(f"{path}: for XDF files {install_hint(error)}") from error
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        streams, notes = walk(path, content)
        chosen = _chosen(path, list(streams.values()), options.stream)
        markers = [s for s in streams.values() if s is not chosen and s.n_samples and _is_marker(s)]
        if chosen.sfreq == 0 and chosen.n_samples < 2:
            raise ValueError(f"{path}: its stream {chosen} has no rate and no two samples to measure one")
        pieces = sorted(piece for stream in (chosen, *markers) for piece in stream.chunks)

        def once(**more: Any) -> list[Any]:
            # only the sound chunks of the streams that are wanted: videos and what is damaged stay away from the parser
            sound = io.BytesIO()
            sound.write(MAGIC)
            for start, stop in pieces:
                sound.write(content[start:stop])
            sound.seek(0)
            # jitter is dealt with in clock.py, which sees gaps of 0.1 s where pyxdf straightens up to 1 s
            return pyxdf.load_xdf(sound, dejitter_timestamps=False, **more)[0]

        def load() -> Any:
            with _quiet_log() as said:
                found = once()
                if needs_joining(found):
                    found = once(synchronize_clocks=False)
                    join_clocks(found)
                return found, said

        (found, said), warned = read_quietly(path, "XDF", load)
    by_id = {stream["info"]["stream_id"]: stream for stream in found}
    notes += [note for note in (*said, *warned) if "clock-segments differ" not in note]
    return _signals(path, chosen, by_id, markers, options, notes)


def _signals(
    path: Path, chosen: Stream, by_id: dict[int, Any], markers: list[Stream], options: ReadOptions, notes: list[str]
) -> Signals:
    stream = by_id[chosen.id]
    notes.append(f"stream {chosen}")
    series, stamps = np.asarray(stream["time_series"]), np.asarray(stream["time_stamps"], dtype=np.float64)
    if len(stamps) != len(series) or len(stamps) < 2 or not np.isfinite(stamps).all():
        raise ValueError(f"{path}: its stream {chosen} has {len(series)} samples and no timestamps that fit: damaged")
    resets = {int(first) for first, _ in stream["info"].get("clock_segments", ())}
    segments = (0, *sorted(start for start in resets if 0 < start < len(stamps)))
    if len(segments) > 1:
        notes.append(f"{len(segments) - 1} resets of the amplifier's clock: segments there")
    told = _text(_first({"": [(stream.get("footer") or {}).get("info")]}, ""), "sample_count")
    # recorders count a sample more or less than they write
    if told.isdigit() and int(told) > len(stamps) + 1:
        notes.append(f"its footer tells of {told} samples, {len(stamps)} are here: samples are missing")
    names, types, units, reference = _channels(stream["info"], chosen.n_channels, notes)
    wide = chosen.format in ("double64", "int32", "int64")
    data = np.ascontiguousarray(series.T, dtype=np.float64 if wide else np.float32)
    for row, unit in zip(data, units, strict=True):
        row *= VOLTS[unit] if unit else 1.0
    if n_offsets := len(stream["clock_values"]):
        notes.append(
            f"clocks joined by {n_offsets} measured offsets, varying by {np.ptp(stream['clock_values']) * 1e3:.3g} ms"
        )
    signals = Signals(
        data=data,
        sfreq=chosen.sfreq or measured_rate(stamps, segments)[0],
        ch_names=names,
        ch_types=types,
        units=units,
        sfreq_said="declared" if chosen.sfreq else "measured",
        stamps=stamps,
        segments=segments,
        reference=reference,
        notes=notes,
    )
    if not math.isfinite(signals.sfreq):
        if options.sfreq is None:
            raise ValueError(
                f"{path}: its stream {chosen} has no rate and its timestamps do not rise: say sfreq= (--sfreq)"
            )
        signals.sfreq = options.sfreq
    for marker in markers:
        events, outside = clock_events(signals, _labelled(by_id[marker.id]))
        name = marker.name or f"stream {marker.id}"
        signals.marker_events[f"{name} ({marker.id})" if name in signals.marker_events else name] = events
        if outside:
            notes.append(f"{outside} markers of {name!r} lie outside the EEG's samples or in a gap: left out")
    return signals


def walk(path: Path, content: mmap.mmap) -> tuple[dict[int, Stream], list[str]]:
    """Return the streams of an XDF file by number, with the places of their sound chunks, and what is wrong with it.

    Raises ValueError where it is no XDF file or has no streams.
    """
    if content[:4] != MAGIC:
        raise ValueError(f"{path}: not an XDF file: it does not begin with 'XDF:'")
    streams: dict[int, Stream] = {}
    notes: list[str] = []
    at, end = 4, len(content)
    while at < end:
        chunk = _chunk(content, at)
        trouble = "its length" if chunk is None else _take(path, content, at, *chunk, streams)
        if trouble is None:
            assert chunk is not None
            at = chunk[1]
            continue
        # the specification's boundary chunks are there to find the way back after damage
        after = content.find(_BOUNDARY, at)
        if after < 0 and (chunk is None or chunk[1] > end):
            notes.append(f"the file is cut off or damaged at byte {at}, inside a chunk: {end - at} bytes are of no use")
            break
        lost = (end if after < 0 else after + len(_BOUNDARY)) - at
        notes.append(f"damaged at byte {at} ({trouble}): {lost} bytes skipped")
        if len(notes) > 20:
            raise ValueError(f"{path}: damaged in more than 20 places; the first: {notes[0]}")
        at += lost
    if not streams:
        raise ValueError(f"{path}: no streams in it{': ' + notes[0] if notes else ''}")
    if open_ := [stream.name for stream in streams.values() if not stream.footer]:
        notes.append(f"no footer for {', '.join(open_[:6])}: the recorder was stopped hard, or the file is cut off")
    return streams, notes


def _chunk(content: mmap.mmap, at: int) -> tuple[int, int, int] | None:
    """Return where a chunk's content begins, where it ends, and its tag; None where that is no chunk."""
    size = content[at]
    if size not in (1, 4, 8) or at + 1 + size + 2 > len(content):
        return None
    length = int.from_bytes(content[at + 1 : at + 1 + size], "little")
    start = at + 1 + size
    tag = int.from_bytes(content[start : start + 2], "little")
    return (start + 2, start + length, tag) if length >= 2 and 1 <= tag <= 6 else None


def _take(
    path: Path, content: mmap.mmap, at: int, start: int, stop: int, tag: int, streams: dict[int, Stream]
) -> str | None:
    """Note what one chunk holds; return what is wrong with it, if anything."""
    if stop > len(content):
        return "its length"
    if tag in (1, 5):
        return None
    if stop - start < 4:
        return "its length"
    number = int.from_bytes(content[start : start + 4], "little")
    if tag == 2:
        if stop - start > _MOST_HEADER:
            return "a header of more than 16 MiB"
        stream = _stream(path, number, content[start + 4 : stop])
        stream.chunks.append((at, stop))
        streams[number] = stream
        return None
    known = streams.get(number)
    if known is None:
        return f"stream {number} has no header"
    if tag == 3:
        size = content[start + 4] if start + 4 < stop else 0
        if size not in (1, 4, 8):
            return "its number of samples"
        count = int.from_bytes(content[start + 5 : start + 5 + size], "little")
        if count * (1 + known.n_channels * _BYTES[known.format]) > stop - start - 5 - size:
            return "its number of samples"
        known.n_samples += count
    elif tag == 4 and (
        stop - start != 20 or not all(map(math.isfinite, struct.unpack_from("<dd", content, start + 4)))
    ):
        return "a clock offset"
    elif tag == 6:
        if b"<!" in content[start:stop] or not _is_xml(content[start + 4 : stop]):
            return "a footer"
        known.footer = True
    known.chunks.append((at, stop))
    return None


def _stream(path: Path, number: int, xml: bytes) -> Stream:
    from xml.etree import ElementTree

    # entities are no part of XDF, and a way to fill the memory
    if b"<!" in xml:
        raise ValueError(f"{path}: the header of stream {number} holds XML that XDF does not know")
    try:
        info = ElementTree.fromstring(xml.decode("utf-8", "replace"))
        told = {key: (info.findtext(key) or "").strip() for key in ("name", "type", "channel_format")}
        count, sfreq = int(info.findtext("channel_count") or ""), float(info.findtext("nominal_srate") or "")
    except (ElementTree.ParseError, ValueError) as error:
        raise ValueError(f"{path}: the header of stream {number} is damaged: {error}") from error
    if told["channel_format"] not in _BYTES or not 1 <= count <= _MOST_CHANNELS or not 0 <= sfreq <= 1e6:
        raise ValueError(
            f"{path}: the header of stream {number} claims {count} channels of {told['channel_format']!r} at "
            f"{sfreq} Hz: damaged"
        )
    return Stream(number, told["name"], told["type"], told["channel_format"], count, sfreq)


def _is_xml(text: bytes) -> bool:
    from xml.etree import ElementTree

    try:
        ElementTree.fromstring(text)
    except ElementTree.ParseError:
        return False
    return True


def _is_marker(stream: Stream) -> bool:
    return stream.format == "string" or bool(stream.sfreq == 0 and _MARKERS.search(stream.type))


def _chosen(path: Path, streams: list[Stream], asked: str | None) -> Stream:
    """Return the one EEG stream, or the one that was asked for by its name, type or number."""
    listed = "; ".join(map(str, streams))
    numeric = [stream for stream in streams if stream.format != "string"]
    if asked is not None:
        word = asked.strip().lower()
        for told in ([s for s in numeric if s.name.lower() == word], [s for s in numeric if str(s.id) == word]):
            if len(told) == 1:
                return told[0]
        fits = [s for s in numeric if word in (s.name.lower(), s.type.lower(), str(s.id))]
        if len(fits) != 1:
            which = "several streams" if fits else "no stream of numbers"
            raise ValueError(f"{path}: {which} {asked!r} (--stream); say its name or number. There are {listed}")
        return fits[0]
    full = [stream for stream in numeric if stream.n_samples > 1]
    eeg = [stream for stream in full if stream.type.lower() == "eeg"]
    if len(eeg) == 1:
        return eeg[0]
    if eeg:
        numbers = ", ".join(f"{s.id}: {s}" for s in eeg)
        raise ValueError(
            f"{path}: {len(eeg)} streams of EEG; say which: stream={eeg[0].name or eeg[0].id!r} (--stream). {numbers}"
        )
    raise NoEeg(
        f"{path}: no stream of type EEG has samples. There are {listed}. If one of them is EEG, say which: stream= "
        "(--stream)"
    )


def _channels(info: Any, count: int, notes: list[str]) -> tuple[list[str], list[str], list[str | None], str]:
    """Return names, types, units and the reference as the stream's description tells them."""
    described = _children(_first(_first(info, "desc"), "channels"), "channel")
    if described and len(described) != count:
        notes.append(f"it describes {len(described)} channels and holds {count}: descriptions not used")
        described = []
    names, types, units = [], [], []
    for i in range(count):
        about = described[i] if described else {}
        names.append(str(_text(about, "label") or _text(about, "name") or f"Ch{i + 1}").strip())
        kind = str(_text(about, "type") or "eeg").strip().lower()
        types.append("misc" if kind in _NOT_EEG else _TYPES.get(kind, "eeg"))
        units.append(canonical_unit(str(_text(about, "unit") or "")))
    if not any(_text(about, "label") for about in described):
        notes.append("the stream names no channels: say them with channels= (--channels)")
    reference = _text(_first(_first(info, "desc"), "reference"), "label")
    return names, types, units, f"{reference} (by the stream's description)" if reference else "as recorded"


def _children(node: Any, key: str) -> list[Any]:
    found = node.get(key) if isinstance(node, dict) else None
    return found if isinstance(found, list) else []


def _first(node: Any, key: str) -> Any:
    found = _children(node, key)
    return found[0] if found else {}


def _text(node: Any, key: str) -> str:
    found = _first(node, key)
    return found.strip() if isinstance(found, str) else ""


def _labelled(stream: Any) -> list[tuple[float, float, str]]:
    """Return a marker stream's samples as (time, 0, label); several channels are one label of several words."""
    found = []
    for time, values in zip(stream["time_stamps"], stream["time_series"], strict=False):
        label = " ".join(word for word in map(_word, values) if word)
        if label:
            found.append((float(time), 0.0, label))
    return found


def _word(value: Any) -> str:
    if isinstance(value, str):
        return " ".join(value.split())
    number = float(value)
    if not math.isfinite(number):
        return ""
    return str(int(number)) if number == int(number) else f"{number:g}"


@contextmanager
def _quiet_log() -> Iterator[list[str]]:
    """Keep pyxdf's log from the screen and yield what it says, as it comes."""
    said: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(" ".join(record.getMessage().split())[:300])

    log, handler = logging.getLogger("pyxdf"), Collect(logging.WARNING)
    before = log.propagate
    log.addHandler(handler)
    log.propagate = False
    try:
        yield said
    finally:
        log.removeHandler(handler)
        log.propagate = before


READER = Reader(
    "xdf",
    SUFFIXES["xdf"],
    read_xdf,
    "XDF, recorded from Lab Streaming Layer",
    lambda head: head.start.startswith(MAGIC),
    "XDF ('XDF:' in the first four bytes)",
)
