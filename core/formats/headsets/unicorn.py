"""The Unicorn Hybrid Black's CSV as Unicorn Recorder and the Unicorn API write it: EEG 1 to EEG 8 in microvolts."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..containers.sample_counter import lost_by_counter
from ..containers.text_table import delimiter_of, first_lines, read_text_table, split_names, unix_seconds
from ..contract.signals import Head, Reader, ReadOptions, Signals
from ..contract.suffixes import SUFFIXES
from ..contract.units import VOLTS

DOCUMENTED_SFREQ = 250.0
PLACES = ("Fz", "C3", "Cz", "C4", "Pz", "PO7", "Oz", "PO8")
_LEFT_OUT = (
    (("acc", "gyr"), "motion"),
    (("battery",), "battery"),
    (("counter", "timestamp", "time"), "bookkeeping"),
    (("validation",), "signal quality"),
)


def read_unicorn(path: Path, options: ReadOptions) -> Signals:
    """Read the eight electrodes under their places on the cap; samples that are not valid count as missing.

    Raises ValueError where EEG 1 to EEG 8 are not all there, or the rows are not numbers.
    """
    first = (first_lines(path, 1) or [""])[0]
    delimiter = delimiter_of(first)
    names = split_names(first, delimiter)
    found = {_bare(name): i for i, name in enumerate(names)}
    missing = [f"EEG {n + 1}" for n in range(8) if f"eeg{n + 1}" not in found]
    if missing:
        raise ValueError(f"{path}: not a Unicorn CSV: no {', '.join(missing)} in its header ({names[:10]})")
    eeg = [found[f"eeg{n + 1}"] for n in range(8)]
    triggers = [i for i, name in enumerate(names) if _bare(name).startswith(("trigger", "marker", "event"))]
    roles = {
        "counter": found.get("counter"),
        "valid": found.get("validationindicator"),
        "stamp": found.get("timestamp", found.get("time")),
    }
    exact = {role: column for role, column in roles.items() if column is not None}
    table = read_text_table(
        path, delimiter=delimiter, skip=1, numbers=[*eeg, *triggers], exact=list(exact.values()), names=names
    )
    columns = {role: table.exact[i] for i, role in enumerate(exact)}
    data = table.numbers
    for row in data[:8]:
        row *= VOLTS["uV"]
    notes = table.remarks()
    notes.append(f"EEG 1 to EEG 8 are {' '.join(PLACES)}, the places of the Unicorn Hybrid Black's cap")
    if "valid" in columns and (n := int((columns["valid"] == 0).sum())):
        data[:8, columns["valid"] == 0] = np.nan
        notes.append(f"{n} samples are marked as not valid: taken as missing")
    stamps = unix_seconds(columns["stamp"]) if "stamp" in columns else None
    lost = lost_by_counter(columns["counter"]) if "counter" in columns else None
    kept = {*eeg, *triggers}
    return Signals(
        data=data,
        sfreq=DOCUMENTED_SFREQ,
        sfreq_said="documented",
        stamps=stamps,
        lost=None if lost is None else lost[0],
        ch_names=[*PLACES, *(names[i] for i in triggers)],
        ch_types=["eeg"] * 8 + ["stim"] * len(triggers),
        units=["uV"] * 8 + [None] * len(triggers),
        units_said="assumed",
        units_why="Unicorn Recorder writes uV",
        reference="as recorded (mastoids)",
        dropped={name: _left_out(name) for i, name in enumerate(names) if i not in kept and name},
        notes=notes,
    )


def _bare(name: str) -> str:
    return "".join(name.lower().split()).replace("_", "")


def _left_out(name: str) -> str:
    for starts, reason in _LEFT_OUT:
        if name.lower().startswith(starts):
            return reason
    return "not EEG"


def _is_unicorn(head: Head) -> bool:
    first = (head.lines(1) or [""])[0]
    names = {_bare(name) for name in split_names(first, delimiter_of(first))}
    return {f"eeg{n + 1}" for n in range(8)} <= names and bool(names & {"validationindicator", "batterylevel"})


READER = Reader(
    "unicorn",
    SUFFIXES["unicorn"],
    read_unicorn,
    "Unicorn Hybrid Black CSV (Unicorn Recorder)",
    _is_unicorn,
    "Unicorn (a CSV with EEG 1 ... EEG 8, Validation Indicator)",
)
