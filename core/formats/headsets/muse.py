"""muse-lsl CSV: timestamps, TP9, AF7, AF8, TP10, Right AUX, Marker0 in microvolts."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..containers.text_table import delimiter_of, first_lines, read_text_table, split_names
from ..contract.signals import Head, Reader, ReadOptions, Signals
from ..contract.suffixes import SUFFIXES
from ..contract.units import VOLTS

DOCUMENTED_SFREQ = 256.0


def read_muse(path: Path, options: ReadOptions) -> Signals:
    """Read a CSV as muse-lsl writes it: Marker columns are events, the file's own timestamps tell rate and gaps.

    Raises ValueError naming the header, the line or the timestamps that are not as expected.
    """
    first = (first_lines(path, 1) or [""])[0]
    delimiter = delimiter_of(first)
    names = split_names(first, delimiter)
    lowered = [name.lower() for name in names]
    if "timestamps" not in lowered or len(names) < 2:
        shown = [name[:40] for name in names[:8]]
        raise ValueError(f"{path}: not a muse-lsl CSV: its header is {shown}, without a 'timestamps' column")
    clock = lowered.index("timestamps")
    columns = [i for i in range(len(names)) if i != clock]
    table = read_text_table(path, delimiter=delimiter, skip=1, numbers=columns, exact=[clock], names=names)
    stamps = table.exact[0]
    if np.isfinite(stamps).sum() < 2 or not np.nanmax(stamps) > np.nanmin(stamps):
        raise ValueError(
            f"{path}: no two of its {table.n_rows} timestamps rise, so no sampling rate can be read from them"
        )
    names = [names[i] for i in columns]
    is_marker = [name.lower().startswith("marker") for name in names]
    for row, marker in zip(table.numbers, is_marker, strict=True):
        if not marker:
            row *= VOLTS["uV"]
    return Signals(
        data=table.numbers,
        sfreq=DOCUMENTED_SFREQ,
        sfreq_said="documented",
        stamps=stamps,
        ch_names=names,
        ch_types=["marker" if marker else "eeg" for marker in is_marker],
        units=[None if marker else "uV" for marker in is_marker],
        units_said="assumed",
        units_why="muse-lsl writes uV",
        reference="as recorded (Fpz on a Muse)",
        notes=table.remarks(),
    )


def _is_muse(head: Head) -> bool:
    first = (head.lines(1) or [""])[0].lower()
    names = split_names(first, delimiter_of(first))
    return "timestamps" in names and {"tp9", "tp10"} <= set(names)


READER = Reader(
    "muse",
    SUFFIXES["muse"],
    read_muse,
    "muse-lsl CSV",
    _is_muse,
    "muse-lsl (a CSV with timestamps, TP9, TP10)",
)
