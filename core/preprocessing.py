"""Preprocessing stored with an encoder and replayed on whatever it is fed: the same functions in training and in use.

A recording goes through `prepare_continuous` (channels, reference, filters, rate), `cut_windows` (windows, baseline,
rejection) and `normalise` (whitening, scale); `windows_of` is all three at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np

from .montage import map_channels
from .normaliser import Normaliser, fit_normaliser, normalise
from .recording import Recording
from .windows import Windows, cut_windows, mean_window, select_onsets

__all__ = [
    "Normaliser",
    "PreprocessingConfig",
    "Windows",
    "cut_windows",
    "fit_normaliser",
    "normalise",
    "prepare_continuous",
    "windows_of",
]

SCALINGS = ("none", "train", "window")
WHITENINGS = ("none", "mvnn")
_MAX_TIMES = 1 << 20
_NOTCH_Q = 30.0


@dataclass(frozen=True)
class PreprocessingConfig:
    """Every step between a recording and an encoder's input; lists from JSON become tuples.

    `ch_names` are the encoder's channels, `ch_positions` their places (metres, head frame) for names outside the
    10-05 system. `sfreq`, `l_freq`, `h_freq`, `notch` are hertz; the window is `tmin` to `tmax` seconds about an
    event, `baseline` (from, to) lies inside it. `reference` is "none", "average" or names of channels. `scaling` per
    channel by median and IQR: "train" fitted on the training windows, "window" each window by itself, "none" (volts).
    `clip` is in robust standard deviations after scaling, `reject_uv` peak to peak. ValueError on what cannot be.
    """

    ch_names: tuple[str, ...]
    sfreq: float
    tmin: float
    tmax: float
    l_freq: float | None = None
    h_freq: float | None = None
    notch: tuple[float, ...] = ()
    filter_order: int = 4
    reference: str | tuple[str, ...] = "none"
    baseline: tuple[float, float] | None = None
    scaling: str = "train"
    clip: float | None = None
    reject_uv: float | None = None
    whitening: str = "none"
    min_matched_channels: float = 0.5
    ch_positions: tuple[tuple[float, float, float], ...] | None = None

    def __post_init__(self) -> None:
        for name in ("ch_names", "notch", "baseline"):
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else tuple(value))
        if not isinstance(self.reference, str):
            object.__setattr__(self, "reference", tuple(self.reference))
        if self.ch_positions is not None:
            object.__setattr__(self, "ch_positions", tuple(tuple(map(float, place)) for place in self.ch_positions))
        for problem in self._problems():
            raise ValueError(f"preprocessing: {problem}")

    def _problems(self) -> list[str]:
        numbers = (self.sfreq, self.tmin, self.tmax, *(self.notch or ()), *(self.baseline or ()))
        if not all(isinstance(v, (int, float)) and math.isfinite(v) for v in numbers) or self.sfreq <= 0:
            return [f"sfreq, tmin, tmax, notch and baseline must be numbers and sfreq positive; got {numbers}"]
        low, high, nyquist = self.l_freq, self.h_freq, self.sfreq / 2
        found = {
            f"ch_names must be names, each once; got {self.ch_names}": not self.ch_names
            or len(set(self.ch_names)) != len(self.ch_names),
            f"the window must end after it starts; got tmin={self.tmin}, tmax={self.tmax}": self.tmax <= self.tmin,
            f"l_freq must be above 0; got {low} (use None for no high-pass)": low is not None and not low > 0,
            f"l_freq must be below h_freq; got {low} and {high}": low is not None and high is not None and low >= high,
            f"h_freq={high} Hz must be below half of sfreq={self.sfreq:g} Hz, which is {nyquist:g} Hz": high is not None
            and not 0 < high < nyquist,
            f"l_freq={low} Hz must be below half of sfreq={self.sfreq:g} Hz": low is not None and low >= nyquist,
            f"notch frequencies must be above 0; got {self.notch}": any(f <= 0 for f in self.notch),
            f"filter_order must be 1 to 10; got {self.filter_order}": not 1 <= self.filter_order <= 10,
            f"reference must be 'none', 'average' or names out of ch_names; got {self.reference!r}": (
                self.reference not in ("none", "average")
                if isinstance(self.reference, str)
                else not self.reference or not set(self.reference) <= set(self.ch_names)
            ),
            f"baseline {self.baseline} must lie inside the window {self.tmin} to {self.tmax}": self.baseline is not None
            and not (len(self.baseline) == 2 and self.tmin <= self.baseline[0] < self.baseline[1] <= self.tmax),
            f"scaling {self.scaling!r} is unknown; known: {', '.join(SCALINGS)}": self.scaling not in SCALINGS,
            f"whitening {self.whitening!r} is unknown; known: {', '.join(WHITENINGS)}": self.whitening
            not in WHITENINGS,
            f"clip must be above 0; got {self.clip}": self.clip is not None and not self.clip > 0,
            f"reject_uv must be above 0; got {self.reject_uv}": self.reject_uv is not None and not self.reject_uv > 0,
            f"min_matched_channels must be in (0, 1]; got {self.min_matched_channels}": not (
                0 < self.min_matched_channels <= 1
            ),
            "ch_positions must be three numbers for each of ch_names": self.ch_positions is not None
            and (len(self.ch_positions) != len(self.ch_names) or any(len(p) != 3 for p in self.ch_positions)),
        }
        problems = [sentence for sentence, wrong in found.items() if wrong]
        if not problems and not 1 <= self.n_times <= _MAX_TIMES:
            problems.append(
                f"a window must be 1 to {_MAX_TIMES} samples; {self.tmin} to {self.tmax} s is {self.n_times}"
            )
        return problems

    @property
    def n_times(self) -> int:
        """Samples in a window."""
        return round((self.tmax - self.tmin) * self.sfreq)

    def to_dict(self) -> dict[str, Any]:
        """Return the config as what JSON can hold."""
        return asdict(self)

    @staticmethod
    def from_dict(values: dict[str, Any]) -> PreprocessingConfig:
        """Return the config that `to_dict` gave; ValueError names keys that are unknown or missing."""
        known = {field.name for field in fields(PreprocessingConfig)}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"preprocessing: unknown settings {unknown}; known: {sorted(known)}")
        if missing := sorted({"ch_names", "sfreq", "tmin", "tmax"} - set(values)):
            raise ValueError(f"preprocessing: settings {missing} are missing")
        try:
            return PreprocessingConfig(**values)
        except TypeError as error:
            raise ValueError(f"preprocessing: a setting has the wrong type: {error}") from error


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


def windows_of(
    recording: Recording,
    config: PreprocessingConfig,
    normaliser: Normaliser,
    *,
    label: str | None = None,
    index: int | Sequence[int] | None = None,
    time: float | Sequence[float] | None = None,
    average: bool = False,
    keep_rejected: bool = True,
) -> Windows:
    """Return an encoder's input (n, n_channels, n_times) from a recording, by the very functions that training used.

    `label` takes the events of that label, `index` the events at these places (after `label`; negative from the end),
    `time` windows about these seconds. With none of them: every event, or windows end to end where there are no events.
    `average` returns the mean window (of those that pass `reject_uv`, where any does). Windows over `reject_uv` stay
    in, with their reason, unless `keep_rejected` is False. Raises ValueError where the selection is empty or no window
    is left, saying why, and whatever `prepare_continuous` and `cut_windows` raise.
    """
    onsets = select_onsets(recording, config, label=label, index=index, time=time)
    windows = cut_windows(prepare_continuous(recording, config), onsets, config, keep_rejected=keep_rejected)
    if not len(windows.data):
        reasons = sorted({reason for reason in windows.reasons if reason})
        raise ValueError(
            f"no window is left of {len(onsets)}: {'; '.join(reasons[:4])} (the window is {config.tmin:g} to "
            f"{config.tmax:g} s, the recording lasts {recording.duration:.3g} s)"
        )
    if average:
        clean = np.array([reason is None for reason in windows.reasons])[windows.kept]
        windows = replace(windows, data=mean_window(windows.data, clean)[None])
    return replace(windows, data=normalise(windows.data, config, normaliser))


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
    sections, notes = [], []
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
    taps = firwin(2 * 10 * longest + 1, 1 / longest, window=("kaiser", 5.0))  # type: ignore[arg-type]
    return up, down, np.asarray(taps)
