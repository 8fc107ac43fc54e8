"""Band power: how strong a rhythm is in each selected window, and mapping it to numbers that drive something."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..channel_groups import GROUPS, pick_channels
from ..choices import AGAINST, BANDS
from ..preprocessing.selection import Selection, cut_raw
from .canvas import literal, new_panels, pixels
from .power_spectrum import check_band

__all__ = [
    "ALL_BANDS",
    "BANDS",
    "GROUPS",
    "map_range",
    "pick_channels",
    "plot_band_power",
    "selected_band_power",
    "smooth",
]

ALL_BANDS = (1.0, 45.0)
SILENT_UV2 = 1e-12  # what rounding leaves of a flat channel lies below, what an amplifier leaves far above
MAX_NAMES = 12


def selected_band_power(
    selection: Selection,
    limits: tuple[float, float],
    against: str = "nothing",
    channels: str = "",
    *,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Return the power between two frequencies (hertz) in each selected window, in decibels (len(selection),).

    Hann-tapered periodogram of each window after its line of best fit is taken off; a band takes its share of the bins
    at its edges, so that adjacent bands add up. The mean power of the channels is in dB over 1 µV². against: a band of
    BANDS, or "all bands" (1 to 45 Hz), makes it a ratio, taken channel by channel and averaged in dB, so that an
    electrode's gain cancels. channels: see `pick_channels`. In a group the windows' power is averaged, not their
    signal: a rhythm that is not locked to the events cancels in the signal's mean. Flat channels do not count; a
    window without any power is at -120 dB. progress: called with (done, total) windows.

    Raises ValueError for a band the recording's rate does not hold, or a window too short for it (saying how long it
    must be), and whatever `cut_raw` and `pick_channels` raise.
    """
    recording = selection.recording
    picked = pick_channels(recording.ch_names, channels)
    if picked != recording.ch_names:
        recording = recording.pick(picked)
    bands = [(float(limits[0]), float(limits[1]))]
    if against != "nothing":
        if against not in AGAINST:
            raise ValueError(f"no band {against!r} to divide by; known: {', '.join(AGAINST)}")
        bands.append({**BANDS, "all bands": ALL_BANDS}[against])
        if bands[0] == bands[1]:
            raise ValueError(f"{against} against itself is always 0 dB; choose another band to divide by, or nothing")
    n_times = round((selection.tmax - selection.tmin) * recording.sfreq)
    for low, high in bands:
        check_band(low, high, recording.sfreq)
        _check_length(n_times, low, high, recording.sfreq)

    shares = np.stack([_shares(n_times, recording.sfreq, band) for band in bands], axis=1)
    total, counts = np.zeros((len(selection), recording.n_channels, len(bands))), np.zeros(len(selection))
    n_windows, done = sum(map(len, selection.groups)), 0
    for group, windows in cut_raw(replace(selection, recording=recording), samples_at_once=1 << 21):
        firsts = np.flatnonzero(np.diff(group, prepend=-1))
        power = _periodogram(windows.astype(np.float64) * 1e6, recording.sfreq) @ shares
        total[group[firsts]] += np.add.reduceat(power, firsts, axis=0)
        counts += np.bincount(group, minlength=len(selection))
        done += len(group)
        if progress is not None:
            progress(done, n_windows)
    power = total / counts[:, None, None]
    if not np.isfinite(power).all():
        raise ValueError("the recording holds samples that are not numbers (NaN); load_recording mends or cuts them")
    heard = power.min(axis=2) > SILENT_UV2
    if against == "nothing":
        values = power[..., 0]
    else:
        values = 10 * np.log10(np.where(heard, power[..., 0], 1.0) / np.where(heard, power[..., 1], 1.0))
    mean = np.where(heard, values, 0.0).sum(axis=1) / np.maximum(heard.sum(axis=1), 1)
    if against == "nothing":
        return 10 * np.log10(np.maximum(mean, SILENT_UV2))
    return np.where(heard.sum(axis=1) > 0, mean, 10 * np.log10(SILENT_UV2))


def smooth(values: np.ndarray, amount: float) -> np.ndarray:
    """Return values (n,) that follow slowly: each keeps `amount` (0 to below 1) of the last; 0 changes nothing."""
    if not 0 <= amount < 1:
        raise ValueError(f"smoothing must be at least 0 and below 1; got {amount:g}")
    values = np.asarray(values, dtype=np.float64)
    if amount == 0 or len(values) < 2:
        return values
    out = values.copy()
    for i in range(1, len(out)):
        out[i] = amount * out[i - 1] + (1 - amount) * values[i]
    return out


def map_range(power_db: np.ndarray, in_range: tuple[float, float] | None, out_range: tuple[float, float]) -> np.ndarray:
    """Return decibels (n,) mapped linearly from one range to another and clipped to it.

    in_range: None takes the 5th to the 95th percentile of what there is; where that is no range (one window, or all
    alike) every value becomes the middle of `out_range`. out_range may run downwards. Raises ValueError where in_range
    does not rise.
    """
    power_db = np.asarray(power_db, dtype=np.float64)
    if in_range is not None and not in_range[0] < in_range[1]:
        raise ValueError(
            f"the range of decibels must rise; got {in_range[0]:g} to {in_range[1]:g} dB. To turn the direction round, "
            "swap the two ends of the output"
        )
    low, high = np.percentile(power_db, [5, 95]) if in_range is None else in_range
    first, last = out_range
    # what differs by rounding alone is alike
    share = np.clip((power_db - low) / (high - low), 0, 1) if high - low > 1e-6 else np.full(power_db.shape, 0.5)
    return first + share * (last - first)


def plot_band_power(
    selection: Selection,
    power_db: np.ndarray,
    mapped: np.ndarray,
    *,
    band: str,
    against: str = "nothing",
    width: int = 900,
    height: int = 480,
    dark: bool = True,
) -> np.ndarray:
    """Return a picture of the windows' power and, below, of what it is mapped to; uint8 (height, width, 3).

    power_db, mapped: (len(selection),). Windows of single moments in order lie on an axis of seconds, others side by
    side.
    """
    figure, (upper, lower), theme = new_panels(width, height, 2, dark)
    moments = [group[0] for group in selection.groups]
    in_time = all(len(group) == 1 for group in selection.groups) and bool((np.diff(moments) > 0).all())
    x = np.array(moments) if in_time and len(moments) > 1 else np.arange(len(moments), dtype=np.float64)
    style = {"color": theme["accent"], "linewidth": 1.4, "marker": "o" if len(x) <= 80 else None, "markersize": 4}
    if not in_time:
        style["linestyle"] = "none" if len(x) <= 80 else "-"
    for axes, values in ((upper, power_db), (lower, mapped)):
        axes.plot(x, values, **style)
        axes.grid(axis="y", color=theme["line"], linewidth=0.8)
    upper.set_ylabel(f"{band} power\n(dB re 1 µV²)" if against == "nothing" else f"{band} against\n{against} (dB)")
    lower.set_ylabel("mapped value")
    if in_time and len(moments) > 1:
        lower.set_xlabel("time in the recording (s)")
    else:
        lower.set_xlabel("window")
        if len(x) <= MAX_NAMES:
            names = [label if len(label) <= 14 else label[:13] + "…" for label in selection.labels]
            lower.set_xticks(x, [literal(name) for name in names])
            lower.set_xlim(-0.6, len(x) - 0.4)
    return pixels(figure)


def _check_length(n_times: int, low: float, high: float, sfreq: float) -> None:
    # One period of the lowest frequency, and a Hann taper's resolution (two bins of 1 / length) no wider than the band.
    needed = max(1 / low, 2 / (high - low))
    if n_times < np.floor(needed * sfreq + 1e-6):
        raise ValueError(
            f"{low:g} to {high:g} Hz needs windows of {needed:.3g} s or more; these are of {n_times / sfreq:.3g} s. "
            "Select longer windows, or choose a higher or wider band"
        )


def _shares(n_times: int, sfreq: float, band: tuple[float, float]) -> np.ndarray:
    """Return how many hertz of each bin (n_freqs,) lie inside the band; bins are centred on their frequencies."""
    freqs, step = np.fft.rfftfreq(n_times, 1 / sfreq), sfreq / n_times
    return np.clip(np.minimum(freqs + step / 2, band[1]) - np.maximum(freqs - step / 2, band[0]), 0, None)


def _periodogram(windows: np.ndarray, sfreq: float) -> np.ndarray:
    """Return the one-sided power density (..., n_freqs) of windows (..., n_times), detrended and Hann-tapered."""
    n_times = windows.shape[-1]
    line = np.arange(n_times) - (n_times - 1) / 2
    windows = windows - windows.mean(axis=-1, keepdims=True)
    windows -= (windows @ line / (line @ line))[..., None] * line
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_times) / n_times)
    power = np.abs(np.fft.rfft(windows * taper)) ** 2 / (sfreq * (taper @ taper))
    power[..., 1 : n_times // 2 + n_times % 2] *= 2
    return power
