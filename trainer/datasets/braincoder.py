"""The data set `braincoder`: Emotiv EPOC recordings in EDF with a table of which picture was shown when.

The table (CSV or JSON list) has id, start, end, caption, and may have participant, file and split; start and end are
milliseconds since 1970. Format and timing follow yoonhero/Braincoder; nothing of its code is used.
"""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from core.formats.contract.text_cells import read_cells
from core.loading.judgement.dc_offsets import put_back
from core.loading.load import load_recording
from core.preprocessing.config import PreprocessingConfig
from core.recording import Recording

from ..store.dataset import Dataset, Session, file_identity, files_in
from .braincoder_timing import Clock, Interval, check_intervals, read_clock

WINDOW_S = 2.0
SFREQ = 128.0
WANTED = (
    "a folder of Emotiv EDF recordings with a table (CSV or JSON: id, start, end, caption [, participant, file, split])"
)
NEEDED = ("id", "start", "end", "caption")
MAX_TABLE_BYTES = 1 << 28
# a table of Unix milliseconds lies here (1973 to 2286); what does not was written in other units
LEAST_MS, MOST_MS = 1e11, 1e13


@dataclass(frozen=True)
class BraincoderOptions:
    """Where the table is and how its times are understood."""

    table: Path | None = None
    """the table (the one .csv or .json in the folder)"""
    timing: Literal["check", "trust", "start", "end"] = "check"
    """rows that may label blank screen as picture: check refuses them, trust takes them as they are, start and end say
    that the picture was on for the first or the last 2 s"""
    offset_ms: float = 0.0
    """added to the table's times where the server's clock was behind the headset's"""
    utc_offset_h: float | None = None
    """time zone of the EDF headers' start (which tells whole seconds only), for files whose stamps count from there"""
    test_participants: tuple[str, ...] = ()
    """their rows are the test split; others' rows with the same pictures are left out"""
    remove_dc: bool = False
    """subtract each window's mean (published: no filter at all, the headset's 4 mV offset stays)"""


@dataclass(frozen=True)
class Shown:
    """A row of the table; `start_s` and `end_s` are seconds since 1970."""

    number: int
    image_id: str
    start_s: float
    end_s: float
    caption: str
    participant: str = ""
    file: str = ""
    split: str = ""


def sessions(source: Path | None, options: BraincoderOptions) -> list[Session]:
    """Return one session a recording with its rows; every recording's clock is read to find them.

    Rows that name a `file` belong to it, others to the recording that runs at their start. Raises ValueError where no
    row falls into any recording, saying how far off the clocks are.
    """
    table, recordings = find_table(source, options), edf_files(source)
    shown = read_table(table, options.offset_ms)
    clocks = {path: read_clock(path, sfreq_of(path), options.utc_offset_h) for path in recordings}
    mine = assign(shown, clocks)
    if not any(mine.values()):
        first, clock = min(shown, key=lambda row: row.start_s), min(clocks.values(), key=lambda c: c.start)
        raise ValueError(
            f"no row of {table} falls into a recording: its first is {first.start_s - clock.start:+.1f} s after the "
            "first recording does; are they of one day and one clock? (--offset-ms, --utc-offset-h)"
        )
    shared = {row.image_id for row in shown if row.participant in options.test_participants}
    placed = {row.number for rows in mine.values() for row in rows}
    stray = [row for row in shown if row.number not in placed]
    found = []
    for number, path in enumerate(recordings):
        rows = mine[path] + (stray if number == 0 else [])
        found.append(
            Session(
                key=re.sub(r"[^A-Za-z0-9._-]", "_", path.stem).lstrip("."),
                load=partial(load_sitting, path, rows, options, frozenset(shared)),
                identity={**file_identity(path), "rows": [list(asdict(row).values()) for row in rows]},
                sources=(path, table),
            )
        )
    return found


def load_sitting(
    path: Path, shown: Sequence[Shown], options: BraincoderOptions, test_images: frozenset[str]
) -> tuple[Recording, list[dict]]:
    """Read one recording and give each row its onset, or the reason why it is refused (see `check_intervals`).

    Beyond that check, a row is refused whose picture is not wholly inside the recording's own clock. Time that the
    clock jumps over (lost samples) splits the recording into segments, which no window crosses.
    """
    # the published windows were cut with the headset's offset; `remove_dc` is for those who want none
    recording = put_back(load_recording(path))
    clock = read_clock(path, recording.sfreq, options.utc_offset_h)
    recording = with_jumps(recording, clock)
    sittings: dict[str, list[int]] = {}
    for i, row in enumerate(shown):
        during = row.end_s > clock.start and row.start_s < clock.end
        sittings.setdefault(row.participant if during else f"{i} elsewhere", []).append(i)
    rows: list[dict] = []
    for members in sittings.values():
        intervals = [Interval(i, shown[i].start_s, shown[i].end_s) for i in members]
        for interval in check_intervals(intervals, options.timing):
            row = shown[interval.row]
            at = row.start_s if interval.onset is None else interval.onset
            refused = outside(at, clock) or interval.refused
            is_test = row.participant in options.test_participants
            if not refused and test_images and not is_test and row.image_id in test_images:
                refused = "its picture is in the test split"
            rows.append(
                {
                    "label": row.image_id,
                    "image_id": row.image_id,
                    "caption": row.caption,
                    "subject": row.participant,
                    "session": path.stem,
                    "run": path.stem,
                    "block": path.stem,
                    "split": "test" if is_test else row.split or ("train" if options.test_participants else ""),
                    "onset": float(clock.seconds_into(np.array([at]))[0]),
                    "refused": refused,
                }
            )
    return recording, sorted(rows, key=lambda row: row["onset"])


def outside(onset: float, clock: Clock) -> str | None:
    """Return how far a window from `onset` lies outside the recording, or None where it is inside."""
    if onset < clock.start:
        return f"starts {clock.start - onset:.3f} s before the recording"
    if onset + WINDOW_S > clock.end + 0.5 / clock.sfreq:
        return f"ends {onset + WINDOW_S - clock.end:.3f} s after the recording"
    return None


def with_jumps(recording: Recording, clock: Clock) -> Recording:
    """Return the recording with a segment from each jump of its clock. Raises ValueError where lengths differ."""
    if abs(recording.n_times - len(clock.stamps)) > recording.sfreq:
        raise ValueError(
            f"{recording.source.get('file')}: {recording.n_times} samples but {len(clock.stamps)} time stamps"
        )
    jumps = [int(at) for at in clock.jumps if at < recording.n_times]
    return replace(recording, segments=tuple(sorted({*recording.segments, *jumps})))


def assign(shown: Sequence[Shown], clocks: dict[Path, Clock]) -> dict[Path, list[Shown]]:
    """Return each recording's rows: those that name it, and of the others those that start while it runs."""
    mine: dict[Path, list[Shown]] = {path: [] for path in clocks}
    by_name = {name.lower(): path for path in clocks for name in (path.name, path.stem)}
    for row in shown:
        if row.file:
            path = by_name.get(Path(row.file).name.lower())
            if path is None:
                raise ValueError(
                    f"row {row.number} of the table names {row.file!r}; there are {[p.name for p in clocks]}"
                )
        else:
            path = next((p for p, clock in clocks.items() if clock.start <= row.start_s < clock.end), None)
        if path is not None:
            mine[path].append(row)
    return mine


def edf_files(source: Path | None) -> list[Path]:
    """Return the folder's EDF files that hold EEG (Emotiv writes motion to files of its own)."""
    from core.formats.lab.edf import read_header

    found = files_in(source, (".edf",), WANTED)
    names = [path.name for path in found[:5]]
    eeg = [path for path in found if "AF3" in read_header(path).labels]
    if not eeg:
        raise ValueError(f"{source}: none of {names} has a channel AF3, so none is an EPOC recording")
    return eeg


def sfreq_of(path: Path) -> float:
    """Return the rate of an Emotiv EDF file's first electrode, hertz."""
    from core.formats.lab.edf import read_header

    header = read_header(path)
    return float(header.samples[header.labels.index("AF3")] / header.record_s)


def find_table(source: Path | None, options: BraincoderOptions) -> Path:
    """Return the table. Raises ValueError where the folder has several, FileNotFoundError where it has none."""
    if options.table is not None:
        if not options.table.is_file():
            raise FileNotFoundError(f"--table {options.table} does not exist")
        return options.table
    found = files_in(source, (".csv", ".json"), WANTED)
    if len(found) > 1:
        raise ValueError(f"{source} holds several tables {[path.name for path in found]}; choose with --table")
    return found[0]


def read_table(path: Path, offset_ms: float = 0.0) -> list[Shown]:
    """Read the table, its times moved by `offset_ms`.

    Raises ValueError naming the row for a missing column, a time that is no number or not milliseconds since 1970,
    and an empty id or caption.
    """
    if path.suffix.lower() == ".json":
        rows = _json_rows(path)
    else:
        table = read_cells(path, MAX_TABLE_BYTES)
        rows = [dict(zip(table.header, cells, strict=False)) for _, cells in table.rows]
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows) or not rows:
        raise ValueError(f"{path} must be a table (CSV) or a list of objects (JSON) with {', '.join(NEEDED)}")
    shown = []
    for number, row in enumerate(rows, 1):
        if missing := [name for name in NEEDED if row.get(name) in (None, "")]:
            raise ValueError(f"{path}, row {number} has no {', '.join(missing)}; it has {sorted(map(str, row))}")
        times = []
        for name in ("start", "end"):
            try:
                ms = float(row[name])
            except (TypeError, ValueError):
                ms = math.nan
            if not LEAST_MS <= ms <= MOST_MS:
                raise ValueError(f"{path}, row {number}: {name} is {row[name]!r}, not milliseconds since 1970")
            times.append((ms + offset_ms) / 1000)
        extra = {name: str(row.get(name) or "") for name in ("participant", "file", "split")}
        if extra["split"] not in ("", "train", "val", "test"):
            raise ValueError(f"{path}, row {number}: split is {extra['split']!r}; it can be train, val or test")
        shown.append(Shown(number, str(row["id"]), times[0], times[1], str(row["caption"]), **extra))
    return shown


def _json_rows(path: Path) -> Any:
    if path.stat().st_size > MAX_TABLE_BYTES:
        raise ValueError(f"{path} is larger than {MAX_TABLE_BYTES >> 20} MiB; that is no table of pictures")
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read as a table: {error}") from error


def preprocessing(source: Path | None, options: BraincoderOptions) -> PreprocessingConfig:
    """Return the published preparation: 14 channels, 128 Hz, the first 2 s, no filter, no reference, no scaling."""
    from core.montage import MONTAGES

    return PreprocessingConfig(
        ch_names=tuple(MONTAGES["epoc-14"]),
        sfreq=SFREQ,
        tmin=0.0,
        tmax=WINDOW_S,
        baseline=(0.0, WINDOW_S) if options.remove_dc else None,
        scaling="none",
    )


def provenance(source: Path | None, options: BraincoderOptions) -> dict[str, Any]:
    """Return what is known of the recordings; their licence is for their owner to state."""
    kept = {name: value for name, value in asdict(options).items() if name != "table"}
    table = find_table(source, options).name
    return {"dataset": "braincoder", "licence": "not stated", "credit": "", "table": table, "options": kept}


DATASET = Dataset(
    name="braincoder",
    description="Braincoder's recordings: Emotiv EPOC EDF with time stamps, and a table of pictures and captions",
    options=BraincoderOptions,
    sessions=sessions,
    preprocessing=preprocessing,
    provenance=provenance,
)
