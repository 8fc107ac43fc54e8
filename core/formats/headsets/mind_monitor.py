"""Mind Monitor's CSV of a Muse: band powers and RAW_ columns in microvolts, markers and blinks in the last column."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...recording import Event
from ..containers.text_table import delimiter_of, first_lines, read_text_table, split_names
from ..contract.signals import Head, NoEeg, Reader, ReadOptions, Signals
from ..contract.suffixes import SUFFIXES
from ..contract.units import VOLTS

DOCUMENTED_SFREQ = 256.0
# Bluetooth brings twelve samples at a time; a setting other than "constant" writes a few rows a second
_LEAST_HZ = 100.0
_LEFT_OUT = (
    (("delta_", "theta_", "alpha_", "beta_", "gamma_"), "band powers of the app"),
    (("accelerometer_", "gyro_"), "motion"),
    (("headbandon", "hsi_"), "signal quality"),
    (("battery",), "battery"),
    (("mellow", "concentration"), "the app's scores"),
    (("optics", "ppg", "heart", "hr_", "spo2"), "not EEG"),
)


def read_mind_monitor(path: Path, options: ReadOptions) -> Signals:
    """Read the RAW_ and AUX columns; what stands in Elements (/Marker/1, /muse/elements/blink ...) is an event there.

    Raises ValueError where the file was recorded at an interval other than "constant", whose rows are no EEG in a row.
    """
    first = (first_lines(path, 1) or [""])[0]
    delimiter = delimiter_of(first)
    names = split_names(first, delimiter)
    lowered = [name.lower() for name in names]
    raw = [i for i, name in enumerate(lowered) if name.startswith("raw_")]
    if not raw or lowered[0] != "timestamp":
        what = "has no RAW_ columns, only band powers" if any(n.startswith("alpha_") for n in lowered) else "is another"
        raise NoEeg(f"{path}: a Mind Monitor CSV with RAW_TP9 ... is wanted; this one {what} ({names[:6]})")
    aux = [i for i, name in enumerate(lowered) if name.startswith("aux")]
    elements = [lowered.index("elements")] if "elements" in lowered else []
    table = read_text_table(
        path, delimiter=delimiter, skip=1, numbers=[*raw, *aux], clocks=[0], labels=elements, names=names
    )
    # a marker or a blink has a row of its own, without samples, between those of the samples
    sampled = np.isfinite(table.numbers[: len(raw)]).any(axis=0)
    before = np.concatenate([[0], np.cumsum(sampled)])
    data, stamps = table.numbers[:, sampled], table.clocks[0][sampled]
    if data.shape[1] < 2:
        raise ValueError(f"{path}: {data.shape[1]} samples in its RAW_ columns: nothing was recorded")
    notes = table.remarks()
    _refuse_sparse(path, stamps, options)
    found = [(row, text) for column in elements for row, text in table.labels[column] if text]
    for row in data:
        row *= VOLTS["uV"]
    kept = {*raw, *aux, *elements, 0}
    return Signals(
        data=data,
        sfreq=DOCUMENTED_SFREQ,
        sfreq_said="documented",
        stamps=stamps,
        stamps_jitter_s=0.3,
        ch_names=[names[i].removeprefix("RAW_") for i in [*raw, *aux]],
        ch_types=["eeg"] * (len(raw) + len(aux)),
        units=["uV"] * (len(raw) + len(aux)),
        units_said="assumed",
        units_why="Mind Monitor writes uV",
        events=[Event(float(before[row]) / DOCUMENTED_SFREQ, 0.0, text) for row, text in found],
        event_source="Elements",
        reference="as recorded (Fpz on a Muse)",
        dropped={name: _left_out(name) for i, name in enumerate(names) if i not in kept},
        notes=notes,
    )


def _left_out(name: str) -> str:
    for starts, reason in _LEFT_OUT:
        if name.lower().startswith(starts):
            return reason
    return "not EEG"


def _refuse_sparse(path: Path, stamps: np.ndarray, options: ReadOptions) -> None:
    times = stamps[np.isfinite(stamps)]
    if options.sfreq is not None or len(times) < 2:
        return
    lag = min(len(times) - 1, 64)
    span = float(np.median(times[lag:] - times[:-lag]))
    rate = lag / span if span > 0 else np.inf
    if rate < _LEAST_HZ:
        raise ValueError(
            f"{path}: {rate:.3g} rows a second, where a Muse samples {DOCUMENTED_SFREQ:g} times: Mind Monitor's "
            "recording interval was not 'Constant', so most samples were never written. Record with that setting"
        )


def _is_mind_monitor(head: Head) -> bool:
    first = (head.lines(1) or [""])[0].lower()
    names = split_names(first, delimiter_of(first))
    return names[:1] == ["timestamp"] and ("raw_tp9" in names or "alpha_tp9" in names)


READER = Reader(
    "mind_monitor",
    SUFFIXES["mind_monitor"],
    read_mind_monitor,
    "Mind Monitor CSV (Muse)",
    _is_mind_monitor,
    "Mind Monitor (a CSV with TimeStamp, RAW_TP9)",
)
