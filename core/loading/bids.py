"""BIDS: recordings found in a data set's folder, and what the sidecar files beside a recording say of it.

Sidecars are inherited: one in a folder above counts where all its entities are the recording's own, and the nearest
goes first (https://bids-specification.readthedocs.io).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..formats.contract.event_table import read_event_table, read_table
from ..formats.contract.signals import Head, Reader, ReadOptions, Signals
from ..formats.contract.suffixes import SUFFIXES
from ..formats.contract.units import VOLTS, canonical_unit
from ..montage import normalise_name
from .archives import choose_member, unpacked
from .detect import reader_of
from .isolation.isolated import read_isolated

_KINDS = ("eeg", "ieeg")
_SUFFIXES = (".edf", ".bdf", ".vhdr", ".set", ".fif", ".nwb", ".gdf", ".cnt", ".mff", ".edf.gz", ".bdf.gz", ".fif.gz")
_ASIDE = {"derivatives", "sourcedata", "code", "stimuli", "phenotype", ".git", ".datalad"}
_NAME = re.compile(r"^(?:[a-zA-Z]+-[a-zA-Z0-9]+_)+(?:eeg|ieeg)$")
_MOST_FOLDERS, _MOST_FOUND, _MOST_BYTES = 20_000, 5000, 16 << 20
_TYPES = {
    "eeg": "eeg",
    "eog": "eog",
    "veog": "eog",
    "heog": "eog",
    "ecg": "ecg",
    "emg": "emg",
    "trig": "stim",
    "ref": "misc",
}
_METRES = {"m": 1.0, "cm": 1e-2, "mm": 1e-3}
_HEAD_FRAMES = ("captrak",)


def read_bids(path: Path, options: ReadOptions, readers: Mapping[str, Reader]) -> Signals:
    """Read the one recording of a BIDS folder, or the one that `options.member` names (the end of its path is enough).

    `readers` read what is found there. Raises ValueError that lists the recordings where there are none or several.
    """
    found = {file.relative_to(path).as_posix(): file for file in recordings_in(path)}
    file = found.get(name := choose_member(str(path), list(found), options.member, list(found)))
    if file is None or not file.exists():
        raise ValueError(f"{path}: {name} is a link to a file that is not here (git-annex, DataLad): get it first")
    with unpacked(file, options, readers) as inner:
        reader, _ = reader_of(inner, readers)
        signals = read_isolated(reader, inner, options) if reader.isolated else reader.read(inner, options)
    signals.notes.insert(0, f"{name}, read as {reader.name}")
    signals.companions = (file, *signals.companions) if file.is_file() else signals.companions
    return with_sidecars(file, signals, options)


def recordings_in(folder: Path) -> list[Path]:
    """Return the EEG recordings below a BIDS folder, sorted, less those in derivatives/, sourcedata/ and the like."""
    found, waiting, seen = [], [folder], 0
    while waiting and len(found) < _MOST_FOUND:
        here = waiting.pop()
        if (seen := seen + 1) > _MOST_FOLDERS:
            raise ValueError(f"{folder}: more than {_MOST_FOLDERS} folders; give one subject's")
        for item in sorted(here.iterdir()):
            name = item.name.lower()
            if is_recording_name(item.name):
                found.append(item)
            elif item.is_dir() and not item.is_symlink() and name not in _ASIDE and not name.startswith("."):
                waiting.append(item)
    return sorted(found)


def is_recording_name(name: str) -> bool:
    """Say whether a file's name is that of a recording in BIDS (sub-01_task-see_eeg.edf)."""
    suffix = next((suffix for suffix in sorted(_SUFFIXES, key=len, reverse=True) if name.lower().endswith(suffix)), "")
    return bool(suffix) and bool(_NAME.match(name[: -len(suffix)]))


def with_sidecars(path: Path, signals: Signals, options: ReadOptions) -> Signals:
    """Return `signals` with what BIDS sidecars beside `path` tell: types, bad channels, units, places, events.

    A file whose name is not BIDS comes back as it is. What the file itself declares goes before its sidecars, and where
    they disagree `notes` says so; another sampling rate is for `judgement/rate.py` to judge.
    """
    if not is_recording_name(path.name):
        return signals
    used: list[Path] = []
    about = _json_of(path, used)
    told = about.get("SamplingFrequency")
    if isinstance(told, (int, float)) and used:
        signals.rates_told[f"sidecar {used[0].name}"] = float(told)
    if isinstance(reference := about.get("EEGReference", about.get("iEEGReference")), str) and reference != "n/a":
        signals.reference = f"{reference[:120]} (by its sidecar)"
    if line := about.get("PowerLineFrequency"):
        signals.notes.append(f"mains {line} Hz by its sidecar")
    lasting = about.get("RecordingDuration")
    if isinstance(lasting, (int, float)) and lasting * signals.sfreq > signals.data.shape[1] * 1.01 + signals.sfreq:
        signals.notes.append(
            f"its sidecar tells of {lasting:g} s, and {signals.data.shape[1] / signals.sfreq:g} s are here: cut off?"
        )
    if table := _nearest(path, "channels.tsv"):
        used.append(table)
        signals = _with_channels(table, signals, options)
    if (table := _nearest(path, "electrodes.tsv")) and signals.positions is None:
        _with_places(path, table, signals, used)
    if table := _nearest(path, "events.tsv"):
        used.append(table)
        try:
            signals.sidecar_events = {**signals.sidecar_events, table.name: read_event_table(table, signals)}
        except ValueError as error:
            signals.notes.append(f"{table.name} not used: {str(error).removeprefix(f'{table}: ')}")
    signals.companions = (*signals.companions, *used)
    return signals


def _entities(name: str) -> dict[str, str]:
    stem = name.split(".")[0]
    return dict(part.split("-", 1) for part in stem.split("_")[:-1] if "-" in part)


def _sidecars(path: Path, ending: str) -> Iterator[Path]:
    """Yield the sidecars of one kind that apply to a recording, the nearest first."""
    own = _entities(path.name)
    for folder in path.absolute().parents:
        here = []
        # outside of a subject's folder only the data set's own folder counts
        for file in folder.glob(f"*{ending}"):
            told = _entities(file.name)
            extra = {key for key in told if key not in own} - {"space"}
            if not extra and all(own.get(key, value) == value for key, value in told.items() if key != "space"):
                here.append((-len(told), file))
        yield from (file for _, file in sorted(here) if file.is_file())
        if (folder / "dataset_description.json").exists() or not re.match(r"^(sub|ses)-|^i?eeg$", folder.name):
            return


def _nearest(path: Path, ending: str) -> Path | None:
    found = next(_sidecars(path, f"_{ending}"), None) or next(
        (file for file in _sidecars(path, ending) if file.name == ending), None
    )
    return found if found is not None and found.stat().st_size <= _MOST_BYTES else None


def _json_of(path: Path, used: list[Path]) -> dict[str, Any]:
    kind = path.name.split(".")[0].rsplit("_", 1)[-1]
    merged: dict[str, Any] = {}
    for file in [*_sidecars(path, f"_{kind}.json"), *_sidecars(path, f"{kind}.json")]:
        merged = {**_load_json(file), **merged}
        if file not in used:
            used.append(file)
    return merged


def _load_json(file: Path) -> dict[str, Any]:
    if file.stat().st_size > _MOST_BYTES:
        raise ValueError(f"{file}: more than {_MOST_BYTES >> 20} MiB, which is no sidecar")
    try:
        found = json.loads(file.read_bytes().decode("utf-8-sig"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{file}: not JSON: {error}") from error
    return found if isinstance(found, dict) else {}


def _with_channels(table: Path, signals: Signals, options: ReadOptions) -> Signals:
    """Return signals with the types, units and bad channels of a channels.tsv; rows are matched by name."""
    rows = {row.get("name", ""): row for row in read_table(table) if row.get("name")}
    tidy = {normalise_name(name): row for name, row in rows.items()}
    bad, conflicts, unknown = {}, [], []
    for i, name in enumerate(signals.ch_names):
        row = rows.get(name) or tidy.get(normalise_name(name))
        if row is None:
            unknown.append(name)
            continue
        kind = row.get("type", "").lower()
        if kind and kind != "n/a":
            # a row that the file itself knows to be no voltage does not become EEG by its sidecar
            signals.ch_types[i] = (
                _TYPES.get(kind, "misc") if signals.ch_types[i] in ("eeg", "misc") else signals.ch_types[i]
            )
        unit, own = canonical_unit(row.get("units", "")), signals.units[i]
        if own == "" and unit:
            signals.data[i] *= VOLTS[unit]
            signals.units[i] = unit
        elif own and unit and own != unit and signals.units_said == "declared":
            conflicts.append(f"{name} ({unit}, the file {own})")
        if row.get("status", "").lower() == "bad" and name not in options.keep:
            why = row.get("status_description", "")
            bad[name] = "bad, by its sidecar" + (f": {why[:80]}" if why not in ("", "n/a") else "")
    if conflicts:
        more = ", ..." if len(conflicts) > 6 else ""
        signals.notes.append(
            f"{table.name} tells other units than the file, which were not taken: {', '.join(conflicts[:6])}{more}"
        )
    if unknown:
        signals.notes.append(
            f"{table.name} does not know {', '.join(unknown[:12])}{', ...' if len(unknown) > 12 else ''}"
        )
    keep = [i for i, name in enumerate(signals.ch_names) if name not in bad]
    if bad and keep:
        signals.dropped = {**signals.dropped, **bad}
        signals.data = signals.data[keep]
        signals.positions = None if signals.positions is None else signals.positions[keep]
        for key in ("ch_names", "ch_types", "units"):
            setattr(signals, key, [getattr(signals, key)[i] for i in keep])
    return signals


def _with_places(path: Path, table: Path, signals: Signals, used: list[Path]) -> None:
    """Set positions (m, head frame) from an electrodes.tsv whose coordinate system can be turned to the head's."""
    beside = _nearest(path, "coordsystem.json")
    about = _load_json(beside) if beside is not None else {}
    scale = _METRES.get(str(about.get("EEGCoordinateUnits", "")).lower())
    frame = str(about.get("EEGCoordinateSystem", "")).lower()
    places = {}
    for row in read_table(table):
        try:
            place = np.array([float(row[axis]) for axis in "xyz"]) * (scale or math.nan)
        except (ValueError, KeyError):
            continue
        if np.isfinite(place).all() and np.abs(place).max() < 1:
            places[normalise_name(row.get("name", ""))] = place
    if not places:
        return
    marks = _landmarks(about, scale)
    if marks is not None:
        places = {name: _to_head(place, marks) for name, place in places.items()}
    elif frame not in _HEAD_FRAMES:
        signals.notes.append(
            f"{table.name}: places not used, its coordinate system has no landmarks ({frame or 'no name'})"
        )
        return
    unknown = np.full(3, np.nan)
    signals.positions = np.array([places.get(normalise_name(name), unknown) for name in signals.ch_names])
    used += [table, *([beside] if beside is not None else [])]


def _landmarks(about: dict[str, Any], scale: float | None) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    told = about.get("AnatomicalLandmarkCoordinates")
    if not isinstance(told, dict) or scale is None:
        return None
    by_name = {str(name).lower(): place for name, place in told.items()}
    found = []
    for names in (("nas", "nasion"), ("lpa", "left", "left ear"), ("rpa", "right", "right ear")):
        place = next((by_name[name] for name in names if name in by_name), None)
        if not isinstance(place, list) or len(place) != 3 or not all(isinstance(x, (int, float)) for x in place):
            return None
        found.append(np.array(place, dtype=float) * scale)
    nasion, left, right = found
    across = right - left
    if not np.isfinite([nasion, left, right]).all() or np.linalg.norm(np.cross(across, nasion - left)) < 1e-6:
        return None
    return nasion, left, right


def _to_head(place: np.ndarray, marks: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
    """Return a place in MNE's head frame: x through both ears to the right, y through the nasion, z up."""
    nasion, left, right = marks
    x = (right - left) / np.linalg.norm(right - left)
    origin = left + x * float((nasion - left) @ x)
    y = (nasion - origin) / np.linalg.norm(nasion - origin)
    return np.stack([x, y, np.cross(x, y)]) @ (place - origin)


def _is_bids(head: Head) -> bool:
    folder = head.path
    if not folder.is_dir():
        return False
    if (folder / "dataset_description.json").is_file() or re.match(r"^(sub|ses)-\w+$", folder.name):
        return True
    return folder.name in _KINDS and any(is_recording_name(item.name) for item in folder.iterdir())


def reader_over(readers: Mapping[str, Reader]) -> Reader:
    """Return the reader of BIDS folders, which reads what lies there with `readers`."""
    return Reader(
        "bids",
        SUFFIXES["bids"],
        lambda path, options: read_bids(path, options, readers),
        "BIDS folders (a data set's, a subject's or a session's); several recordings are listed and asked for",
        _is_bids,
        "BIDS (a folder with dataset_description.json, or sub-...)",
        folder=True,
    )
