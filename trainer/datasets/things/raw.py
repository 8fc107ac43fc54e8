"""THINGS-EEG2's raw files `raw_eeg/sub-XX/ses-0Y/raw_eeg_{training,test}.npy`: pickled dicts of gigabytes, in parts.

Gifford, Dwivedi, Roig & Cichy, "A large and rich EEG dataset for modeling human visual object recognition", NeuroImage
264 (2022), 119754; osf.io/3jk45.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.formats.containers.unpickler_on_disk import ArrayOnDisk, read_npy

KEYS = ("raw_eeg_data", "ch_names", "ch_types", "sfreq")
PARTS = ("training", "test")
TARGET = 99999  # a picture of a cartoon figure, at which people had to press a key
FAINTEST_V, LOUDEST_V = 1e-8, 2e-3  # from one sample to the next, typically, of EEG in volts
SAMPLED = 4000


@dataclass(frozen=True)
class RawFile:
    """One part of a session: samples in volts, of which rows (k,) are the wanted channels in the wanted order.

    onsets: (n,) samples at which a picture came. codes: (n,) its number, from 1.
    """

    path: Path
    data: ArrayOnDisk | np.ndarray
    sfreq: float
    rows: np.ndarray
    onsets: np.ndarray
    codes: np.ndarray

    @property
    def n_times(self) -> int:
        """Samples in the file."""
        return int(self.data.shape[1])

    def read(self, first: int, last: int) -> np.ndarray:
        """Return samples first to last of the wanted channels, float64 (k, last - first) in volts."""
        return columns(self.data, self.rows, first, last).astype(np.float64, copy=False)


def columns(data: ArrayOnDisk | np.ndarray, rows: np.ndarray, first: int, last: int) -> np.ndarray:
    """Return rows of a matrix, on disk or not, from one column to another."""
    return data.columns(rows, first, last) if isinstance(data, ArrayOnDisk) else data[rows, first:last]


def open_raw(path: Path, ch_names: tuple[str, ...], sfreq: float) -> RawFile:
    """Return a raw file's outline: its header and its events are read, its EEG is not.

    Raises FileNotFoundError where it is missing; ValueError where it would run something, is damaged, lacks channels,
    is slower than `sfreq`, is not in volts or has no picture in it.
    """
    held = read_npy(path)
    if not isinstance(held, dict) or not set(KEYS) <= set(held):
        told = f"the keys {sorted(held)}" if isinstance(held, dict) else f"a {type(held).__name__}"
        if isinstance(held, dict) and "preprocessed_eeg_data" in held:
            raise ValueError(f"{path} is preprocessed already; prepare its folder with `things-preprocessed`")
        raise ValueError(f"{path} holds {told}; a raw file of THINGS-EEG2 has {', '.join(KEYS)}")
    data, names, kinds = held["raw_eeg_data"], _texts(held["ch_names"]), _texts(held["ch_types"])
    if not isinstance(data, ArrayOnDisk | np.ndarray) or len(data.shape) != 2 or data.dtype.kind != "f":
        raise ValueError(f"{path}: `raw_eeg_data` must be numbers (channels, samples); it is {_told(data)}")
    if not len(names) == len(kinds) == data.shape[0]:
        raise ValueError(
            f"{path}: {data.shape[0]} rows, {len(names)} channel names and {len(kinds)} types; each row needs both"
        )
    rate = held["sfreq"]
    if not isinstance(rate, int | float) or not rate > 0:
        raise ValueError(f"{path}: `sfreq` must be hertz; it is {rate!r}")
    if rate < sfreq:
        raise ValueError(
            f"{path} is at {rate:g} Hz, and {sfreq:g} Hz are asked for; raw files are at 1000 Hz. "
            f"--sfreq {rate:g} takes it as it is"
        )
    if missing := [name for name in ch_names if name not in names]:
        raise ValueError(
            f"{path} lacks {len(missing)} of {len(ch_names)} channels: {', '.join(missing[:8])}; it has "
            f"{', '.join(names[:80])}. --channels things-17 asks for fewer"
        )
    if twice := sorted({name for name in ch_names if names.count(name) > 1}):
        raise ValueError(f"{path} has channels {twice[:8]} more than once")
    if "stim" not in kinds:
        raise ValueError(f"{path} has no channel of the type 'stim', which says when which picture was shown")
    onsets, codes = events_of(columns(data, np.array([kinds.index("stim")]), 0, data.shape[1])[0])
    pictures = codes != TARGET
    if not pictures.any():
        raise ValueError(f"{path}: no picture is marked in its 'stim' channel")
    raw = RawFile(path, data, float(rate), np.array([names.index(n) for n in ch_names]), onsets, codes)
    _check_volts(raw)
    return RawFile(path, data, raw.sfreq, raw.rows, onsets[pictures], codes[pictures])


def events_of(stim: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return samples (n,) at which a marker channel rises, and to what (n,); the very first sample does not count."""
    values = np.asarray(stim, dtype=np.int64)
    onsets = np.flatnonzero((values[1:] > values[:-1]) & (values[1:] > 0)) + 1
    return onsets, values[onsets]


def _check_volts(raw: RawFile) -> None:
    middle = raw.n_times // 2
    seen = raw.read(max(middle - SAMPLED, 0), min(middle + SAMPLED, raw.n_times))
    if not np.isfinite(seen).all():
        raise ValueError(f"{raw.path} holds samples that are not numbers (NaN)")
    steps = float(np.median(np.abs(np.diff(seen, axis=1)).mean(axis=1))) if seen.shape[1] > 1 else 0.0
    if not FAINTEST_V <= steps <= LOUDEST_V:
        raise ValueError(
            f"{raw.path}: samples differ by {steps:.3g} from one to the next; EEG in volts does by about 1e-6. Raw "
            "files are in volts: were these scaled (microvolts), whitened or flat?"
        )


def _texts(value: Any) -> list[str]:
    values = value.tolist() if isinstance(value, np.ndarray) else value
    return [str(one) for one in values] if isinstance(values, list) else []


def _told(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return f"a {type(value).__name__}" if shape is None else f"{shape} of {value.dtype}"
