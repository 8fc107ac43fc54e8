"""Between MNE's objects and ours: reading quietly, rows out of a raw, boundaries, and recordings both ways."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...recording import Event
from ..contract.signals import Signals

if TYPE_CHECKING:
    from mne.io import BaseRaw

# a damaged or hostile header may claim any size; it is looked at before memory is asked for
MOST_BYTES = 16 << 30
# int16 samples double in float32 and compressed ones grow sevenfold; small files may have whatever they claim
MOST_PER_BYTE, MOST_ANYHOW = 8, 16 << 20
# of MNE's float64: fits a processor's cache, and is long enough for what a call of MNE's costs
BLOCK_BYTES = 4 << 20
_BOUNDARIES = ("boundary", "bad boundary", "edge boundary", "new segment/", "bad_acq_skip")


def read_quietly(path: Path, what: str, read: Callable[[], Any]) -> tuple[Any, list[str]]:
    """Run one of MNE's readers (at verbose="WARNING": at "ERROR" it warns no one); return its result and its warnings.

    Raises ValueError naming the file and what was tried, in one line, where MNE fails in any way.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = read()
        except (MemoryError, ModuleNotFoundError):
            raise  # a missing package is for the host to explain
        except Exception as error:  # MNE fails with whatever its parser met: AssertionError, struct.error, KeyError ...
            if isinstance(error, ValueError) and str(error).startswith(f"{path}:"):
                raise  # it is ours and says what there is to say
            reason = " ".join(str(error).split()) or type(error).__name__
            reason = re.sub(r"(Posix|Windows)Path\('([^']*)'\)", r"\2", reason)
            raise ValueError(f"{path}: cannot be read as {what}: {reason[:300]}") from error
    said = [
        " ".join(str(w.message).split())[:300] for w in caught if issubclass(w.category, (RuntimeWarning, UserWarning))
    ]
    return result, list(dict.fromkeys(said))


def load_samples(path: Path, raw: BaseRaw, *, whole: bool = False) -> BaseRaw:
    """Read the samples of a raw object that was opened, in blocks, and leave them with it for `signals_from_raw`.

    whole: read them in one piece, for files whose rows MNE resamples (in blocks each block would have edges). Raises
    ValueError where the header claims far more samples than the file has bytes, or more than 16 GiB of them.
    """
    n_rows, n_times = len(raw.ch_names), int(raw.n_times)
    needed = n_rows * n_times * 4
    held = sum(Path(name).stat().st_size for name in raw.filenames if name is not None and Path(name).is_file())
    if held and needed > MOST_PER_BYTE * held + MOST_ANYHOW:
        raise ValueError(
            f"{path}: its header claims {n_times} samples of {n_rows} channels, but the file has only {held} bytes: "
            "it is damaged or cut off"
        )
    if needed > MOST_BYTES:
        raise ValueError(
            f"{path}: its header claims {n_times} samples of {n_rows} channels, {needed >> 30} GiB in memory (at most "
            f"{MOST_BYTES >> 30}); cut the recording"
        )
    if whole:
        raw.load_data(verbose="ERROR")
    raw.rows_in_float32 = _rows_of(raw)  # type: ignore[attr-defined]  # our own attribute
    return raw


def _rows_of(raw: BaseRaw) -> np.ndarray:
    """Return all samples as float32 (n_rows, n_times), never holding more than a block of MNE's float64 at a time."""
    n_rows, n_times = len(raw.ch_names), int(raw.n_times)
    rows = np.empty((n_rows, n_times), np.float32)
    step = max(BLOCK_BYTES // (8 * max(n_rows, 1)), 1)
    with np.errstate(over="ignore", invalid="ignore"):  # what float32 cannot hold is infinite, and counts as missing
        for start in range(0, n_times, step):
            stop = min(start + step, n_times)
            rows[:, start:stop] = raw.get_data(start=start, stop=stop, verbose="ERROR")
    return rows


def signals_from_raw(raw: BaseRaw, notes: list[str] | None = None) -> Signals:
    """Return all rows of an MNE raw object as `Signals` in volts; annotations are events, boundaries segments."""
    data = raw.__dict__.pop("rows_in_float32", None)
    if data is None:
        data = _rows_of(raw)
    sfreq, n_times = float(raw.info["sfreq"]), data.shape[1]
    events, edges = [], set()
    marks = raw.annotations
    for absolute, length, text in zip(marks.onset, marks.duration, marks.description, strict=True):
        onset, duration, label = float(absolute) - raw.first_time, float(length), str(text)
        if label.lower().startswith(_BOUNDARIES):
            edges.add(round(onset * sfreq))
            if label.lower() == "bad_acq_skip":
                edges.add(round((onset + duration) * sfreq))
        else:
            events.append(Event(onset, duration, label))
    types = raw.get_channel_types()
    return Signals(
        data=data,
        sfreq=sfreq,
        ch_names=list(raw.ch_names),
        ch_types=types,
        units=["V" if kind == "eeg" else None for kind in types],
        positions=positions_of(raw),
        events=events,
        segments=(0, *sorted(edge for edge in edges if 0 < edge < n_times)),
        reference="changed before saving" if raw.info.get("custom_ref_applied") else "as recorded",
        notes=list(notes or []),
    )


def signals_from_epochs(epochs: Any, notes: list[str] | None = None) -> Signals:
    """Return MNE epochs end to end as `Signals`: each epoch a segment, its time zero an event named as MNE names it."""
    found = epochs.get_data(copy=False)
    n_epochs, n_rows, n_times = found.shape
    data = np.empty((n_rows, n_epochs * n_times), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for i, epoch in enumerate(found):
            data[:, i * n_times : (i + 1) * n_times] = epoch
    sfreq = float(epochs.info["sfreq"])
    names = {code: name for name, code in epochs.event_id.items()}
    zero = -float(epochs.tmin)
    types = epochs.get_channel_types()
    return Signals(
        data=data,
        sfreq=sfreq,
        ch_names=list(epochs.ch_names),
        ch_types=types,
        units=["V" if kind == "eeg" else None for kind in types],
        positions=positions_of(epochs),
        events=[
            Event(i * n_times / sfreq + zero, 0.0, str(names.get(int(code), int(code))))
            for i, code in enumerate(epochs.events[:, 2])
        ],
        segments=tuple(i * n_times for i in range(n_epochs)),
        notes=[
            *(notes or []),
            f"{n_epochs} epochs of {n_times / sfreq:g} s, from {epochs.tmin:g} s to {epochs.tmax:g} s",
        ],
    )


def positions_of(inst: Any) -> np.ndarray | None:
    """Return (n_rows, 3) electrode positions in metres, NaN where the file gives none; None for none at all."""
    positions = np.array([channel["loc"][:3] for channel in inst.info["chs"]], dtype=np.float64)
    positions[~np.isfinite(positions).all(axis=1) | (np.abs(positions).sum(axis=1) == 0)] = np.nan
    return positions if np.isfinite(positions).any() else None
