"""Which rows of a file are EEG, and which trigger rows hold events."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from ..montage import is_eeg_name
from ..recording import Event
from .signals import Signals
from .units import VOLTS

_NOT_EEG = [
    (re.compile(pattern, re.IGNORECASE), reason)
    for pattern, reason in (
        (r"^(time_?stamp.*|(eeg\.)?(raw_)?counter.*|(eeg\.)?interpolated.*|orig.*timestamp.*)$", "bookkeeping"),
        (r"^(eeg\.)?((cq|eq)[_. ].*|(cq|eq))$|contact.?quality|_cq$", "signal quality"),
        (r"^(eeg\.)?battery.*", "battery"),
        (r"^((mot|gyro|acc|accel|accelerometer|mag|quat)([_. xyz0-9].*)?|q[0-3])$", "motion"),
        (r"marker|trigger|^trig|^status$|^sti ?\d+|^stim$|event", "triggers"),
        (r"eog|^ho[ _-]?[lr]$", "eye movement"),
        (r"ecg|ekg", "heart"),
        (r"emg", "muscle"),
        (r"\baux\b|^aux|^right aux|^left aux", "auxiliary input"),
        (r"^exg\d*$", "external electrode without a place on the scalp"),
        (
            r"resp|thora|abdo|airflow|pleth|ppg|pulse|sp?[ao]o?2|^gsr|^eda$|temp|photo|snore|light|^dc\d*$|^hr$|^bp$",
            "not EEG",
        ),
        (r"annotations$", "annotations"),
    )
]
_MARKER_VALUES = re.compile(
    r"^(status|trigger.*|trig.*|stim?.*|marker[_ ]?(hardware|value([_ ]?int)?|\d*)|marker)$", re.IGNORECASE
)
_STIM_TYPES = {"stim", "marker"}


def why_not_eeg(name: str, ch_type: str, unit: str | None) -> str | None:
    """Return the reason a row is not EEG (its type, its name, or a unit that is not a voltage), or None if it is."""
    if ch_type != "eeg":
        return "triggers" if ch_type in _STIM_TYPES else f"type {ch_type}"
    if not is_eeg_name(name):
        for pattern, reason in _NOT_EEG:
            if pattern.search(name.strip()):
                return reason
    return None if unit is not None else "its unit is not a voltage"


def events_of(signals: Signals, events_from: str | Sequence[str] | None) -> list[Event]:
    """Return the annotations and trigger rows as events in order of onset.

    `events_from` "annotations" takes only those, names of rows take only these. Raises ValueError that lists the rows
    of a file that lacks one that was named.
    """
    names = (
        [] if events_from in (None, "annotations") else [events_from] if isinstance(events_from, str) else events_from
    )
    if missing := [name for name in names or [] if name not in signals.ch_names]:
        raise ValueError(f"no channel {missing} to take events from; the file has {signals.ch_names}")
    if names:
        rows = [signals.ch_names.index(name) for name in names]
        events: list[Event] = []
    else:
        rows = [] if events_from == "annotations" else _trigger_rows(signals)
        events = list(signals.events)
    for row in rows:
        unit = signals.units[row]
        values = signals.data[row] / (VOLTS[unit] if unit else 1.0)
        events += _events_in(values, signals, every_sample=signals.ch_types[row] == "marker")
    return sorted(events, key=lambda event: event.onset)


def _trigger_rows(signals: Signals) -> list[int]:
    rows = [
        i
        for i, (name, kind) in enumerate(zip(signals.ch_names, signals.ch_types, strict=True))
        if kind in _STIM_TYPES or (kind == "eeg" and _MARKER_VALUES.match(name.strip()) and not is_eeg_name(name))
    ]
    # Neuromag writes each bit to a row of its own and their sum to one of these
    summed = [i for i in rows if signals.ch_names[i] in ("STI 014", "STI014", "STI101")]
    return summed[:1] or rows


def _events_in(values: np.ndarray, signals: Signals, *, every_sample: bool) -> list[Event]:
    codes = np.rint(np.nan_to_num(values)).astype(np.int64)
    if signals.stim_mask is not None:
        codes &= signals.stim_mask
    if every_sample:
        onsets = np.flatnonzero(codes)
    elif codes.size:
        # some amplifiers rest at a non-zero code: what it holds most of the time is rest, not an event
        seen, counts = np.unique(codes, return_counts=True)
        rest = int(seen[counts.argmax()]) if counts.max() > codes.size / 2 else 0
        if rest > 0 and rest & 0xFF == 0 and signals.stim_mask is not None:
            codes = codes & ~rest  # BioSemi's unused upper byte, all ones at rest
            rest = 0
        changed = np.flatnonzero(np.diff(codes)) + 1
        onsets = changed[(codes[changed] != rest) & (codes[changed] != 0)]
    else:
        onsets = np.zeros(0, int)
    return [Event(float(i) / signals.sfreq, 0.0, str(int(codes[i]))) for i in onsets]
