"""Recording: EEG in volts with its rate, channel names, events and an account of what was read and inferred."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Event:
    """One thing that happened: `onset` and `duration` in seconds from the recording's start, `label` a text."""

    onset: float
    duration: float
    label: str


@dataclass(frozen=True, eq=False)
class Recording:
    """EEG with everything needed to read it: `data` float32 (n_channels, n_times) in volts, `sfreq` in Hz.

    `ch_positions` (n_channels, 3) are metres in the head frame, NaN where unknown, or None. `segments` are the first
    samples of uninterrupted stretches (an epochs file, a boundary, a gap): filters and windows never cross one.
    `source` says what was read and inferred. Raises ValueError where shapes, names, rate or segments disagree.
    """

    data: np.ndarray
    sfreq: float
    ch_names: tuple[str, ...]
    ch_positions: np.ndarray | None = None
    events: tuple[Event, ...] = ()
    segments: tuple[int, ...] = (0,)
    source: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        data = np.asarray(self.data)
        if data.ndim != 2:
            raise ValueError(f"a recording's data must be (n_channels, n_times); got shape {data.shape}")
        object.__setattr__(self, "data", data if data.dtype == np.float32 else data.astype(np.float32))
        object.__setattr__(self, "ch_names", tuple(self.ch_names))
        object.__setattr__(self, "events", tuple(self.events))
        object.__setattr__(self, "segments", tuple(map(int, self.segments)) or (0,))
        if len(self.ch_names) != data.shape[0]:
            raise ValueError(f"{data.shape[0]} rows of data but {len(self.ch_names)} channel names {self.ch_names}")
        if len(set(self.ch_names)) != len(self.ch_names):
            raise ValueError(f"channel names repeat: {self.ch_names}")
        if not (np.isfinite(self.sfreq) and self.sfreq > 0):
            raise ValueError(f"the sampling rate must be a positive number of hertz; got {self.sfreq}")
        if self.ch_positions is not None and np.shape(self.ch_positions) != (data.shape[0], 3):
            raise ValueError(f"positions must be ({data.shape[0]}, 3); got {np.shape(self.ch_positions)}")
        starts = self.segments
        if starts[0] != 0 or (np.diff(starts) <= 0).any():
            raise ValueError(f"segments must start at 0 and rise; got {starts[:10]}")
        if starts[-1] >= max(data.shape[1], 1):
            raise ValueError(f"a segment starts at sample {starts[-1]} of a recording of {data.shape[1]} samples")

    @property
    def n_channels(self) -> int:
        """Number of channels."""
        return self.data.shape[0]

    @property
    def n_times(self) -> int:
        """Number of samples."""
        return self.data.shape[1]

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.data.shape[1] / self.sfreq

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """First and one-past-last sample of every uninterrupted stretch."""
        return tuple(zip(self.segments, (*self.segments[1:], self.n_times), strict=True))

    def pick(self, names: Sequence[str]) -> Recording:
        """Return the recording with only the channels `names`, in that order (spelling as in `montage.normalise_name`).

        Raises ValueError that lists what is missing and what there is.
        """
        from .montage import normalise_name

        exact = {name: i for i, name in enumerate(self.ch_names)}
        # where two channels share a place (T3 and T7), the first one has it
        index = {normalise_name(name): i for i, name in reversed(list(enumerate(self.ch_names)))}
        found = [exact.get(name, index.get(normalise_name(name))) for name in names]
        if missing := [name for name, row in zip(names, found, strict=True) if row is None]:
            raise ValueError(f"no channels {missing} in this recording; it has {list(self.ch_names)}")
        rows = [row for row in found if row is not None]
        positions = None if self.ch_positions is None else self.ch_positions[rows]
        return replace(
            self, data=self.data[rows], ch_names=tuple(self.ch_names[r] for r in rows), ch_positions=positions
        )


def describe(recording: Recording) -> str:
    """Return readable lines: what the recording is, and what its reader inferred, dropped and repaired."""
    source = recording.source
    labels = Counter(event.label for event in recording.events)
    known = f", recognised {source['recognised']}" if source.get("recognised") else ""
    lines = [
        f"{source.get('file', 'recording')} ({source.get('format', 'in memory')}{known})",
        f"{recording.n_channels} channels at {recording.sfreq:g} Hz, {recording.duration:.2f} s"
        + (f" in {len(recording.segments)} segments" if len(recording.segments) > 1 else ""),
        f"channels: {' '.join(recording.ch_names)}",
    ]
    if labels:
        shown = ", ".join(f"{label} x {count}" for label, count in labels.most_common(12))
        lines.append(f"events: {len(recording.events)} ({shown}{', ...' if len(labels) > 12 else ''})")
    else:
        lines.append("events: none")
    if source.get("timing"):
        lines.append(f"timing: {_timing(dict(source['timing']), recording.sfreq)}")
    lines += [f"{key}: {source[key]}" for key in ("units", "reference", "montage") if source.get(key)]
    if offsets := dict(source.get("offsets_uv", {})):
        shown = ", ".join(f"{name} {value:.4g}" for name, value in list(offsets.items())[:12])
        lines.append(f"offsets taken off, in uV: {shown}{_more(len(offsets) - 12)}")
    by_reason: dict[str, list[str]] = {}
    for name, reason in dict(source.get("dropped", {})).items():
        by_reason.setdefault(reason, []).append(name)
    for reason, names in by_reason.items():
        lines.append(f"dropped {', '.join(names[:12])}{_more(len(names) - 12)}: {reason}")
    lines += [f"repaired: {sentence}" for sentence in source.get("repaired", [])]
    lines += [f"note: {sentence}" for sentence in source.get("notes", [])]
    return "\n".join(lines)


def _more(count: int) -> str:
    return f" and {count} more" if count > 0 else ""


def _timing(timing: dict[str, Any], sfreq: float) -> str:
    """Say how the rate is known, what timestamps tell of it, and what was lost."""
    how = {
        "declared": "as the file declares",
        "documented": "as the maker documents",
        "measured": "by its timestamps",
        "given": "as given",
        "asked": "as given",
    }
    said = [f"{sfreq:g} Hz {how.get(str(timing.get('stated_by')), '')}".rstrip()]
    if "measured_hz" in timing:
        drift = f" (drift {timing['drift_ppm']:+d} ppm)" if "drift_ppm" in timing else ""
        said.append(f"{timing['measured_hz']:.6g} Hz by the timestamps{drift}")
    if "effective_hz" in timing and timing.get("lost_samples"):
        said.append(f"{timing['effective_hz']:.6g} samples a second arrived")
    if "lost_samples" in timing:
        gaps = f", {timing['gaps']} gaps of {timing['gap_s']:g} s in all" if timing.get("gaps") else ""
        said.append(f"{timing['lost_samples']} samples lost{gaps}")
    return "; ".join(said)
