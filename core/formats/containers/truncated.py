"""Recordings that were cut off: in which words it is said, and how the whole part of one is given to a parser."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

import numpy as np

from ..contract.signals import Signals
from .companions import naming

_BLOCK = 4 << 20


def cut_off(have: int, promised: int, what: str, seconds_each: float | None = None) -> str:
    """Return the sentence for a file with `have` of the `promised` records, samples, ... that its header tells of."""
    missing = promised - have
    lasting = f", {missing * seconds_each:.4g} s" if seconds_each else ""
    return f"the file is cut off: {missing} of its {promised} {what}{lasting} are missing"


@contextmanager
def whole_part(path: Path, name: str, stop: int, patches: Mapping[int, bytes], tail: bytes = b"") -> Iterator[Path]:
    """Yield a temporary copy, called `name`, of a file's first `stop` bytes, some of them changed, and a new tail.

    For parsers that refuse a file that was cut off: the header is made to tell of what is there.
    """
    with TemporaryDirectory() as folder:
        copy = Path(folder) / name
        with open(path, "rb") as source, open(copy, "wb") as target:
            left = stop
            while left > 0 and (block := source.read(min(left, _BLOCK))):
                target.write(block)
                left -= len(block)
            target.write(tail)
            for at, patch in patches.items():
                target.seek(at)
                target.write(patch)
        with naming({str(copy): str(path)}):
            yield copy


def blank_skips(raw: Any, signals: Signals) -> None:
    """Turn what MNE fills acquisition skips with (zeros) into missing samples, which are judged like any others."""
    marks = raw.annotations
    for onset, length, text in zip(marks.onset, marks.duration, marks.description, strict=True):
        if str(text).lower() == "bad_acq_skip":
            start = round((float(onset) - raw.first_time) * signals.sfreq)
            stop = round((float(onset) - raw.first_time + float(length)) * signals.sfreq)
            signals.data[:, max(start, 0) : max(stop, 0)] = np.nan


def without(notes: list[str], *phrases: str) -> list[str]:
    """Return the notes that hold none of the phrases (what we say better ourselves), and no temporary folder's name."""
    temporary = re.compile(re.escape(gettempdir()) + r"[\\/]tmp\w+[\\/]")
    return [temporary.sub("", note) for note in notes if not any(phrase in note for phrase in phrases)]
