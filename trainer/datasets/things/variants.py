"""THINGS-EEG2 as others have prepared it: which of the known forms a person's folder has, read in parts.

All hold windows by picture and presentation, whitened, without a unit: the data set's own download (osf.io/anp5v, 17
channels, 100 Hz) and the repositories NICE-EEG, EEG_Image_decode (ATM) and AlignVis (63 channels, 250 Hz), pickles
named .npy; Uncertainty-aware-Blur-Prior's .pt; NeuroBridge's plain arrays beside an info.json.
"""

import json
import math
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from core.formats.containers.unpickler_on_disk import ArrayOnDisk, read_npy, read_pickle_at

AT_ONCE = 64  # pictures
FILES = {
    "pickled": {"training": ("preprocessed_eeg_training.npy",), "test": ("preprocessed_eeg_test.npy",)},
    "ubp": {"training": ("train.pt",), "test": ("test.pt",)},
    "neurobridge": {"training": ("train.npy",), "test": ("test.npy",)},
}
NAMES = {
    "pickled": "pickled .npy (the data set's own, NICE, ATM, AlignVis)",
    "ubp": "Uncertainty-aware Blur Prior's .pt",
    "neurobridge": "NeuroBridge's arrays with info.json",
}


@dataclass(frozen=True)
class Part:
    """One person's training or test windows: data (pictures, presentations, channels, samples), from `tmin` seconds."""

    path: Path
    form: str
    data: ArrayOnDisk | np.ndarray
    ch_names: tuple[str, ...]
    sfreq: float
    tmin: float

    def windows(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        """Yield windows of channels (k,) in that order, picture after picture with all presentations: float32
        (n, k, n_times).

        Raises ValueError where samples are not numbers.
        """
        for first in range(0, self.data.shape[0], AT_ONCE):
            last = min(first + AT_ONCE, self.data.shape[0])
            read = self.data.rows(first, last) if isinstance(self.data, ArrayOnDisk) else self.data[first:last]
            found = read.reshape(-1, *read.shape[2:])[:, rows].astype(np.float32)
            if not np.isfinite(found).all():
                raise ValueError(f"{self.path} holds samples that are not numbers (NaN), near picture {first + 1}")
            yield found

    def said(self) -> str:
        """Return in words what it is."""
        n, repeats, n_channels, n_times = self.data.shape
        shape = f"{n} pictures x {repeats}, {n_channels} channels, {n_times} samples at {self.sfreq:g} Hz"
        return f"{NAMES[self.form]}: {shape}"


def form_of(folder: Path) -> str | None:
    """Return which of the known forms a person's folder has, None for none."""
    for form, files in FILES.items():
        if all((folder / names[0]).is_file() for names in files.values()):
            return form
    return None


def read_part(folder: Path, form: str, part: str) -> Part:
    """Return the outline of one part: its windows are not read.

    Raises ValueError where it would run something, is damaged, or has another shape than windows by picture and
    presentation; FileNotFoundError where it is missing.
    """
    path = folder / FILES[form][part][0]
    data, names, times, rate = {"pickled": _pickled, "ubp": _ubp, "neurobridge": _neurobridge}[form](path)
    shape = tuple(data.shape)
    if len(shape) == 5:  # things, pictures of each, presentations
        shape = (shape[0] * shape[1], *shape[2:])
    if len(shape) != 4 or data.dtype.kind != "f" or (isinstance(data, ArrayOnDisk) and data.fortran):
        raise ValueError(
            f"{path} holds {data.shape} of {data.dtype}; windows are (pictures, presentations, channels, samples)"
        )
    data = replace(data, shape=shape) if isinstance(data, ArrayOnDisk) else data.reshape(shape)
    if len(names) != shape[2]:
        raise ValueError(f"{path}: {shape[2]} channels and {len(names)} channel names")
    if len(times) < shape[3]:
        raise ValueError(f"{path}: {shape[3]} samples and only {len(times)} `times`")
    times = times[-shape[3] :]  # files of 250 samples are known to list 300 times, the 50 before the picture first
    step = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    rate = rate or (round(1 / step, 3) if step > 0 else 0.0)
    if not rate > 0:
        raise ValueError(f"{path}: its `times` do not rise, so its sampling rate is not known")
    return Part(path, form, data, tuple(names), rate, round(float(times[0]) * rate) / rate)


def _pickled(path: Path) -> tuple[Any, list[str], np.ndarray, float]:
    held = read_npy(path)
    if isinstance(held, dict) and "raw_eeg_data" in held:
        raise ValueError(f"{path} holds raw EEG; prepare its folder with `things-eeg2`")
    held = _checked(path, held, ("preprocessed_eeg_data", "ch_names", "times"))
    return held["preprocessed_eeg_data"], _texts(held["ch_names"]), _numbers(held["times"]), 0.0


def _ubp(path: Path) -> tuple[Any, list[str], np.ndarray, float]:
    """Arrays inside the pickle inside the zip that `torch.save` writes."""
    try:
        with zipfile.ZipFile(path) as archive:
            entry = next(one for one in archive.infolist() if one.filename.endswith("/data.pkl"))
            stored = entry.compress_type == zipfile.ZIP_STORED
        with open(path, "rb") as file:
            file.seek(entry.header_offset)
            n_name, n_extra = struct.unpack("<26xHH", file.read(30))
    except (zipfile.BadZipFile, StopIteration, struct.error, OSError) as error:
        raise ValueError(f"{path} is no file of torch.save, or is cut off") from error
    held = read_pickle_at(path, entry.header_offset + 30 + n_name + n_extra, entry.file_size) if stored else None
    held = _checked(path, held, ("eeg", "ch_names", "times"))
    return held["eeg"], _texts(held["ch_names"]), _numbers(held["times"]), 0.0


def _neurobridge(path: Path) -> tuple[Any, list[str], np.ndarray, float]:
    beside = path.parent / "info.json"
    if not beside.is_file():
        raise FileNotFoundError(f"{beside} is missing: it names the channels and times of {path.name}")
    try:
        info = json.loads(beside.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{beside} is not JSON ({error})") from error
    info = _checked(beside, info, ("ch_names", "times"))
    rate = info.get("sfreq", 0.0)
    return read_npy(path), _texts(info["ch_names"]), _numbers(info["times"]), float(rate) if rate else 0.0


def _checked(path: Path, held: Any, wanted: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(held, dict) or not set(wanted) <= set(held):
        told = f"the keys {sorted(held)}" if isinstance(held, dict) else f"a {type(held).__name__}"
        raise ValueError(f"{path} holds {told}; {', '.join(wanted)} are needed")
    return held


def _texts(value: Any) -> list[str]:
    values = value.tolist() if isinstance(value, np.ndarray) else value
    return [str(one) for one in values] if isinstance(values, list) else []


def _numbers(value: Any) -> np.ndarray:
    numbers = np.asarray(value, dtype=np.float64).reshape(-1) if isinstance(value, list | np.ndarray) else np.zeros(0)
    return numbers if all(map(math.isfinite, numbers.tolist())) else np.zeros(0)
