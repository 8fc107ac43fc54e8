"""The list of markers that EmotivPRO writes beside a recording: <recording>_intervalMarker.csv."""

from __future__ import annotations

from pathlib import Path

from ...recording import Event
from ..contract.clock import onsets_of
from ..contract.event_table import read_table
from ..contract.signals import Signals

_ENDING = "_intervalMarker.csv"
_MOST_BESIDE = 4096


def add_interval_markers(path: Path, signals: Signals) -> None:
    """Put the events of the list that belongs to a recording into `signals.sidecar_events`, if there is one.

    It belongs where the recording's name begins with its name (X.md.bp.csv or X.edf and X_intervalMarker.csv). Its
    columns are latency and duration in seconds, type (the label), marker_value. ValueError where it is no such table.
    """
    for n, beside in enumerate(path.parent.glob(f"*{_ENDING}")):
        base = beside.name.removesuffix(_ENDING)
        if n >= _MOST_BESIDE or not base or not path.name.startswith(f"{base}."):
            continue
        rows = read_table(beside)
        if not rows:
            continue
        if lacking := [name for name in ("latency", "type") if name not in rows[0]]:
            raise ValueError(
                f"{beside}: no column {' and '.join(lacking)} in this list of markers: it has {list(rows[0])}"
            )
        told = [(_number(row["latency"]), _number(row.get("duration", "")) or 0.0, _label(row)) for row in rows]
        known = [(latency, max(duration, 0.0), label) for latency, duration, label in told if latency is not None]
        onsets = onsets_of(signals, [latency for latency, _, _ in known])
        signals.sidecar_events[beside.name] = [
            Event(onset, duration, label) for onset, (_, duration, label) in zip(onsets, known, strict=True)
        ]
        signals.companions = (*signals.companions, beside)
        return


def _label(row: dict[str, str]) -> str:
    return row["type"] or row.get("marker_value", "") or "marker"


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < 1e9 else None
