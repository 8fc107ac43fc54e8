"""Which events a recording has: annotations, trigger rows, marker streams and tables, as the user's items choose."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from ...formats.contract.event_table import TABLE_SUFFIXES, read_event_table
from ...formats.contract.signals import Signals
from ...formats.contract.units import VOLTS
from ...montage import is_eeg_name
from ...recording import Event
from .event_items import EventItem, parse_event_item

ANNOTATIONS = "annotations"
_STIM_TYPES = {"stim", "marker"}
_TRIGGER_NAME = re.compile(
    r"^(status|trigger.*|trig.*|stim?.*|marker[_ ]?(hardware|value([_ ]?int)?|\d*)|marker)$", re.IGNORECASE
)


def events_of(signals: Signals, items: Sequence[str] = (), path: Path | None = None) -> list[Event]:
    """Return a file's events in order of onset: all of them, or those that the items choose, renamed as they say.

    Without items a table that belongs to the recording (BIDS) goes before annotations, marker streams and trigger
    rows, and `signals.notes` says so. An event that several items mean is taken once, as the first of them says. A
    table named as a source lies beside the recording `path` (with a folder in its name: where that says). Raises
    ValueError listing what there is where a source is not known or an item means no event.
    """
    parsed = [parse_event_item(text) for text in items]
    if not parsed:
        found = _everything(signals)
    else:
        found = _chosen(signals, parsed, path)
    # a damaged file may hold any number for a time
    end = (signals.data.shape[1] + 1) / signals.sfreq
    kept = [event for event in found if -1 / signals.sfreq <= event.onset <= end]
    if len(kept) < len(found):
        signals.notes.append(f"{len(found) - len(kept)} events outside the recording were left out")
    lasting = [
        event if event.duration >= 0 and event.duration < np.inf else replace(event, duration=0.0) for event in kept
    ]
    return sorted(lasting, key=lambda event: event.onset)


def _everything(signals: Signals) -> list[Event]:
    if signals.sidecar_events:
        beaten = [name for name in _file_sources(signals) if name not in signals.sidecar_events]
        if beaten:
            names = ", ".join(signals.sidecar_events)
            signals.notes.append(
                f"events are those of {names}, which go before {', '.join(beaten)} (events='{beaten[0]}@*' takes those)"
            )
        return [event for events in signals.sidecar_events.values() for event in events]
    return _merged(signals, _file_sources(signals))


def _merged(signals: Signals, sources: Mapping[str, list[Event]]) -> list[Event]:
    """Return the events of several sources; one that two of them tell alike (same label, same sample) counts once."""
    if len(sources) == 1:
        return list(next(iter(sources.values())))
    found: list[Event] = []
    seen: set[tuple[str, int]] = set()
    for name, events in sources.items():
        told = [(event, _sample(event, signals.sfreq)) for event in events]
        new = [e for e, at in told if not any((e.label, at + step) in seen for step in (-1, 0, 1))]
        if len(new) < len(told):
            signals.notes.append(f"{len(told) - len(new)} events of {name} are told by another source too: taken once")
        seen.update((event.label, at) for event, at in told)
        found += new
    return found


def _sample(event: Event, sfreq: float) -> int:
    at = event.onset * sfreq
    return round(at) if np.isfinite(at) else -1


def _file_sources(signals: Signals) -> dict[str, list[Event]]:
    """Return the events of every source in the file itself by its name; those without events are not in it."""
    found = {signals.event_source: list(signals.events), **signals.marker_events}
    for row in _trigger_rows(signals):
        found.setdefault(signals.ch_names[row], []).extend(_row_events(signals, row))
    return {name: events for name, events in found.items() if events}


def _chosen(signals: Signals, items: list[EventItem], path: Path | None) -> list[Event]:
    taken: list[Event] = []
    claimed: set[tuple[str | None, float, str]] = set()
    for item in items:
        candidates, item = _candidates(signals, item, path)  # a bare name becomes name@*
        matched = 0
        for event in candidates:
            name = item.rename(event.label)
            if name is None:
                continue
            matched += 1
            key = (item.source, event.onset, event.label)
            if key not in claimed and (None, *key[1:]) not in claimed:
                claimed.add(key)
                taken.append(replace(event, label=name))
        if not matched:
            raise ValueError(_nothing(signals, item, candidates))
    return taken


def _candidates(signals: Signals, item: EventItem, path: Path | None) -> tuple[list[Event], EventItem]:
    """Return the events that an item may mean; a bare name of a source that is no label is that source's `*`."""
    if item.source is not None:
        return _source(signals, item, path), item
    everything = _everything_quietly(signals)
    is_source = item.label is None and item.pattern in (ANNOTATIONS, signals.event_source, *_trigger_names(signals))
    if any(event.label == item.pattern for event in everything) and is_source:
        raise ValueError(
            f"events={item.text!r} (--events) is a label as well as a source of events: say {item.pattern}@* for the "
            f"source, or *@{item.pattern} for the label"
        )
    if any(item.rename(event.label) is not None for event in everything):
        return everything, item
    if is_source or (item.label is None and item.pattern in signals.ch_names):
        whole = EventItem(item.text, item.pattern, "*", None)
        return _source(signals, whole, path), whole
    return everything, item


def _everything_quietly(signals: Signals) -> list[Event]:
    said = list(signals.notes)
    found = _everything(signals)
    signals.notes[:] = said
    return found


def _source(signals: Signals, item: EventItem, path: Path | None) -> list[Event]:
    """Return the events of the one source that an item names (`*`: of all of them, as without a source)."""
    name = item.source or ""
    if name == "*":
        return _everything_quietly(signals)
    if name in signals.sidecar_events:
        return signals.sidecar_events[name]
    if name in signals.marker_events:
        return signals.marker_events[name]
    if name in (signals.event_source, ANNOTATIONS):
        return signals.events
    rows = [i for i, own in enumerate(signals.ch_names) if own == name] or [
        i for i, own in enumerate(signals.ch_names) if own.strip().lower() == name.lower()
    ]
    if rows:
        return _row_events(signals, rows[0], asked=item.text)
    if Path(name).suffix.lower() in TABLE_SUFFIXES:
        table = named_file(name, path, f"table of events (events={item.text!r}, --events)")
        signals.companions = (*signals.companions, table)
        return read_event_table(table, signals, None if path is None else path.name)
    sources = ", ".join(dict.fromkeys([ANNOTATIONS, *signals.sidecar_events, *signals.marker_events]))
    raise ValueError(
        f"events={item.text!r} (--events): no source {name!r} of events. There are {sources}, the file's rows "
        f"({', '.join(signals.ch_names[:40])}{', ...' if len(signals.ch_names) > 40 else ''}) and tables "
        f"({', '.join(TABLE_SUFFIXES)}). Where @ belongs to a label, write \\@"
    )


def named_file(name: str, path: Path | None, what: str) -> Path:
    """Return the file that an option names: a bare name lies beside the recording, one with a folder is a path.

    A bare name is never looked for in the working folder, which on a server is nobody's business. Raises
    FileNotFoundError saying where it was looked for.
    """
    bare = Path(name).name == name
    place = path.parent / name if bare and path is not None else Path(name)
    if place.is_file():
        return place
    hint = f"; for the one in the working folder write ./{name}" if bare and path is not None else ""
    raise FileNotFoundError(f"{place}: no such {what}{hint}")


def _nothing(signals: Signals, item: EventItem, candidates: Iterable[Event]) -> str:
    labels = Counter(event.label for event in candidates)
    listed = ", ".join(f"{label} x {count}" for label, count in labels.most_common(20)) or "no events at all"
    listed += f" and {len(labels) - 20} more" if len(labels) > 20 else ""
    where = f"in {item.source}" if item.source else "in the file"
    hint = ""
    if any(fnmatchcase(label, item.pattern) for label in labels):
        hint = f". {item.pattern!r} is read as a regular expression: write {item.pattern.replace('*', '.*')!r}"
    if not item.source and item.pattern not in signals.ch_names:
        hint += f"; nor is it a source: {', '.join([ANNOTATIONS, *_trigger_names(signals)][:12])}"
    try:
        re.compile(item.pattern)
    except re.error as error:
        hint += f"; as a regular expression it is not valid either: {error}"
    return f"events={item.text!r} (--events): no event {where} is labelled {item.pattern!r}; there are {listed}{hint}"


def _trigger_names(signals: Signals) -> list[str]:
    return [*signals.sidecar_events, *signals.marker_events, *(signals.ch_names[i] for i in _trigger_rows(signals))]


def _trigger_rows(signals: Signals) -> list[int]:
    rows = [
        i
        for i, (name, kind) in enumerate(zip(signals.ch_names, signals.ch_types, strict=True))
        if kind in _STIM_TYPES or (kind == "eeg" and _TRIGGER_NAME.match(name.strip()) and not is_eeg_name(name))
    ]
    # Neuromag writes each bit to a row of its own and their sum to one of these
    summed = [i for i in rows if signals.ch_names[i] in ("STI 014", "STI014", "STI101")]
    return summed[:1] or rows


def _row_events(signals: Signals, row: int, asked: str | None = None) -> list[Event]:
    """Return a row's changes of code as events; ValueError where it was asked for and holds no codes."""
    unit = signals.units[row]
    values = np.asarray(signals.data[row], dtype=np.float64) / (VOLTS[unit] if unit else 1.0)
    codes = np.rint(np.clip(np.nan_to_num(values), -(2.0**53), 2.0**53)).astype(np.int64)
    if signals.stim_mask is not None:
        codes &= signals.stim_mask
    if signals.ch_types[row] == "marker":
        onsets = np.flatnonzero(codes)
    elif codes.size:
        # some amplifiers rest at a non-zero code: what it holds most of the time is rest, not an event
        seen, counts = np.unique(codes, return_counts=True)
        rest = int(seen[counts.argmax()]) if counts.max() > codes.size / 2 else 0
        if rest > 0 and rest & 0xFF == 0 and signals.stim_mask is not None:
            codes = codes & ~rest  # BioSemi's unused upper byte, all ones at rest
            rest = 0
        changed = np.flatnonzero(np.diff(codes)) + 1
        onsets = changed[(codes[changed] != rest) & (codes[changed] != 0)]
    else:
        onsets = np.zeros(0, int)
    # codes are held for a while; what changes all the time to many values is a signal
    restless = onsets.size > max(50, 0.3 * codes.size) and np.unique(codes[onsets]).size > 20
    if asked is not None and restless and signals.ch_types[row] != "marker":
        raise ValueError(
            f"events={asked!r} (--events): {signals.ch_names[row]} holds no codes of events: it changes {onsets.size} "
            f"times in {codes.size} samples, to {np.unique(codes[onsets]).size} different values"
        )
    return [Event(float(i) / signals.sfreq, 0.0, str(int(codes[i]))) for i in onsets]
