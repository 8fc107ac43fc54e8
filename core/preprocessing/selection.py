"""Which moments of a recording are looked at: events, times or a sliding row, single or averaged."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import numpy as np

from ..choices import AVERAGES
from ..recording import Recording
from .config import PreprocessingConfig
from .continuous import prepare_continuous
from .windows import cut_windows, event_at, events_labelled, mean_window, window_starts

MAX_WINDOWS = 100_000
BEFORE_S = 0.1  # seconds before an event that encoders for answers to pictures look at
_PREPARED: WeakKeyDictionary[Recording, tuple[PreprocessingConfig, Recording]] = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class Selection:
    """Windows of a recording that are not cut yet, for every encoder cuts its own about the same moments.

    groups: onsets in seconds; the windows of one group are averaged into one. labels: what each group is, for people.
    tmin, tmax: seconds about an onset, for plots and band power; an encoder has its own. `len()` is the number of
    groups, so of windows that come out. note: what was left out of it, in words.
    """

    recording: Recording
    groups: tuple[tuple[float, ...], ...]
    labels: tuple[str, ...]
    tmin: float = 0.0
    tmax: float = 1.0
    note: str = ""

    def __post_init__(self) -> None:
        if not self.groups or not all(self.groups) or len(self.groups) != len(self.labels):
            raise ValueError(f"{len(self.groups)} groups of moments with {len(self.labels)} labels select nothing")
        if not self.tmin < self.tmax:
            raise ValueError(f"a window must end after it starts; got {self.tmin:g} to {self.tmax:g} s")

    def __len__(self) -> int:
        return len(self.groups)

    def only(self, *numbers: int) -> Selection:
        """Return the selection of these windows alone."""
        return replace(
            self,
            groups=tuple(self.groups[number] for number in numbers),
            labels=tuple(self.labels[number] for number in numbers),
        )

    def averaged(self, label: str) -> Selection:
        """Return the selection of one window under this label: the mean over all moments."""
        return replace(self, groups=(tuple(moment for group in self.groups for moment in group),), labels=(label,))

    def one_by_one(self) -> tuple[Selection, ...]:
        """Return a selection for each window."""
        return tuple(map(self.only, range(len(self))))


def select_events(
    recording: Recording,
    label: str = "",
    places: str = "",
    average: str = "none",
    *,
    tmin: float = 0.0,
    tmax: float = 1.0,
) -> Selection:
    """Select the moments of events.

    label: their label, empty for any. places: which of them, from 0, such as "0, 3, 5-9" or "-1" for the last; empty
    for all. average: "none" (a window for each event), "per label" (one for each label, in order of appearance), "all".
    Raises ValueError that lists the labels or the number of events there are.
    """
    if average not in AVERAGES:
        raise ValueError(f"no way to average called {average!r}; known: {', '.join(AVERAGES)}")
    events = events_labelled(recording, label or None)
    if not events:
        raise ValueError("this recording has no events; select windows by time, or slide over it")
    if places.strip():
        events = tuple(event_at(events, place, label or None) for place in parse_places(places, len(events)))
    groups: dict[object, list[float]] = {}
    names: dict[object, str] = {}
    for number, event in enumerate(events):
        key: object = {"none": number, "per label": event.label, "all": ""}[average]
        groups.setdefault(key, []).append(event.onset)
        names.setdefault(key, event.label if average != "all" else label or "all events")
    return Selection(recording, tuple(map(tuple, groups.values())), tuple(names.values()), tmin, tmax)


def parse_places(text: str, n: int) -> list[int]:
    """Return the numbers that a list such as "0, 3, 5-9, -1" names; negative ones count from the end of `n`.

    Raises ValueError for anything else.
    """
    found: list[int] = []
    for part in text.replace(";", ",").split(","):
        word = part.strip()
        if not word:
            continue
        first, dash, last = word[1:].partition("-")
        first = word[0] + first
        try:
            low = int(first)
            high = int(last) if dash else low
        except ValueError:
            raise ValueError(f"{word!r} is no number of an event; write them as in `0, 3, 5-9` or `-1`") from None
        if dash and (low < 0 or high < low or high - low > MAX_WINDOWS):
            raise ValueError(f"the range {word!r} runs backwards or is too long; write it as in `5-9`")
        found += range(low, min(high, max(n, low)) + 1) if dash else [low]
    return found


def select_times(recording: Recording, times: Sequence[float], *, tmin: float = 0.0, tmax: float = 1.0) -> Selection:
    """Select windows about moments in seconds; raises ValueError where there is none or one lies outside."""
    moments = [float(time) for time in times]
    if not moments:
        raise ValueError("no times given; write seconds from the start of the recording, such as `1.5, 3`")
    if wrong := [time for time in moments if not 0 <= time <= recording.duration]:
        raise ValueError(f"{wrong[0]:g} s lies outside the recording, which lasts {recording.duration:.4g} s")
    return Selection(recording, tuple((time,) for time in moments), tuple(map(in_seconds, moments)), tmin, tmax)


def in_seconds(moment: float) -> str:
    """Return a moment in words, to the millisecond."""
    return f"{moment:.3f}".rstrip("0").rstrip(".") + " s"


def parse_times(text: str) -> list[float]:
    """Return the seconds that a list such as "1.5, 3" names; raises ValueError for anything else."""
    try:
        return [float(word) for word in text.replace(";", ",").replace(",", " ").split()]
    except ValueError:
        raise ValueError(f"{text!r} is no list of seconds; write it as in `1.5, 3`") from None


def slide(
    recording: Recording,
    per_second: float,
    start: float = 0.0,
    stop: float | None = None,
    *,
    tmin: float = 0.0,
    tmax: float = 1.0,
) -> Selection:
    """Select `per_second` windows a second, one for each frame of a film, wholly inside `start` to `stop` seconds and
    across no gap.

    stop: None is the recording's end. Raises ValueError where not one window fits, or far too many would.
    """
    stop = recording.duration if stop is None else stop
    if not per_second > 0:
        raise ValueError(f"windows a second must be above 0; got {per_second:g}")
    if not 0 <= start < stop <= recording.duration + 1e-6:
        raise ValueError(
            f"from {start:g} to {stop:g} s cannot be slid over; the recording lasts {recording.duration:.4g} s"
        )
    if (stop - start) * per_second > MAX_WINDOWS:
        raise ValueError(f"more than {MAX_WINDOWS} windows; take a shorter stretch or fewer windows a second")
    moments = np.arange(start - min(tmin, 0.0), stop - max(tmax, 0.0) + 1e-9, 1 / per_second)
    # Windows that would cross a gap are not frames of anything.
    bounds = [(begin / recording.sfreq, end / recording.sfreq) for begin, end in recording.spans]
    inside = [(moments + tmin >= begin - 1e-9) & (moments + tmax <= end + 1e-9) for begin, end in bounds]
    moments = moments[np.any(inside, axis=0)]
    if not len(moments):
        raise ValueError(f"not one window of {tmin:g} to {tmax:g} s fits between {start:g} and {stop:g} s")
    return Selection(recording, tuple((float(m),) for m in moments), tuple(map(in_seconds, moments)), tmin, tmax)


def end_to_end(recording: Recording, config: PreprocessingConfig) -> Selection:
    """Select an encoder's windows side by side, from the start of each stretch without a gap.

    Raises ValueError where not one window fits.
    """
    length = config.n_times / config.sfreq
    moments = [
        start / recording.sfreq + number * length - config.tmin
        for start, stop in recording.spans
        for number in range(int((stop - start) / recording.sfreq / length + 1e-9))
    ]
    if not moments:
        raise ValueError(
            f"not one window of {length:g} s ({config.tmin:g} to {config.tmax:g} s) fits into this recording, which "
            f"lasts {recording.duration:.4g} s"
        )
    groups, labels = tuple((moment,) for moment in moments), tuple(map(in_seconds, moments))
    return Selection(recording, groups, labels, config.tmin, config.tmax)


def that_fit(selection: Selection, config: PreprocessingConfig) -> Selection:
    """Return the selection without the windows that an encoder with this preprocessing cannot cut.

    Of a group, one moment whose window can be cut is enough. Raises ValueError where no window is left, saying why.
    """
    onsets, group_of = _moments(selection)
    _, reasons = window_starts(prepared(selection.recording, config), onsets, config)
    kept = np.unique(group_of[np.array([reason is None for reason in reasons])])
    if not len(kept):
        raise ValueError(
            f"no window is left of {len(selection)}: {'; '.join(sorted(set(map(str, reasons)))[:4])} (the window is "
            f"{config.tmin:g} to {config.tmax:g} s, the recording lasts {selection.recording.duration:.3g} s)"
        )
    found = selection if len(kept) == len(selection) else selection.only(*kept.tolist())
    if not (lost := [str(reason) for reason in reasons if reason is not None]):
        return found
    span = f"{config.tmin:g} to {config.tmax:g} s about each is needed"
    note = f"{len(lost)} of {len(onsets)} moments left out: {'; '.join(sorted(set(lost)))} ({span})"
    return replace(found, note="; ".join(filter(None, (selection.note, note))))


def inside(selection: Selection) -> Selection:
    """Return the selection without moments so near to an end of the recording, or to a gap, that no window fits.

    A window is that of the selection, from at least 0.1 s before the moment, as encoders have it. Of a group, one
    moment is enough. The note says how many were left out; where none would be left, all stay.
    """
    recording = selection.recording
    widest = PreprocessingConfig(
        recording.ch_names, recording.sfreq, min(selection.tmin, -BEFORE_S), max(selection.tmax, 0.0)
    )
    onsets, group_of = _moments(selection)
    _, reasons = window_starts(recording, onsets, widest)
    kept = np.unique(group_of[np.array([reason is None for reason in reasons])])
    if not len(kept):
        return selection  # where not one fits, the encoder's own window may
    found = selection if len(kept) == len(selection) else selection.only(*kept.tolist())
    lost = sum(reason is not None for reason in reasons)
    note = f"{lost} of {len(onsets)} moments left out: too near to an end of the recording or to a gap in it"
    return replace(found, note=note) if lost else found


def prepared(recording: Recording, config: PreprocessingConfig) -> Recording:
    """Return `prepare_continuous(recording, config)`, kept for the last config as long as the recording lives.

    Whoever moves a slider behind one recording should not wait for it to be filtered again.
    """
    kept = _PREPARED.get(recording)
    if kept is None or kept[0] != config:
        kept = _PREPARED[recording] = (config, prepare_continuous(recording, config))
    return kept[1]


def selected_eeg(selection: Selection, config: PreprocessingConfig) -> np.ndarray:
    """Return the selected windows as an encoder with this preprocessing wants them, in volts, repeats averaged.

    float32 (len(selection), n_channels, n_times), filtered and cut by the very functions that training used. Of a
    group, windows over `reject_uv` are left out while any is left. Raises ValueError where a window cannot be cut.
    """
    onsets, _ = _moments(selection)
    windows = cut_windows(prepared(selection.recording, config), onsets, config, keep_rejected=True)
    row_of = np.cumsum(windows.kept) - 1
    clean = np.array([reason is None for reason in windows.reasons])
    out = np.empty((len(selection), len(config.ch_names), config.n_times), dtype=np.float32)
    ends = np.cumsum([len(group) for group in selection.groups])
    for number, (first, last) in enumerate(zip(np.r_[0, ends[:-1]], ends, strict=True)):
        kept = windows.kept[first:last]
        if not kept.any():
            raise ValueError(_cannot_be_cut(selection, number, windows.reasons, config))
        out[number] = mean_window(windows.data[row_of[first:last][kept]], clean[first:last][kept])
    return out


def raw_means(selection: Selection) -> tuple[np.ndarray, np.ndarray]:
    """Return the selected windows as they were recorded, `tmin` to `tmax` about each moment, repeats averaged, and of
    how many windows each is the mean (len(selection),).

    The windows are float32 (len(selection), n_channels, n_times) in volts at the recording's own rate, unfiltered.
    Raises ValueError where a window cannot be cut, like `cut_raw`.
    """
    total, counts = None, np.zeros(len(selection), dtype=np.int64)
    for group, windows in cut_raw(selection):
        firsts = np.flatnonzero(np.diff(group, prepend=-1))
        if total is None:
            total = np.zeros((len(selection), *windows.shape[1:]))
        total[group[firsts]] += np.add.reduceat(windows, firsts, axis=0, dtype=np.float64)
        counts += np.bincount(group, minlength=len(selection))
    assert total is not None  # a selection has a window, or cut_raw has raised
    return (total / counts[:, None, None]).astype(np.float32), counts


def cut_raw(selection: Selection, samples_at_once: int = 1 << 23) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield every window of every group as it was recorded, in order, a batch at a time so that thousands fit.

    A batch is the number of each window's group (n,) and the windows (n, n_channels, n_times) in volts. Of a group,
    windows that leave the recording or cross a gap are left out while any is left, as an encoder does; ValueError
    names the first group where none is.
    """
    recording = selection.recording
    config = PreprocessingConfig(recording.ch_names, recording.sfreq, selection.tmin, selection.tmax)
    onsets, group_of = _moments(selection)
    starts, reasons = window_starts(recording, onsets, config)
    kept = np.array([reason is None for reason in reasons])
    if empty := sorted(set(range(len(selection))) - set(group_of[kept].tolist())):
        raise ValueError(_cannot_be_cut(selection, empty[0], reasons, config))
    starts, group_of = starts[kept], group_of[kept]
    at_once = max(samples_at_once // (recording.n_channels * config.n_times), 1)
    for begin in range(0, len(starts), at_once):
        samples = starts[begin : begin + at_once, None] + np.arange(config.n_times)
        yield group_of[begin : begin + at_once], recording.data[:, samples].transpose(1, 0, 2)


def _moments(selection: Selection) -> tuple[np.ndarray, np.ndarray]:
    """Return every moment in seconds, group after group, and the number of its group, both (n_moments,)."""
    moments = np.concatenate([np.asarray(group, dtype=np.float64) for group in selection.groups])
    return moments, np.repeat(np.arange(len(selection)), [len(group) for group in selection.groups])


def _cannot_be_cut(
    selection: Selection, number: int, reasons: Sequence[str | None], config: PreprocessingConfig
) -> str:
    first = sum(map(len, selection.groups[:number]))
    mine = sorted({str(reason) for reason in reasons[first : first + len(selection.groups[number])]})
    label, when = selection.labels[number], in_seconds(selection.groups[number][0])
    return (
        f"window {number + 1} ({label if label == when else f'{label}, at {when}'}) cannot be cut: {'; '.join(mine)}. "
        f"It needs {config.tmin:g} to {config.tmax:g} s about its moment; the recording lasts "
        f"{selection.recording.duration:.4g} s"
    )
