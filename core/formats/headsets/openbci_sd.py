"""The hexadecimal text that an OpenBCI Cyton (with or without Daisy) writes to its SD card.

Layout: SD_Card_Stuff.ino of OpenBCI_Cyton_Library: two digits of a sample counter, six for each channel, four for each
of three inputs where there are new ones; times in milliseconds after %START AT and %STOP AT; a footer in a full file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from ..containers.sample_counter import lost_by_counter
from ..contract.signals import Head, Reader, ReadOptions, Signals
from ..contract.suffixes import SUFFIXES

DOCUMENTED_SFREQ = 250.0
# volts a count: reference 4.5 V, gain 24, 24 bits
VOLTS_PER_COUNT = 4.5 / 24 / (2**23 - 1)
_MOST_BYTES = 8 << 30
_BLOCK = 1 << 20
_ROW = re.compile(rb"^[0-9A-F]{2}((?:,[0-9A-F]{6})+)((?:,[0-9A-F]{4})*),?$")
_DIGITS = np.full(256, 255, np.uint8)
_DIGITS[np.frombuffer(b"0123456789ABCDEF", np.uint8)] = np.arange(16)


def read_openbci_sd(path: Path, options: ReadOptions) -> Signals:
    """Read the channels in volts at a gain of 24; stamps of starting and stopping tell the rate and become segments.

    Raises ValueError where no rows, or rows of several numbers of channels, are in it.
    """
    if path.stat().st_size > _MOST_BYTES:
        raise ValueError(f"{path}: {path.stat().st_size >> 30} GiB, more than a card's file")
    pieces: list[np.ndarray] = []
    marks: list[tuple[int, float]] = []
    said: dict[str, int] = {}
    n_rows, key, n_channels, broken, cut_off = 0, "", 0, 0, ""
    for lines, ended in _lines(path):
        if not n_channels:
            n_channels = _channels(lines)
        short, wide = 2 + 7 * n_channels, 2 + 7 * n_channels + 15
        rows = []
        for line in lines:
            if len(line) in (short, wide) and line[2:3] == b",":
                rows.append(line[:short])
            elif line.startswith(b"%"):
                key = line.decode("latin-1").strip("%: ").upper()
            elif key and re.fullmatch(rb"[0-9A-F]{1,9}", line):
                value = int(line, 16)
                if key in ("START AT", "STOP AT"):
                    marks.append((n_rows + len(rows), value / 1000))
                said[key], key = value, ""
            elif line.strip():
                broken += 1
        if not ended and broken:
            broken, cut_off = broken - 1, "it ends inside a row: the file is cut off there"
        if rows:
            pieces.append(_numbers(rows, n_channels))
            n_rows += len(rows)
    if not n_rows or not n_channels:
        raise ValueError(
            f"{path}: no rows of an OpenBCI SD card in it (00,FFEA12,... : a counter, then 8 or 16 channels)"
        )
    counts = np.concatenate(pieces, axis=1)
    wrong = ~np.isfinite(counts[0])
    broken += int(wrong.sum())
    if broken > max(10, 0.01 * n_rows):
        raise ValueError(f"{path}: {broken} of its {n_rows} rows are not hexadecimal numbers: damaged")
    lost = lost_by_counter(counts[0], 256)
    data = counts[1:]
    data *= VOLTS_PER_COUNT
    declared = next((value for name, value in said.items() if name.startswith("SAMPLINGFREQ")), 0)
    stamps, segments = _clock(n_rows, marks)
    return Signals(
        data=data,
        sfreq=float(declared) if declared else DOCUMENTED_SFREQ,
        sfreq_said="declared" if declared else "documented",
        stamps=stamps,
        lost=None if lost is None else lost[0],
        ch_names=[f"EXG Channel {i}" for i in range(n_channels)],
        ch_types=["eeg"] * n_channels,
        units=["uV"] * n_channels,
        units_said="assumed",
        units_why="counts of 0.02235 uV: a Cyton's at its gain of 24",
        segments=segments,
        reference="as recorded (SRB)",
        dropped={"accelerometer or inputs": "motion"},
        notes=[
            *([cut_off] if cut_off else []),
            *([f"{broken} rows are not hexadecimal numbers: taken as missing"] if broken else []),
        ],
    )


def _lines(path: Path) -> Iterator[tuple[list[bytes], bool]]:
    """Yield the whole lines of each block and whether the last one has an end; the card's unused rest is left out."""
    rest = b""
    with open(path, "rb") as file:
        while True:
            block = file.read(_BLOCK)
            # what the board has not written is erased flash: zeros or ones
            unused = min((at for at in (block.find(b"\x00"), block.find(b"\xff")) if at >= 0), default=-1)
            last = not block or unused >= 0
            text = (rest + (block if unused < 0 else block[:unused])).replace(b"\r", b"")
            at = len(text) if last else text.rfind(b"\n") + 1
            rest = text[at:]
            yield text[:at].split(b"\n"), not last or text.endswith(b"\n") or unused >= 0 or not text
            if last:
                return


def _channels(lines: list[bytes]) -> int:
    for line in lines[:1000]:
        if found := _ROW.match(line):
            return min(found[1].count(b","), 16)
    return 0


def _numbers(rows: list[bytes], n_channels: int) -> np.ndarray:
    """Return float32 (1 + n_channels, n_rows): the counter and the counts, NaN where a row is not hexadecimal."""
    digits = _DIGITS[np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), -1)]
    places = (digits[:, 3:].reshape(len(rows), -1) if n_channels else digits).astype(np.int32)
    out = np.empty((1 + n_channels, len(rows)), np.float32)
    wrong = (digits[:, :2] > 15).any(axis=1)
    out[0] = digits[:, 0].astype(np.int32) * 16 + digits[:, 1]
    for channel in range(n_channels):
        nibbles = places[:, channel * 7 : channel * 7 + 6]
        wrong |= (nibbles > 15).any(axis=1)
        value = nibbles @ (16 ** np.arange(5, -1, -1, dtype=np.int32))
        out[1 + channel] = np.where(value >= 1 << 23, value - (1 << 24), value)
    out[:, wrong] = np.nan
    return out


def _clock(n_rows: int, marks: list[tuple[int, float]]) -> tuple[np.ndarray | None, tuple[int, ...]]:
    """Return times of the rows that lie between two stamps, NaN elsewhere, and where the recording was interrupted."""
    segments = (0, *sorted({row for row, _ in marks if 0 < row < n_rows}))
    stamps = np.full(n_rows, np.nan)
    for (start, began), (stop, ended) in pairwise(marks):
        if stop - start > 1 and ended > began:
            stamps[start:stop] = began + (ended - began) * np.arange(stop - start) / (stop - start)
    return (stamps if np.isfinite(stamps).any() else None), segments


def is_sd_card(head: Head) -> bool:
    """Say whether a file is the text of an OpenBCI SD card: its first rows are a counter and six-digit numbers."""
    lines = [line.strip() for line in head.start[:4096].splitlines()[:12]]
    found = [_ROW.match(line) for line in lines]
    return sum(match is not None and match[1].count(b",") in (8, 16) for match in found) >= 3


READER = Reader(
    "openbci_sd",
    SUFFIXES["openbci_sd"],
    read_openbci_sd,
    "OpenBCI SD card, hexadecimal text (Cyton, Daisy)",
    is_sd_card,
    "OpenBCI SD card (rows such as 00,FFEA12,...)",
)
