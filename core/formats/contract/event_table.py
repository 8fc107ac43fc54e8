"""Tables of events beside a recording: CSV or TSV with a column of times and one of labels, BIDS's among them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from ...recording import Event
from .clock import onsets_of
from .signals import Signals
from .text_cells import read_cells

TABLE_SUFFIXES = (".csv", ".tsv", ".txt")
# where a table has several of these, the first is taken
TIMES = (
    "onset",
    "onset_s",
    "sample",
    "sample_index",
    "onset_ms",
    "time",
    "time_s",
    "seconds",
    "timestamp",
    "timestamps",
)
LABELS = (
    "trial_type", "label", "event", "event_type", "condition", "category", "class", "stimulus", "image", "stim_file",
    "marker", "value", "type", "name", "description", "text",
)  # fmt: skip
_NOTHING = ("", "n/a", "na", "nan", "none", "null")


def read_table(path: Path) -> list[dict[str, str]]:
    """Return a table's rows by the names in its header (lower case), split at tabs, semicolons or commas.

    Raises ValueError where it is too large, no text, or a row has more cells than the header names.
    """
    table = read_cells(path)
    header = [name.lower() for name in table.header]
    if wide := next(((line, cells) for line, cells in table.rows if len(cells) > len(header)), None):
        raise ValueError(f"{path}: row {wide[0]} has {len(wide[1])} cells where the header names {len(header)}")
    rows = [[*cells, *[""] * (len(header) - len(cells))] for _, cells in table.rows]
    if table.delimiter == ";":  # a decimal comma is why a table is split by semicolons
        rows = [[_dotted(cell) for cell in row] for row in rows]
    return [dict(zip(header, row, strict=True)) for row in rows]


def _dotted(cell: str) -> str:
    whole, comma, part = cell.partition(",")
    return f"{whole}.{part}" if comma and whole.lstrip("+-").isdigit() and part.isdigit() else cell


def read_event_table(path: Path, signals: Signals, recording: str | None = None) -> list[Event]:
    """Return a table's events: `onset` in seconds from the recording's start (or `sample`, `onset_ms`, ...), a label.

    A `timestamp` column is read on the clock of the recording's own timestamps. Where there is a column `recording`,
    only rows naming this one (with or without its suffix) count. What was taken and left out is in `signals.notes`.
    Raises ValueError listing the columns known where one is missing, or where no event lies in the recording.
    """
    rows = read_table(path)
    columns = list(rows[0]) if rows else []
    time = next((name for name in TIMES if name in columns), None)
    labels = [name for name in LABELS if name in columns and any(row[name].lower() not in _NOTHING for row in rows)]
    if rows and (time is None or not labels):
        lacking, known = ("times", TIMES) if time is None else ("labels", LABELS)
        raise ValueError(f"{path}: no column of {lacking}: it has {', '.join(columns)}, known are {', '.join(known)}")
    if recording is not None and "recording" in columns:
        own = {recording, Path(recording).stem, recording.split(".")[0]}
        rows = [row for row in rows if row["recording"] in own]
    timed = [(row, _number(row[time or ""])) for row in rows]
    named = [(row, at, _label(row, labels)) for row, at in timed if at is not None]
    named = [entry for entry in named if entry[2]]
    if not named:
        about = f" for {recording}" if "recording" in columns else ""
        raise ValueError(f"{path}: no row{about} has both a time ({time or 'onset'}) and a label")
    onsets = _seconds(path, signals, str(time), [at for _, at, _ in named])
    n_times = signals.data.shape[1]
    events = [
        Event(onset, max(_number(row.get("duration", "")) or 0.0, 0.0), label)
        for onset, (row, _, label) in zip(onsets, named, strict=True)
        if -0.5 / signals.sfreq <= onset < n_times / signals.sfreq
    ]
    if not events:
        raise ValueError(
            f"{path}: none of its {len(named)} events lies in the recording: {time} runs from "
            f"{min(at for _, at, _ in named):g} to {max(at for _, at, _ in named):g}, the recording lasts "
            f"{n_times / signals.sfreq:g} s ({n_times} samples). onset is in seconds from its start"
        )
    skipped, outside = len(rows) - len(named), len(named) - len(events)
    left = [f"{skipped} rows without a time or a label"] * bool(skipped) + [f"{outside} outside the recording"] * bool(
        outside
    )
    signals.notes.append(
        f"{path.name}: {len(events)} events by its columns {time} and {labels[0]}"
        + (f"; left out: {', '.join(left)}" if left else "")
    )
    return events


def _label(row: dict[str, str], labels: Sequence[str]) -> str:
    return next((row[name] for name in labels if row[name].lower() not in _NOTHING), "")


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _seconds(path: Path, signals: Signals, column: str, values: list[float]) -> list[float]:
    """Return onsets in seconds of samples, whatever the column counts."""
    if column.startswith("sample"):
        return [value / signals.sfreq for value in values]
    if column.startswith("timestamp"):
        if signals.stamps is None:
            raise ValueError(
                f"{path}: {column} is the time of a clock, but the recording has no timestamps to compare it with; "
                "say onset in seconds from the recording's start"
            )
        return onsets_of(signals, values, absolute=True)
    return onsets_of(signals, [value * (1e-3 if column == "onset_ms" else 1.0) for value in values])
