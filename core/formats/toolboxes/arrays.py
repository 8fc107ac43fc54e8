"""Arrays that came with or without a description: which one is EEG, which axis is which, its rate, names and unit.

What the file tells (fs, ch_names, times, ... beside the array) is used and noted; what it does not tell is asked for.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np

from ...recording import Event
from ..containers.array_contents import Contents, Entry
from ..contract.clock import rate_of_steps
from ..contract.signals import ReadOptions, Signals
from ..contract.units import VOLTS, canonical_unit

_RATE = re.compile(
    r"^(fs|sf|sfreq|srate|s_rate|fsample|samp(le|ling)?[_ ]?(rate|freq|frequency)|frequency|eeg_?fs)$", re.I
)
_NAMES = re.compile(
    r"^(ch|chan|channel|electrode|sensor)?[_ ]?(names?|labels?|list)$|^(chs|chans|channels|electrodes|clab)$", re.I
)
_TYPES = re.compile(r"^(ch|chan|channel)?_?types?$", re.I)
_UNITS = re.compile(r"^(data_?|eeg_?|ch_?|channel_?)?units?$", re.I)
_TIMES = re.compile(r"^(times?|t|timestamps?|time_?vector|time_?axis)$", re.I)
_LABELS = re.compile(r"^(labels?|y|targets?|classes|class|conditions?|events?|trial_?labels?|markers?)$", re.I)
_TRIGGERS = re.compile(
    r"^(stim(ul(us|i))?(_?(code|channel|type))?|trig(ger)?s?|markers?|status|events?|flashing)$", re.I
)
_AXES = {
    word: axis
    for axis, words in {
        "channels": "c ch chan chans channel channels electrode electrodes sensor sensors",
        "times": "t s time times sample samples timepoints pnts",
        "trials": "n e r trial trials epoch epochs repeat repeats repetitions condition conditions image images "
        "session sessions stimulus stimuli",
    }.items()
    for word in words.split()
}
_LEAST_LONG = 50
_MOST_CHANNELS = 512
_CLEARLY = 4
_MOST_TRIALS = 2_000_000
_GROWS_AT_MOST, _ALWAYS_ALLOWED = 64, 64 << 20


def signals_from(path: Path, contents: Contents, options: ReadOptions, notes: list[str]) -> Signals:
    """Return the array that `options.variable` names (or the only one that can be EEG) as `Signals`.

    `options.axes` says what its axes are ("times,channels", "trials channels times"). Trials stand end to end, each a
    segment with an event at its time zero. Raises ValueError that asks for all that is missing at once.
    """
    name, entry = chosen(path, contents, options.variable)
    near = _Near(contents, name)
    shape = entry.shape
    told = parse_axes(path, options.axes)
    if told is None or len(told) != len(shape):
        shape = tuple(size for size in shape if size > 1)
    names, times = near.texts(_NAMES, shape), near.vector(_TIMES, shape)
    n_names, n_stamps = None if names is None else len(names), None if times is None else len(times)
    axes, how = settle_axes(path, name, shape, told, n_names, n_stamps)
    missing = [] if axes else [f"axes= (--axes; {name} is {_by(shape)}: say for example {_example(shape)!r})"]
    sfreq, rate_from = near.number(_RATE)
    zero, by_times, unit = _axis_of_times(times, sfreq)
    if not sfreq and math.isfinite(by_times):
        sfreq, rate_from = round(by_times, 6), f"the steps of its times{unit}"
    if not sfreq and options.sfreq is None:
        missing.append("sfreq= (--sfreq, samples per second)")
    if missing or not axes:
        raise ValueError(f"{path}: an array does not say everything: {' and '.join(missing)}. {listed(contents)}")
    notes.append(f"array {name}, {_by(shape)}: {' x '.join(axes)} ({how})")
    if sfreq:
        notes.append(f"rate {sfreq:g} Hz by {rate_from}")
    rate = sfreq or float(options.sfreq or 0)

    data, n_trials, n_times = _arranged(path, entry, shape, axes)
    count = data.shape[0]
    if names is None or len(names) != count:
        names = [f"Ch{i + 1}" for i in range(count)]
        notes.append("the file names no channels: say them with channels= (--channels)")
    types = near.texts(_TYPES, (count,))
    unit_texts = near.texts(_UNITS, (count, 1)) or []
    units = [canonical_unit(text) for text in unit_texts] if len(unit_texts) == count else [""] * count
    if len(unit_texts) == 1:
        units = [canonical_unit(unit_texts[0]) or ""] * count
    kinds = [_kind(types[i] if types and len(types) == count else "eeg") for i in range(count)]
    for row, unit, kind in zip(data, units, kinds, strict=True):
        if unit and kind == "eeg":
            row *= VOLTS[unit]
    labels = near.labels(n_trials, name) if n_trials > 1 else None
    events = []
    if "trials" in axes and 0 <= -zero < n_times / rate:
        events = [
            Event(i * n_times / rate - min(zero, 0.0), 0.0, labels[i] if labels else "trial") for i in range(n_trials)
        ]
    signals = Signals(
        data=data,
        sfreq=rate,
        ch_names=names,
        ch_types=kinds,
        units=[unit if kind == "eeg" else None for unit, kind in zip(units, kinds, strict=True)],
        sfreq_said="declared" if sfreq else "asked",
        rates_told={"axis of times": by_times},
        events=events,
        segments=tuple(i * n_times for i in range(n_trials)),
        notes=notes,
    )
    if n_trials == 1:
        _add_triggers(signals, contents, name)
    return signals


def _axis_of_times(times: np.ndarray | None, declared: float) -> tuple[float, float, str]:
    """Return the first sample's time (s) by an axis of times, the rate that it tells, and its unit where not seconds.

    NaN for the rate where there is no such axis or it counts samples. Without a declared rate, steps of 0.25 and more
    are milliseconds.
    """
    step = float(np.median(np.diff(times))) if times is not None else 0.0
    if times is None or step <= 0:
        return 0.0, math.nan, ""
    likely = declared or (1 / step if step < 0.25 else 1000 / step)
    rate = rate_of_steps(step, likely)
    if not math.isfinite(rate):
        return float(times[0]) / likely, rate, ""
    in_ms = rate * step > 2
    return float(times[0]) * (1e-3 if in_ms else 1.0), rate, " (in ms)" if in_ms else ""


def chosen(path: Path, contents: Contents, asked: str | None) -> tuple[str, Entry]:
    """Return the array asked for by name (whole, or its last part), or the only one long enough to be EEG."""
    if asked is not None:
        word = asked.strip().strip("/").replace("/", ".")
        fits = [name for name in contents.arrays if name == word] or [
            name for name in contents.arrays if name.split(".")[-1] == word
        ]
        if len(fits) != 1:
            raise ValueError(f"{path}: no one array {asked!r} (--variable). {listed(contents)}")
        return fits[0], contents.arrays[fits[0]]
    fits = [
        name
        for name, entry in contents.arrays.items()
        if entry.kind in "iuf" and len([n for n in entry.shape if n > 1]) >= 2 and max(entry.shape) >= _LEAST_LONG
    ]
    if not fits:
        # a single channel is a vector; one that is described by another (times) is not it
        fits = [
            name
            for name, entry in contents.arrays.items()
            if entry.kind in "iuf"
            and max(entry.shape) >= _LEAST_LONG
            and not any(word.match(name.split(".")[-1]) for word in (_TIMES, _LABELS, _TRIGGERS))
        ]
    if len(fits) == 1:
        return fits[0], contents.arrays[fits[0]]
    what = (
        f"{len(fits)} arrays could be EEG; say which: variable= (--variable)" if fits else "no array that could be EEG"
    )
    raise ValueError(f"{path}: {what}. {listed(contents)}")


def listed(contents: Contents) -> str:
    """Return in words what a file holds."""
    arrays = [f"{name} ({_by(entry.shape)})" for name, entry in contents.arrays.items()]
    others = [*contents.texts, *contents.numbers]
    told = f"It holds {', '.join(arrays[:30]) or 'no arrays of numbers'}"
    return told + (f"; beside it {', '.join(others[:20])}" if others else "")


def parse_axes(path: Path, text: str | None) -> tuple[str, ...] | None:
    """Return axes as "channels", "times" or "trials" each; ValueError shows what can be said."""
    if text is None:
        return None
    words = [
        word
        for word in re.split(r"[\s,;*×]+|(?<=\w)\s+x\s+(?=\w)", text.strip().lower().strip("()[]"))
        if word and word != "x"
    ]
    if len(words) == 1 and words[0] not in _AXES and set(words[0]) <= {"c", "t", "s", "n", "e", "r"}:
        words = list(words[0])
    found = tuple(_AXES.get(word, "") for word in words)
    if "" in found or found.count("channels") != 1 or found.count("times") != 1:
        raise ValueError(
            f"{path}: axes={text!r} (--axes) is not understood: name every axis, for example 'channels,times', "
            "'times,channels' or 'trials,channels,times'"
        )
    return found


def settle_axes(
    path: Path,
    name: str,
    shape: tuple[int, ...],
    told: tuple[str, ...] | None,
    n_names: int | None,
    n_stamps: int | None,
) -> tuple[tuple[str, ...], str]:
    """Return what each axis is and how that is known; no axes where it cannot be known."""
    if told is not None:
        if len(told) == len(shape) + 1 and len(shape) == 1:
            return ("times",), "one channel"
        if len(told) != len(shape):
            raise ValueError(
                f"{path}: axes= (--axes) names {len(told)} axes, but {name} has {len(shape)}: {_by(shape)}"
            )
        return told, "given"
    if len(shape) == 1:
        return ("times",), "one channel"
    by_names = [i for i, size in enumerate(shape) if size == n_names]
    by_times = [i for i, size in enumerate(shape) if size == n_stamps]
    channel = by_names[0] if len(by_names) == 1 else None
    time = by_times[0] if len(by_times) == 1 else None
    how = " and ".join(
        ["as many as it has names"] * (channel is not None) + ["as many as it has times"] * (time is not None)
    )
    if len(shape) == 2:
        if channel is None and time is None:
            small, large = min(shape), max(shape)
            if small * _CLEARLY > large or small > _MOST_CHANNELS:
                return (), ""
            channel, how = shape.index(small), "inferred: the shorter axis; axes= (--axes) says otherwise"
        channel = 1 - time if channel is None and time is not None else channel
        return ("channels", "times") if channel == 0 else ("times", "channels"), how
    if channel is None or time is None or channel == time:
        return (), ""
    return tuple("channels" if i == channel else "times" if i == time else "trials" for i in range(len(shape))), how


def _arranged(path: Path, entry: Entry, shape: tuple[int, ...], axes: tuple[str, ...]) -> tuple[np.ndarray, int, int]:
    """Return (n_channels, n_trials * n_times) of floats, the number of trials and their length."""
    if 4 * math.prod(shape) > _ALWAYS_ALLOWED + _GROWS_AT_MOST * path.stat().st_size:
        raise ValueError(f"{path}: an array of {_by(shape)}, far more than the file holds: damaged")
    values = np.asarray(entry.load()).reshape(shape)
    if axes == ("times",):
        values, axes = values[None], ("channels", "times")
    order = [axes.index("channels"), *(i for i, axis in enumerate(axes) if axis == "trials"), axes.index("times")]
    turned = values.transpose(order)
    n_times, n_trials = turned.shape[-1], math.prod(turned.shape[1:-1])
    if not turned.size or n_trials > _MOST_TRIALS:
        raise ValueError(f"{path}: an array of {_by(shape)} ({' x '.join(axes)}) holds no recording")
    wide = values.dtype.itemsize > 4 or (values.dtype.kind in "iu" and values.dtype.itemsize > 2)
    kind = np.float64 if wide else np.float32
    data = np.ascontiguousarray(turned, dtype=kind).reshape(turned.shape[0], -1)
    # an array straight from a file cannot be written to
    return (data if data.flags.writeable and not np.shares_memory(data, values) else data.copy()), n_trials, n_times


class _Near:
    """What lies beside an array: first in the same structure, then above it, then anywhere."""

    def __init__(self, contents: Contents, name: str) -> None:
        self.contents = contents
        self.name = name
        parents = name.split(".")[:-1]
        self.places = [".".join(parents[:i]) for i in range(len(parents), -1, -1)]

    def _find(self, names: list[str], pattern: re.Pattern[str]) -> list[str]:
        """Return the names whose last part fits, those nearest to the array first (chanlocs.labels counts as near)."""
        ranked = []
        for name in names:
            *above, last = name.split(".")
            place = ".".join(above)
            words = [last] if not above else [last, f"{above[-1]}"]
            if name == self.name or not (pattern.match(last) or (len(above) and pattern.match("_".join(words[::-1])))):
                continue
            distance = next((i for i, near in enumerate(self.places) if place == near), len(self.places) + 1)
            inside = any(place.startswith(f"{near}.") if near else True for near in self.places[:1])
            ranked.append((distance, not inside, name))
        return [name for _, _, name in sorted(ranked)]

    def number(self, pattern: re.Pattern[str]) -> tuple[float, str]:
        for name in self._find(list(self.contents.numbers), pattern):
            value = self.contents.numbers[name]
            if math.isfinite(value) and 0 < value < 1e6:
                return value, f"its {name}"
        return 0.0, ""

    def texts(self, pattern: re.Pattern[str], sizes: tuple[int, ...]) -> list[str] | None:
        for name in self._find(list(self.contents.texts), pattern):
            found = self.contents.texts[name]
            if len(found) == 1 and len(words := re.split(r"[\s,;|]+", found[0])) in sizes:
                found = words
            if len(found) in sizes:
                return found
        return None

    def vector(self, pattern: re.Pattern[str], sizes: tuple[int, ...]) -> np.ndarray | None:
        for name in self._find(list(self.contents.arrays), pattern):
            entry = self.contents.arrays[name]
            if math.prod(entry.shape) == max(entry.shape) and max(entry.shape) in sizes and max(entry.shape) > 2:
                values = np.asarray(entry.load(), dtype=np.float64).ravel()
                if np.isfinite(values).all() and (np.diff(values) > 0).all():
                    return values
        return None

    def labels(self, n_trials: int, name: str) -> list[str] | None:
        if found := self.texts(_LABELS, (n_trials,)):
            return found
        for other in self._find(list(self.contents.arrays), _LABELS):
            entry = self.contents.arrays[other]
            if math.prod(entry.shape) == n_trials and entry.kind in "iufb":
                values = np.asarray(entry.load(), dtype=np.float64).ravel()
                if np.isfinite(values).all():
                    return [f"{value:g}" for value in values]
        return None


def _add_triggers(signals: Signals, contents: Contents, name: str) -> None:
    """Append vectors as long as the recording that are named as trigger channels are."""
    n_times = signals.data.shape[1]
    for other, entry in contents.arrays.items():
        last = other.split(".")[-1]
        if (
            other == name
            or not _TRIGGERS.match(last)
            or math.prod(entry.shape) != n_times
            or max(entry.shape) != n_times
        ):
            continue
        signals.data = np.vstack([signals.data, np.asarray(entry.load(), dtype=signals.data.dtype).reshape(1, -1)])
        signals.ch_names.append(last)
        signals.ch_types.append("stim")
        signals.units.append(None)


def _kind(text: str) -> str:
    word = text.strip().lower()
    return word if word in ("eeg", "eog", "ecg", "emg", "stim", "misc", "bio", "ecog", "seeg", "mag", "grad") else "eeg"


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _example(shape: tuple[int, ...]) -> str:
    if len(shape) == 2:
        return "channels,times"
    return ",".join(["trials"] * (len(shape) - 2) + ["channels", "times"])
