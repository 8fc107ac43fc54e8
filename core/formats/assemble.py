"""From a file to a `Recording`: choose the reader, the channels, the unit; mend, judge, and say what was done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..files import sha256_of
from ..montage import normalise_name, standard_positions
from ..recording import Event, Recording
from . import reader_for
from .channels import events_of, why_not_eeg
from .repair import judge_amplitudes, mend_gaps
from .signals import Signals
from .units import VOLTS, check_unit


def read_recording(
    path: Path,
    *,
    units: str | None,
    format: str | None,  # noqa: A002
    events_from: str | Sequence[str] | None,
    keep: tuple[str, ...],
) -> Recording:
    """Do what `recording.load_recording` promises."""
    given = check_unit(units)
    reader = reader_for(path, format)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    if path.is_dir():
        raise ValueError(f"{path}: a folder, not a recording")
    if path.stat().st_size == 0:
        raise ValueError(f"{path}: an empty file")
    signals = reader.read(path)
    source: dict[str, Any] = {"file": path.name, "sha256": sha256_of(path), "format": reader.name}
    if signals.companions:
        source["companions"] = {beside.name: sha256_of(beside) for beside in signals.companions}
    if signals.judged:
        # Channels were chosen and mended before it was saved; but anyone can write such a file, so it is judged.
        judge_amplitudes(path, signals, "V", "declared V")
        return _recording(signals, {**(signals.saved_source or {}), **source, "sfreq": signals.sfreq})

    signals.events = events_of(signals, events_from)
    signals, dropped = _only_eeg(path, signals, keep)
    signals, unit, units_text = _in_volts(path, signals, given)
    signals, missing, repaired = mend_gaps(signals)
    if signals.data.shape[1] == 0:
        raise ValueError(f"{path}: no samples are left: every stretch of it has missing samples (NaN) in some channel")
    bad = judge_amplitudes(path, signals, unit, units_text)
    if bad:
        signals = _rows(signals, [i for i, name in enumerate(signals.ch_names) if name not in bad])
    if units_text.startswith("inferred"):
        signals.notes.append(f"the file names no unit; its amplitudes are those of EEG in {unit}")
    signals = _rename(signals)
    known = int(np.isfinite(standard_positions(signals.ch_names)).all(axis=1).sum())
    own = "positions in the file; " if signals.positions is not None else ""
    source.update(
        units=units_text,
        sfreq=signals.sfreq,
        dropped={**signals.dropped, **dropped, **missing, **bad},
        repaired=repaired,
        reference=signals.reference,
        montage=f"{own}{known} of {len(signals.ch_names)} names are places of the 10-05 system",
        n_events=len(signals.events),
        notes=signals.notes,
    )
    return _recording(signals, source)


def _only_eeg(path: Path, signals: Signals, keep: tuple[str, ...]) -> tuple[Signals, dict[str, str]]:
    if unknown := [name for name in keep if name not in signals.ch_names]:
        raise ValueError(f"{path}: no channel {unknown} to keep; it has {signals.ch_names}")
    rows, dropped = [], {}
    for i, (name, kind, unit) in enumerate(zip(signals.ch_names, signals.ch_types, signals.units, strict=True)):
        reason = None if name in keep else why_not_eeg(name, kind, unit)
        if reason is None:
            rows.append(i)
        else:
            dropped[name] = reason
    if not rows:
        listed = ", ".join(f"{name} ({reason})" for name, reason in list(dropped.items())[:12])
        raise ValueError(f"{path}: no EEG channels; it holds {listed or 'no channels at all'}")
    return _rows(signals, rows), dropped


def _in_volts(path: Path, signals: Signals, given: str | None) -> tuple[Signals, str, str]:
    """Return signals with all rows in volts, the unit that their numbers had, and how that is known."""
    units = [unit or "" for unit in signals.units]
    if given is not None:
        for row, unit in zip(signals.data, units, strict=True):
            row *= VOLTS[given] / (VOLTS[unit] if unit else 1.0)
        return signals, given, f"given {given}"
    named = sorted({unit for unit in units if unit}, key=units.count, reverse=True)
    if not named:
        # MNE leaves such numbers alone, which reads them as volts; whether they are is for the gate to say
        return signals, "V", "inferred V"
    if "" in units:
        for i, unit in enumerate(units):
            if not unit:
                signals.data[i] *= VOLTS[named[0]]
        blank = [name for name, unit in zip(signals.ch_names, units, strict=True) if not unit]
        signals.notes.append(f"no unit for {', '.join(blank[:8])}: taken as {named[0]}, as the other channels are")
    why = f" ({signals.units_why})" if signals.units_why else ""
    return signals, named[0], f"{signals.units_said} {', '.join(named)}{why}"


def _rename(signals: Signals) -> Signals:
    """Give channels their 10-05 spelling; where two are the same place, the later one keeps the file's name."""
    names: list[str] = []
    for name in signals.ch_names:
        tidy = normalise_name(name)
        if tidy in names:
            signals.notes.append(f"{name} is the same place as another channel: it keeps the name the file gives it")
            tidy = name if name not in names else f"{name} ({len(names)})"
        names.append(tidy)
    return replace(signals, ch_names=names)


def _rows(signals: Signals, rows: list[int]) -> Signals:
    return replace(
        signals,
        data=signals.data[rows],
        ch_names=[signals.ch_names[i] for i in rows],
        ch_types=[signals.ch_types[i] for i in rows],
        units=[signals.units[i] for i in rows],
        positions=None if signals.positions is None else signals.positions[rows],
    )


def _recording(signals: Signals, source: dict[str, Any]) -> Recording:
    positions = signals.positions
    if positions is not None and not np.isfinite(positions).any():
        positions = None
    events = tuple(Event(float(e.onset), float(e.duration), str(e.label)) for e in signals.events)
    return Recording(
        data=signals.data.astype(np.float32, copy=False),
        sfreq=signals.sfreq,
        ch_names=tuple(signals.ch_names),
        ch_positions=positions,
        events=events,
        segments=signals.segments,
        source=source,
    )
