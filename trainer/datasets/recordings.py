"""The data set `recordings`: a folder of recordings with events in the files, or a table of what was shown."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from core.files import sha256_of
from core.loading.judgement.event_items import parse_event_item
from core.preprocessing.config import PreprocessingConfig
from core.recording import Event, Recording
from trainer.config.reading_options import ReadingOptions, read_file

from ..store.dataset import Dataset, NothingToCut, Session, file_identity
from .presentation_table import ShownTable, presentations, read_shown_table, rows_by_recording, table_beside
from .recording_folder import find_recordings, person_and_session

UNLABELLED = "unlabelled"


@dataclass(frozen=True, kw_only=True)
class RecordingsOptions(ReadingOptions):
    """Which files, which events are trials, and how they are cut."""

    files: tuple[str, ...] = ()
    """only the files that match one of these shell patterns (subject1_*)"""
    table: Path | None = None
    """table of what was shown: one file, or the ending of the tables that lie beside the recordings"""
    every: float | None = None
    """cut a window every so many seconds instead of at events: unlabelled, for masked pre-training"""
    tmin: float = -0.1
    """start of the window, seconds from the event"""
    tmax: float = 0.8
    """end of the window, seconds from the event"""
    to_montage: str | None = None
    """headset whose channels the windows have (those of the first recording)"""
    to_sfreq: float | None = None
    """sampling rate of the windows in hertz (that of the first recording)"""
    l_freq: float | None = 0.5
    """lower edge of the band-pass in hertz"""
    h_freq: float | None = 40.0
    """upper edge of the band-pass in hertz"""
    notch: tuple[float, ...] = ()
    """mains frequencies to take out, hertz"""
    reference: str = "none"
    """none or average"""
    reject_uv: float | None = None
    """leave out windows of more than this peak to peak, microvolts"""

    def __post_init__(self) -> None:
        if self.every is not None and self.every <= 0:
            raise ValueError(f"--every is {self.every}; it must be above 0 seconds")
        if self.every is not None and (self.events or self.table):
            raise ValueError("--every cuts without events; leave out --events and --table")
        for text in self.events:
            item = parse_event_item(text)
            try:
                re.compile(item.pattern.replace("*", "") if item.pattern == "*" else item.pattern)
            except re.error as error:
                raise ValueError(f"--events {text!r} is not a regular expression: {error}") from error


def sessions(source: Path | None, options: RecordingsOptions) -> list[Session]:
    """Return one session a recording, whose key is its path below the folder; those that a table lacks are left out."""
    one_table = options.table is not None and _table_path(source, options.table) is not None
    tables = [_the_table(source, options.table)] if one_table and options.table is not None else []
    found = find_recordings(source, options.files, [table.path for table in tables], options.format).recordings
    listed = _rows_of(source, options, tables[0], found) if tables else {}
    made = []
    for below, path in found.items():
        table: ShownTable | None = None
        if tables:
            if below not in listed:
                continue
            table = tables[0]
        elif options.table is not None:
            table = read_shown_table(table_beside(path, str(options.table)))
            listed |= rows_by_recording(table, [below])
        key = re.sub(r"[^A-Za-z0-9._-]", "_", below.replace("/", "__")).lstrip(".")
        load = partial(load_presentations, path, options, below, table and table.path, listed.get(below, []))
        identity = file_identity(path) if path.is_file() else {"folder": path.name}
        if table is not None:
            identity |= {"table": {"file": table.path.name, "sha256": sha256_of(table.path)}}
        sources = (path,) if path.is_file() else ()
        made.append(Session(key=key, load=load, identity=identity, sources=sources))
    if not made:
        raise ValueError(f"{options.table} names no recording of {source}; it has {', '.join(list(found)[:8])}")
    return made


def left_out(source: Path | None, options: RecordingsOptions) -> dict[str, str]:
    """Return what in the folder is not a session, with the reason: for a report, not for choosing."""
    tables = [_the_table(source, options.table)] if options.table and _table_path(source, options.table) else []
    found = find_recordings(source, options.files, [table.path for table in tables], options.format)
    passed = dict(found.passed_over)
    if tables:
        listed = _rows_of(source, options, tables[0], found.recordings)
        passed |= {name: f"not in {tables[0].path.name}" for name in found.recordings if name not in listed}
    return passed


def _rows_of(
    source: Path | None, options: RecordingsOptions, table: ShownTable, chosen: Mapping[str, Path]
) -> dict[str, list[dict[str, Any]]]:
    """Return a table's rows by recording; those of recordings that `files` leaves out are no mistake."""
    everything = find_recordings(source, (), [table.path], options.format).recordings if options.files else {}
    return rows_by_recording(table, list(chosen), [name for name in everything if name not in chosen])


def load_presentations(
    path: Path, options: RecordingsOptions, below: str, table: Path | None, rows: list[dict[str, Any]]
) -> tuple[Recording, list[dict]]:
    """Read one file and return it with its presentations: the rows of the table, else its events.

    Raises NothingToCut listing the labels there are where none matches.
    """
    subject, session = person_and_session(below)
    who = {"subject": subject, "session": session, "run": below, "block": below}
    if options.every is not None:
        recording = read_file(path, options)
        onsets = np.arange(-options.tmin, recording.duration - options.tmax, options.every)
        # Each window is a picture of its own: no two are repeats, to be averaged or kept on one side of a split.
        return recording, [
            {"label": UNLABELLED, "image_id": f"{below} {onset:.3f} s", "caption": UNLABELLED, "onset": onset, **who}
            for onset in onsets.tolist()
        ]
    if table is not None:
        recording = read_file(path, options)
        return recording, [{**who, **row} for row in presentations(table, rows, recording, recording.events)]
    recording, events = _with_chosen_events(path, options)
    if not events:
        raise NothingToCut(
            f"{path}: it has no events (choose a source with --events, or say what was shown with --table)"
        )
    return recording, [{"label": event.label, "onset": event.onset, **who} for event in events]


def preprocessing(source: Path | None, options: RecordingsOptions) -> PreprocessingConfig:
    """Return the options as a configuration; channels and rate come from the first recording where none are given."""
    from core.montage import MONTAGES

    if options.to_montage is not None and options.to_montage not in MONTAGES:
        raise ValueError(f"no montage {options.to_montage!r}; --to-montage can be {', '.join(MONTAGES)}")
    names, sfreq = MONTAGES[options.to_montage] if options.to_montage else None, options.to_sfreq
    places = None
    if names is None or sfreq is None:
        first = _first_recording(source, options)
        if names is None and first.ch_positions is not None and np.isfinite(first.ch_positions).all():
            places = tuple((float(x), float(y), float(z)) for x, y, z in first.ch_positions)
        names, sfreq = names or first.ch_names, sfreq or first.sfreq
    return PreprocessingConfig(
        ch_names=tuple(names),
        sfreq=sfreq,
        tmin=options.tmin,
        tmax=options.tmax,
        l_freq=options.l_freq,
        h_freq=options.h_freq,
        notch=options.notch,
        reference=options.reference,
        reject_uv=options.reject_uv,
        ch_positions=places,
    )


def provenance(source: Path | None, options: RecordingsOptions) -> dict[str, Any]:
    """Return what is known of a folder: the options; its licence is for its owner to state."""
    return {"dataset": "recordings", "licence": "not stated", "credit": "", "options": asdict(options)}


def _with_chosen_events(path: Path, options: RecordingsOptions) -> tuple[Recording, tuple[Event, ...]]:
    """Read a file with its chosen events; an item that means nothing in this file is one for the folder's others.

    Raises NothingToCut with the reader's own words where no item means anything here.
    """
    try:
        recording = read_file(path, options)
    except ValueError as error:
        if not options.events or not _reads(path, options, ()):
            raise
        meant = [item for item in options.events if len(options.events) > 1 and _reads(path, options, (item,))]
        if not meant:
            raise NothingToCut(str(error)) from error
        recording = read_file(path, _with_events(options, tuple(meant)))
    return recording, recording.events


def _reads(path: Path, options: RecordingsOptions, events: tuple[str, ...]) -> bool:
    try:
        read_file(path, _with_events(options, events))
    except (ValueError, OSError):
        return False
    return True


def _with_events(options: RecordingsOptions, events: tuple[str, ...]) -> ReadingOptions:
    said = {field.name: getattr(options, field.name) for field in fields(ReadingOptions)}
    return ReadingOptions(**{**said, "events": events})


def _first_recording(source: Path | None, options: RecordingsOptions) -> Recording:
    """Return the first recording that can be read; raise the first one's error where none can."""
    failed: Exception | None = None
    for session in sessions(source, options):
        try:
            return session.load()[0]
        except (ValueError, OSError) as error:
            failed = failed or error
    raise failed or ValueError(f"{source} holds no recordings")


def _table_path(source: Path | None, table: Path) -> Path | None:
    """Return the table where its name is a file's: as it stands, or below the folder of recordings."""
    folder = Path(source) if source is not None and Path(source).is_dir() else Path(source or ".").parent
    return next((place for place in (table, folder / table) if place.is_file()), None)


def _the_table(source: Path | None, table: Path) -> ShownTable:
    return read_shown_table(_table_path(source, table) or table)


DATASET = Dataset(
    name="recordings",
    description="any folder of recordings whose own events, or a table, say what was shown",
    options=RecordingsOptions,
    sessions=sessions,
    preprocessing=preprocessing,
    provenance=provenance,
    left_out=left_out,
)
