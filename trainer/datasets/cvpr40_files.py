"""The .pth files of `cvpr40`, read as plain tensors: nothing else that a pickle could hold is loaded."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

EEG_FILES = {
    "5-95": "eeg_5_95_std.pth",
    "14-70": "eeg_14_70_std.pth",
    "55-95": "eeg_55_95_std.pth",
    "raw": "eeg_signals_raw_with_mean_std.pth",
}
SPLIT_FILES = {"all": "block_splits_by_image_all.pth", "single": "block_splits_by_image_single.pth"}
PARTS = ("train", "val", "test")
N_CHANNELS = 128


@dataclass(frozen=True)
class Signals:
    """One file of signals: `items` with `eeg` (128, length), `image`, `label` and `subject`, and the names that those
    numbers index. mean, sd: (128, 1) or (1, 1), what the raw file is standardised by.
    """

    items: Sequence[dict[str, Any]]
    labels: Sequence[str]
    images: Sequence[str]
    mean: np.ndarray
    sd: np.ndarray

    def standardised(self, row: int) -> np.ndarray:
        """Return one segment (128, length) float32 in standard deviations; ValueError where it has no finite number."""
        eeg = self.items[row]["eeg"].float().numpy()
        if not np.isfinite(eeg).all():
            raise ValueError(f"segment {row} holds samples that are not numbers")
        return ((eeg - self.mean) / self.sd).astype(np.float32)


def read_signals(path: Path) -> Signals:
    """Return a file of signals, checked; the numbers stay on disk until they are used where the format allows it.

    Raises FileNotFoundError where it is missing and ValueError where it is not such a file.
    """
    _there(path, EEG_FILES.values())
    stat = path.stat()
    return _read_signals(path, stat.st_size, stat.st_mtime_ns)


# one file is up to 3 GB where it cannot be mapped
@lru_cache(maxsize=1)
def _read_signals(path: Path, size: int, changed: int) -> Signals:
    loaded = load_plain(path)
    if not isinstance(loaded, dict) or not {"dataset", "labels", "images"} <= set(loaded):
        raise ValueError(f"{path} has {_kind(loaded)}; signals have `dataset`, `labels` and `images`")
    items, labels, images = (loaded[name] for name in ("dataset", "labels", "images"))
    for name, value in (("dataset", items), ("labels", labels), ("images", images)):
        if not isinstance(value, list | tuple) or not value:
            raise ValueError(f"{path}: `{name}` must be a list with something in it; it is {_kind(value)}")
    for row, item in enumerate(items):
        _check_item(path, row, item, len(labels), len(images))
    mean, sd = (_per_channel(path, name, loaded.get(name)) for name in ("means", "stddevs"))
    if sd is not None and not (sd > 0).all():
        raise ValueError(f"{path}: `stddevs` must be above 0")
    zero, one = np.zeros((1, 1), np.float32), np.ones((1, 1), np.float32)
    return Signals(items, labels, images, zero if mean is None else mean, one if sd is None else sd)


def _check_item(path: Path, row: int, item: Any, n_labels: int, n_images: int) -> None:
    if not isinstance(item, dict) or not {"eeg", "image", "label", "subject"} <= set(item):
        raise ValueError(f"{path}: segment {row} has {_kind(item)}; it needs `eeg`, `image`, `label` and `subject`")
    eeg = item["eeg"]
    if not isinstance(eeg, Tensor) or eeg.ndim != 2 or eeg.shape[0] != N_CHANNELS:
        told = f"shape {tuple(eeg.shape)}" if isinstance(eeg, Tensor) else _kind(eeg)
        raise ValueError(f"{path}: the EEG of segment {row} must be ({N_CHANNELS}, length); got {told}")
    for name, count in (("label", n_labels), ("image", n_images), ("subject", 7)):
        number = item[name] = int(item[name])
        if not (name == "subject") <= number < count:
            allowed = "1 to 6" if name == "subject" else f"0 to {count - 1}"
            raise ValueError(f"{path}: `{name}` of segment {row} is {number}; it must be {allowed}")


def _per_channel(path: Path, name: str, value: Any) -> np.ndarray | None:
    if value is None:
        return None
    array = np.asarray(value, dtype=np.float32)
    if array.size not in (1, N_CHANNELS):
        raise ValueError(f"{path}: `{name}` must be one number or {N_CHANNELS}; its shape is {array.shape}")
    return array.reshape(-1, 1)


def read_split(path: Path, number: int) -> dict[str, list[int]]:
    """Return the segment numbers under `train`, `val` and `test` of one of a file's splits.

    Raises FileNotFoundError where the file is missing and ValueError where it is not a split file or has fewer splits.
    """
    _there(path, SPLIT_FILES.values())
    loaded = load_plain(path)
    splits = loaded.get("splits") if isinstance(loaded, dict) else None
    if not isinstance(splits, list | tuple) or not splits:
        raise ValueError(f"{path} has {_kind(loaded)}; a split file has a list of `splits`")
    if number >= len(splits):
        raise ValueError(f"{path} has {len(splits)} splits, counted from 0; --split is {number}")
    if not isinstance(splits[number], dict) or not set(PARTS) <= set(splits[number]):
        raise ValueError(f"{path}: split {number} has {_kind(splits[number])}; it needs {', '.join(PARTS)}")
    chosen = {part: [int(i) for i in splits[number][part]] for part in PARTS}
    if any(i < 0 for numbers in chosen.values() for i in numbers):
        raise ValueError(f"{path}: split {number} has segment numbers below 0")
    return chosen


def load_plain(path: Path) -> Any:
    """Return what a .pth file holds, if that is tensors, lists, dicts, numbers and text; else raise ValueError."""
    try:
        try:
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError as error:
            if "mmap" not in str(error):
                raise
            return torch.load(path, map_location="cpu", weights_only=True)  # PyTorch's old format cannot be mapped
    except Exception as error:  # a refused or broken file ends in errors of a dozen classes
        told = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"{path} is not a file of plain tensors ({told}). Code in a pickle is never run here; take the file from "
            "the authors' own download, or save tensors, lists and numbers alone"
        ) from error


def _there(path: Path, names: Any) -> None:
    if not path.is_file():
        there = ", ".join(sorted(p.name for p in path.parent.glob("*.pth"))) or "none"
        raise FileNotFoundError(f"no {path.name} in {path.parent} (of {', '.join(names)}; there: {there})")


def _kind(value: Any) -> str:
    return f"the keys {sorted(map(str, value))}" if isinstance(value, dict) else f"a {type(value).__name__}"
