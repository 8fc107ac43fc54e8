"""muse-lsl CSV, plain or gzipped: timestamps, TP9, AF7, AF8, TP10, Right AUX, Marker0 in microvolts."""

from __future__ import annotations

import gzip
import zlib
from io import StringIO
from itertools import pairwise
from pathlib import Path

import numpy as np

from .signals import Reader, Signals
from .units import VOLTS

DOCUMENTED_SFREQ = 256.0
_MAX_BYTES = 1 << 30
_GAP_S = 0.1


def read_muse(path: Path) -> Signals:
    """Read a CSV as muse-lsl writes it; Marker columns become events, jumps of more than 0.1 s become segments.

    The rate comes from the timestamps: these are rounded to milliseconds and arrive in bursts, so the span of long
    stretches is measured and not single intervals (whose median is 4 ms, 250 Hz, for a headset that runs at 256).
    Raises ValueError naming the line of the header or the numbers that are not as expected.
    """
    header, table = _read_table(path)
    lowered = [name.lower() for name in header]
    stamps = table[:, lowered.index("timestamps")]
    if len(stamps) < 2 or not np.isfinite(stamps).all():
        raise ValueError(f"{path}: its timestamps column has {np.isfinite(stamps).sum()} numbers in {len(stamps)} rows")
    gaps = np.flatnonzero(np.diff(stamps) > _GAP_S) + 1
    sfreq, rate_note = _rate(path, stamps, gaps)

    rows = [i for i, name in enumerate(lowered) if name != "timestamps"]
    names = [header[i] for i in rows]
    is_marker = [name.lower().startswith("marker") for name in names]
    data = np.ascontiguousarray(table[:, rows].T)
    for row, marker in zip(data, is_marker, strict=True):
        if not marker:
            row *= VOLTS["uV"]
    notes = [rate_note]
    if gaps.size:
        notes.append(
            f"{gaps.size} gaps of more than {_GAP_S:g} s in the timestamps: the recording is in segments there"
        )
    return Signals(
        data=data,
        sfreq=sfreq,
        ch_names=names,
        ch_types=["marker" if marker else "eeg" for marker in is_marker],
        units=[None if marker else "uV" for marker in is_marker],
        units_said="assumed",
        units_why="muse-lsl writes uV",
        segments=(0, *map(int, gaps)),
        reference="as recorded (Fpz on a Muse)",
        notes=notes,
    )


def _read_table(path: Path) -> tuple[list[str], np.ndarray]:
    unpack = gzip.open if path.name.lower().endswith(".gz") else open
    try:
        with unpack(path, "rb") as file:
            text = file.read(_MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: cannot be unpacked as gzip: {error}") from error
    if len(text) > _MAX_BYTES:
        raise ValueError(f"{path}: more than {_MAX_BYTES >> 20} MiB of text; cut it or save it in another format")
    try:
        decoded = text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not a text file, so not a CSV: {error.reason} at byte {error.start}") from error
    first, _, rest = decoded.partition("\n")
    header = [name.strip() for name in first.split(",")]
    if "timestamps" not in [name.lower() for name in header] or len(header) < 2:
        shown = [name[:40] for name in header[:8]]
        raise ValueError(f"{path}: not a muse-lsl CSV: its header is {shown}, without a 'timestamps' column")
    if not rest.strip():
        raise ValueError(f"{path}: a header and no rows")
    try:
        table = np.loadtxt(StringIO(rest), delimiter=",", ndmin=2)
    except ValueError:
        # blanks are legal (a marker column written late); words and ragged rows are not
        try:
            table = np.genfromtxt(StringIO(rest), delimiter=",", ndmin=2, missing_values="", invalid_raise=True)
        except ValueError as error:
            raise ValueError(
                f"{path}: its rows are not numbers in {len(header)} columns: {str(error)[:200]}"
            ) from error
    if table.shape[1] != len(header):
        raise ValueError(f"{path}: {len(header)} names in the header but {table.shape[1]} columns of numbers")
    return header, table


def _rate(path: Path, stamps: np.ndarray, gaps: np.ndarray) -> tuple[float, str]:
    edges = [0, *map(int, gaps), len(stamps)]
    start, stop = max(pairwise(edges), key=lambda span: span[1] - span[0])
    span = stamps[start:stop]
    if len(span) < 2 or span[-1] <= span[0]:
        raise ValueError(f"{path}: no two timestamps in a row that rise, so no sampling rate can be read from them")
    measured = (len(span) - 1) / (span[-1] - span[0])
    if abs(measured / DOCUMENTED_SFREQ - 1) <= 0.02:
        return DOCUMENTED_SFREQ, f"rate {measured:.3f} Hz by the timestamps, taken as Muse's documented 256 Hz"
    return float(measured), f"rate {measured:.3f} Hz by the timestamps (not Muse's documented 256 Hz)"


READER = Reader("muse", (".csv", ".csv.gz"), read_muse, "muse-lsl CSV, plain or gzipped")
