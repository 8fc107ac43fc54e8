"""Which rows of a file are EEG: by what the user says, by type, by name, by unit, and by the samples."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...formats.contract.signals import NoEeg, Signals
from ...formats.contract.units import VOLTS
from ...montage import is_eeg_name
from .row_evidence import why_not_by_samples

_NOT_EEG = [
    (re.compile(pattern, re.IGNORECASE), reason)
    for pattern, reason in (
        (
            r"^(time_?stamp.*|(eeg\.)?(raw_)?counter.*|(eeg\.)?interpolated.*|orig.*timestamp.*|sample ?(index|number)"
            r"|(package|packet) ?(num|counter|number).*|time|seq(uence)?|battery_?percent)$",
            "bookkeeping",
        ),
        (
            r"^(eeg\.)?((cq|eq)[_. ].*|(cq|eq))$|contact.?quality|_cq$|^quality|impedance|^hsi(_|$)|headbandon"
            r"|^validation",
            "signal quality",
        ),
        (r"^(eeg\.)?battery.*", "battery"),
        (
            r"^((mot|gyro(scope)?|acc|accel|accelerometer|mag(netometer)?|quat)([_. xyz0-9].*)?|q[0-3])$"
            r"|^accel channel",
            "motion",
        ),
        (r"marker|trigger|^trig|^status$|^sti ?\d+|^stim$|event|^digital channel|^di[gn]\d+", "triggers"),
        # LOC, ROC: the outer canthi; E1, E2 against a mastoid: the same of sleep laboratories (EGI's E1 stands alone)
        (r"eog|^ho[ _-]?[lr]$|^(eeg[ _-]?)?[lr]oc\b|^e[12][-_:/][am][12]$", "eye movement"),
        (r"ecg|ekg", "heart"),
        (r"emg|chin|submental|tibial|^[lr]?[ _-]?leg\b", "muscle"),
        (r"\baux\b|^aux|^right aux|^left aux|^analog channel", "auxiliary input"),
        (r"^exg\d*$", "external electrode without a place on the scalp"),
        (
            r"resp|thora|abdo|airflow|nasal|cpap|pleth|ppg|pulse|sp?[ao]o?2|^osat|etco2|^gsr|^eda$|temp|photo|photic"
            r"|snore|light|^(pol )?(dc\d*|\$.*|bn\d)$|^(hr|pr|bp|vns|pos|position|mic|sound)$",
            "not EEG",
        ),
        (r"^(eeg )?(ibi|bursts?|suppr?)$", "not EEG but made of it"),
        (r"^[-.\s]*$", "a row without a name"),
        (r"^(delta|theta|alpha|beta|gamma)_|^(pow|pm|fe)\.", "not EEG but made of it"),
        (r"annotations$", "annotations"),
    )
]
_STIM_TYPES = {"stim", "marker"}


def why_not_eeg(name: str, ch_type: str, unit: str | None) -> str | None:
    """Return the reason a row is not EEG (its type, its name, or a unit that is not a voltage), or None if it is."""
    if ch_type != "eeg":
        return "triggers" if ch_type in _STIM_TYPES else f"type {ch_type}"
    if not is_eeg_name(name):
        for pattern, reason in _NOT_EEG:
            if pattern.search(name.strip()):
                return reason
    return None if unit is not None else "its unit is not a voltage"


def only_eeg(path: Path, signals: Signals, keep: tuple[str, ...]) -> tuple[Signals, dict[str, str]]:
    """Return the rows that are EEG, and why each of the others is not.

    `keep` are names of rows that the user calls EEG whatever they look like. A row whose name is a place of the 10-05
    system is not doubted for its samples. Raises ValueError where a row to keep is not there, or (`NoEeg`) none is EEG.
    """
    if unknown := [name for name in keep if name not in signals.ch_names]:
        raise ValueError(f"{path}: no channel {unknown} to keep; it has {signals.ch_names}")
    rows, dropped = [], {}
    for i, (name, kind, unit) in enumerate(zip(signals.ch_names, signals.ch_types, signals.units, strict=True)):
        reason = None
        if name not in keep:
            reason = why_not_eeg(name, kind, unit)
            if reason is None and not is_eeg_name(name):
                reason = why_not_by_samples(signals.data[i])
        if reason is None:
            rows.append(i)
        else:
            dropped[name] = reason
    if not rows:
        listed = ", ".join(f"{name} ({reason})" for name, reason in list(dropped.items())[:12])
        raise NoEeg(
            f"{path}: no EEG channels; it holds {listed or 'no channels at all'}"
            + ("; keep= (--keep) takes a channel all the same" if listed else "")
        )
    return rows_of(signals, rows), dropped


def rows_of(signals: Signals, rows: list[int]) -> Signals:
    """Return signals with only these rows, in this order; all rows in their order are not copied."""
    every = rows == list(range(len(signals.ch_names)))
    return replace(
        signals,
        data=signals.data if every else signals.data[rows],
        ch_names=[signals.ch_names[i] for i in rows],
        ch_types=[signals.ch_types[i] for i in rows],
        units=[signals.units[i] for i in rows],
        positions=None if signals.positions is None else signals.positions[rows],
    )


def in_volts(signals: Signals, given: str | None) -> tuple[Signals, str, str]:
    """Return signals with all rows in volts, the unit that their numbers had, and how that is known.

    `given` is the unit that the user says all of the file's numbers are.
    """
    units = [unit or "" for unit in signals.units]
    with np.errstate(over="ignore", invalid="ignore"):
        if given is not None:
            for row, unit in zip(signals.data, units, strict=True):
                factor = VOLTS[given] / (VOLTS[unit] if unit else 1.0)
                if factor != 1.0:
                    row *= factor
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
