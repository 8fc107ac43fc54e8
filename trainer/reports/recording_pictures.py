"""The pictures of a recording's page: each drawn light and dark, wide and narrow, as data URIs."""

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from html import escape
from itertools import pairwise

import numpy as np

from core.choices import BANDS
from core.plots.psd import plot_psd, plot_spectrogram
from core.plots.topomap import plot_topomap
from core.plots.traces import plot_traces
from core.recording import Recording

WIDE, NARROW = 992, 460
SHOWN_S = 10.0
MAX_TRACES, MAX_NAMES, MAX_SAMPLES = 48, 20, 6_000_000
HIGH_PASS, NOTCH_Q = 0.5, 30.0
Draw = Callable[[int, bool], np.ndarray]


def figure(draw: Draw, alt: str, sizes: Sequence[int] = (WIDE, NARROW), smooth: bool = False) -> str:
    """Return a picture as HTML that follows the reader's colour scheme and width; draw(width, dark) draws it.

    smooth: it has areas whose colour changes slowly, which few colours would show as steps. Raises ValueError where it
    cannot be drawn.
    """
    wide = sizes[0]
    sources = ""
    for width in sizes[1:]:
        for dark in (True, False):
            scheme = " and (prefers-color-scheme: dark)" if dark else ""
            sources += f'<source media="(max-width: 44rem){scheme}" srcset="{data_uri(draw(width, dark), smooth)}">'
    sources += f'<source media="(prefers-color-scheme: dark)" srcset="{data_uri(draw(wide, True), smooth)}">'
    shown = f'<img src="{data_uri(draw(wide, False), smooth)}" alt="{escape(alt)}">'
    return f'<picture class="plate">{sources}{shown}</picture>'


def data_uri(picture: np.ndarray, smooth: bool = False) -> str:
    """Return a picture, uint8 (height, width, 3), as a PNG of at most 256 colours in a data URI."""
    from PIL import Image

    held = io.BytesIO()
    method = Image.Quantize.MEDIANCUT if smooth else Image.Quantize.FASTOCTREE
    Image.fromarray(picture).quantize(256, method=method, dither=Image.Dither.NONE).save(held, "PNG")
    return f"data:image/png;base64,{base64.b64encode(held.getvalue()).decode()}"


def traces(recording: Recording, mains_hz: Sequence[float] = ()) -> tuple[str, str]:
    """Return the traces of ten seconds, from shortly before the first event, and a sentence on what is shown.

    mains_hz: frequencies of the mains that would hide everything else, and are taken out.
    """
    start = max(0.0, min((event.onset for event in recording.events), default=0.0) - 1.0)
    start = min(round(start, 1), max(recording.duration - SHOWN_S, 0.0))
    shown = _spread(recording, MAX_TRACES)
    cut, offset = _filtered(shown, start, mains_hz)
    stop = min(start + SHOWN_S, recording.duration)
    some = f" {shown.n_channels} of {recording.n_channels} channels." if shown.n_channels < recording.n_channels else ""
    without = "".join(f", without the mains' {line:g} Hz" for line in mains_hz)
    passed = f"above {HIGH_PASS:g} Hz{without}" if cut is not shown else "each about its median"
    said = f"{start:.4g} to {stop:.4g} s, {passed}, events as lines.{some}"
    length = stop - start

    def draw(width: int, dark: bool) -> np.ndarray:
        return plot_traces(cut, start - offset, length, width=width, dark=dark, zero_s=-offset)

    return figure(draw, f"traces of {shown.n_channels} channels, {said}"), said


def spectrum(few: Recording) -> str:
    """Return the power spectral density of an excerpt."""
    top = min(70.0, few.sfreq / 2)
    return figure(
        lambda width, dark: plot_psd(few, top, width=width, height=420, dark=dark), f"power spectrum up to {top:g} Hz"
    )


def spectrogram(recording: Recording) -> tuple[str, str]:
    """Return power over time and frequency of the whole recording, and a sentence on what is shown."""
    most = max(1, MAX_SAMPLES // max(recording.n_times, 1))
    shown = _spread(recording, most)
    longest = max(stop - start for start, stop in recording.spans) / recording.sfreq
    window = min(1.0, longest / 3)
    top = min(45.0, recording.sfreq / 2)
    mean = "the mean of all channels" if shown is recording else f"the mean of {shown.n_channels} channels"
    if recording.n_channels == 1:
        mean = "one channel"
    said = f"Windows of {window:.3g} s, {mean}."
    return figure(
        lambda width, dark: plot_spectrogram(shown, window_s=window, fmax=top, width=width, height=380, dark=dark),
        f"spectrogram up to {top:g} Hz; {said}",
    ), said


def band_maps(few: Recording) -> str:
    """Return a scalp map for each band that the rate holds; raises ValueError where places are unknown."""
    maps = ""
    for name, (low, high) in BANDS.items():
        if high > few.sfreq / 2:
            continue

        def draw(width: int, dark: bool, band: tuple[float, float] = (low, high)) -> np.ndarray:
            return plot_topomap(few, band=band, size=width, dark=dark, names=few.n_channels <= MAX_NAMES)

        drawn = figure(draw, f"scalp map of {name}, {low:g} to {high:g} Hz", (400,), smooth=True)
        maps += (
            f"<figure><figcaption>{name.capitalize()} <span>{low:g} to {high:g} Hz</span></figcaption>{drawn}</figure>"
        )
    if not maps:
        raise ValueError(f"at {few.sfreq:g} Hz the recording holds none of the bands")
    return f'<div class="maps">{maps}</div>'


def _spread(recording: Recording, most: int) -> Recording:
    """Return a recording with at most so many of its channels, evenly chosen."""
    if recording.n_channels <= most:
        return recording
    rows = np.unique(np.linspace(0, recording.n_channels - 1, most).astype(int))
    return recording.pick([recording.ch_names[row] for row in rows])


def _filtered(recording: Recording, start: float, mains_hz: Sequence[float]) -> tuple[Recording, float]:
    """Return the stretch about `start` without drifts and mains, and where (s) it begins; as it is where too short."""
    from scipy.signal import butter, iirnotch, sosfiltfilt, tf2sos

    first = max(0, round((start - 5) * recording.sfreq))
    last = min(recording.n_times, round((start + SHOWN_S + 5) * recording.sfreq))
    inside = sorted({0, *(at - first for at in recording.segments if first < at < last)})
    edges = [*inside, last - first]
    data = recording.data[:, first:last].astype(np.float64)
    if min(b - a for a, b in pairwise(edges)) < 3 * recording.sfreq:
        return recording, 0.0
    passes = [butter(2, HIGH_PASS, "highpass", fs=recording.sfreq, output="sos")]
    passes += [tf2sos(*iirnotch(line, NOTCH_Q, fs=recording.sfreq)) for line in mains_hz]
    sos = np.concatenate([np.asarray(one) for one in passes])
    for begin, end in pairwise(edges):
        data[:, begin:end] = sosfiltfilt(
            sos, data[:, begin:end], axis=1, padlen=min(end - begin - 1, round(2 * recording.sfreq))
        )
    offset = first / recording.sfreq
    events = tuple(replace(event, onset=event.onset - offset) for event in recording.events)
    return replace(recording, data=data, events=events, segments=tuple(inside)), offset
