"""Files of the exact structure of THINGS-EEG2's raw download, with the phantom's signals: simulated, never brain data.

    python benchmarks/things_files.py FOLDER [--subjects 1] [--scale 0.01]

A scale of 1 is the published size: four sessions of 63 channels at 1 kHz with 16,540 training and 4,000 test
presentations each, 11 GB a person. What is written is never held as a whole.
"""

import argparse
import math
import os
import pickle
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    from benchmarks.one_line import say_what_is_missing

    say_what_is_missing()

import numpy as np

from core.montage import MONTAGES
from core.phantom.brain import simulate_recording
from core.phantom.brain_config import BrainConfig
from core.phantom.scenes import Scene, split_scenes

MONTAGE, SFREQ = "things-63", 1000.0
N_TRAIN, N_TEST, A_CONCEPT = 16540, 200, 10
TARGET, EVERY_TARGET = 99999, 60  # one presentation in so many shows the target
AT_ONCE = 500  # presentations that are simulated together
PULSE = 20  # samples that a mark lasts


@dataclass(frozen=True)
class Shape:
    """How much is shown: training pictures, of which a session shows half, twice each, and test pictures, each so often
    in a session; a concept has so many training pictures. channels: the file's order.
    """

    n_train: int = N_TRAIN
    n_test: int = N_TEST
    test_repeats: int = 20
    n_sessions: int = 4
    a_concept: int = A_CONCEPT
    channels: tuple[str, ...] = MONTAGES[MONTAGE]
    snr: float = 0.35
    soa_s: float = 0.2

    @staticmethod
    def scaled(scale: float) -> "Shape":
        """Return a share of the published size: of training pictures, and of how often test pictures are shown."""
        n_train = max(2 * A_CONCEPT, round(N_TRAIN * scale / (2 * A_CONCEPT)) * 2 * A_CONCEPT) if scale < 1 else N_TRAIN
        return Shape(n_train=n_train, test_repeats=max(2, round(20 * scale)))


class _Streamed:
    """Bytes of an array that are written behind the rest."""

    def __init__(self, length: int) -> None:
        self.length = length


class _StreamedArray:
    """Pickles as a float64 array (n_rows, n_columns) would."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape

    def __reduce__(self) -> tuple:
        made, arguments, state = np.empty(0).__reduce__()
        return made, arguments, (state[0], self.shape, np.dtype("<f8"), False, _Streamed(8 * math.prod(self.shape)))


class _Pickler(pickle._Pickler):
    """Leaves room for streamed bytes, where the writer in C puts long bytes, and remembers where."""

    at = 0

    def save(self, obj: object, save_persistent_id: bool = True) -> None:
        if not isinstance(obj, _Streamed):
            return super().save(obj, save_persistent_id)
        self.framer.write_large_bytes(pickle.BINBYTES8 + struct.pack("<Q", obj.length), b"")
        self.file.flush()
        self.at = self.file.tell()
        self.file.seek(obj.length, os.SEEK_CUR)


class RawWriter:
    """A raw file on its way: as `np.save` writes the dict, its samples written anywhere in any order."""

    def __init__(self, path: Path, names: Sequence[str], n_times: int, sfreq: float = SFREQ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.shape = (len(names) + 1, n_times)
        held = {
            "raw_eeg_data": _StreamedArray(self.shape),
            "ch_names": [*names, "stim"],
            "sfreq": int(sfreq),
            "ch_types": ["eeg"] * len(names) + ["stim"],
        }
        self.file = open(path, "w+b")  # noqa: SIM115 (closed by `close`)
        np.lib.format.write_array_header_1_0(self.file, {"descr": "|O", "fortran_order": False, "shape": ()})
        pickler = _Pickler(self.file, protocol=4)
        pickler.file = self.file
        pickler.dump(np.array(held, dtype=object))
        self.at = pickler.at
        self.file.truncate()

    def write(self, first: int, data: np.ndarray, row: int = 0) -> None:
        """Write rows (k, n) of volts from a sample and a row on."""
        for number, values in enumerate(np.ascontiguousarray(data, dtype="<f8"), row):
            self.file.seek(self.at + 8 * (number * self.shape[1] + first))
            self.file.write(values.tobytes())

    def close(self) -> None:
        """End the file."""
        self.file.close()


def scene_of(number: int, part: str) -> Scene:
    """Return the drawn scene that stands for a picture, from 1; there are fewer scenes than pictures."""
    scenes = split_scenes()["train" if part == "training" else "test"]
    return scenes[(number - 1) % len(scenes)]


def shown_in(shape: Shape, part: str, session: int, seed: int) -> np.ndarray:
    """Return the numbers shown in a session's part, in order, with targets among them."""
    rng = np.random.default_rng([seed, session, part == "test"])
    if part == "test":
        numbers = np.tile(np.arange(1, shape.n_test + 1), shape.test_repeats)
    else:  # a session shows half of the pictures, the next one the other half
        numbers = np.tile(np.arange(1 + session % 2, shape.n_train + 1, 2), 2)
    numbers = rng.permutation(numbers)
    places = np.sort(rng.choice(len(numbers) + 1, max(1, len(numbers) // EVERY_TARGET), replace=False))
    return np.insert(numbers, places, TARGET)


def write_part(path: Path, shape: Shape, part: str, session: int, subject: int, seed: int) -> None:
    """Write one raw file: simulated stretches of 500 presentations behind one another."""
    numbers = shown_in(shape, part, session, seed)
    brain = BrainConfig(
        montage=MONTAGE, sfreq=SFREQ, snr=shape.snr, subject=subject, soa_s=shape.soa_s, soa_jitter_s=0.0, shown_s=0.1
    )
    rows = [MONTAGES[MONTAGE].index(name) for name in shape.channels]
    groups = [numbers[start : start + AT_ONCE] for start in range(0, len(numbers), AT_ONCE)]
    lengths = [math.ceil((1.5 + shape.soa_s * (len(group) - 1) + 2.0) * SFREQ) for group in groups]
    writer = RawWriter(path, shape.channels, sum(lengths))
    first = 0
    for place, (group, length) in enumerate(zip(groups, lengths, strict=True)):
        scenes = [scene_of(1 if number == TARGET else int(number), part) for number in group]
        made = simulate_recording(scenes, brain, seed=seed * 100_000 + session * 1000 + place + 500 * (part == "test"))
        writer.write(first, made.data[rows, :length])
        stim = np.zeros((1, length))
        for number, event in zip(group, made.events, strict=True):
            sample = math.ceil(event.onset * SFREQ)
            stim[0, sample : sample + PULSE] = number
        writer.write(first, stim, row=len(rows))
        first += length
    writer.close()


def write_metadata(path: Path, shape: Shape) -> None:
    """Write `image_metadata.npy`: the pictures' files and concepts by their numbers."""
    held: dict[str, list[str]] = {}
    for part, name, n, each in (
        ("training", "train", shape.n_train, shape.a_concept),
        ("test", "test", shape.n_test, 1),
    ):
        scenes = [scene_of(number, part) for number in range(1, n + 1)]
        own = n <= len({scene.id for scene in scenes})
        held[f"{name}_img_files"] = [s.id if own else f"{name}_{k:05d}.jpg" for k, s in enumerate(scenes, 1)]
        held[f"{name}_img_concepts"] = [f"{k // each + 1:05d}_{name}_thing_{k // each + 1:04d}" for k in range(n)]
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.array(held, dtype=object), allow_pickle=True)


def write_raw(folder: Path, shape: Shape | None = None, subjects: Sequence[int] = (1,), seed: int = 1) -> None:
    """Write people's raw files as the download has them, and the pictures' metadata."""
    shape = shape or Shape()
    write_metadata(folder / "image_metadata.npy", shape)
    for subject in subjects:
        for session in range(1, shape.n_sessions + 1):
            place = folder / "raw_eeg" / f"sub-{subject:02d}" / f"ses-{session:02d}"
            for part in ("training", "test"):
                write_part(place / f"raw_eeg_{part}.npy", shape, part, session, subject, seed + subject)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--subjects", type=int, default=1)
    parser.add_argument("--scale", type=float, default=0.01)
    arguments = parser.parse_args()
    write_raw(arguments.folder, Shape.scaled(arguments.scale), range(1, arguments.subjects + 1))


if __name__ == "__main__":
    main()
