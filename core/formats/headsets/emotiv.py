"""Emotiv's CSV: EmotivPRO of all versions, TestBench and Xavier before it, and tables of such columns by others.

Layouts: EmotivPRO user manual, "CSV files"; TestBench's one-line header with `labels:`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ...montage import is_eeg_name
from ...recording import Event
from ..containers.sample_counter import lost_by_counter
from ..containers.text_table import TextTable, delimiter_of, first_lines, read_text_table, split_names, unix_seconds
from ..contract.clock import read_clock, usual_rate
from ..contract.signals import Head, NoEeg, Reader, ReadOptions, Signals
from ..contract.suffixes import SUFFIXES
from ..contract.units import VOLTS
from .emotiv_markers import add_interval_markers

_SEARCHED_LINES = 8
_OTHERS = (
    (r"^(cq|eq)[._ ]|^contact.?quality|^raw_?cq$", "signal quality"),
    (r"^battery", "battery"),
    (r"^mot\.|^(gyro|acc|mag|quat)|^q[0-3]$|_?mems$", "motion"),
    (r"^pow\.", "band powers"),
    (r"^pm\.", "performance metrics"),
    (r"^(fe|mc|dev)\.", "the app's detections"),
    (r"counter|interpolated|timestamp|time_stamp|^sync$|^tick$|^markerindex$|^markertype$", "bookkeeping"),
    (r"marker", "triggers"),
)


@dataclass(frozen=True)
class _Header:
    """What the lines before the numbers say: the columns' names, how many lines, the rate, how many samples."""

    names: list[str]
    delimiter: str
    skip: int
    sfreq: float | None = None
    samples: int | None = None
    legends: dict[int, list[str]] = field(default_factory=dict)

    def column(self, *names: str) -> int | None:
        """Return the index of the first of these names that there is, in any case."""
        lowered = [name.lower() for name in self.names]
        return next((lowered.index(name) for name in names if name in lowered), None)


def read_emotiv(path: Path, options: ReadOptions) -> Signals:
    """Read the electrodes' columns in microvolts, with the timestamps, the markers and what the counter says is lost.

    Raises ValueError where there is motion, band power or a list of markers only, or the rows are not numbers.
    """
    header = _header(path, first_lines(path, _SEARCHED_LINES + 1))
    eeg = [i for i, name in enumerate(header.names) if _electrode(name)]
    if not eeg:
        raise NoEeg(f"{path}: {_why_no_eeg(header.names)}")
    triggers = [i for i, name in enumerate(header.names) if _is_trigger_row(name)]
    picked: dict[str, int | None] = {
        "stamp": header.column("timestamp", "originaltimestamp"),
        "seconds": header.column("time_stamp_s"),
        "milliseconds": header.column("time_stamp_ms"),
        "counter": header.column("eeg.counter", "counter"),
        "interpolated": header.column("eeg.interpolated", "interpolated"),
        "index": header.column("markerindex"),
        "value": header.column("markervalueint"),
        "legend": next(iter(header.legends), None),
        "tick": header.column("tick"),
    }
    exact = {role: column for role, column in picked.items() if column is not None}
    table = read_text_table(
        path,
        delimiter=header.delimiter,
        skip=header.skip,
        numbers=[*eeg, *triggers],
        exact=list(exact.values()),
        names=header.names,
    )
    columns = {role: table.exact[i] for i, role in enumerate(exact)}
    notes = _remarks(header, table)
    data = table.numbers
    # exports of several streams may give the others rows of their own, blank in the electrodes' columns
    sampled = np.asarray(np.isfinite(data[: len(eeg)]).any(axis=0))
    rows = np.arange(data.shape[1])
    if not sampled.any():
        raise ValueError(f"{path}: its columns {header.names[eeg[0]]} ... are blank in all {len(rows)} rows")
    if sampled.mean() < 0.99:
        rows = np.maximum(np.cumsum(sampled) - 1, 0)
        data = data[:, sampled]
        notes.append(f"{int((~sampled).sum())} rows hold no electrode's value: they belong to other streams")
    else:
        sampled = np.ones(len(rows), dtype=bool)
    for row in data[: len(eeg)]:
        row *= VOLTS["uV"]
    stamps = _stamps(columns, sampled)
    sfreq, said = _rate(header, columns, stamps, options)
    events, source = _events(header, columns, rows, sfreq, notes)
    lost = lost_by_counter(columns["counter"][sampled]) if "counter" in columns else None
    if "interpolated" in columns and (n := int((columns["interpolated"] > 0).sum())):
        notes.append(f"{n} samples did not arrive and were interpolated by Emotiv's software")
    kept = {*eeg, *triggers}
    signals = Signals(
        data=data,
        sfreq=sfreq,
        sfreq_said=said,
        stamps=stamps,
        lost=None if lost is None else lost[0],
        ch_names=[header.names[i].removeprefix("EEG.") for i in [*eeg, *triggers]],
        ch_types=["eeg"] * len(eeg) + ["stim"] * len(triggers),
        units=["uV"] * len(eeg) + [None] * len(triggers),
        units_said="assumed",
        units_why="Emotiv writes uV",
        events=events,
        event_source=source,
        reference="as recorded (Emotiv's CMS and DRL)",
        dropped={name: _left_out(name) for i, name in enumerate(header.names) if i not in kept and name},
        notes=notes,
    )
    add_interval_markers(path, signals)
    return signals


def _header(path: Path, lines: Sequence[str]) -> _Header:
    """Return what the first lines say; ValueError shows them where none names Emotiv's columns."""
    about = ""
    for n, line in enumerate(lines[:_SEARCHED_LINES]):
        delimiter = delimiter_of(line)
        if found := re.search(r"labels:\s*([^,;]*)", line):
            return _Header(found[1].split(), _delimiter_below(lines, n), n + 1, _rate_said(line), _samples_said(line))
        names = split_names(line, delimiter)
        if _is_columns(names):
            legends = {}
            for i, name in enumerate(names):
                if bracket := re.match(r"markers?\[(.*)\]$", name, re.IGNORECASE):
                    legends[i] = [word.strip(" '\"") for word in re.split(r"[,;]", bracket[1])]
            return _Header(names, delimiter, n + 1, _rate_said(about), _samples_said(about), legends)
        about = about or line
    raise ValueError(f"{path}: no line of Emotiv's column names among its first {len(lines)}: {lines[0][:80]!r}")


def _delimiter_below(lines: Sequence[str], n: int) -> str:
    return delimiter_of(lines[n + 1]) if len(lines) > n + 1 else ","


def _is_columns(names: Sequence[str]) -> bool:
    lowered = {name.lower() for name in names}
    if (
        any(name.startswith(("eeg.", "mot.", "pow.", "pm.")) for name in lowered)
        or {"latency", "marker_value"} <= lowered
    ):
        return True
    return bool(lowered & {"counter", "interpolated", "counter_mems"}) and bool(lowered & {"af3", "gyrox", "q0"})


def _rate_said(text: str) -> float | None:
    found = re.search(r"\b(?:sampling rate|sampling)\s*:([^,]*)", text, re.IGNORECASE)
    if not found:
        return None
    number = re.search(r"eeg[_ ]?(\d+(?:\.\d+)?)", found[1], re.IGNORECASE) or re.search(r"(\d+(?:\.\d+)?)", found[1])
    return float(number[1]) if number and 0 < float(number[1]) < 1e6 else None


def _samples_said(text: str) -> int | None:
    found = re.search(r"\bsamples\s*:\s*(\d{1,12})\b", text, re.IGNORECASE)
    return int(found[1]) if found else None


def _electrode(name: str) -> bool:
    """Say whether a column is an electrode: EmotivPRO prefixes them with EEG. and may place them anywhere (Flex)."""
    bare = name.removeprefix("EEG.")
    if re.match(r"^(counter|interpolated|raw_?cq|battery|marker|timestamp)", bare, re.IGNORECASE):
        return False
    return name.startswith("EEG.") or is_eeg_name(name)


def _is_trigger_row(name: str) -> bool:
    return name.lower() in ("marker", "marker_hardware", "eeg.markerhardware", "markerhardware", "eeg.markers")


def _left_out(name: str) -> str:
    bare = name.removeprefix("EEG.").lower()
    return next((reason for pattern, reason in _OTHERS if re.search(pattern, bare)), "not EEG")


def _why_no_eeg(names: Sequence[str]) -> str:
    reasons = {_left_out(name) for name in names}
    if "latency" in [name.lower() for name in names]:
        return "a list of markers (intervalMarker), no recording: load the EEG file exported with it"
    if "motion" in reasons and not reasons & {"band powers", "performance metrics"}:
        return "only motion (gyroscope, accelerometer): Emotiv writes the EEG to another file, load that one"
    found = ", ".join(sorted(reasons - {"bookkeeping", "not EEG"})) or "no electrodes"
    return f"no raw EEG in it, only {found}: export it again with 'Raw EEG' (EmotivPRO with a licence for it)"


def _remarks(header: _Header, table: TextTable) -> list[str]:
    if header.samples is not None and table.n_rows < header.samples:
        missing = f"its header claims {header.samples} samples, it holds {table.n_rows}: the end is missing (cut off?)"
        return [*table.notes, missing]
    return table.remarks()


def _rate(
    header: _Header, columns: dict[str, np.ndarray], stamps: np.ndarray | None, options: ReadOptions
) -> tuple[float, str]:
    if header.sfreq is not None:
        return header.sfreq, "declared"
    clock = None if stamps is None else read_clock(stamps)
    if clock is not None:
        return usual_rate(1 / clock.period), "measured"
    counter = columns.get("counter", np.zeros(0))
    top = float(counter[np.isfinite(counter)].max(initial=0))
    # the counter begins anew every second (up to 128 on the first EPOC)
    documented = {127.0: 128.0, 128.0: 128.0, 255.0: 256.0}.get(top)
    return (documented, "documented") if documented else (options.sfreq or np.nan, "asked")


def _stamps(columns: dict[str, np.ndarray], sampled: np.ndarray) -> np.ndarray | None:
    if "stamp" in columns:
        return unix_seconds(columns["stamp"][sampled])
    if "seconds" in columns and "milliseconds" in columns:
        stamps = columns["seconds"] + columns["milliseconds"] / 1000
        known = stamps[np.isfinite(stamps)]
        return stamps[sampled] if known.size and np.ptp(known) > 0 else None
    return None


def _events(
    header: _Header, columns: dict[str, np.ndarray], rows: np.ndarray, sfreq: float, notes: list[str]
) -> tuple[list[Event], str]:
    """Return the markers of EmotivPRO's columns (one row each), or the blocks of a column with a legend."""
    rate = sfreq if np.isfinite(sfreq) else 1.0
    if "value" in columns:
        value = columns["value"]
        index = columns.get("index", value)
        given = (np.isfinite(value) & (value != 0)) | (np.isfinite(index) & (index != 0))
        fresh = np.concatenate([[True], (value[1:] != value[:-1]) | (index[1:] != index[:-1])])
        at = np.flatnonzero(given & fresh)
        return [Event(float(rows[i] / rate), 0.0, f"{value[i]:g}") for i in at], "MarkerValueInt"
    if "legend" in columns:
        value, words = columns["legend"], next(iter(header.legends.values()))
        moved = np.diff(value) != 0
        if "tick" in columns:
            moved |= np.diff(columns["tick"]) != 0
        at = [0, *(np.flatnonzero(moved) + 1)]
        name = header.names[next(iter(header.legends))]
        notes.append(f"{name}: an event where it (or TICK) changes, labelled by the words in its name")
        known = [i for i in at if np.isfinite(value[i]) and 0 <= value[i] < len(words)]
        return [Event(float(rows[i] / rate), 0.0, words[int(value[i])]) for i in known], name
    return [], "annotations"


def _is_emotiv(head: Head) -> bool:
    for line in head.lines(_SEARCHED_LINES):
        if "labels:" in line and re.search(r"labels:\s*COUNTER", line):
            return True
        if line.count(",") + line.count(";") + line.count("\t") >= 3 and _is_columns(
            split_names(line, delimiter_of(line))
        ):
            return True
    return False


READER = Reader(
    "emotiv",
    SUFFIXES["emotiv"],
    read_emotiv,
    "Emotiv CSV (EmotivPRO, TestBench; Insight, EPOC, EPOC X, Flex)",
    _is_emotiv,
    "Emotiv CSV (columns EEG.Counter, EEG.AF3 ... or labels:COUNTER ...)",
)
