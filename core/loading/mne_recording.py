"""Recordings to MNE's raw objects and back; MNE's data are volts, so nothing is judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..formats.containers.mne_raw import signals_from_raw
from ..recording import Recording
from .judgement.channels import why_not_eeg
from .judgement.events import events_of

if TYPE_CHECKING:
    from mne.io import BaseRaw


def to_mne(recording: Recording) -> Any:
    """Return an `mne.io.RawArray` in volts with the events as annotations and segments as `BAD boundary`."""
    import mne

    info = mne.create_info(list(recording.ch_names), recording.sfreq, "eeg")
    raw = mne.io.RawArray(recording.data.astype(np.float64), info, verbose="ERROR")
    if recording.ch_positions is not None:
        known = {
            name: place.astype(float)
            for name, place in zip(recording.ch_names, np.asarray(recording.ch_positions), strict=True)
            if np.isfinite(place).all()
        }
        raw.set_montage(mne.channels.make_dig_montage(known, coord_frame="head"), on_missing="ignore", verbose="ERROR")
    marks = [(e.onset, e.duration, e.label) for e in recording.events]
    marks += [(start / recording.sfreq, 0.0, "BAD boundary") for start in recording.segments[1:]]
    if marks:
        onsets, durations, labels = zip(*marks, strict=True)
        raw.set_annotations(mne.Annotations(onsets, durations, labels), verbose="ERROR")
    return raw


def from_mne(raw: BaseRaw, source: dict[str, Any] | None = None) -> Recording:
    """Return the EEG channels of an MNE raw object; annotations and trigger channels become events.

    MNE's data are volts, so no plausibility check runs. Raises ValueError where there are no EEG channels.
    """
    signals = signals_from_raw(raw)
    reasons = [
        why_not_eeg(name, kind, unit)
        for name, kind, unit in zip(signals.ch_names, signals.ch_types, signals.units, strict=True)
    ]
    rows = [i for i, reason in enumerate(reasons) if reason is None]
    if not rows:
        raise ValueError(
            f"this MNE object has no EEG channels; it has {dict(zip(raw.ch_names, signals.ch_types, strict=True))}"
        )
    positions = None if signals.positions is None else signals.positions[rows]
    if positions is not None and not np.isfinite(positions).any():
        positions = None
    events = events_of(signals, ())
    dropped = {name: reason for name, reason in zip(signals.ch_names, reasons, strict=True) if reason}
    described = {
        "format": "mne",
        "units": "declared V",
        "sfreq": signals.sfreq,
        "dropped": dropped,
        "reference": signals.reference,
        "n_events": len(events),
        **(source or {}),
    }
    return Recording(
        data=signals.data[rows],
        sfreq=signals.sfreq,
        ch_names=tuple(signals.ch_names[i] for i in rows),
        ch_positions=positions,
        events=tuple(events),
        segments=signals.segments,
        source=described,
    )
