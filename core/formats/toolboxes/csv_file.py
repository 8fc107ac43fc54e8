"""Tables of EEG as text (.csv, .tsv, .txt): a row a sample, a column a channel, perhaps a column of times."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np

from ...recording import Event
from ..containers.text_table import TextTable, delimiter_of, first_lines, read_text_table, split_names
from ..contract.clock import measured_rate
from ..contract.signals import Head, Reader, ReadOptions, Signals
from ..contract.suffixes import SUFFIXES
from ..contract.units import VOLTS, canonical_unit

_TIME = re.compile(r"^(t|times?|(lsl_?|unix_?)?time_?stamps?|seconds?|secs?|unix_?time)(_(s|ms|us|ns))?$", re.I)
_COUNT = re.compile(r"^(|index|sample|samples|sample[_ ]?(index|number|no)|unnamed: 0|#)$", re.I)
_MARKERS = re.compile(
    r"^(markers?|events?|trig(ger)?s?|stim(ulus|_?channel|_?code)?|labels?|annotations?|status)[\s_]?\d*$", re.I
)
_UNIT = re.compile(r"^(.*?)\s*[\[(]\s*([^\[\]()]*)\s*[\])]\s*$")
_SCALES = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_COMMENT = "#%"
_LOOKED_AT, _LEAST_ROWS = 40, 5
_RATES = (10.0, 50_000.0)


def read_csv(path: Path, options: ReadOptions) -> Signals:
    """Read a table of numbers; the header's names are channels ("Fz [uV]" says the unit), a time column tells the rate.

    Raises ValueError where it is no such table, or where nothing tells the rate and `options.sfreq` neither.
    """
    lines = first_lines(path, 64)
    skip = next((i for i, line in enumerate(lines) if line.strip() and line.strip()[0] not in _COMMENT), len(lines))
    if skip == len(lines):
        raise ValueError(f"{path}: no table: comments and no rows")
    delimiter = _delimiter(lines[skip])
    names, has_header = _names(lines[skip], delimiter)
    if options.axes and not re.match(r"^(t|s)", options.axes.strip().lower()):
        raise ValueError(
            f"{path}: axes={options.axes!r} (--axes): in a table a row is a sample (times,channels); turn it"
        )
    if not names:
        raise ValueError(f"{path}: no table of numbers: its first row is {lines[skip][:60]!r}")
    parsed = [_parsed(name) for name in names]
    clock = [i for i, (name, _) in enumerate(parsed) if has_header and _TIME.match(name)][:1]
    counts = [i for i, (name, _) in enumerate(parsed) if has_header and _COUNT.match(name) and i not in clock]
    marked = [i for i, (name, _) in enumerate(parsed) if has_header and _MARKERS.match(name)]
    samples = [split_names(line, delimiter) for line in lines[skip + 1 :] if line.strip()]
    # a column of codes is read as numbers; one that is blank or holds words where nothing happens, as words
    worded = [i for i in marked if not all(i < len(row) and _is_number(row[i]) for row in samples)]
    dated = bool(clock) and not all(
        _is_number(row[clock[0]]) for row in samples if clock[0] < len(row) and row[clock[0]]
    )

    def read(worded: list[int]) -> tuple[TextTable, list[int]]:
        columns = [i for i in range(len(names)) if i not in (*clock, *counts, *worded)]
        if not columns:
            raise ValueError(f"{path}: no channels: its columns are {', '.join(names[:12])}")
        comment = "#" if lines[skip].lstrip()[0] != "#" else ""
        return read_text_table(
            path,
            delimiter=delimiter,
            skip=skip + has_header,
            numbers=columns,
            exact=[] if dated else clock,
            clocks=clock if dated else (),
            labels=worded,
            comment=comment,
            names=names,
        ), columns

    try:
        table, columns = read(worded)
        again = bool(table.notes)
    except ValueError:
        if len(worded) == len(marked):
            raise
        again = True
    if again and len(worded) < len(marked):
        # the first word among codes may come late
        worded = marked
        table, columns = read(worded)
    notes = [*table.notes, *([table.cut_off] if table.cut_off else [])]
    if not has_header:
        notes.append("the table names no channels: say them with channels= (--channels)")
    for i in counts:
        notes.append(f"column {names[i] or i + 1!r} counts the rows: not a channel")
    types = ["stim" if i in marked else "eeg" for i in columns]
    units = [None if i in marked else canonical_unit(parsed[i][1]) for i in columns]
    for row, unit in zip(table.numbers, units, strict=True):
        if unit:
            row *= VOLTS[unit]
    stamps, sfreq = None, math.nan
    if clock:
        stamps = (table.clocks if dated else table.exact)[0]
        stamps, sfreq = _in_seconds(path, stamps, parsed[clock[0]], notes)
    if not math.isfinite(sfreq) and options.sfreq is None:
        raise ValueError(
            f"{path}: no column of times tells its rate: say sfreq= (--sfreq, samples per second). Its columns are "
            f"{', '.join(names[:20])}"
        )
    return Signals(
        data=table.numbers,
        sfreq=sfreq if math.isfinite(sfreq) else float(options.sfreq or 0),
        ch_names=[parsed[i][0] for i in columns],
        ch_types=types,
        units=units,
        sfreq_said="measured" if math.isfinite(sfreq) else "asked",
        stamps=stamps,
        marker_events={
            names[i]: _events(table, i, sfreq if math.isfinite(sfreq) else float(options.sfreq or 0)) for i in worded
        },
        notes=notes,
    )


def _delimiter(line: str) -> str:
    found = delimiter_of(line)
    if found in line:
        return found
    return " " if len(line.split()) > 1 else found


def _names(line: str, delimiter: str) -> tuple[list[str], bool]:
    """Return the columns' names and whether the line names them; a line of numbers is no header."""
    cells = line.split() if delimiter == " " else split_names(line, delimiter)
    if cells and all(_is_number(cell) or not cell for cell in cells):
        return [f"Ch{i + 1}" for i in range(len(cells))], False
    return (cells, True) if sum(not _is_number(cell) for cell in cells) >= len(cells) / 2 else ([], False)


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True


def _parsed(name: str) -> tuple[str, str]:
    """Return a column's name and the unit that stands behind it in brackets, if any."""
    found = _UNIT.match(name)
    if found and found[1].strip() and (canonical_unit(found[2]) or found[2].strip().lower() in _SCALES):
        return found[1].strip(), found[2].strip()
    return name.strip(), ""


def _in_seconds(path: Path, stamps: np.ndarray, named: tuple[str, str], notes: list[str]) -> tuple[np.ndarray, float]:
    """Return stamps in seconds, by the unit in the column's name or the one that makes a rate of EEG, and that rate."""
    name, unit = named
    told = unit.lower() or (found[1].lower() if (found := re.search(r"_(s|ms|us|ns)$", name, re.I)) else "")
    rate = measured_rate(stamps)[0]
    if not math.isfinite(rate):
        notes.append(f"its column {name} does not rise: not taken for time")
        return stamps, math.nan
    fits = [scale for scale in _SCALES.values() if _RATES[0] <= rate / scale <= _RATES[1]]
    if told in _SCALES:
        return stamps * _SCALES[told], rate / _SCALES[told]
    if not fits:
        raise ValueError(
            f"{path}: its column {name} rises by {1 / rate:.4g} a row, which is no time in s, ms, us or ns of EEG: say "
            "sfreq= (--sfreq) and leave the column out"
        )
    if fits[0] != 1:
        unit = next(word for word, scale in _SCALES.items() if scale == fits[0])
        notes.append(f"its column {name} is taken as {unit}: {rate / fits[0]:.4g} Hz")
    return stamps * fits[0], rate / fits[0]


def _events(table: TextTable, column: int, sfreq: float) -> list[Event]:
    """Return a column of words as events: every word, of words that stay the first of each run."""
    cells = [
        (row, text) for row, text in table.labels[column] if text.lower() not in ("0", "none", "nan", "n/a", "null")
    ]
    return [
        Event(row / sfreq, 0.0, text)
        for i, (row, text) in enumerate(cells)
        if i == 0 or cells[i - 1] != (row - 1, text)
    ]


def _is_table(head: Head) -> bool:
    """Say whether a text's first lines are names, or none, and rows of as many cells, most of them numbers."""
    lines = [line for line in head.lines(_LOOKED_AT) if line.strip() and line.lstrip()[0] not in _COMMENT]
    if len(lines) < _LEAST_ROWS:
        return False
    delimiter = _delimiter(lines[0])
    names, _ = _names(lines[0], delimiter)
    for line in lines[1:]:
        cells = line.split() if delimiter == " " else line.split(delimiter)
        known = sum(_is_number(cell) for cell in cells)
        if len(cells) < 2 or abs(len(cells) - len(names)) > 1 or known < len(cells) / 2:
            return False
    return True


READER = Reader(
    "csv",
    SUFFIXES["csv"],
    read_csv,
    "a table of EEG as text (a row a sample); rate asked for where no column of times tells it",
    _is_table,
    "a table (a text of rows of numbers)",
    general=True,
)
