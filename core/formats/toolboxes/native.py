"""Our own form of a recording: one safetensors file, its header a JSON text."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from ...files import write_atomically
from ...recording import Event, Recording
from ..contract.signals import Head, Reader, ReadOptions, Signals
from ..contract.suffixes import SUFFIXES

FORMAT_VERSION = 1
_KEY = "sd_eeg_recording"
_MAX_HEADER = 64 << 20


def save_recording(recording: Recording, path: str | Path) -> None:
    """Write a recording as safetensors: samples, positions and segments as tensors, all else as JSON in the header."""
    from safetensors.numpy import save_file

    about = {
        "version": FORMAT_VERSION,
        "sfreq": recording.sfreq,
        "ch_names": list(recording.ch_names),
        "events": [[event.onset, event.duration, event.label] for event in recording.events],
        "source": recording.source,
    }
    tensors = {
        "data": np.ascontiguousarray(recording.data),
        "segments": np.asarray(recording.segments, dtype=np.int64),
    }
    if recording.ch_positions is not None:
        tensors["positions"] = np.ascontiguousarray(recording.ch_positions, dtype=np.float64)
    text = json.dumps(about, default=_plain, allow_nan=False)
    with write_atomically(path) as beside:
        save_file(tensors, beside, metadata={_KEY: text})


def read_native(path: Path, options: ReadOptions) -> Signals:
    """Read what `save_recording` wrote; ValueError says what is missing, newer, cut off or not as it should be."""
    from safetensors import SafetensorError, safe_open

    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if not 2 <= length <= min(_MAX_HEADER, path.stat().st_size - 8):
        raise ValueError(f"{path}: not a safetensors file, or cut off inside its header (it claims {length} bytes)")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys() if name in ("data", "segments", "positions")}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path}: cannot be read as safetensors (cut off or damaged?): {error}") from error
    if _KEY not in metadata:
        raise ValueError(f"{path}: a safetensors file, but not a recording (its header has {sorted(metadata)[:8]})")
    try:
        about = json.loads(metadata[_KEY])
        return _signals(path, about, tensors)
    except (KeyError, TypeError, IndexError, RecursionError, OverflowError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: its header is damaged: {type(error).__name__} {str(error)[:200]}") from error


def _signals(path: Path, about: dict[str, Any], tensors: dict[str, np.ndarray]) -> Signals:
    version = about["version"]
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise ValueError(
            f"{path}: written by a newer version (form {version!r}, this one reads up to {FORMAT_VERSION})"
        )
    names, sfreq = [str(name) for name in about["ch_names"]], float(about["sfreq"])
    data = tensors.get("data")
    if data is None or data.dtype != np.float32 or data.ndim != 2 or data.shape[0] != len(names):
        got = "no tensor 'data'" if data is None else f"data of {data.dtype} {data.shape}"
        raise ValueError(f"{path}: {got}, where its header tells of float32 ({len(names)}, n_times)")
    positions = tensors.get("positions")
    events = [Event(float(onset), float(duration), str(label)) for onset, duration, label in about["events"]]
    if not math.isfinite(sfreq) or any(not math.isfinite(e.onset) for e in events):
        raise ValueError(f"{path}: its header holds a rate or an event time that is not a number")
    source = about.get("source")
    return Signals(
        data=data,
        sfreq=sfreq,
        ch_names=names,
        ch_types=["eeg"] * len(names),
        units=["V"] * len(names),
        positions=positions,
        events=events,
        segments=tuple(int(start) for start in tensors.get("segments", np.zeros(1, np.int64)).ravel()),
        judged=True,
        saved_source=source if isinstance(source, dict) else {},
    )


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (np.ndarray, tuple, set)):
        return list(value)
    return str(value)


def _is_native(head: Head) -> bool:
    return head.start[8:9] == b"{" and _KEY.encode() in head.start


READER = Reader(
    "native",
    SUFFIXES["native"],
    read_native,
    "our own safetensors form",
    _is_native,
    "our own form (safetensors with a recording's header)",
)
