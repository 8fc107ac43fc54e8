"""From a file to a `Recording`: choose the reader, the channels, the unit; mend, judge, and say what was done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..formats.contract.signals import ReadOptions, Signals
from ..formats.contract.units import check_unit
from ..montage import standard_positions
from ..recording import Event, Recording
from .archives import as_given, unpacked
from .bids import is_recording_name, with_sidecars
from .detect import reader_of
from .isolation.isolated import read_isolated
from .judgement.channel_names import (
    by_the_users_list,
    by_the_users_map,
    channels_asked,
    in_montage,
    one_spelling,
    placeless,
)
from .judgement.channels import in_volts, only_eeg, rows_of
from .judgement.dc_offsets import take_offsets
from .judgement.electrode_positions import in_metres
from .judgement.events import events_of
from .judgement.flat_stretches import flat_notes
from .judgement.gaps_and_amplitudes import judge_amplitudes, mend_gaps
from .judgement.rate import settle_rate
from .readers import READERS


def load_recording(
    path: str | Path,
    *,
    units: str | None = None,
    format: str | None = None,  # noqa: A002  (the word users know)
    sfreq: float | None = None,
    events: str | Sequence[str] = (),
    channels: str | Path | Mapping[str, Any] | Sequence[str] | None = None,
    montage: str | None = None,
    keep: Sequence[str] = (),
    member: str | None = None,
    stream: str | None = None,
    variable: str | None = None,
    axes: str | None = None,
    board: str | int | None = None,
) -> Recording:
    """Read an EEG file of any known format into volts; `source` says what was read, inferred, dropped and repaired.

    What the file does not say, or says wrongly, the user does; each has a flag of the same name in every command:

    units: "V", "mV", "uV" or "nV", what the file's numbers are. format: a key of `formats.READERS`, where neither
    content nor name tells. sfreq: hertz. events: items `[source@]pattern[=label]` (`face`, `1=house`,
    `STATUS@1=house`, `shown.csv@*`; see `loading.event_items`); none takes every event there is. channels: {the file's
    name: its place, or None to leave it out}, a list of names in the file's order, or a JSON file of either. montage: a
    name in `montage.MONTAGES`, one of MNE's, or a file of positions. keep: rows that would be dropped as not EEG
    (Muse's "Right AUX"). member, stream, variable, axes, board: which file of an archive, which stream of an XDF, which
    variable of a .mat or .npz and what its axes are ("channels,times"), which BrainFlow board.

    Raises FileNotFoundError for a missing file and ValueError, one line that begins with the path, for one that cannot
    be read, holds no EEG, states a rate that its timestamps contradict, or whose amplitudes are not those of EEG; it
    names what was found and the option that settles it.
    """
    options = ReadOptions(
        units=units,
        format=format,
        sfreq=sfreq,
        events=(events,) if isinstance(events, str) else tuple(events),
        channels=Path(channels) if isinstance(channels, str) else channels,
        montage=montage,
        keep=tuple(keep),
        member=member,
        stream=stream,
        variable=variable,
        axes=axes,
        board=None if board is None else str(board),
    )
    return read_recording(Path(path), options)


def read_recording(path: Path, options: ReadOptions) -> Recording:
    """Do what `load_recording` promises."""
    check_unit(options.units)
    if options.format is not None:
        reader_of(path, READERS, options.format)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    if path.is_file() and path.stat().st_size == 0:
        raise ValueError(f"{path}: an empty file")
    # a damaged file's numbers overflow; what is not finite afterwards counts as missing, and warns nobody
    with np.errstate(all="ignore"):
        with unpacked(path, options, READERS) as inner:
            reader, how = reader_of(inner, READERS, options.format)
            signals = read_isolated(reader, inner, options) if reader.isolated else reader.read(inner, options)
            if not signals.judged and reader.name != "bids":
                # sidecars lie beside what was packed: outside a .gz, inside a .zip
                beside = path if is_recording_name(path.name) else inner
                signals = with_sidecars(beside, signals, options)
            signals.notes = [as_given(note, inner, path) for note in signals.notes]
        source: dict[str, Any] = {"file": path.name, "format": reader.name, "recognised": how}
        if inner.name != path.name:
            source["unpacked"] = inner.name
        if signals.companions:
            source["companions"] = [beside.name for beside in signals.companions]
        return judged(path, signals, options, source)


def judged(path: Path, signals: Signals, options: ReadOptions, source: dict[str, Any]) -> Recording:
    """Judge and mend what a reader read; `source` is what is known of the file so far."""
    given = check_unit(options.units)
    if signals.judged:
        return _as_saved(path, signals, options, source)
    timing = settle_rate(path, signals, options.sfreq)
    signals.events = _events(path, signals, options)
    asked = channels_asked(options.channels)
    signals, told, left_out = by_the_users_map(path, signals, asked)
    signals, dropped = only_eeg(path, signals, (*options.keep, *told))
    signals = in_metres(by_the_users_list(path, signals, asked))
    signals, montage = in_montage(path, signals, options.montage)
    signals, unit, units_text = in_volts(signals, given)
    signals, missing, repaired = mend_gaps(signals)
    if signals.data.shape[1] == 0:
        raise ValueError(f"{path}: no samples are left: every stretch of it has missing samples (NaN) in some channel")
    offsets = take_offsets(signals)
    bad = judge_amplitudes(path, signals, unit, units_text, sure=given is not None)
    if bad:
        signals = rows_of(signals, [i for i, name in enumerate(signals.ch_names) if name not in bad])
    if units_text.startswith("inferred"):
        signals.notes.append(f"the file names no unit; its amplitudes are those of EEG in {unit}")
    before = signals.ch_names
    signals = one_spelling(signals)
    signals.notes += flat_notes(signals.data, signals.sfreq, signals.ch_names)
    spelled = dict(zip(before, signals.ch_names, strict=True))
    if nowhere := placeless(signals):
        signals.notes.append(nowhere)
    known = int(np.isfinite(standard_positions(signals.ch_names)).all(axis=1).sum())
    own = "positions in the file; " if signals.positions is not None and not montage else ""
    source.update(
        units=units_text,
        sfreq=signals.sfreq,
        dropped={**signals.dropped, **left_out, **dropped, **missing, **bad},
        repaired=repaired,
        timing=timing,
        offsets_uv={spelled[name]: value for name, value in offsets.items() if name in spelled},
        reference=signals.reference,
        montage=montage
        + "; " * bool(montage)
        + f"{own}{known} of {len(signals.ch_names)} names are places of the 10-05 system",
        n_events=len(signals.events),
        notes=list(dict.fromkeys(signals.notes)),
    )
    return _recording(signals, source)


def _as_saved(path: Path, signals: Signals, options: ReadOptions, source: dict[str, Any]) -> Recording:
    """Return a recording of our own form, but for events, names and places that the user asks for.

    Channels were chosen and mended before it was saved; but anyone can write such a file, so amplitudes are judged.
    """
    said = {"units": options.units, "sfreq": options.sfreq, "keep": options.keep}
    if wrong := [f"{name}= (--{name})" for name, value in said.items() if value]:
        raise ValueError(f"{path}: our own form holds volts, its rate and EEG only: leave {', '.join(wrong)} out")
    told: dict[str, Any] = {}
    if options.events:
        signals.events = _events(path, signals, options)
        told["n_events"] = len(signals.events)
    asked = channels_asked(options.channels)
    signals, _, left_out = by_the_users_map(path, signals, asked)
    signals, montage = in_montage(path, by_the_users_list(path, signals, asked), options.montage)
    saved = dict(signals.saved_source or {})
    if asked or montage:
        signals = one_spelling(signals)
        told["dropped"] = {**saved.get("dropped", {}), **left_out}
        told["notes"] = [*saved.get("notes", []), *signals.notes]
        told["montage"] = montage or "names by the map of channels"
    judge_amplitudes(path, signals, "V", "declared V", sure=True)
    notes = told.get("notes", saved.get("notes", []))
    if flat := [note for note in flat_notes(signals.data, signals.sfreq, signals.ch_names) if note not in notes]:
        told["notes"] = [*notes, *flat]
    return _recording(signals, {**saved, **source, **told, "sfreq": signals.sfreq})


def _events(path: Path, signals: Signals, options: ReadOptions) -> list[Event]:
    try:
        return events_of(signals, options.events, path)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


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
