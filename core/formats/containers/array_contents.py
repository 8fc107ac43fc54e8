"""What a file of arrays holds, whatever wrote it: arrays, texts and numbers by dotted names ("EEG.data")."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

_MOST_ENTRIES = 5000
_MOST_TEXTS = 20_000


@dataclass(frozen=True)
class Entry:
    """An array of numbers that has not been read yet: its shape, the kind of its numbers, and how to read it."""

    shape: tuple[int, ...]
    kind: str
    load: Callable[[], np.ndarray]


@dataclass
class Contents:
    """Arrays (of two values or more), lists of texts (a text alone is a list of one) and numbers by their names."""

    arrays: dict[str, Entry] = field(default_factory=dict)
    texts: dict[str, list[str]] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.arrays) + len(self.texts) + len(self.numbers)

    def add_array(self, name: str, shape: tuple[int, ...], dtype: np.dtype, load: Callable[[], np.ndarray]) -> None:
        """Take an array of real numbers or texts; others (complex, objects) are passed over."""
        size = math.prod(shape)
        if dtype.kind in "SU" and 0 < size <= _MOST_TEXTS:
            self.texts[name] = [_text(one) for one in _sound(np.asarray(load())).tolist()]
        elif dtype.kind in "iufb" and size == 1:
            self.numbers[name] = float(np.asarray(load()).ravel()[0])
        elif dtype.kind in "iufb" and size > 1:
            self.arrays[name] = Entry(shape, dtype.kind, load)


def collect(contents: Contents, name: str, value: Any, depth: int = 0) -> None:
    """Put a value, and what is inside it, into `contents` under its name."""
    if depth > 6 or len(contents) > _MOST_ENTRIES:
        return
    if isinstance(value, dict):
        for key, one in value.items():
            if not str(key).startswith("__"):
                collect(contents, f"{name}.{key}" if name else str(key), one, depth + 1)
    elif isinstance(value, (str, bytes)):
        contents.texts[name] = [_text(value)]
    elif isinstance(value, (bool, int, float)):
        contents.numbers[name] = float(value)
    elif isinstance(value, np.ndarray) and value.dtype != object:
        contents.add_array(name, value.shape, value.dtype, lambda: value)
    elif isinstance(value, (list, tuple, np.ndarray)) and len(
        value := list(np.ravel(value)) if isinstance(value, np.ndarray) else list(value)
    ):
        _collect_list(contents, name, value, depth)


def _collect_list(contents: Contents, name: str, values: list[Any], depth: int) -> None:
    if all(isinstance(one, (str, bytes)) for one in values):
        if len(values) <= _MOST_TEXTS:
            contents.texts[name] = [_text(one) for one in values]
    elif all(isinstance(one, (bool, int, float)) for one in values):
        array = np.array(values, dtype=np.float64)
        contents.add_array(name, array.shape, array.dtype, lambda: array)
    elif all(isinstance(one, dict) for one in values) and any(map(_is_recording, values)) and len(values) <= 100:
        for i, one in enumerate(values):  # runs of a session
            collect(contents, f"{name}.{i}", one, depth + 1)
    elif all(isinstance(one, dict) for one in values):
        # a list of records is read as records of lists: chanlocs(i).labels
        for key in _shared_keys(values):
            collect(contents, f"{name}.{key}", [one[key] for one in values], depth + 1)
    elif all(isinstance(one, np.ndarray) and one.dtype.kind in "iuf" for one in values):
        shapes = {one.shape for one in values}
        if len(shapes) == 1:  # trials of one length
            shape = (len(values), *values[0].shape)
            contents.add_array(name, shape, values[0].dtype, lambda: np.stack(values))
    elif len(values) == 1:
        collect(contents, name, values[0], depth + 1)


def _is_recording(record: dict[str, Any]) -> bool:
    return any(isinstance(one, np.ndarray) and one.ndim == 2 and max(one.shape) >= 50 for one in record.values())


def _shared_keys(records: Iterable[dict[str, Any]]) -> list[str]:
    keys: dict[str, int] = {}
    count = 0
    for record in records:
        count += 1
        for key in record:
            keys[key] = keys.get(key, 0) + 1
    return [key for key, seen in keys.items() if seen == count]


def _sound(texts: np.ndarray) -> np.ndarray:
    """Return texts in a row without letters that no alphabet has: NumPy makes strings of them that crash on use."""
    texts = np.ascontiguousarray(texts).ravel()
    if texts.dtype.kind != "U" or not texts.dtype.itemsize:
        return texts
    letters = texts.view(f"{texts.dtype.str[0]}u4").astype("=u4")
    letters[(letters > 0x10FFFF) | (letters >> 11 == 0x1B)] = ord("\ufffd")
    return letters.view(f"=U{texts.dtype.itemsize // 4}")


def _text(value: Any) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return " ".join(text.split())[:200]
