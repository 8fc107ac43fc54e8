"""A made-up experiment: recordings of noise with answers to pictures, and a table of what was shown."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from core.formats.toolboxes.native import save_recording
from core.recording import Event, Recording

NAMES = ("TP9", "AF7", "AF8", "TP10")
SFREQ = 128.0
COLUMNS = ("file", "onset", "label", "image", "subject", "session", "run", "block", "split")
NOISE_V, COMMON_V, OWN_V = 10e-6, 8e-6, 4e-6


@dataclass
class Design:
    """Recordings by file name, and rows of the table (dicts of COLUMNS). pictures: by name, uint8 (H, W, 3)."""

    recordings: dict[str, Recording]
    rows: list[dict]
    pictures: dict[str, np.ndarray] = field(default_factory=dict)

    def of(self, file: str) -> list[dict]:
        """Return the rows of one recording."""
        return [row for row in self.rows if row["file"] == file]


def noise(rng: np.random.Generator, n_channels: int, n_times: int) -> np.ndarray:
    """Return pink noise of 10 uV (n_channels, n_times), part of it shared by the channels."""
    hertz = np.maximum(np.fft.rfftfreq(n_times, 1 / SFREQ), 0.5)
    white = rng.standard_normal((n_channels + 1, len(hertz))) + 1j * rng.standard_normal((n_channels + 1, len(hertz)))
    found = np.fft.irfft(white / np.sqrt(hertz), n_times, axis=1)
    found = found[:-1] + 0.7 * found[-1:]
    return found / found.std() * NOISE_V


def answer(peak_s: float, width_s: float = 0.04) -> np.ndarray:
    """Return a bump about `peak_s` after an onset, 0.7 s long, of height 1."""
    return np.exp(-(((np.arange(int(0.7 * SFREQ)) / SFREQ - peak_s) / width_s) ** 2) / 2)


def made_recording(
    rng: np.random.Generator,
    onsets: np.ndarray,
    labels: Sequence[int],
    own_v: float = OWN_V,
    common_v: float = COMMON_V,
) -> Recording:
    """Return noise with an answer to every onset (s), and one that tells the class by channel."""
    data = noise(rng, len(NAMES), int((onsets[-1] + 2.5) * SFREQ))
    for onset, label in zip(onsets, labels, strict=True):
        at = round(onset * SFREQ)
        data[:, at : at + len(answer(0.1))] += common_v * answer(0.12)
        data[label % len(NAMES), at : at + len(answer(0.1))] += own_v * answer(0.22)
    events = tuple(Event(float(onset), 0.0, f"shown {label}") for onset, label in zip(onsets, labels, strict=True))
    return Recording(data, SFREQ, NAMES, events=events, source={"notes": []})


def onsets_of(rng: np.random.Generator, n: int, jitter_s: float = 0.3) -> np.ndarray:
    """Return n onsets in seconds, one every 0.95 s and up to `jitter_s` more, the first after two seconds."""
    return np.round(2 + np.cumsum(0.95 + jitter_s * rng.random(n)), 4)


def experiment(
    rng: np.random.Generator,
    labels: Sequence[np.ndarray],
    people: Sequence[str] | None = None,
    jitter_s: float = 0.3,
    own_v: float = OWN_V,
) -> Design:
    """Return an experiment of one run for each array of class numbers; every trial shows a picture of its own."""
    recordings, rows = {}, []
    for number, classes in enumerate(labels):
        file, onsets = f"run{number + 1}.safetensors", onsets_of(rng, len(classes), jitter_s)
        recordings[file] = made_recording(rng, onsets, classes, own_v)
        who = people[number] if people else "one"
        rows += [
            row_of(file, float(onset), f"class {label}", f"picture {number}-{i}", subject=who, run=f"run {number + 1}")
            for i, (onset, label) in enumerate(zip(onsets, classes, strict=True))
        ]
    return Design(recordings, rows)


def row_of(file: str, onset: float, label: str, image: str, **others: str) -> dict:
    """Return a row of the table."""
    return dict.fromkeys(COLUMNS, "") | {"file": file, "onset": onset, "label": label, "image": image} | others


def plain(rng: np.random.Generator, runs: int = 4, each: int = 48, classes: int = 2) -> Design:
    """Return an honest experiment: as many trials of each class in every run, in random order."""
    return experiment(rng, [rng.permutation(np.arange(each) % classes) for _ in range(runs)])


def relabelled(design: Design, labels: Sequence[np.ndarray], rng: np.random.Generator) -> Design:
    """Return the same onsets with other classes, and EEG that answers to them."""
    recordings, rows = {}, []
    for (file, _), classes in zip(design.recordings.items(), labels, strict=True):
        own = design.of(file)
        onsets = np.array([row["onset"] for row in own])
        recordings[file] = made_recording(rng, onsets, classes)
        rows += [{**row, "label": f"class {label}"} for row, label in zip(own, classes, strict=True)]
    return Design(recordings, rows)


def write(design: Design, folder: Path) -> tuple[Path, Path]:
    """Write the recordings and the table and return their folder and the table's path."""
    source = folder / "source"
    source.mkdir(parents=True, exist_ok=True)
    for file, one in design.recordings.items():
        save_recording(replace(one, data=one.data.astype(np.float32)), source / file)
    table = folder / "shown.csv"
    with open(table, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows({**row, "onset": f"{row['onset']:.4f}"} for row in design.rows)
    if design.pictures:
        from PIL import Image

        (folder / "pictures").mkdir()
        for name, picture in design.pictures.items():
            Image.fromarray(picture).save(folder / "pictures" / f"{name}.png")
    return source, table
