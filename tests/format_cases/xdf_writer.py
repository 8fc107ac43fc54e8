"""XDF files by the specification's bytes (https://github.com/sccn/xdf/wiki/Specifications); no package writes them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np

BOUNDARY = bytes.fromhex("43a546dccbf5410fb30ed5467383cbe4")
FORMATS = {"float32": "<f4", "double64": "<f8", "int8": "<i1", "int16": "<i2", "int32": "<i4", "int64": "<i8"}


@dataclass
class XdfStream:
    """A stream to write: `values` (n_samples, n_channels), numbers or (for "string") lists of texts; stamps in seconds.

    `offsets` are pairs of measurement time and clock offset. `chunk` samples go into one chunk; only the first sample
    of a chunk carries its stamp where `deduced`.
    """

    name: str
    type: str
    sfreq: float
    stamps: np.ndarray
    values: Sequence
    format: str = "float32"
    labels: Sequence[str] = ()
    unit: str = ""
    types: Sequence[str] = ()
    offsets: Sequence[tuple[float, float]] = ()
    chunk: int = 64
    deduced: bool = False
    footer: bool = True
    count: int | None = None
    extra: str = ""

    @property
    def n_channels(self) -> int:
        return len(self.values[0]) if len(self.values) else max(len(self.labels), 1)


def varlen(number: int) -> bytes:
    if number < 256:
        return struct.pack("<BB", 1, number)
    return struct.pack("<BI", 4, number) if number < 2**32 else struct.pack("<BQ", 8, number)


def chunk(tag: int, content: bytes) -> bytes:
    return varlen(len(content) + 2) + struct.pack("<H", tag) + content


def header(number: int, stream: XdfStream) -> bytes:
    channels = "".join(
        f"<channel><label>{escape(label)}</label><unit>{escape(stream.unit)}</unit>"
        f"<type>{escape(stream.types[i] if stream.types else 'EEG')}</type></channel>"
        for i, label in enumerate(stream.labels)
    )
    described = f"<desc><channels>{channels}</channels>{stream.extra}</desc>" if channels or stream.extra else "<desc/>"
    xml = (
        f'<?xml version="1.0"?><info><name>{escape(stream.name)}</name><type>{escape(stream.type)}</type>'
        f"<channel_count>{stream.n_channels}</channel_count><nominal_srate>{stream.sfreq:g}</nominal_srate>"
        f"<channel_format>{stream.format}</channel_format>{described}</info>"
    )
    return chunk(2, struct.pack("<I", number) + xml.encode())


def samples(number: int, stream: XdfStream, start: int, stop: int) -> bytes:
    parts = [struct.pack("<I", number), varlen(stop - start)]
    for i in range(start, stop):
        parts.append(b"\x00" if stream.deduced and i > start else struct.pack("<Bd", 8, stream.stamps[i]))
        if stream.format == "string":
            for text in stream.values[i]:
                encoded = text.encode()
                parts += [varlen(len(encoded)), encoded]
        else:
            parts.append(np.asarray(stream.values[i]).astype(FORMATS[stream.format]).tobytes())
    return chunk(3, b"".join(parts))


def write_xdf(path: Path, *streams: XdfStream) -> Path:
    """Write headers, then all chunks and clock offsets as they came in time, a boundary now and then, footers."""
    parts = [b"XDF:", chunk(1, b'<?xml version="1.0"?><info><version>1.0</version></info>')]
    parts += [header(number, stream) for number, stream in enumerate(streams, 1)]
    timed: list[tuple[int, int, bytes]] = []
    for number, stream in enumerate(streams, 1):
        n_samples = len(stream.values)
        for k, start in enumerate(range(0, n_samples, stream.chunk)):
            timed.append((k, number, samples(number, stream, start, min(start + stream.chunk, n_samples))))
        for k, (time, offset) in enumerate(stream.offsets):
            timed.append((k, number, chunk(4, struct.pack("<Idd", number, time, offset))))
    for k, (_, _, part) in enumerate(sorted(timed, key=lambda item: item[:2])):
        if k % 10 == 9:
            parts.append(chunk(5, BOUNDARY))
        parts.append(part)
    for number, stream in enumerate(streams, 1):
        if stream.footer:
            count = len(stream.values) if stream.count is None else stream.count
            xml = f'<?xml version="1.0"?><info><sample_count>{count}</sample_count></info>'
            parts.append(chunk(6, struct.pack("<I", number) + xml.encode()))
    path.write_bytes(b"".join(parts))
    return path
