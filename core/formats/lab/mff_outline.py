"""What the files of an EGI .mff folder say: where the samples lie, when they were recorded, what happened, the net."""

from __future__ import annotations

import datetime
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

_MOST_XML = 64 << 20


@dataclass(frozen=True)
class Blocks:
    """A signal file's blocks: (first byte, number of samples) of each that is whole, and of all alike."""

    places: tuple[tuple[int, int], ...]
    n_channels: int
    rate: float


@dataclass(frozen=True)
class Sensor:
    """A sensor by its number, with its name ("" for none), its kind (0 EEG, 1 reference) and its place."""

    number: int
    name: str
    kind: int
    place: tuple[float, float, float]


def root_of(path: Path) -> ElementTree.Element:
    """Return a file of the folder as XML; ValueError where it is none, FileNotFoundError where it is missing."""
    if not path.is_file():
        raise FileNotFoundError(f"{path.parent}: without its {path.name}: an .mff recording is a whole folder of files")
    if path.stat().st_size > _MOST_XML:
        raise ValueError(f"{path.parent}: its {path.name} has {path.stat().st_size >> 20} MiB: damaged")
    try:
        return ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise ValueError(f"{path.parent}: its {path.name} is damaged: {error}") from error


def elements(root: ElementTree.Element, tag: str) -> list[ElementTree.Element]:
    """Return all elements of a name, whatever their namespace."""
    return [item for item in root.iter() if _tag(item) == tag]


def texts(item: ElementTree.Element) -> dict[str, str]:
    """Return an element's children as texts by name."""
    return {_tag(child): (child.text or "").strip() for child in item}


def _tag(item: ElementTree.Element) -> str:
    return str(item.tag).rsplit("}", 1)[-1]


def signal_files(folder: Path) -> tuple[Path, list[Path]]:
    """Return the file of the EEG's samples and those of other signals; FileNotFoundError where there is none."""
    eeg, others = [], []
    for info in sorted(folder.glob("info[0-9]*.xml")):
        samples = folder / f"signal{info.stem.removeprefix('info')}.bin"
        if samples.is_file():
            (eeg if elements(root_of(info), "EEG") else others).append(samples)
    if not eeg:
        raise FileNotFoundError(
            f"{folder}: no signal1.bin with an info1.xml that calls it EEG: the folder is not whole"
        )
    return eeg[0], others


def blocks_of(path: Path) -> tuple[Blocks, bool]:
    """Return a signal file's whole blocks, and whether the last one is cut off.

    A block begins with its version: 1 before a header of sizes and rates, 0 where the last header holds on.
    """
    size, at = path.stat().st_size, 0
    places: list[tuple[int, int]] = []
    block_bytes, n_channels, rate = 0, 0, 0.0
    with open(path, "rb") as file:
        while at + 4 <= size:
            file.seek(at)
            (version,) = struct.unpack("<i", file.read(4))
            if version == 1:
                raw = file.read(12)
                header_bytes, block_bytes, channels = struct.unpack("<3i", raw) if len(raw) == 12 else (0, 0, 0)
                kinds = file.read(8 * channels)[4 * channels :] if 0 < channels <= 4096 else b""
                if len(kinds) < 4 * max(channels, 1):
                    break
                kind = struct.unpack_from("<I", kinds)[0]
                if kinds != struct.pack("<I", kind) * channels or kind & 0xFF != 32 or kind >> 8 == 0:
                    raise ValueError(f"{path.parent}: {path.name} is damaged at byte {at}: channels of different kinds")
                if (n_channels, rate) not in ((0, 0.0), (channels, float(kind >> 8))):
                    raise ValueError(f"{path.parent}: {path.name} changes its channels or its rate at byte {at}")
                n_channels, rate = channels, float(kind >> 8)
                if block_bytes <= 0 or header_bytes < 16 + 8 * channels:
                    raise ValueError(f"{path.parent}: {path.name} is damaged at byte {at}: {block_bytes} bytes a block")
                at += header_bytes
            elif version == 0 and n_channels:
                at += 4
            else:
                raise ValueError(f"{path.parent}: {path.name} is damaged at byte {at}: a block of version {version}")
            if at + block_bytes > size:
                break
            places.append((at, block_bytes // 4 // n_channels))
            at += block_bytes
    if not places:
        raise ValueError(f"{path.parent}: {path.name} is cut off: it holds no whole block of samples")
    return Blocks(tuple(places), n_channels, rate), at != size


def begun_at(folder: Path) -> tuple[datetime.datetime, int]:
    """Return when the recording began, and how many of the folder's units of time a second has."""
    found = [item.text or "" for item in elements(root_of(folder / "info.xml"), "recordTime")]
    when = moment(found[0]) if found else None
    if when is None:
        raise ValueError(f"{folder}: its info.xml tells no recordTime")
    # older versions wrote nanoseconds, in the date's fraction and everywhere else
    digits = re.search(r"\.(\d+)", found[0])
    return when, 10**9 if digits and len(digits[1]) == 9 else 10**6


def moment(text: str) -> datetime.datetime | None:
    """Return a time as EGI writes it, to the microsecond; None where it is none."""
    found = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,6})\d*)?(Z|[+-]\d\d:?\d\d)", text.strip())
    if not found:
        return None
    zone = "+00:00" if found[3] == "Z" else f"{found[3][:3]}:{found[3][-2:]}"
    try:
        return datetime.datetime.fromisoformat(f"{found[1]}.{(found[2] or '0').ljust(6, '0')}{zone}")
    except ValueError:
        return None


def epochs_of(folder: Path, per_second: int) -> list[tuple[float, float, int, int]]:
    """Return (beginning in s, end in s, first block, last block) of each epoch, blocks counted from 1."""
    found = []
    for epoch in elements(root_of(folder / "epochs.xml"), "epoch"):
        told = texts(epoch)
        try:
            start, stop, first, last = (int(told[name]) for name in ("beginTime", "endTime", "firstBlock", "lastBlock"))
        except (KeyError, ValueError) as error:
            raise ValueError(f"{folder}: its epochs.xml is damaged: {error} in an epoch") from error
        if not (0 <= start < stop < 2**62 and 0 < first <= last < 2**31):
            raise ValueError(f"{folder}: its epochs.xml is damaged: {start} to {stop}, block {first} to {last}")
        found.append((start / per_second, stop / per_second, first, last))
    if not found:
        raise ValueError(f"{folder}: its epochs.xml tells of no epoch")
    return sorted(found)


def events_of_tracks(folder: Path, begun: datetime.datetime) -> tuple[list[tuple[float, str]], int]:
    """Return (time in s from the beginning, code) of all tracks' events, and how many have no readable time."""
    found, odd = [], 0
    for track in sorted(folder.glob("Events*.xml")):
        for event in elements(root_of(track), "event"):
            told = texts(event)
            when = moment(told.get("beginTime", ""))
            if when is None:
                odd += 1
            else:
                found.append(((when - begun).total_seconds(), told.get("code") or told.get("label") or track.stem))
    return sorted(found), odd


def conditions(folder: Path, per_second: int) -> list[tuple[float, str]]:
    """Return (time in s, name) of the segments of a recording that NetStation has segmented; none where it has not."""
    if not (folder / "categories.xml").is_file():
        return []
    found = []
    for category in elements(root_of(folder / "categories.xml"), "cat"):
        name = texts(category).get("name", "")
        for segment in elements(category, "seg"):
            begin = texts(segment).get("evtBegin", "")
            if name and begin.isdigit() and len(begin) < 19:
                found.append((int(begin) / per_second, name))
    return sorted(found)


def sensors_of(path: Path) -> list[Sensor]:
    """Return the sensors of a sensorLayout.xml or coordinates.xml; none where there is no such file."""
    if not path.is_file():
        return []
    found = []
    for item in elements(root_of(path), "sensor"):
        told = texts(item)
        try:
            place = (float(told.get("x") or 0), float(told.get("y") or 0), float(told.get("z") or 0))
            name = told.get("name", "")
            found.append(Sensor(int(told["number"]), "" if name == "None" else name, int(told["type"]), place))
        except (KeyError, ValueError) as error:
            raise ValueError(f"{path.parent}: its {path.name} is damaged: {error} in a sensor") from error
    return found


def gains_of(info: Path, n_channels: int) -> list[float] | None:
    """Return each channel's gain by a signal's calibrations of type GCAL, None where there are none."""
    for calibration in elements(root_of(info), "calibration"):
        if texts(calibration).get("type") != "GCAL":
            continue
        gains = [1.0] * n_channels
        for item in elements(calibration, "ch"):
            number = item.get("n", "")
            try:
                if number.isdigit() and 0 < int(number) <= n_channels:
                    gains[int(number) - 1] = float(item.text or "")
            except ValueError as error:
                raise ValueError(f"{info.parent}: its {info.name} is damaged: {error} in a gain") from error
        return gains
    return None
