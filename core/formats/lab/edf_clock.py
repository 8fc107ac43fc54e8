"""What the annotations of EDF+ and BDF+ say of time: when records began, which are missing, when events were."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...recording import Event
from ..contract.signals import Signals

_ANNOTATIONS = ("EDF Annotations", "BDF Annotations")


@dataclass(frozen=True)
class RecordClock:
    """`starts` (n_records,) in seconds from the first record, and all annotations as (onset, duration, text)."""

    starts: np.ndarray
    annotations: list[tuple[float, float, str]]


def record_clock(records: np.ndarray, header: Any) -> RecordClock | None:
    """Return the clock of a file's records (n_records, bytes), None where it has none: plain EDF, or a damaged one.

    EDF+ (Kemp and Olivan 2003): the first annotation signal of each record begins with the record's start time.
    """
    labels, samples, width = header.labels, header.samples, header.sample_bytes
    rows = [i for i, label in enumerate(labels) if label in _ANNOTATIONS]
    if not rows or len(records) == 0:
        return None
    edges = np.concatenate([[0], np.cumsum(samples)]) * width
    starts, annotations = np.full(len(records), np.nan), []
    for which, row in enumerate(rows):
        width_here = int(edges[row + 1] - edges[row])
        whole = np.ascontiguousarray(records[:, edges[row] : edges[row + 1]]).tobytes()
        for i in range(len(records)):
            lists = _lists(whole[i * width_here : (i + 1) * width_here])
            if which == 0 and lists and not lists[0][2][0]:
                starts[i] = lists[0][0]
            annotations += [(onset, length, text) for onset, length, texts in lists for text in texts if text]
    if not np.isfinite(starts).all():
        return None
    return RecordClock(starts - starts[0], [(onset - starts[0], length, text) for onset, length, text in annotations])


def _lists(block: bytes) -> list[tuple[float, float, list[str]]]:
    """Return the time-stamped annotation lists of one record as (onset, duration, texts)."""
    found = []
    for piece in block.split(b"\x00"):
        if not piece.startswith((b"+", b"-")) or b"\x14" not in piece:
            continue
        when, *texts = piece.split(b"\x14")
        onset, _, length = when.partition(b"\x15")
        try:
            times = float(onset), float(length or 0)
        except ValueError:
            continue
        if not (math.isfinite(times[0]) and math.isfinite(times[1])):
            continue
        found.append((*times, [_text(text) for text in texts] or [""]))
    return found


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def apply_clock(signals: Signals, clock: RecordClock, record_s: float) -> None:
    """Give signals their samples' times, and where records are missing segments, and events on what samples are left.

    Most records follow each other by one length, which the file declares: where all are longer or shorter than that the
    declared rate is in doubt, and the times tell so.
    """
    n_records, n_times = len(clock.starts), signals.data.shape[1]
    if n_records < 2 or n_times % n_records:
        return
    each = n_times // n_records
    steps = np.diff(clock.starts)
    half = 0.5 / signals.sfreq
    usual = float(np.median(steps))
    if abs(usual - record_s) <= half:
        usual = record_s
    if usual <= 0:
        return
    signals.stamps = (clock.starts[:, None] + np.arange(each) * (usual / each)).ravel()
    broken = np.flatnonzero(np.abs(steps - usual) > half) + 1
    if not len(broken):
        return
    signals.segments = tuple(sorted({*signals.segments, *(int(i) * each for i in broken)}))
    away = float((steps[broken - 1] - usual).sum())
    signals.notes.append(
        f"{len(broken)} breaks between records, {away:.4g} s in all, by the records' own start times: segments there"
    )
    lost, events = 0, []
    for onset, length, text in clock.annotations:
        record = int(np.searchsorted(clock.starts, onset + half, "right")) - 1
        within = onset - clock.starts[max(record, 0)]
        if record < 0 or within > usual + half:
            lost += 1
            continue
        events.append(
            Event(float(record * each / signals.sfreq + within * (each / usual) / signals.sfreq), length, text)
        )
    signals.events = events
    if lost:
        signals.notes.append(f"{lost} annotations lie where no sample was recorded: they are gone")
