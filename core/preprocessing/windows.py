"""Cutting windows about events out of a prepared recording, and choosing which."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..recording import Event, Recording
from .config import PreprocessingConfig


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows cut from a recording: `data` float32 (n_kept, n_channels, n_times).

    `onsets` (n,) seconds, `kept` (n,) bool and `reasons` (n) are one per onset that was asked for; `data` holds those
    that were kept, in order. A reason beside a kept window says what `reject_uv` would have rejected it for.
    """

    data: np.ndarray
    onsets: np.ndarray
    kept: np.ndarray
    reasons: tuple[str | None, ...]


def cut_windows(
    prepared: Recording,
    onsets: np.ndarray | Sequence[float],
    config: PreprocessingConfig,
    *,
    keep_rejected: bool = False,
) -> Windows:
    """Cut `config.tmin` to `config.tmax` about each onset (seconds) from what `prepare_continuous` returned; volts.

    A window that leaves the recording or crosses into another segment is not kept (one that overhangs by a single
    sample of rounding is moved by it); nor is one whose peak-to-peak amplitude is over `reject_uv`, after the baseline,
    unless `keep_rejected`. Raises ValueError where the recording is not prepared for this config, or shorter than
    one window.
    """
    n_times, lead, onsets = config.n_times, config.n_lead, np.atleast_1d(np.asarray(onsets, dtype=np.float64))
    if prepared.sfreq != config.sfreq or prepared.ch_names != config.ch_names:
        raise ValueError(
            f"the recording is at {prepared.sfreq:g} Hz with {prepared.n_channels} channels, not prepared for "
            f"{config.sfreq:g} Hz with {len(config.ch_names)}; call prepare_continuous first"
        )
    if onsets.ndim != 1 or not np.isfinite(onsets).all():
        raise ValueError(f"onsets must be a row of seconds; got shape {onsets.shape}, or some that are not numbers")
    if lead + n_times > prepared.n_times + 1:
        raise ValueError(
            f"a window of {n_times / config.sfreq:g} s ({config.tmin:g} to {config.tmax:g} s) is longer than the "
            f"recording, which lasts {prepared.duration:g} s"
        )
    starts, reasons = window_starts(prepared, onsets, config)
    kept = np.array([reason is None for reason in reasons], dtype=bool)
    samples = starts[kept, None] + np.arange(-lead, n_times)
    data = np.ascontiguousarray(prepared.data[:, samples].transpose(1, 0, 2))
    if config.baseline is not None and len(data):
        first = min(lead + round((config.baseline[0] - config.tmin) * config.sfreq), lead + n_times - 1)
        last = max(lead + round((config.baseline[1] - config.tmin) * config.sfreq), first + 1)
        level = data[:, :, first:last].mean(axis=2, dtype=np.float64, keepdims=True)
        data = (data - level).astype(np.float32)
    data = np.ascontiguousarray(data[:, :, lead:])
    if config.reject_uv is not None and len(data):
        peaks_uv = np.ptp(data, axis=2).max(axis=1) * 1e6
        over = peaks_uv > config.reject_uv
        for i, peak in zip(np.flatnonzero(kept)[over], peaks_uv[over], strict=True):
            reasons[i] = f"amplitude {peak:.0f} uV over {config.reject_uv:g} uV"
        if not keep_rejected:
            kept[np.flatnonzero(kept)[over]] = False
            data = data[~over]
    return Windows(data, onsets, kept, tuple(reasons))


def window_starts(
    prepared: Recording, onsets: np.ndarray, config: PreprocessingConfig
) -> tuple[np.ndarray, list[str | None]]:
    """Return the first sample of the window about each onset in seconds, and why it cannot be cut (None: it can)."""
    lead, total = config.n_lead, prepared.n_times
    n_times = lead + config.n_times
    starts = np.rint((onsets + config.tmin) * config.sfreq).astype(np.int64) - lead
    firsts = np.array(prepared.segments)
    lasts = np.append(firsts[1:], total)
    # the segment that holds the window's middle is the one it must stay in
    inside = np.clip(np.searchsorted(firsts, starts + n_times // 2, side="right") - 1, 0, len(firsts) - 1)
    early, late = firsts[inside] - starts, starts + n_times - lasts[inside]
    fits = n_times <= lasts[inside] - firsts[inside]
    starts = starts + np.where(fits & (early == 1), 1, 0) - np.where(fits & (late == 1), 1, 0)
    wrong = ~fits | (early > 1) | (late > 1)
    reasons: list[str | None] = [None] * len(onsets)
    for i in np.flatnonzero(wrong):
        outside = starts[i] < 0 or starts[i] + n_times > total
        reasons[i] = "outside the recording" if outside else "crosses a gap"
    return starts + lead, reasons


def mean_window(windows: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """Return the mean (n_channels, n_times) float32 of windows (n, n_channels, n_times): of those that are clean (n,)
    bool, where any is.
    """
    chosen = windows[clean] if clean.any() else windows
    return chosen.mean(axis=0, dtype=np.float64).astype(np.float32)


def events_labelled(recording: Recording, label: str | None) -> tuple[Event, ...]:
    """Return the events with a label, all of them for None; raises ValueError listing the labels there are."""
    events = recording.events
    if label is not None:
        events = tuple(event for event in events if event.label == str(label))
        if not events:
            counted = Counter(event.label for event in recording.events)
            listed = ", ".join(f"{name!r} x {count}" for name, count in counted.most_common(20)) or "none"
            raise ValueError(f"no event is labelled {label!r}; this recording's events: {listed}")
    return events


def event_at(events: tuple[Event, ...], place: int, label: str | None) -> Event:
    """Return the event at a place, negative from the end; raises ValueError saying how many there are."""
    if not -len(events) <= place < len(events):
        of = "" if label is None else f" labelled {label!r}"
        raise ValueError(f"no event {place}: this recording has {len(events)} events{of}, counted from 0")
    return events[place]
