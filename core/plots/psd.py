"""Pictures of a recording's power over frequency, and over time and frequency."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..recording import Recording
from .canvas import LINES_DARK, LINES_LIGHT, add_colour_bar, literal, new_figure, pixels, put_title
from .power_spectrum import power_spectrum

SILENT_UV2 = 1e-12  # a flat channel is drawn at -120 dB


def plot_psd(
    recording: Recording,
    fmax: float = 70.0,
    *,
    channels: Sequence[str] | None = None,
    width: int = 900,
    height: int = 480,
    dark: bool = False,
    title: str | None = None,
    range_db: tuple[float, float] | None = None,
) -> np.ndarray:
    """Return the power spectral density of a recording's channels (Welch, windows of 2 s), and their median.

    fmax: hertz, cut at half the sampling rate. range_db: of the axis of power. No window crosses a gap. Up to eight
    channels have a colour and a name. Raises ValueError where `fmax` leaves less than two frequencies.
    """
    shown = recording if channels is None else recording.pick(channels)
    freqs, level = spectrum_db(shown, fmax)
    figure, axes, theme = new_figure(width, height, dark)
    few = shown.n_channels <= len(LINES_LIGHT)
    colours = LINES_DARK if dark else LINES_LIGHT
    for i, (name, line) in enumerate(zip(shown.ch_names, level, strict=True)):
        style: dict[str, Any] = (
            {"color": colours[i], "label": literal(name)} if few else {"color": theme["quiet"], "alpha": 0.35}
        )
        axes.plot(freqs, line, linewidth=1.4 if few else 0.7, **style)
    if not few:
        axes.plot(freqs, np.median(level, axis=0), color=theme["accent"], linewidth=2, label="median")
    axes.set_xlim(0, min(fmax, shown.sfreq / 2))
    axes.set_ylim(range_db)
    axes.set_xlabel("frequency (Hz)")
    axes.set_ylabel("power (dB re 1 µV²/Hz)")
    put_title(axes, title, theme)
    axes.grid(axis="y", color=theme["line"], linewidth=0.8)
    axes.legend(frameon=False, labelcolor=theme["ink"], fontsize=9, ncols=2 if few else 1)
    return pixels(figure)


def spectrum_db(recording: Recording, fmax: float) -> tuple[np.ndarray, np.ndarray]:
    """Return frequencies (n_freqs,) above 0 up to `fmax` hertz, and the power (n_channels, n_freqs) in dB re 1 µV²/Hz.

    Raises ValueError where there are less than two such frequencies.
    """
    freqs, power = power_spectrum(recording)
    kept = (freqs > 0) & (freqs <= fmax)
    _check_resolution(kept, freqs, fmax)
    return freqs[kept], 10 * np.log10(np.maximum(power[:, kept] * 1e12, SILENT_UV2))


def plot_spectrogram(
    recording: Recording,
    *,
    channels: Sequence[str] | None = None,
    window_s: float = 1.0,
    fmax: float = 45.0,
    width: int = 1200,
    height: int = 420,
    dark: bool = False,
    title: str | None = None,
    zero_s: float = 0.0,
    range_db: tuple[float, float] | None = None,
) -> np.ndarray:
    """Return power over time and frequency, averaged over channels.

    Windows of window_s seconds overlap by 90 %; gaps stay empty. zero_s: seconds from the recording's start that the
    axis calls 0. range_db: what the colours run over, by default the 2nd to the 99.5th percentile of what is shown.
    Raises ValueError where no stretch is as long as a window, or `fmax` leaves less than two frequencies.
    """
    shown = recording if channels is None else recording.pick(channels)
    # about two columns a pixel are enough, however long the recording is
    freqs, step_t, parts = spectrogram_db(shown, window_s, fmax, n_columns=2 * width)
    low, high = range_db or np.percentile(np.concatenate([level for _, level in parts], axis=1), [2, 99.5])
    figure, axes, theme = new_figure(width, height, dark)
    step_f = freqs[1] - freqs[0]
    bottom, top, image = freqs[0] - step_f / 2, freqs[-1] + step_f / 2, None
    for times, level in parts:
        extent = (times[0] - step_t / 2 - zero_s, times[-1] + step_t / 2 - zero_s, bottom, top)
        image = axes.imshow(level, origin="lower", extent=extent, aspect="auto", vmin=low, vmax=max(high, low + 1e-6))
    axes.set(xlim=(-zero_s, shown.duration - zero_s), ylim=(bottom, top), xlabel="time (s)", ylabel="frequency (Hz)")
    put_title(axes, title, theme)
    add_colour_bar(figure, axes, image, "power (dB re 1 µV²/Hz)", theme, pad=0.015)
    return pixels(figure)


def spectrogram_db(
    recording: Recording, window_s: float, fmax: float, n_columns: int
) -> tuple[np.ndarray, float, list[tuple[np.ndarray, np.ndarray]]]:
    """Return frequencies (n_freqs,) in hertz, seconds from one column to the next, and each stretch's part.

    A part is its columns' times (n,) in seconds and their power (n_freqs, n) in dB re 1 µV²/Hz, averaged over channels;
    all parts together have about `n_columns`. Raises ValueError like `plot_spectrogram`.
    """
    from scipy.signal import spectrogram

    window = max(8, round(window_s * recording.sfreq))
    spans = [(begin, end) for begin, end in recording.spans if end - begin >= window]
    if not spans:
        longest = max(end - begin for begin, end in recording.spans) / recording.sfreq
        raise ValueError(f"no stretch is as long as the window of {window_s:g} s; the longest is {longest:.3g} s")
    hop = max(window // 10, recording.n_times // n_columns, 1)
    overlap = max(window - hop, 0)
    freqs, kept, parts = np.zeros(0), np.zeros(0, dtype=bool), []
    for begin, end in spans:
        stretch = recording.data[:, begin:end].astype(np.float64) * 1e6
        freqs, times, power = spectrogram(
            stretch, recording.sfreq, nperseg=window, noverlap=overlap, detrend="constant"
        )
        kept = (freqs > 0) & (freqs <= fmax)
        _check_resolution(kept, freqs, fmax)
        level = 10 * np.log10(np.maximum(power[:, kept].mean(axis=0), SILENT_UV2))
        parts.append((begin / recording.sfreq + times, level))
    return freqs[kept], (window - overlap) / recording.sfreq, parts


def _check_resolution(kept: np.ndarray, freqs: np.ndarray, fmax: float) -> None:
    if kept.sum() < 2:
        raise ValueError(
            f"up to {fmax:g} Hz there is too little to draw: frequencies are {freqs[1]:.3g} Hz apart here. Choose a "
            f"higher limit ({4 * freqs[1]:.3g} Hz, say) or something longer"
        )
