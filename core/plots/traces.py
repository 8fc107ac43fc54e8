"""Pictures of a recording's traces over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..recording import Recording
from .canvas import literal, new_figure, pixels, put_title

MAX_EVENT_NAMES = 12


def plot_traces(
    recording: Recording,
    start: float = 0.0,
    duration: float = 10.0,
    *,
    channels: Sequence[str] | None = None,
    scale_uv: float | None = None,
    width: int = 1200,
    height: int | None = None,
    dark: bool = False,
    title: str | None = None,
    zero_s: float = 0.0,
) -> np.ndarray:
    """Return the traces of a stretch of a recording, events as lines, with a bar of so many microvolts.

    start, duration: seconds. channels: names, by default all. scale_uv: microvolts from one trace's baseline to the
    next; by default so that traces rarely cross (`trace_spacing`). width, height: pixels. zero_s: seconds from the
    recording's start that the axis calls 0. Each trace is drawn about its own median; gaps stay open.

    Raises ValueError where the stretch lies outside the recording or a channel does not exist.
    """
    shown = recording if channels is None else recording.pick(channels)
    first, last = _samples(shown, start, duration)
    data = _about_median(shown.data[:, first:last])
    spacing = scale_uv or _spacing(data)
    height = height or int(np.clip(46 * shown.n_channels + 110, 260, 1600))
    figure, axes, theme = new_figure(width, height, dark)
    baseline = -spacing * np.arange(shown.n_channels)
    for begin, end in shown.spans:
        begin, end = max(begin, first) - first, min(end, last) - first
        if end - begin > 1:
            times, envelope = _envelope(data[:, begin:end], width)
            seconds = (first + begin + times) / shown.sfreq - zero_s
            axes.plot(seconds, (envelope + baseline[:, None]).T, color=theme["accent"], linewidth=0.8)
    axes.set_yticks(baseline, [literal(name) for name in shown.ch_names])
    axes.set_ylim(baseline[-1] - spacing, spacing)
    axes.set_xlim(first / shown.sfreq - zero_s, last / shown.sfreq - zero_s)
    axes.set_xlabel("time (s)")
    put_title(axes, title, theme)
    axes.tick_params(axis="y", length=0, labelsize=9 if shown.n_channels <= 32 else 6)
    _draw_events(axes, shown, first / shown.sfreq, last / shown.sfreq, zero_s, theme)
    bar = _round(spacing)
    low, right = baseline[-1] - 0.75 * spacing, axes.get_yaxis_transform()
    axes.plot([1.008, 1.008], [low, low + bar], color=theme["ink"], linewidth=1.6, transform=right, clip_on=False)
    axes.text(1.014, low + bar / 2, f"{bar:g} µV", transform=right, va="center", fontsize=9, color=theme["ink"])
    return pixels(figure)


def trace_spacing(recordings: Sequence[Recording]) -> float:
    """Return the microvolts between baselines at which the traces of most of these recordings rarely cross."""
    return float(np.median([_spacing(_about_median(recording.data)) for recording in recordings]))


def _about_median(data: np.ndarray) -> np.ndarray:
    # microvolts
    data = data.astype(np.float64) * 1e6
    return data - np.nanmedian(data, axis=1, keepdims=True)


def _spacing(data: np.ndarray) -> float:
    return _round(3.0 * float(np.nanmedian(np.nanpercentile(np.abs(data), 98, axis=1))), up=True)


def _samples(recording: Recording, start: float, duration: float) -> tuple[int, int]:
    first, last = round(start * recording.sfreq), min(round((start + duration) * recording.sfreq), recording.n_times)
    if first < 0 or last - first < 2:
        asked = f"from {start:g} s for {duration:g} s"
        raise ValueError(f"{asked} there is nothing to show; the recording lasts {recording.duration:.4g} s")
    return first, last


def _round(value: float, up: bool = False) -> float:
    # 1, 2 or 5 times a power of ten, at most `value` (at least, where up)
    if not np.isfinite(value) or value <= 0:
        return 1.0
    size = 10.0 ** np.floor(np.log10(value))
    steps = [m * size for m in (1, 2, 5, 10)]
    return float(next(s for s in steps if s >= value) if up else max(s for s in steps if s <= value * (1 + 1e-9)))


def _envelope(data: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    # Sample places and values; where there are many samples to a pixel, the least and the greatest of each, so that
    # no peak is lost.
    n = data.shape[1]
    per_pixel = n // (2 * width)
    if per_pixel < 2:
        return np.arange(n, dtype=np.float64), data
    cut = data[:, : n // per_pixel * per_pixel].reshape(len(data), -1, per_pixel)
    pairs = np.stack([cut.min(axis=2), cut.max(axis=2)], axis=2).reshape(len(data), -1)
    return (np.arange(pairs.shape[1]) + 0.5) * per_pixel / 2, pairs


def _draw_events(
    axes: Any, recording: Recording, begin: float, end: float, zero_s: float, theme: dict[str, str]
) -> None:
    inside = [event for event in recording.events if begin <= event.onset <= end]
    faint = 0.5 if len(inside) <= 3 * MAX_EVENT_NAMES else 0.15
    for event in inside:
        axes.axvline(event.onset - zero_s, color=theme["quiet"], linewidth=0.7, alpha=faint, zorder=0)
    if len(inside) > MAX_EVENT_NAMES:
        inside = inside[:: -(-len(inside) // MAX_EVENT_NAMES)]
    top = axes.get_xaxis_transform()
    for event in inside:
        label = literal(event.label if len(event.label) <= 16 else event.label[:15] + "…")
        place: dict[str, Any] = {"transform": top, "ha": "center", "va": "bottom"}
        axes.text(event.onset - zero_s, 1.01, label, fontsize=8, color=theme["quiet"], **place)
