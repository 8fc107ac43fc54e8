"""Preprocessing stored with an encoder and replayed on whatever it is fed: the same functions in training and in use.

A recording goes through `prepare_continuous` (channels, reference, filters, rate), `cut_windows` (windows, baseline,
rejection) and `normalise` (whitening, scale).
"""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np

from ..montage import map_channels
from ..recording import Recording
from .config import PreprocessingConfig

_NOTCH_Q = 30.0


def prepare_continuous(recording: Recording, config: PreprocessingConfig) -> Recording:
    """Bring a whole recording to an encoder's channels, reference, band and rate, before anything is cut.

    Returns a recording (len(config.ch_names), n_times) in volts at `config.sfreq`; times of events and segments stay.
    Filters are Butterworth, zero-phase, within each segment. `source["prepared"]` says which channels were matched,
    interpolated and unused. Raises ValueError where channels cannot be mapped, samples are not finite, or the low-pass
    is not below half of the recording's rate.
    """
    mapped = map_channels(
        recording.ch_names,
        config.ch_names,
        recording.ch_positions,
        None if config.ch_positions is None else np.asarray(config.ch_positions),
        min_matched=config.min_matched_channels,
    )
    if mapped.interpolated:
        data = mapped.matrix.astype(np.float64) @ recording.data
    else:
        data = recording.data[mapped.matrix.argmax(axis=1)].astype(np.float64)
    if not np.isfinite(data).all():
        raise ValueError("the recording holds samples that are not numbers (NaN); load_recording mends or cuts them")
    if config.reference == "average":
        data -= data.mean(axis=0)
    elif config.reference != "none":
        data -= data[[config.ch_names.index(name) for name in config.reference]].mean(axis=0)

    sos, notes = _design(config.l_freq, config.h_freq, config.notch, config.filter_order, recording.sfreq)
    if sos is not None:
        _filter_in_place(data, sos, recording, config.l_freq)
    segments = recording.segments
    if recording.sfreq != config.sfreq:
        data, segments = _resample(data, recording, config.sfreq)
    prepared = {
        "matched": list(mapped.matched),
        "interpolated": list(mapped.interpolated),
        "unused": list(mapped.unused),
        "notes": list(notes),
    }
    return replace(
        recording,
        data=data.astype(np.float32),
        sfreq=config.sfreq,
        ch_names=config.ch_names,
        ch_positions=None,
        segments=segments,
        source={**recording.source, "prepared": prepared},
    )


@lru_cache(maxsize=64)
def _design(
    l_freq: float | None, h_freq: float | None, notch: tuple[float, ...], order: int, sfreq: float
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Return all filters as second-order sections (None for none), and notes on what was left out."""
    from scipy.signal import butter, iirnotch, tf2sos

    nyquist = sfreq / 2
    if h_freq is not None and h_freq >= nyquist:
        raise ValueError(
            f"a low-pass at {h_freq:g} Hz needs a recording at more than {2 * h_freq:g} Hz; this one is at "
            f"{sfreq:g} Hz (half of it: {nyquist:g} Hz)"
        )
    if l_freq is not None and l_freq >= nyquist:
        raise ValueError(
            f"a high-pass at {l_freq:g} Hz needs more than {2 * l_freq:g} Hz; the recording is at {sfreq:g} Hz"
        )
    sections: list[Any] = []  # arrays; scipy says that its designs may be other things too
    notes: list[str] = []
    if l_freq is not None and h_freq is not None:
        sections.append(butter(order, (l_freq, h_freq), "bandpass", fs=sfreq, output="sos"))
    elif l_freq is not None:
        sections.append(butter(order, l_freq, "highpass", fs=sfreq, output="sos"))
    elif h_freq is not None:
        sections.append(butter(order, h_freq, "lowpass", fs=sfreq, output="sos"))
    for line in notch:
        if line >= nyquist:
            notes.append(f"no notch at {line:g} Hz: it is not below half of the recording's rate, {nyquist:g} Hz")
        else:
            sections.append(tf2sos(*iirnotch(line, _NOTCH_Q, fs=sfreq)))
    return (np.ascontiguousarray(np.concatenate(sections)) if sections else None), tuple(notes)


def _filter_in_place(data: np.ndarray, sos: np.ndarray, recording: Recording, l_freq: float | None) -> None:
    from scipy.signal import sosfiltfilt

    # a high-pass rings for about one of its periods: that much mirrored signal before each end keeps it outside
    padding = max(3 * (2 * len(sos) + 1), 0 if l_freq is None else math.ceil(recording.sfreq / l_freq))
    for start, stop in recording.spans:
        length = stop - start
        if length < 3:
            data[:, start:stop] = 0.0  # too short to filter, and for any window
        else:
            data[:, start:stop] = sosfiltfilt(sos, data[:, start:stop], axis=1, padlen=min(padding, length - 1))


def _resample(data: np.ndarray, recording: Recording, sfreq: float) -> tuple[np.ndarray, tuple[int, ...]]:
    """Resample each segment by itself, so that it starts at the same time (to half a sample) as before."""
    from scipy.signal import resample_poly

    up, down, window = _antialias(recording.sfreq, sfreq)
    ratio = up / down
    starts = [round(start * ratio) for start in recording.segments]
    total = round(recording.n_times * ratio)
    out = np.zeros((len(data), total))
    for (start, stop), first, last in zip(recording.spans, starts, (*starts[1:], total), strict=True):
        # the filter's phases differ by 0.07 % in gain, which makes microvolts of ripple out of millivolts of offset:
        # the line from the first sample to the last goes round it (padtype="line" does not do that)
        piece, length = data[:, start:stop], stop - start
        slope = (piece[:, -1:] - piece[:, :1]) / max(length - 1, 1)
        resampled = resample_poly(piece - piece[:, :1] - slope * np.arange(length), up, down, axis=1, window=window)
        line = piece[:, :1] + slope * np.minimum(np.arange(last - first) / ratio, length - 1)
        out[:, first:last] = resampled[:, : last - first] + line
    # segments of less than a sample have vanished; none may start where nothing is left
    return out, tuple(dict.fromkeys(start for start in starts if start < max(total, 1)))


@lru_cache(maxsize=64)
def _antialias(sfreq_from: float, sfreq_to: float) -> tuple[int, int, np.ndarray]:
    """Return the ratio and the filter that `resample_poly` would design at every call."""
    from scipy.signal import firwin

    ratio = (
        Fraction(sfreq_to).limit_denominator(10_000) / Fraction(sfreq_from).limit_denominator(10_000)
    ).limit_denominator(2000)
    if ratio == 0:
        raise ValueError(f"cannot resample from {sfreq_from:g} Hz to {sfreq_to:g} Hz: more than 2000 times slower")
    up, down = ratio.numerator, ratio.denominator
    longest = max(up, down)
    window: Any = ("kaiser", 5.0)  # scipy's stubs know windows by name only
    taps = firwin(2 * 10 * longest + 1, 1 / longest, window=window)
    return up, down, np.asarray(taps)
