"""All events of an epoched EEGLAB file, each on its own sample: MNE joins an epoch's and keeps the first one's time."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from ...recording import Event


def events_of_epochs(path: Path, *, is_hdf5: bool, sfreq: float, n_times: int) -> list[Event] | None:
    """Return the events of the table `event` in order of time, onsets in the epochs laid end to end; None without one.

    EEGLAB counts latencies in samples from 1 through all epochs, and types may be texts or numbers.
    """
    table = _table(path, is_hdf5)
    if table is None:
        return None
    found = []
    for kind, latency, duration in table:
        sample = _number(latency) - 1
        if not (math.isfinite(sample) and 0 <= sample < n_times):
            continue
        length = _number(duration)
        label = str(int(kind)) if isinstance(kind, float) and kind.is_integer() else str(kind)
        found.append(Event(sample / sfreq, length / sfreq if math.isfinite(length) and length > 0 else 0.0, label))
    return sorted(found, key=lambda event: event.onset) or None


def _table(path: Path, is_hdf5: bool) -> list[tuple[Any, Any, Any]] | None:
    if is_hdf5:
        from pymatreader import read_mat

        found = read_mat(str(path), variable_names=["EEG", "event"])
    else:
        from scipy.io import loadmat, whosmat

        names = {name for name, _, _ in whosmat(path)} & {"EEG", "event"}
        found = loadmat(path, variable_names=sorted(names), simplify_cells=True)
    events = found.get("EEG", found).get("event")
    if isinstance(events, dict) and not np.ndim(events.get("latency", 0.0)):
        events = [events]
    if isinstance(events, dict):  # a structure of columns
        columns = [events.get(name) for name in ("type", "latency", "duration")]
        if columns[0] is None or columns[1] is None or len(columns[0]) != len(columns[1]):
            return None
        lengths = (
            columns[2] if columns[2] is not None and len(columns[2]) == len(columns[0]) else [0.0] * len(columns[0])
        )
        return list(zip(columns[0], columns[1], lengths, strict=True))
    if not isinstance(events, (list, np.ndarray)) or any(not isinstance(event, dict) for event in events):
        return None
    return [(event.get("type", ""), event.get("latency"), event.get("duration")) for event in events]


def _number(value: Any) -> float:
    try:
        found = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        return math.nan
    return float(found) if found.ndim == 0 else math.nan
