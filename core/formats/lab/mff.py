"""EGI NetStation's .mff folders, read by ourselves: MNE needs a further package for them, by version another one."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from ...recording import Event
from ..containers.mne_raw import positions_of
from ..containers.truncated import cut_off
from ..contract.signals import Head, Reader, ReadOptions, Signals
from ..contract.suffixes import SUFFIXES
from .mff_outline import (
    Blocks,
    begun_at,
    blocks_of,
    conditions,
    epochs_of,
    events_of_tracks,
    gains_of,
    sensors_of,
    signal_files,
)

_FIDUCIALS = {"Nasion": "nasion", "Left periauricular point": "lpa", "Right periauricular point": "rpa"}


def read_mff(path: Path, options: ReadOptions) -> Signals:
    """Read a .mff folder: microvolts, epochs end to end, events by their tracks' codes, named segments as "categories".

    One of its signal files stands for the folder. A folder whose samples were cut off is read up to the last whole
    block. Raises ValueError or FileNotFoundError where a file of the folder is missing or damaged.
    """
    path = path if path.is_dir() else path.parent
    samples, others = signal_files(path)
    blocks, torn = blocks_of(samples)
    begun, per_second = begun_at(path)
    epochs = epochs_of(path, per_second)
    notes: list[str] = []
    spans, places, told = _spans(path, blocks, epochs, torn, notes)
    data = _read(samples, blocks.n_channels, places)
    gains = gains_of(path / f"info{samples.stem.removeprefix('signal')}.xml", blocks.n_channels)
    if gains is not None:
        data *= np.array(gains, np.float32)[:, None]
    data *= np.float32(1e-6)

    tracked, odd = events_of_tracks(path, begun)
    events, lost = _on_samples(tracked, spans, blocks.rate)
    named, _ = _on_samples(conditions(path, per_second), spans, blocks.rate)
    if odd or lost:
        notes.append(f"{odd + lost} events lie where nothing was recorded, or at no readable time: they are gone")
    names, positions = _channels(path, blocks.n_channels, blocks.rate, notes)
    return Signals(
        data=data,
        sfreq=blocks.rate,
        rates_told={"epochs.xml": told},
        ch_names=names,
        ch_types=["eeg"] * blocks.n_channels,
        units=["uV"] * blocks.n_channels,
        positions=positions,
        events=events,
        event_source="event tracks",
        marker_events={"categories": named} if named else {},
        segments=tuple(start for start, _, _ in spans),
        dropped={other.name: "physiology, in a file of its own" for other in others},
        notes=notes,
        companions=tuple(sorted(file for file in path.iterdir() if file.suffix in (".bin", ".xml"))),
    )


def _spans(
    path: Path, blocks: Blocks, epochs: list[tuple[float, float, int, int]], torn: bool, notes: list[str]
) -> tuple[list[tuple[int, int, float]], list[tuple[int, int]], float]:
    """Return (first sample, number of samples, time in s) of each uninterrupted stretch, and all blocks they take.

    Last comes the rate by which the epochs whose blocks are all there would last as long as they say (NaN unknown).
    """
    promised = sum(stop - start for start, stop, _, _ in epochs) * blocks.rate
    spans: list[tuple[int, int, float]] = []
    at, places, before = 0, [], 0
    whole_times, whole_s = 0, 0.0
    for start, stop, first, last in epochs:
        if first <= before:
            raise ValueError(f"{path}: its epochs.xml is damaged: block {first} belongs to two epochs")
        before = last
        mine = blocks.places[first - 1 : last]
        places += mine
        n_times = sum(count for _, count in mine)
        if n_times == 0:
            continue
        if last <= len(blocks.places):
            whole_times, whole_s = whole_times + n_times, whole_s + stop - start
        if spans and abs(spans[-1][2] + spans[-1][1] / blocks.rate - start) < 0.75 / blocks.rate:
            spans[-1] = (spans[-1][0], spans[-1][1] + n_times, spans[-1][2])
        else:
            spans.append((at, n_times, start))
        at += n_times
    if not spans:
        raise ValueError(f"{path}: its epochs.xml tells of no block that its samples have")
    if torn or (before > len(blocks.places) and at < promised - len(epochs)):
        notes.append(cut_off(at, max(round(promised), at), "samples", 1 / blocks.rate))
    if len(spans) > 1:
        away = sum(b[2] - a[2] - a[1] / blocks.rate for a, b in pairwise(spans))
        notes.append(f"{len(spans) - 1} pauses, {away:.4g} s in all: the recording is in segments there")
    # each of its times may be a sample off
    told = whole_times / whole_s if whole_s * blocks.rate > 200 * len(epochs) else math.nan
    return spans, places, told


def _read(samples: Path, n_channels: int, places: list[tuple[int, int]]) -> np.ndarray:
    """Return the blocks end to end, (n_channels, n_times); in a block, one channel lies after the other."""
    data = np.empty((n_channels, sum(count for _, count in places)), np.float32)
    at = 0
    for first, count in places:
        block = np.fromfile(samples, "<f4", n_channels * count, offset=first)
        data[:, at : at + count] = block.reshape(n_channels, count)
        at += count
    return data


def _on_samples(
    told: list[tuple[float, str]], spans: list[tuple[int, int, float]], rate: float
) -> tuple[list[Event], int]:
    """Return events at the samples of their times, and how many lie in pauses or outside."""
    starts = np.array([time for _, _, time in spans])
    found = []
    for time, label in told:
        which = int(np.searchsorted(starts, time + 0.5 / rate, "right")) - 1
        within = (time - spans[max(which, 0)][2]) * rate
        if which >= 0 and -0.5 <= within < spans[which][1]:
            found.append(Event((spans[which][0] + max(within, 0.0)) / rate, 0.0, label))
    return found, len(told) - len(found)


def _channels(path: Path, n_channels: int, rate: float, notes: list[str]) -> tuple[list[str], np.ndarray | None]:
    """Return the channels' names by the net's layout, and their places in the head's frame in metres."""
    import mne

    layout = sorted(
        (one for one in sensors_of(path / "sensorLayout.xml") if one.kind in (0, 1)), key=lambda one: one.number
    )
    if len(layout) != n_channels:
        notes.append(f"its sensorLayout.xml has {len(layout)} sensors, its samples {n_channels} channels: numbered")
        return [f"E{i + 1}" for i in range(n_channels)], None
    coordinates = sensors_of(path / "coordinates.xml")
    known = {sensor.number: sensor for sensor in coordinates if sensor.kind in (0, 1)}
    names = [known.get(one.number, one).name or one.name or f"E{one.number}" for one in layout]
    fiducials: dict[str, Any] = {
        _FIDUCIALS[one.name]: np.array(one.place) / 100 for one in coordinates if one.name in _FIDUCIALS
    }
    if len(fiducials) != 3 or len(set(names)) != len(names):
        return names, None
    places = {
        name: np.array(known[one.number].place) / 100
        for name, one in zip(names, layout, strict=True)
        if one.number in known
    }
    info = mne.create_info(names, rate, "eeg")
    try:
        info.set_montage(mne.channels.make_dig_montage(places, **fiducials), on_missing="ignore", verbose="ERROR")
    except (ValueError, RuntimeError, np.linalg.LinAlgError):  # fiducials in one place span no head
        return names, None
    return names, positions_of(SimpleNamespace(info=info))


def _is_mff(head: Head) -> bool:
    folder = head.path if head.path.is_dir() else head.path.parent
    if folder is not head.path and not head.path.name.startswith("signal"):
        return False
    return (folder / "signal1.bin").is_file() and (folder / "info.xml").is_file()


READER = Reader(
    "mff",
    SUFFIXES["mff"],
    read_mff,
    "EGI NetStation's .mff folders",
    _is_mff,
    "EGI MFF (a folder with info.xml and signal1.bin)",
    folder=True,
)
