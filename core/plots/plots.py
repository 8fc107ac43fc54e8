"""Pictures of recordings and of selected windows: traces, power spectrum, scalp map, spectrogram.

All are uint8 RGB arrays (height, width, 3). Axes carry their units: seconds, hertz, microvolts, decibels over 1 µV²/Hz.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ..channel_groups import pick_channels
from ..choices import PLOTS
from ..preprocessing.selection import Selection, in_seconds, raw_means
from ..recording import Event, Recording
from .power_spectrum import band_amplitude, check_band
from .psd import plot_psd, plot_spectrogram, spectrogram_db, spectrum_db
from .topomap import plot_topomap
from .traces import plot_traces, trace_spacing

__all__ = ["plot", "plot_psd", "plot_spectrogram", "plot_topomap", "plot_traces"]

MAX_PICTURES = 240
MAX_PIXELS = 110_000_000  # of all pictures together, 1.3 GB once a host holds them as floats
WINDOW_WIDTH = 760  # pixels


def plot(
    eeg: Recording | Selection,
    kind: str,
    *,
    channels: str = "",
    dark: bool = False,
    progress: Callable[[int, int], None] | None = None,
    **options: float,
) -> list[np.ndarray]:
    """Return one picture of a recording, or one of each selected window, all of one size and on one scale.

    kind: a key of PLOTS, whose values are the options and what they are where not given: start and duration in seconds
    (of a recording; a window is drawn whole), up_to, low and high in hertz. channels: see `pick_channels`. A window is
    cut at the recording's own rate, unfiltered, and a group's windows are averaged; its axis of time starts at `tmin`.
    progress: called with (done, total) pictures.

    Raises ValueError for an unknown kind or option, too many windows, and what cannot be drawn, saying why.
    """
    if kind not in PLOTS:
        raise ValueError(f"no plot called {kind!r}; known: {', '.join(PLOTS)}")
    if unknown := sorted(set(options) - set(PLOTS[kind])):
        raise ValueError(f"a plot of {kind} has no {', '.join(unknown)}; it has {', '.join(PLOTS[kind])}")
    settings = {**PLOTS[kind], **options}
    if isinstance(eeg, Selection):
        if len(eeg) > MAX_PICTURES:
            raise ValueError(f"{len(eeg)} windows are too many pictures; select at most {MAX_PICTURES} windows")
        drawn = list(_windows(eeg, channels))
        looks = {"zero_s": -eeg.tmin, "width": WINDOW_WIDTH}
        settings |= {"start": 0.0, "duration": eeg.tmax - eeg.tmin + 1.0}
    else:
        drawn, looks = [(_picked(eeg, channels), None)], {}
    sfreq = drawn[0][0].sfreq
    if kind == "scalp map":
        check_band(settings["low"], settings["high"], sfreq)
    scale = _common_scale(kind, [recording for recording, _ in drawn], settings) if len(drawn) > 1 else None
    pictures = []
    for recording, title in drawn:
        pictures.append(_draw(kind, recording, title, settings, scale, dark, looks))
        height, width, _ = pictures[0].shape
        if len(drawn) > (most := MAX_PIXELS // (height * width)):
            raise ValueError(
                f"{len(drawn)} pictures of {width} x {height} pixels are too many; select at most {most} windows, or "
                "fewer channels"
            )
        if progress is not None:
            progress(len(pictures), len(drawn))
    return pictures


def _picked(recording: Recording, channels: str) -> Recording:
    return recording.pick(pick_channels(recording.ch_names, channels)) if channels.strip() else recording


def _windows(selection: Selection, channels: str) -> Iterator[tuple[Recording, str]]:
    """Yield each window as a recording of its own, with its title."""
    cut, counts = raw_means(selection)
    whole = selection.recording
    # a line where the moment is; its name is the title
    at_zero = (Event(-selection.tmin, 0.0, ""),) if selection.tmin <= 0 <= selection.tmax else ()
    for data, count, group, label in zip(cut, counts, selection.groups, selection.labels, strict=True):
        when = in_seconds(group[0])
        title = f"{label}, mean of {count}" if len(group) > 1 else label if label == when else f"{label}, at {when}"
        window = Recording(data, whole.sfreq, whole.ch_names, whole.ch_positions, at_zero)
        yield _picked(window, channels), title


def _common_scale(kind: str, windows: list[Recording], settings: dict[str, float]) -> tuple[float, float]:
    """Return what axes or colours run over in every picture, so that one can be compared with another."""
    if kind == "traces":
        spacing = trace_spacing(windows)
        return spacing, spacing
    if kind == "spectrum":
        levels = [spectrum_db(window, settings["up_to"])[1] for window in windows]
        low, high = min(level.min() for level in levels), max(level.max() for level in levels)
        edge = 0.05 * (high - low) + 0.5
        return float(low - edge), float(high + edge)
    if kind == "scalp map":
        band = (settings["low"], settings["high"])
        amplitudes = np.stack([band_amplitude(window, band) for window in windows])
        return float(amplitudes.min()), float(amplitudes.max())
    parts = [
        spectrogram_db(window, _spectrogram_window(window), settings["up_to"], 2 * WINDOW_WIDTH)[2]
        for window in windows
    ]
    levels = np.concatenate([level.ravel() for part in parts for _, level in part])
    low, high = np.percentile(levels, [2, 99.5])
    return float(low), float(high)


def _draw(
    kind: str,
    recording: Recording,
    title: str | None,
    settings: dict[str, float],
    scale: tuple[float, float] | None,
    dark: bool,
    looks: dict,
) -> np.ndarray:
    in_time = {"title": title, "dark": dark, **looks}
    if kind == "traces":
        spacing = None if scale is None else scale[0]
        return plot_traces(recording, settings["start"], settings["duration"], scale_uv=spacing, **in_time)
    if kind == "spectrum":
        return plot_psd(recording, settings["up_to"], range_db=scale, dark=dark, title=title)
    if kind == "scalp map":
        return plot_topomap(recording, band=(settings["low"], settings["high"]), limits=scale, dark=dark, title=title)
    window_s = _spectrogram_window(recording)
    return plot_spectrogram(recording, window_s=window_s, fmax=settings["up_to"], range_db=scale, **in_time)


def _spectrogram_window(recording: Recording) -> float:
    # a second, or in shorter stretches a third of the longest, so that there is something over time to see
    longest = max(end - begin for begin, end in recording.spans) / recording.sfreq
    if longest * recording.sfreq < 16:
        raise ValueError(f"a spectrogram needs 16 samples in one stretch; the longest lasts {longest:.3g} s")
    return min(1.0, longest / 3)
