"""`Signals` through a pipe: a JSON text of everything but the arrays, then the arrays' bytes; no pickle."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import IO, Any

import numpy as np

from ...formats.contract.signals import ReadOptions, Signals
from ...recording import Event

_LENGTH_BYTES = 8
_MOST_TEXT = 256 << 20
_KINDS = "fiub"


def send(to: IO[bytes], message: dict[str, Any]) -> None:
    """Write a message of JSON values, tuples, paths, events and arrays of numbers."""
    arrays: list[np.ndarray] = []
    text = json.dumps({key: _pack(value, arrays) for key, value in message.items()}).encode()
    to.write(len(text).to_bytes(_LENGTH_BYTES, "little"))
    to.write(text)
    for array in arrays:
        to.write(array.data.cast("B") if array.size else b"")
    to.flush()


def receive(source: IO[bytes], most_bytes: int) -> dict[str, Any]:
    """Read one message; ValueError where it claims arrays of more than `most_bytes`, EOFError where it ends early."""
    length = int.from_bytes(_exactly(source, _LENGTH_BYTES), "little")
    if length > _MOST_TEXT:
        raise ValueError(f"a message of {length} bytes")
    packed = json.loads(_exactly(source, length))
    left = most_bytes

    def array(dtype: str, shape: list[int]) -> np.ndarray:
        nonlocal left
        kind = np.dtype(dtype)
        if kind.kind not in _KINDS or any(not isinstance(n, int) or n < 0 for n in shape):
            raise ValueError(f"an array of {dtype} {shape}")
        left -= math.prod(shape) * kind.itemsize
        if left < 0:
            raise ValueError(f"arrays of more than {most_bytes >> 20} MiB")
        values = np.empty(shape, kind)
        into = values.data.cast("B") if values.size else memoryview(b"")
        while len(into):
            if not (count := source.readinto(into)):  # type: ignore[attr-defined]  # a raw stream
                raise EOFError
            into = into[count:]
        return values

    return {key: _unpack(value, array) for key, value in packed.items()}


def signals_as_message(signals: Signals) -> dict[str, Any]:
    """Return the fields of `signals`, ready to send."""
    return {field.name: getattr(signals, field.name) for field in fields(signals)}


def options_as_message(options: ReadOptions) -> dict[str, Any]:
    """Return the options as JSON values; no reader looks at `channels`, which are settled after reading."""
    said = {field.name: getattr(options, field.name) for field in fields(options)}
    return {**said, "channels": None}


def _pack(value: Any, arrays: list[np.ndarray]) -> Any:
    if isinstance(value, np.ndarray):
        arrays.append(np.ascontiguousarray(value))
        return {"": "array", "dtype": value.dtype.str, "shape": list(value.shape)}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Path):
        return {"": "path", "path": str(value)}
    if isinstance(value, Event):
        return {"": "event", "event": [value.onset, value.duration, value.label]}
    if isinstance(value, tuple):
        return {"": "tuple", "items": [_pack(one, arrays) for one in value]}
    if isinstance(value, list):
        return [_pack(one, arrays) for one in value]
    if isinstance(value, dict):
        return {"": "dict", "items": [[str(key), _pack(one, arrays)] for key, one in value.items()]}
    return value


def _unpack(value: Any, array: Callable[[str, list[int]], np.ndarray]) -> Any:
    """Undo `_pack`; arrays are met in the order in which they were packed, which is that of their bytes."""
    if isinstance(value, list):
        return [_unpack(one, array) for one in value]
    if not isinstance(value, dict):
        return value
    kind = value[""]
    if kind == "array":
        return array(value["dtype"], value["shape"])
    if kind == "path":
        return Path(value["path"])
    if kind == "event":
        onset, duration, label = value["event"]
        return Event(onset, duration, label)
    if kind == "tuple":
        return tuple(_unpack(one, array) for one in value["items"])
    return {key: _unpack(one, array) for key, one in value["items"]}


def _exactly(source: IO[bytes], count: int) -> bytes:
    found = source.read(count)
    if len(found) < count:
        raise EOFError
    return found
