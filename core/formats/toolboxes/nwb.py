"""Neurodata Without Borders: an ElectricalSeries in volts, its electrodes' names, trials and annotations as events.

The file is HDF5 after a published schema (https://nwb-schema.readthedocs.io), read here with h5py alone.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from ...montage import is_eeg_name
from ...recording import Event
from ..containers import hdf5
from ..contract.clock import measured_rate
from ..contract.clock_events import clock_events
from ..contract.signals import Head, Reader, ReadOptions, Signals
from ..contract.suffixes import SUFFIXES
from ..contract.units import VOLTS, canonical_unit

_NAME_COLUMNS = ("label", "channel_name", "electrode_name", "name", "channel_label", "location", "group_name")
_LABEL_COLUMNS = ("trial_type", "label", "stimulus", "condition", "stimulus_name", "event_type", "annotation", "value")
_SERIES = ("ElectricalSeries", "TimeSeries")


def read_nwb(path: Path, options: ReadOptions) -> Signals:
    """Read the one ElectricalSeries of the file, or the series that `options.variable` names, in volts.

    The schema stores numbers with a factor to volts, so the unit is declared. Intervals, events and annotations become
    events by the name of their table. Raises ValueError that lists the series where there are none or several.
    """
    with hdf5.opened(path) as file:
        typed = [(where, item, str(hdf5.attribute(item, "neurodata_type", ""))) for where, item in hdf5.walk(file)]
        if not any(kind for _, _, kind in typed):
            raise ValueError(f"{path}: HDF5, but not NWB: nothing in it has a neurodata_type")
        where, series = _chosen(path, typed, options.variable)
        return _signals(path, file, where, series, typed)


def _chosen(path: Path, typed: list[tuple[str, Any, str]], asked: str | None) -> tuple[str, Any]:
    found = {where: item for where, item, kind in typed if kind in _SERIES and _shape(item)}
    electrical = [where for where, _, kind in typed if kind == "ElectricalSeries" and where in found]
    listed = ", ".join(f"{where} ({' x '.join(map(str, _shape(found[where])))})" for where in found) or "no series"
    if asked is not None:
        fits = [where for where in found if where == asked.strip("/") or where.endswith(f"/{asked.strip('/')}")]
        if len(fits) != 1:
            raise ValueError(f"{path}: no one series {asked!r} (--variable); it has {listed}")
        return fits[0], found[fits[0]]
    if len(electrical) > 1:
        # what was recorded goes before what was made of it
        electrical = [where for where in electrical if where.startswith("acquisition/")] or electrical
    if len(electrical) != 1:
        what = "several ElectricalSeries" if electrical else "no ElectricalSeries"
        raise ValueError(f"{path}: {what}; say which series is EEG: variable= (--variable). It has {listed}")
    return electrical[0], found[electrical[0]]


def _shape(series: Any) -> tuple[int, ...]:
    data = hdf5.child(series, "data")
    shape = getattr(data, "shape", None) or ()
    return tuple(shape) if len(shape) in (1, 2) and 0 not in shape and data.dtype.kind in "iuf" else ()


def _signals(path: Path, file: Any, where: str, series: Any, typed: list[tuple[str, Any, str]]) -> Signals:
    dataset = series["data"]
    values = hdf5.numbers(path, f"{where}/data", dataset)
    values = values[:, None] if values.ndim == 1 else values
    n_times, count = values.shape
    notes = [f"series {where}"]
    # the schema says volts; files that say another voltage mean it
    unit = canonical_unit(str(hdf5.attribute(dataset, "unit", "volts")))
    factor, offset = _number(dataset, "conversion", 1.0), _number(dataset, "offset", 0.0)
    gains, offset = np.full(count, factor * VOLTS.get(unit or "", 1.0)), offset * VOLTS.get(unit or "", 1.0)
    per_channel = hdf5.child(series, "channel_conversion")
    if per_channel is not None and per_channel.shape == (count,):
        gains = gains * hdf5.numbers(path, f"{where}/channel_conversion", per_channel)
    wide = values.dtype.itemsize > 2 and values.dtype != np.float32
    data = np.ascontiguousarray(values.T, dtype=np.float64 if wide else np.float32)
    del values
    for row, gain in zip(data, gains, strict=True):
        row *= gain
        row += offset

    stamps, sfreq, start, declared = _clock(path, where, series, n_times)
    signals = Signals(
        data=data,
        sfreq=sfreq,
        ch_names=_names(path, file, series, count, notes),
        ch_types=["eeg"] * count,
        units=[unit] * count,
        sfreq_said="declared" if declared else "measured",
        stamps=stamps,
        notes=notes,
    )
    outside = 0
    for place, item, kind in typed:
        told = _told(path, place, item, kind)
        if stamps is not None:
            events, left = clock_events(signals, told)
        else:
            placed = [
                Event(max(time - start, 0.0), lasting, label)
                for time, lasting, label in told
                if time > start - 1 / sfreq
            ]
            events = [event for event in placed if event.onset * sfreq < n_times]
            left = len(told) - len(events)
        outside += left
        if events:
            signals.marker_events[place.rsplit("/", 1)[-1]] = events
    if outside:
        notes.append(f"{outside} events lie outside the series or in a gap: left out")
    return signals


def _number(item: Any, name: str, default: float) -> float:
    value = hdf5.attribute(item, name, default)
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else default


def _clock(path: Path, where: str, series: Any, n_times: int) -> tuple[np.ndarray | None, float, float, bool]:
    """Return timestamps if the series has them, its rate, the time of its first sample, and whether the rate is stated.

    The schema allows one of the two, so a file with both says the same thing twice, or lies.
    """
    told = hdf5.child(series, "timestamps")
    stamps = None
    if told is not None and told.shape == (n_times,) and n_times >= 3:
        stamps = hdf5.numbers(path, f"{where}/timestamps", told).astype(np.float64)
    starting = hdf5.child(series, "starting_time")
    if starting is not None and starting.size == 1:
        rate, first = (
            _number(starting, "rate", 0.0),
            float(hdf5.numbers(path, f"{where}/starting_time", starting).ravel()[0]),
        )
        if rate > 0 and math.isfinite(first):
            return stamps, rate, first, True
    if stamps is None:
        raise ValueError(f"{path}: {where} has neither a rate nor a timestamp for each sample")
    rate = measured_rate(stamps)[0]
    if not math.isfinite(rate):
        raise ValueError(f"{path}: the timestamps of {where} do not rise")
    return stamps, rate, float(stamps[0]), False


def _told(path: Path, where: str, item: Any, kind: str) -> list[tuple[float, float, str]]:
    """Return (time, duration, label) of a table of intervals or events, or of a series of annotations."""
    if kind == "AnnotationSeries":
        data, stamps = hdf5.child(item, "data"), hdf5.child(item, "timestamps")
        if data is None or stamps is None or data.shape != stamps.shape:
            return []
        labels = hdf5.texts(path, f"{where}/data", data)
        return [
            (t, 0.0, label)
            for t, label in zip(hdf5.numbers(path, where, stamps).ravel().tolist(), labels, strict=False)
        ]
    begins = {"TimeIntervals": "start_time", "EventsTable": "timestamp"}.get(kind)
    onsets = hdf5.child(item, begins) if begins else None
    if onsets is None or len(onsets.shape) != 1:
        return []
    starts = hdf5.numbers(path, f"{where}/{begins}", onsets).astype(float)
    ends = hdf5.child(item, "stop_time" if begins == "start_time" else "duration")
    lengths = np.zeros(len(starts))
    if ends is not None and ends.shape == onsets.shape:
        told = hdf5.numbers(path, f"{where}/{ends.name}", ends).astype(float)
        lengths = np.nan_to_num(told - starts if begins == "start_time" else told)
    labels = [where.rsplit("/", 1)[-1]] * len(starts)
    for column in (*_LABEL_COLUMNS, *_own_columns(item)):
        named = hdf5.child(item, column)
        if named is None or named.shape != onsets.shape or hdf5.attribute(named, "neurodata_type") != "VectorData":
            continue
        if found := hdf5.texts(path, f"{where}/{column}", named):
            labels = found
            break
    return list(zip(starts.tolist(), lengths.tolist(), labels, strict=True))


def _own_columns(item: Any) -> list[str]:
    told = hdf5.attribute(item, "colnames", [])
    names = [str(name) for name in np.ravel(told)]
    return [
        name for name in names if name not in ("start_time", "stop_time", "timestamp", "duration", "timeseries", "tags")
    ]


def _names(path: Path, file: Any, series: Any, count: int, notes: list[str]) -> list[str]:
    """Return the channels' names from the table of electrodes: the column that says most, by the series' own rows."""
    ephys = hdf5.child(hdf5.child(file, "general"), "extracellular_ephys")
    table, region = hdf5.child(ephys, "electrodes"), hdf5.child(series, "electrodes")
    rows = np.arange(count)
    if region is not None and region.shape == (count,) and region.dtype.kind in "iu":
        rows = hdf5.numbers(path, "electrodes", region).astype(np.int64)
    best: list[str] = []
    for column in _NAME_COLUMNS:
        told = hdf5.child(table, column)
        found = hdf5.texts(path, column, told) if told is not None and told.dtype.kind in "SO" else []
        if not found or rows.min() < 0 or rows.max() >= len(found):
            continue
        names = [found[row].strip() for row in rows]
        if len(set(names)) == count and all(names):
            if any(map(is_eeg_name, names)):
                return names
            best = best or names
    if not best:
        notes.append("its table of electrodes has no names: say them with channels= (--channels)")
    return best or [f"Ch{row + 1}" for row in rows]


def _is_nwb(head: Head) -> bool:
    return head.start.startswith(hdf5.MAGIC) and (
        head.path.name.lower().endswith(".nwb") or head.holds(b"nwb_version") or head.holds(b"neurodata_type")
    )


READER = Reader(
    "nwb",
    SUFFIXES["nwb"],
    read_nwb,
    "Neurodata Without Borders",
    _is_nwb,
    "NWB (HDF5 with a neurodata_type)",
    isolated=True,
)
