"""OpenBCI's text files: the GUI's recordings of versions 1 to 6 (Cyton, Daisy, Ganglion).

Layouts: OpenBCI_GUI's DataWriterODF (5 and later: a row of names) and DataLogging (4 and before: none).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..containers.sample_counter import lost_by_counter
from ..containers.text_table import delimiter_of, first_lines, read_text_table, split_names, unix_seconds
from ..contract.signals import Head, Reader, ReadOptions, Signals
from ..contract.suffixes import SUFFIXES
from ..contract.units import VOLTS
from .openbci_sd import READER as SD_READER
from .openbci_sd import is_sd_card

_DOCUMENTED_HZ = {4: 200.0, 8: 250.0, 16: 125.0}
_SEARCHED_LINES = 60
_LEFT_OUT = (("accel", "motion"), ("sample index", "bookkeeping"), ("timestamp", "bookkeeping"))


@dataclass(frozen=True)
class _Layout:
    """Which column is what, and what the header said."""

    names: list[str]
    skip: int
    delimiter: str
    sfreq: float | None
    board: str
    eeg: list[int]
    clock: int | None
    exact_clock: bool


def read_openbci(path: Path, options: ReadOptions) -> Signals:
    """Read the EXG channels in microvolts, the marker channel, the timestamps and what the sample index says is lost.

    Digital and analog inputs are rows that events can be taken from. Raises ValueError for the GUI's file of auxiliary
    data, and where the columns are not those of its layout.
    """
    layout = _layout(path, first_lines(path, _SEARCHED_LINES))
    lowered = [name.lower() for name in layout.names]
    markers = [i for i, name in enumerate(lowered) if name.startswith("marker")]
    inputs = [i for i, name in enumerate(lowered) if name.startswith(("digital", "analog"))]
    rows = [*layout.eeg, *markers, *inputs]
    exact = [0] if layout.clock is None or not layout.exact_clock else [0, layout.clock]
    table = read_text_table(
        path,
        delimiter=layout.delimiter,
        skip=layout.skip,
        numbers=rows,
        exact=exact,
        clocks=[] if layout.clock is None or layout.exact_clock else [layout.clock],
        comment="%",
        names=layout.names,
    )
    data, index = table.numbers, table.exact[0]
    stamps = None
    if layout.clock is not None:
        stamps = unix_seconds(table.exact[1] if layout.exact_clock else _past_midnight(table.clocks[0]))
    notes = table.remarks()
    n_eeg = len(layout.eeg)
    twice = _repeated(data[:n_eeg], index)
    if twice is not None:
        data, index = data[:, ~twice], index[~twice]
        stamps = None if stamps is None else stamps[~twice]
        notes.append(f"every row stood there twice (Daisy at {layout.sfreq or 125:g} Hz): one of each pair is taken")
    for row in data[:n_eeg]:
        row *= VOLTS["uV"]
    lost = lost_by_counter(index)
    board = f", {layout.board}" if layout.board else ""
    return Signals(
        data=data,
        sfreq=layout.sfreq or _DOCUMENTED_HZ.get(n_eeg, np.nan),
        sfreq_said="declared" if layout.sfreq else "documented",
        stamps=stamps,
        lost=None if lost is None else lost[0],
        ch_names=[f"EXG Channel {i}" for i in range(n_eeg)] + [layout.names[i] for i in rows[n_eeg:]],
        ch_types=["eeg"] * n_eeg + ["marker"] * len(markers) + ["misc"] * len(inputs),
        units=["uV"] * n_eeg + [None] * (len(rows) - n_eeg),
        units_said="assumed",
        units_why=f"the OpenBCI GUI writes uV{board}",
        reference="as recorded (SRB)",
        dropped={name: _left_out(name) for i, name in enumerate(layout.names) if i not in rows and name},
        notes=notes,
    )


def _layout(path: Path, lines: list[str]) -> _Layout:
    said = "\n".join(line for line in lines if line.startswith("%"))
    if "Raw Aux Data" in said:
        raise ValueError(f"{path}: the GUI's auxiliary data, no EEG: load the OpenBCI-RAW file recorded with it")
    rate = re.search(r"%\s*Sample Rate\s*=\s*(\d+(?:[.,]\d+)?)", said, re.IGNORECASE)
    count = re.search(r"%\s*Number of channels\s*=\s*(\d{1,3})\b", said, re.IGNORECASE)
    board = re.search(r"%\s*Board\s*=\s*(?:OpenBCI_GUI\$)?(\w+)", said, re.IGNORECASE)
    sfreq = float(rate[1].replace(",", ".")) if rate else 0.0
    below = [(n, line) for n, line in enumerate(lines) if line.strip() and not line.startswith("%")]
    if not below:
        raise ValueError(f"{path}: an OpenBCI header and no rows")
    n, line = below[0]
    delimiter = delimiter_of(line)
    cells = split_names(line, delimiter)
    if re.match(r"\s*sample", line, re.IGNORECASE):
        names, skip = cells, n + 1
        eeg = [i for i, name in enumerate(names) if re.match(r"(exg|eeg) ch", name, re.IGNORECASE)]
        lowered = [name.lower() for name in names]
        clock = next((lowered.index(name) for name in ("timestamp", "timestamp (formatted)") if name in lowered), None)
        exact = clock is not None and lowered[clock] == "timestamp"
    else:
        names, skip = [""] * len(cells), n
        n_times = len(cells) - _first_time(cells)
        n_left = len(cells) - 1 - n_times
        known = int(count[1]) if count else next((c for c in (16, 8, 4) if c <= n_left), n_left)
        eeg = list(range(1, 1 + min(known, n_left)))
        clock = len(cells) - 1 if n_times else None
        exact = n_times > 0 and ":" not in cells[-1]
        names[0] = "Sample Index"
        for i in range(1 + len(eeg), len(cells) - n_times):
            names[i] = f"Accel Channel {i - 1 - len(eeg)}"
    if not eeg or (count and len(eeg) != int(count[1])):
        wanted = f"{count[1]} channels in the header" if count else "no EXG channels"
        raise ValueError(f"{path}: {wanted}, {len(eeg)} in its columns ({len(cells)} columns: {line[:80]!r})")
    return _Layout(names, skip, delimiter, sfreq or None, board[1] if board else "", eeg, clock, exact)


def _first_time(cells: list[str]) -> int:
    """Return the index from which the last cells of a row are times: of day, dates, or milliseconds since 1970."""
    at = len(cells)
    while at > 1 and (":" in cells[at - 1] or _is_moment(cells[at - 1])):
        at -= 1
    return at


def _past_midnight(clock: np.ndarray) -> np.ndarray:
    """Return times of day that go on at midnight."""
    known = np.flatnonzero(np.isfinite(clock))
    days = np.zeros(len(clock))
    days[known[1:]] = np.cumsum(np.diff(clock[known]) < -43_200)
    return clock + days * 86_400


def _is_moment(cell: str) -> bool:
    try:
        return float(cell) > 1e9
    except ValueError:
        return False


def _repeated(eeg: np.ndarray, index: np.ndarray) -> np.ndarray | None:
    """Return which rows say again what the row before said, where that is every second one of a Daisy's."""
    if len(eeg) != 16 or eeg.shape[1] < 4:
        return None
    again = np.concatenate([[False], (np.diff(index) == 0) & (eeg[:, 1:] == eeg[:, :-1]).all(axis=0)])
    return again if again.mean() > 0.4 else None


def _left_out(name: str) -> str:
    return next((reason for start, reason in _LEFT_OUT if name.lower().startswith(start)), "not EEG")


def _is_openbci(head: Head) -> bool:
    lines = head.lines(3)
    return bool(lines) and lines[0].startswith(("%OpenBCI Raw", "%OBCI SD Convert")) and not is_sd_card(head)


READERS = (
    Reader(
        "openbci",
        SUFFIXES["openbci"],
        read_openbci,
        "OpenBCI GUI text (Cyton, Daisy, Ganglion)",
        _is_openbci,
        "OpenBCI GUI (a text that begins with %OpenBCI Raw)",
    ),
    SD_READER,
)
