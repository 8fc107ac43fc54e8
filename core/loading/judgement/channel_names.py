"""What channels are called and where they are: maps of the user's, named montages, one spelling, no name twice."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from ...formats.containers.mne_raw import read_quietly
from ...formats.contract.signals import Signals
from ...montage import MONTAGES, is_eeg_name, normalise_name, standard_positions
from .channels import rows_of
from .events import named_file

_MOST_BYTES = 4 << 20
_MONTAGE_SUFFIXES = (".elc", ".bvef", ".sfp", ".hpts", ".csd", ".elp", ".txt", ".loc", ".locs", ".eloc")
# at more than this angle, seen from the head's middle, a montage and the 10-05 system mean two electrodes by one name
_ELSEWHERE_DEG = 40.0
_MIDDLE_M = np.array([0.0, 0.0, 0.04])


def channels_asked(
    channels: Path | Mapping[str, Any] | Sequence[str] | None,
) -> dict[str, str | None] | list[str] | None:
    """Return what the user says of channels: {the file's name: its place, or None to leave it out}, or names in order.

    A path is a JSON file of either. Raises FileNotFoundError or ValueError saying what is wrong with it.
    """
    said: Any = channels
    where = "channels"
    if isinstance(channels, Path):
        where = str(channels)
        if not channels.is_file():
            raise FileNotFoundError(f"{channels}: no such file (channels=, --channels: a JSON map of names to places)")
        if channels.stat().st_size > _MOST_BYTES:
            raise ValueError(f"{channels}: more than {_MOST_BYTES >> 20} MiB, which is no map of channels")
        try:
            said = json.loads(channels.read_bytes().decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{channels}: no JSON: {' '.join(str(error).split())[:200]}") from error
    if said is None:
        return None
    if isinstance(said, Mapping):
        wrong = {old: new for old, new in said.items() if not isinstance(old, str) or not _is_name(new, or_none=True)}
        if not wrong and said:
            return {old: None if new is None else new.strip() for old, new in said.items()}
    elif isinstance(said, Sequence) and not isinstance(said, str):
        wrong = [new for new in said if not _is_name(new)]
        if not wrong and said:
            return [new.strip() for new in said]
    else:
        wrong = said
    raise ValueError(
        f"{where} (--channels) must map names to places, such as {{'EXG Channel 0': 'Oz', 'EXG Channel 1': null}}, or "
        f"list the places in the file's order; got {str(wrong)[:120] if wrong else 'nothing'}"
    )


def _is_name(value: object, *, or_none: bool = False) -> bool:
    return (value is None and or_none) or (isinstance(value, str) and bool(value.strip()))


def by_the_users_map(
    path: Path, signals: Signals, asked: dict[str, str | None] | list[str] | None
) -> tuple[Signals, tuple[str, ...], dict[str, str]]:
    """Return signals named by the user's map, its new names (EEG, for the user says so), and what it leaves out.

    A row is meant by its name as the file has it, in any case, or in any spelling of its place. Raises ValueError that
    lists the rows where one is not there, or two come to one name.
    """
    if not isinstance(asked, dict):
        return signals, (), {}
    names, dropped, told = list(signals.ch_names), {}, []
    stay = set(range(len(names)))
    for old, new in asked.items():
        row = _row(signals.ch_names, old)
        if row is None:
            raise ValueError(
                f"{path}: no channel {old!r} to rename (--channels); it has {', '.join(signals.ch_names[:64])}"
            )
        if new is None:
            stay.discard(row)
            dropped[signals.ch_names[row]] = "left out by the map of channels"
        else:
            names[row] = new
            told.append(new)
    rows = sorted(stay)
    left = [names[i] for i in rows]
    if twice := sorted({name for name in told if left.count(name) > 1}):
        raise ValueError(f"{path}: two channels would be called {', '.join(twice)} by the map of channels (--channels)")
    types = ["eeg" if i in stay and names[i] in told else kind for i, kind in enumerate(signals.ch_types)]
    return rows_of(replace(signals, ch_names=names, ch_types=types), rows), tuple(told), dropped


def _row(names: Sequence[str], wanted: str) -> int | None:
    for same in (
        lambda name: name == wanted,
        lambda name: name.strip().lower() == wanted.strip().lower(),
        lambda name: is_eeg_name(name) and normalise_name(name) == normalise_name(wanted),
    ):
        if found := [i for i, name in enumerate(names) if same(name)]:
            return found[0]
    return None


def by_the_users_list(path: Path, signals: Signals, asked: dict[str, str | None] | list[str] | None) -> Signals:
    """Return signals whose EEG rows are called as the user's list says; ValueError where the counts differ."""
    if not isinstance(asked, list):
        return signals
    if len(asked) != len(signals.ch_names) or len(set(asked)) != len(asked):
        raise ValueError(
            f"{path}: channels (--channels) lists {len(asked)} names ({len(set(asked))} different), the file has "
            f"{len(signals.ch_names)} EEG channels: {', '.join(signals.ch_names[:64])}"
        )
    return replace(signals, ch_names=list(asked))


def in_montage(path: Path, signals: Signals, montage: str | None) -> tuple[Signals, str]:
    """Return signals with the names or places of a montage, and what it did in words.

    `montage` is a key of `core.montage.MONTAGES`, a built-in montage of MNE's (standard_1020, biosemi64,
    GSN-HydroCel-128 ...) or a file of positions that MNE reads. Where the file's names are in it they get its places;
    where none is and the counts agree, its names are given in order. Raises ValueError where neither holds.
    """
    if montage is None:
        return signals, ""
    name, places = _montage(path, montage)
    ours = name in MONTAGES
    own = {place.lower(): place for place in places}
    found = [own.get(ch.strip().lower()) or own.get(normalise_name(ch).lower()) for ch in signals.ch_names]
    count = sum(place is not None for place in found)
    if count == 0 and len(places) == len(signals.ch_names) and not any(map(is_eeg_name, signals.ch_names)):
        signals.notes.append(f"the channels {', '.join(signals.ch_names[:40])} are called as {name} orders them")
        found = list(places)
        signals = replace(signals, ch_names=list(places))
        text = f"{name} (asked for): {len(places)} names in its order"
    elif count == 0 or (ours and count < len(found)):
        raise ValueError(
            f"{path}: montage={montage!r} (--montage) has {len(places)} places ({', '.join(list(places)[:12])}"
            f"{', ...' if len(places) > 12 else ''}), the file has {len(found)} EEG channels: "
            f"{', '.join(signals.ch_names[:40])}. Say which is which with channels= (--channels map.json)"
        )
    else:
        text = f"{name} (asked for): places of {count} of {len(found)} channels"
    if ours:
        return signals, text
    positions = np.full((len(found), 3), np.nan) if signals.positions is None else np.array(signals.positions)
    for i, place in enumerate(found):
        if place is not None:
            positions[i] = places[place]
    return _not_elsewhere(replace(signals, positions=positions), name), text


def _not_elsewhere(signals: Signals, montage: str) -> Signals:
    """Change names that mean another place in the 10-05 system than in the montage (BioSemi's A1 is no earlobe)."""
    known = standard_positions(signals.ch_names)
    names = list(signals.ch_names)
    assert signals.positions is not None
    for i, (one, other) in enumerate(zip(known - _MIDDLE_M, signals.positions - _MIDDLE_M, strict=True)):
        lengths = np.linalg.norm(one) * np.linalg.norm(other)
        if lengths > 0 and one @ other < np.cos(np.deg2rad(_ELSEWHERE_DEG)) * lengths:
            names[i] = f"{signals.ch_names[i]} ({montage})"
    return replace(signals, ch_names=names)


def _montage(path: Path, montage: str) -> tuple[str, dict[str, np.ndarray]]:
    """Return a montage's name and its places by electrode, in metres of the head frame."""
    ours = {name.lower(): name for name in MONTAGES}
    if (name := ours.get(montage.lower())) is not None:
        return name, dict(zip(MONTAGES[name], standard_positions(MONTAGES[name]), strict=True))
    import mne

    if Path(montage).suffix.lower() in _MONTAGE_SUFFIXES:
        file = named_file(montage, path, "file of positions (montage=, --montage)")
        built, _ = read_quietly(file, "positions of electrodes", lambda: mne.channels.read_custom_montage(file))
        name = file.name
    else:
        # MNE 1.14 calls standard_1005 colin27_1005
        every = cast("list[str]", mne.channels.get_builtin_montages())  # pairs are what it gives with descriptions
        builtin = {known.lower(): known for known in every}
        builtin |= {known.replace("colin27", "standard"): own for known, own in builtin.items() if "colin27" in known}
        found = builtin.get(montage.lower())
        if found is None:
            raise ValueError(
                f"no montage {montage!r} (montage=, --montage); known: {', '.join(MONTAGES)}, MNE's "
                f"{', '.join(sorted(builtin))}, and files ({', '.join(_MONTAGE_SUFFIXES)})"
            )
        built, name = mne.channels.make_standard_montage(found), montage
    try:
        to_head = mne.channels.compute_native_head_t(built)
    except Exception:  # without fiducials MNE fails in several ways; the file's own frame is what there is
        to_head = None
    places = {}
    for electrode, place in built.get_positions()["ch_pos"].items():
        moved = place if to_head is None else mne.transforms.apply_trans(to_head, place)
        places[str(electrode)] = np.asarray(moved, dtype=np.float64)
    if not places:
        raise ValueError(f"{montage}: no electrode in it (montage=, --montage)")
    return name, places


def one_spelling(signals: Signals) -> Signals:
    """Give channels their 10-05 spelling; where two are the same place, the later one keeps the file's name.

    A1 and A2 beside A3 are BioSemi's numbers and no earlobes: they get a name without a place, and a note says so.
    """
    counted = {"a1", "a2", "a3"} <= {name.strip().lower() for name in signals.ch_names}
    if counted:
        signals.notes.append(
            "A1, A2 beside A3 are an amplifier's numbers, not the earlobes: montage= (--montage, e.g. biosemi64) says "
            "where the electrodes are"
        )
    names: list[str] = []
    for name in signals.ch_names:
        tidy = normalise_name(name)
        if counted and tidy in ("A1", "A2"):
            tidy = f"{tidy} (number)"
        if tidy in names:
            signals.notes.append(f"{name} is the same place as another channel: it keeps the name the file gives it")
            tidy = name if name not in names else f"{name} ({len(names)})"
        names.append(tidy)
    return replace(signals, ch_names=names)


def placeless(signals: Signals) -> str | None:
    """Return a note where no channel has a place: what would give them one, with the montages of as many channels."""
    places = standard_positions(signals.ch_names)
    if signals.positions is not None:
        places = np.where(np.isfinite(places), places, signals.positions)
    if np.isfinite(places).all(axis=1).any():
        return None
    fits = [name for name, names in MONTAGES.items() if len(names) == len(signals.ch_names)]
    return (
        f"no name tells a place on the head ({', '.join(signals.ch_names[:4])}"
        f"{', ...' if len(signals.ch_names) > 4 else ''}): say them with channels= (--channels map.json)"
        + (f" or montage= (--montage, of as many channels: {', '.join(fits)})" if fits else " or montage= (--montage)")
    )
