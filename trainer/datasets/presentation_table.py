"""A table of what was shown: rows of a CSV or TSV file become presentations of recordings."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.formats.contract.text_cells import read_cells
from core.recording import Event, Recording

MAX_BYTES = 64 << 20
SPLITS = ("", "train", "val", "test")
NAMES: dict[str, tuple[str, ...]] = {
    "file": ("file", "filename", "file_name", "recording", "eeg_file"),
    "onset": ("onset", "onset_s", "time", "time_s"),
    "sample": ("sample", "onset_sample"),
    "label": ("label", "trial_type", "condition", "class", "category"),
    "image_id": ("image", "image_id", "image_path", "picture", "stim_file"),
    "caption": ("caption", "prompt"),
    "subject": ("subject", "subject_id", "participant", "participant_id"),
    "session": ("session", "session_id"),
    "run": ("run",),
    "block": ("block",),
    "split": ("split",),
    "marker": ("marker", "trigger", "code", "value"),
}
BLANK = ("", "n/a", "na", "nan")
COPIED = ("image_id", "caption", "subject", "session", "run", "block", "split")


@dataclass(frozen=True)
class ShownTable:
    """A table: `rows` hold texts by the names of NAMES and their `line`; `unused` are columns that nothing reads."""

    path: Path
    rows: tuple[dict[str, Any], ...]
    columns: tuple[str, ...]
    unused: tuple[str, ...]


def read_shown_table(path: Path) -> ShownTable:
    """Read a CSV or TSV file whose first line names its columns.

    Columns (any of the names in NAMES): label, which every row needs; onset in seconds or sample, else rows are in
    the order of the markers; file, image, caption, subject, session, run, block, split; marker, which is checked
    against the file's own. Raises ValueError naming the line and what is wrong with it.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such table (--table)")
    table = read_cells(path, MAX_BYTES)
    if not table.rows:
        raise ValueError(f"{path}: a table needs a line of column names and rows below it")
    places, unused = _columns(path, list(table.header))
    rows = []
    for number, cells in table.rows:
        if len(cells) != len(table.header):
            raise ValueError(f"{path}: line {number} has {len(cells)} cells, the header has {len(table.header)}")
        row: dict[str, Any] = {name: _blank(cells[place]) for name, place in places.items()}
        if row.get("split", "") not in SPLITS:
            raise ValueError(f"{path}: line {number}: split {row['split']!r}; it can be train, val, test or empty")
        rows.append({**row, "line": number})
    return ShownTable(path, tuple(rows), tuple(places), unused)


def rows_by_recording(
    table: ShownTable, names: Sequence[str], others: Sequence[str] = ()
) -> dict[str, list[dict[str, Any]]]:
    """Return a table's rows for each recording, by its path below the folder.

    The column `file` may hold that path, the file's name, or its name without suffixes; without the column there must
    be one recording. others: recordings of the folder that were not asked for, whose rows are passed over. Raises
    ValueError where a row's file is none of them all, or two of them.
    """
    if "file" not in table.columns:
        if len(names) != 1:
            raise ValueError(
                f"{table.path}: {len(names)} recordings but no column `file` that says which a row is of; add one, or "
                "put a table beside each recording and give --table the ending of their names"
            )
        return {names[0]: list(table.rows)}
    spelled: dict[str, list[str]] = {}
    for name in (*names, *others):
        bare = name.rsplit("/", 1)[-1]
        for spelling in {name, bare, bare.split(".")[0], bare.rsplit(".", 1)[0]}:
            spelled.setdefault(spelling, []).append(name)
    found: dict[str, list[dict[str, Any]]] = {}
    for row in table.rows:
        asked = row["file"].replace("\\", "/").removeprefix("./")
        matches = [asked] if asked in names or asked in others else spelled.get(asked, [])
        if len(matches) != 1:
            listed = ", ".join(matches or list(names)[:8])
            problem = "is two recordings" if matches else "is no recording of the folder"
            raise ValueError(f"{table.path}: line {row['line']}: file {row['file']!r} {problem} ({listed})")
        if matches[0] in names:
            found.setdefault(matches[0], []).append(row)
    return found


def table_beside(path: Path, ending: str) -> Path:
    """Return the table that lies beside a recording: its name and `ending`, or `ending` alone in its folder.

    Raises FileNotFoundError that says where it was looked for.
    """
    bare = path.name.split(".")[0] if path.name.lower().endswith((".gz", ".zip")) else path.stem
    tried = [path.with_name(f"{start}{joint}{ending}") for start in (bare, path.name) for joint in ("", "_", ".", "-")]
    tried.append(path.with_name(ending))
    for beside in tried:
        if beside.is_file():
            return beside
    looked = ", ".join(beside.name for beside in (tried[1], tried[2], tried[-1]))
    raise FileNotFoundError(f"{path}: no table {ending!r} beside it; looked for {looked}, for example (--table)")


def presentations(
    table: Path, rows: Sequence[dict[str, Any]], recording: Recording, events: Sequence[Event]
) -> list[dict[str, Any]]:
    """Return a recording's rows with onsets in seconds, as `core.preprocessing.trials.build_trials` wants them.

    events: the recording's markers, which give the onsets in their order where the table has none. Rows without a label
    are marked `refused`. Raises ValueError where an onset is no time of this recording, or there are more or fewer
    markers than rows.
    """
    timed = bool(rows) and ("onset" in rows[0] or "sample" in rows[0])
    if not timed and len(rows) != len(events):
        raise ValueError(
            f"{table}: {len(rows)} rows for {recording.source.get('file', 'the recording')}, which has {len(events)} "
            "markers. Without a column `onset` each row is one marker, in order: choose the markers with --events, or "
            "add the onsets (seconds)"
        )
    found = []
    for i, row in enumerate(rows):
        onset = _onset(table, row, recording.sfreq) if timed else events[i].onset
        if not timed and row.get("marker") and row["marker"] != events[i].label:
            raise ValueError(
                f"{table}: line {row['line']} says marker {row['marker']!r}, but marker {i + 1} of the recording (at "
                f"{onset:.3f} s) is {events[i].label!r}: rows and markers are out of step"
            )
        made = {"label": row.get("label", ""), "onset": onset}
        made.update({name: row[name] for name in COPIED if row.get(name)})
        if not made["label"]:
            made["refused"] = "no label in the table"
        found.append(made)
    if timed:
        _check_times(table, [row["onset"] for row in found], recording.duration)
    return found


def _columns(path: Path, header: list[str]) -> tuple[dict[str, int], tuple[str, ...]]:
    lowered = [name.lower() for name in header]
    if twice := sorted({name for name in lowered if lowered.count(name) > 1}):
        raise ValueError(f"{path}: columns {twice} occur more than once")
    places: dict[str, int] = {}
    for name, spellings in NAMES.items():
        found = [lowered.index(spelling) for spelling in spellings if spelling in lowered]
        if found:
            places[name] = found[0]
    if "label" not in places:
        raise ValueError(
            f"{path}: no column says what was shown; its columns are {header}, one must be "
            f"{' or '.join(NAMES['label'])}"
        )
    return places, tuple(name for i, name in enumerate(header) if i not in places.values() and name)


def _blank(cell: str) -> str:
    return "" if cell.lower() in BLANK else cell


def _onset(table: Path, row: dict[str, Any], sfreq: float) -> float:
    text, in_samples = row.get("onset", ""), False
    if "onset" not in row:
        text, in_samples = row["sample"], True
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        what = "sample" if in_samples else "onset (seconds from the recording's start)"
        raise ValueError(f"{table}: line {row['line']}: {what} is {text!r}, not a number of at least 0")
    return value / sfreq if in_samples else value


def _check_times(table: Path, onsets: list[float], duration: float) -> None:
    beyond = sum(onset > duration for onset in onsets)
    if beyond > len(onsets) / 2:
        raise ValueError(
            f"{table}: {beyond} of {len(onsets)} onsets lie after the recording's end ({max(onsets):g} s, the "
            f"recording lasts {duration:.4g} s): onsets are seconds from the recording's start, not milliseconds"
        )
