"""Pictures of recordings: traces, power spectrum, scalp map, spectrogram, as uint8 RGB arrays (height, width, 3).

Axes carry their units: seconds, hertz, microvolts, decibels over 1 µV²/Hz.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .figures import LINES_DARK, LINES_LIGHT, add_colour_bar, literal, new_figure, pixels
from .power import power_spectrum
from .recording import Recording
from .scalp_map import plot_topomap

__all__ = ["plot_psd", "plot_spectrogram", "plot_topomap", "plot_traces"]

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
) -> np.ndarray:
    """Return the traces of a stretch of a recording, events as lines, with a bar of so many microvolts.

    start, duration: seconds. channels: names, by default all. scale_uv: microvolts from one trace's baseline to the
    next; by default so that traces rarely cross. width, height: pixels. Each trace is drawn about its own median;
    gaps stay open.

    Raises ValueError where the stretch lies outside the recording or a channel does not exist.
    """
    shown = recording if channels is None else recording.pick(channels)
    first, last = _samples(shown, start, duration)
    data = shown.data[:, first:last].astype(np.float64) * 1e6
    data -= np.nanmedian(data, axis=1, keepdims=True)
    spacing = scale_uv or _round(3.0 * float(np.nanmedian(np.nanpercentile(np.abs(data), 98, axis=1))), up=True)
    height = height or int(np.clip(46 * shown.n_channels + 110, 260, 1600))
    figure, axes, theme = new_figure(width, height, dark)
    baseline = -spacing * np.arange(shown.n_channels)
    for begin, end in shown.spans:
        begin, end = max(begin, first) - first, min(end, last) - first
        if end - begin > 1:
            times, envelope = _envelope(data[:, begin:end], width)
            seconds = (first + begin + times) / shown.sfreq
            axes.plot(seconds, (envelope + baseline[:, None]).T, color=theme["accent"], linewidth=0.8)
    axes.set_yticks(baseline, [literal(name) for name in shown.ch_names])
    axes.set_ylim(baseline[-1] - spacing, spacing)
    axes.set_xlim(first / shown.sfreq, last / shown.sfreq)
    axes.set_xlabel("time (s)")
    axes.tick_params(axis="y", length=0, labelsize=9 if shown.n_channels <= 32 else 6)
    _draw_events(axes, shown, first / shown.sfreq, last / shown.sfreq, theme)
    bar = _round(spacing)
    low, right = baseline[-1] - 0.75 * spacing, axes.get_yaxis_transform()
    axes.plot([1.008, 1.008], [low, low + bar], color=theme["ink"], linewidth=1.6, transform=right, clip_on=False)
    axes.text(1.014, low + bar / 2, f"{bar:g} µV", transform=right, va="center", fontsize=9, color=theme["ink"])
    return pixels(figure)


def plot_psd(
    recording: Recording,
    fmax: float = 70.0,
    *,
    channels: Sequence[str] | None = None,
    width: int = 900,
    height: int = 480,
    dark: bool = False,
) -> np.ndarray:
    """Return the power spectral density of a recording's channels (Welch, windows of 2 s), and their median.

    fmax: hertz, cut at half the sampling rate. No window crosses a gap. Up to eight channels have a colour and a name.
    """
    shown = recording if channels is None else recording.pick(channels)
    freqs, power = power_spectrum(shown)
    kept = (freqs > 0) & (freqs <= fmax)
    level = 10 * np.log10(np.maximum(power[:, kept] * 1e12, 1e-12))
    figure, axes, theme = new_figure(width, height, dark)
    few = shown.n_channels <= len(LINES_LIGHT)
    colours = LINES_DARK if dark else LINES_LIGHT
    for i, (name, line) in enumerate(zip(shown.ch_names, level, strict=True)):
        style: dict[str, Any] = (
            {"color": colours[i], "label": literal(name)} if few else {"color": theme["quiet"], "alpha": 0.35}
        )
        axes.plot(freqs[kept], line, linewidth=1.4 if few else 0.7, **style)
    if not few:
        axes.plot(freqs[kept], np.median(level, axis=0), color=theme["accent"], linewidth=2, label="median")
    axes.set_xlim(0, min(fmax, shown.sfreq / 2))
    axes.set_xlabel("frequency (Hz)")
    axes.set_ylabel("power (dB re 1 µV²/Hz)")
    axes.grid(axis="y", color=theme["line"], linewidth=0.8)
    axes.legend(frameon=False, labelcolor=theme["ink"], fontsize=9, ncols=2 if few else 1)
    return pixels(figure)


def plot_spectrogram(
    recording: Recording,
    *,
    channels: Sequence[str] | None = None,
    window_s: float = 1.0,
    fmax: float = 45.0,
    width: int = 1200,
    height: int = 420,
    dark: bool = False,
) -> np.ndarray:
    """Return power over time and frequency, averaged over channels.

    Windows of window_s seconds overlap by 90 %; gaps stay empty. Colours run from the 2nd to the 99.5th percentile of
    what is shown. Raises ValueError where no stretch is as long as a window.
    """
    from scipy.signal import spectrogram

    shown = recording if channels is None else recording.pick(channels)
    window = max(8, round(window_s * shown.sfreq))
    spans = [(begin, end) for begin, end in shown.spans if end - begin >= window]
    if not spans:
        longest = max(end - begin for begin, end in shown.spans) / shown.sfreq
        raise ValueError(f"no stretch is as long as the window of {window_s:g} s; the longest is {longest:.3g} s")
    # about two columns a pixel are enough, however long the recording is
    hop = max(window // 10, shown.n_times // (2 * width), 1)
    figure, axes, theme = new_figure(width, height, dark)
    parts = []
    for begin, end in spans:
        stretch = shown.data[:, begin:end].astype(np.float64) * 1e6
        overlap = max(window - hop, 0)
        freqs, times, power = spectrogram(stretch, shown.sfreq, nperseg=window, noverlap=overlap, detrend="constant")
        kept = (freqs > 0) & (freqs <= fmax)
        parts.append((begin / shown.sfreq + times, 10 * np.log10(np.maximum(power[:, kept].mean(axis=0), 1e-12))))
    everything = np.concatenate([level for _, level in parts], axis=1)
    low, high = np.percentile(everything, [2, 99.5])
    step_f, step_t = freqs[1], (window - overlap) / shown.sfreq
    top, image = freqs[kept][-1] + step_f / 2, None
    for times, level in parts:
        extent = (times[0] - step_t / 2, times[-1] + step_t / 2, freqs[kept][0] - step_f / 2, top)
        image = axes.imshow(level, origin="lower", extent=extent, aspect="auto", vmin=low, vmax=max(high, low + 1e-6))
    axes.set(
        xlim=(0, shown.duration), ylim=(freqs[kept][0] - step_f / 2, top), xlabel="time (s)", ylabel="frequency (Hz)"
    )
    add_colour_bar(figure, axes, image, "power (dB re 1 µV²/Hz)", theme, pad=0.015)
    return pixels(figure)


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


def _draw_events(axes: Any, recording: Recording, begin: float, end: float, theme: dict[str, str]) -> None:
    inside = [event for event in recording.events if begin <= event.onset <= end]
    faint = 0.5 if len(inside) <= 3 * MAX_EVENT_NAMES else 0.15
    for event in inside:
        axes.axvline(event.onset, color=theme["quiet"], linewidth=0.7, alpha=faint, zorder=0)
    if len(inside) > MAX_EVENT_NAMES:
        inside = inside[:: -(-len(inside) // MAX_EVENT_NAMES)]
    top = axes.get_xaxis_transform()
    for event in inside:
        label = literal(event.label if len(event.label) <= 16 else event.label[:15] + "…")
        place: dict[str, Any] = {"transform": top, "ha": "center", "va": "bottom"}
        axes.text(event.onset, 1.01, label, fontsize=8, color=theme["quiet"], **place)
