"""PreprocessingConfig: every step between a recording and an encoder's input, as plain values that JSON can hold."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

SCALINGS = ("none", "train", "window")
WHITENINGS = ("none", "mvnn")
NEW_SESSIONS = ("pooled", "own")
_MAX_TIMES = 1 << 20


@dataclass(frozen=True)
class PreprocessingConfig:
    """Every step between a recording and an encoder's input; lists from JSON become tuples.

    `ch_names` are the encoder's channels, `ch_positions` their places (metres, head frame) for names outside the
    10-05 system. `sfreq`, `l_freq`, `h_freq`, `notch` are hertz; the window is `tmin` to `tmax` seconds about an
    event, `baseline` (from, to) lies inside it, or in the `lead_s` seconds before it, which are cut for it and left
    out of the window. `reference` is "none", "average" or names of channels. `scaling` per channel by median and IQR:
    "train" fitted on the training windows, "window" each window by itself, "none" (volts). `new_sessions`: what
    normalises a session that training did not see, "pooled" (all of training together) or "own" (its own windows,
    unlabelled). `clip` is in robust standard deviations after scaling, `reject_uv` peak to peak. ValueError on what
    cannot be.
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
    lead_s: float = 0.0
    new_sessions: str = "pooled"

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
        given = (self.sfreq, self.tmin, self.tmax, self.lead_s)
        numbers: tuple[Any, ...] = (*given, *(self.notch or ()), *(self.baseline or ()))
        # JSON may hold anything, whatever the types say
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
            and not (
                len(self.baseline) == 2
                and self.tmin - self.lead_s - 1e-9 <= self.baseline[0] < self.baseline[1] <= self.tmax
            ),
            f"new_sessions {self.new_sessions!r} is unknown; known: {', '.join(NEW_SESSIONS)}": self.new_sessions
            not in NEW_SESSIONS,
            f"lead_s must be 0 to 10 seconds; got {self.lead_s}": not 0 <= self.lead_s <= 10,
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

    @property
    def n_lead(self) -> int:
        """Samples before a window that are cut with it for its baseline."""
        return round(self.lead_s * self.sfreq)

    def to_dict(self) -> dict[str, Any]:
        """Return the config as what JSON can hold; what came later is said where it is used, as in older files."""
        found = asdict(self)
        usual = {"lead_s": 0.0, "new_sessions": "pooled"}
        return {name: value for name, value in found.items() if name not in usual or value != usual[name]}

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
