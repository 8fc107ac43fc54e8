"""The recordings that `confidence.py` judges: labelled real ones, people at rest, and sittings of the phantom."""

import os
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.conditioning.diffusers_pipeline import load_pipeline, prompt_encoder
from core.loading.load import load_recording
from core.model.checkpoint import EegEncoder
from core.phantom.brain import simulate_recording
from core.phantom.brain_config import BrainConfig
from core.phantom.scenes import class_names, split_scenes
from core.preprocessing.config import PreprocessingConfig
from core.recording import Event, Recording

CHANNELS = ("TP9", "AF7", "AF8", "TP10")
ASSETS = Path(__file__).resolve().parent.parent / "assets"
N_RUNS = 4  # among which the scenes are dealt, each with all its repeats in one


@dataclass(frozen=True)
class RealSet:
    """Runs of one person in one experiment: which files, who, what its labels mean, and how windows are cut.

    not_with: labels of other columns of markers; an event at a moment that has one of these is not of the set."""

    files: str
    person: str
    labels: dict[str, str]
    config: PreprocessingConfig
    not_with: tuple[str, ...] = ()


@dataclass(frozen=True)
class Gallery:
    """What answers are compared with (n, ·), and each label's place in it; None for weights over prompts."""

    values: torch.Tensor | None
    place: dict[str, int]


def _cut(tmin: float, tmax: float, l_freq: float = 1.0) -> PreprocessingConfig:
    return PreprocessingConfig(CHANNELS, 128.0, tmin, tmax, l_freq, 30.0)


_PICTURES = {"1": "house", "2": "face"}
REAL = {
    "n170-1": RealSet("n170_muse/subject1_*.csv.gz", "n170 subject 1", _PICTURES, _cut(-0.1, 0.8, 2.0)),
    "n170-2": RealSet("n170_muse/subject2_*.csv.gz", "n170 subject 2", _PICTURES, _cut(-0.1, 0.8, 2.0)),
    "n170-11": RealSet("n170_muse/subject11_*.csv.gz", "n170 subject 11", _PICTURES, _cut(-0.1, 0.8, 2.0)),
    "left-right": RealSet("left_right_muse/*.csv.gz", "left-right", {"1": "left", "2": "right"}, _cut(-0.1, 0.8)),
    "gratings": RealSet("gratings_muse/*.csv.gz", "gratings", {"1": "low", "2": "high"}, _cut(-0.1, 0.8), ("3", "4")),
    "ssvep-1": RealSet("ssvep_muse/subject1_*.csv.gz", "ssvep 1", {"1": "30 Hz", "2": "20 Hz"}, _cut(0.2, 2.8)),
    "ssvep-4": RealSet("ssvep_muse/subject4_*.csv.gz", "ssvep 4", {"1": "30 Hz", "2": "20 Hz"}, _cut(0.2, 2.8)),
    "p300": RealSet("p300_muse/*.csv.gz", "p300", {"1": "dog", "2": "cat"}, _cut(-0.1, 0.8)),
}


def data_folder() -> Path:
    """Return where the real recordings lie; raises FileNotFoundError where $SD_EEG_DATA does not say."""
    folder = Path(os.environ.get("SD_EEG_DATA", ""))
    if not os.environ.get("SD_EEG_DATA") or not folder.is_dir():
        raise FileNotFoundError("set SD_EEG_DATA to the folder of the real recordings")
    return folder


def real_recordings(real: RealSet) -> list[Recording]:
    """Return a set's runs in order of their names, with the events of its labels only."""
    found = [load_recording(path) for path in sorted(data_folder().glob(real.files))]
    if not found:
        raise FileNotFoundError(f"no recording matches {real.files} in {data_folder()}")
    return [replace(one, events=_of_the_set(one.events, real)) for one in found]


def _of_the_set(events: tuple[Event, ...], real: RealSet) -> tuple[Event, ...]:
    """Return a set's events by what they mean; of two at one moment the last of its labels (another column says 1 for
    contrast).
    """
    at: dict[int, dict[str, Event]] = {}
    for event in events:
        at.setdefault(round(event.onset * 1000), {})[event.label] = event
    kept: list[Event] = []
    for moment in sorted(at):
        labels = [label for label in real.labels if label in at[moment]]
        if labels and not set(at[moment]) & set(real.not_with):
            kept.append(replace(at[moment][labels[-1]], label=real.labels[labels[-1]]))
    return tuple(kept)


@lru_cache(maxsize=1)
def rest_recordings() -> tuple[Recording, ...]:
    """Return a real person's recording in the phantom's headset, eyes open and closed; none where it is not there."""
    path = Path(os.environ.get("SD_EEG_DATA", "")) / "eeg_formats" / "emotiv" / "EEG_Eye_State.arff.gz"
    return (load_recording(path),) if path.is_file() else ()


@lru_cache(maxsize=1)
def _pipeline() -> Any:
    return load_pipeline(ASSETS / "phantom")


@lru_cache(maxsize=4)
def _states(captions: tuple[str, ...]) -> torch.Tensor:
    encode = prompt_encoder(_pipeline())
    with torch.inference_mode():
        return torch.cat(
            [encode(list(captions[i : i + 32]))[0].float().flatten(1) for i in range(0, len(captions), 32)]
        )


def phantom_sitting(
    encoder: EegEncoder, coarse: bool, seed: int, runs: int | None = None, repeats: int = 16, **changes: Any
) -> tuple[list[Recording], Gallery]:
    """Return simulated runs in which the 200 test scenes are shown, each sixteen times, and the gallery of all.

    coarse: label scenes by colour and shape, the 40 classes that the encoder knows. runs: how many of the runs.
    changes: of the phantom's brain, such as its SNR or the person.
    """
    scenes = split_scenes()["test"]
    names = {scene.id: scene.caption for scene in scenes}
    if coarse:
        scenes = [scene for scene in scenes if scene.class_name in class_names(40)]
        names = {scene.id: f"a {scene.class_name}" for scene in scenes}
    captions = tuple(dict.fromkeys(names[scene.id] for scene in scenes))
    found: list[Recording] = []
    for number, some in enumerate(np.array_split(np.arange(len(scenes)), N_RUNS)[:runs]):
        order = np.random.default_rng([seed, number]).permutation(np.repeat(some, repeats))
        found.append(simulate_recording([scenes[i] for i in order], BrainConfig(**changes), seed + number))
    gallery = Gallery(_states(captions), {scene.id: captions.index(names[scene.id]) for scene in scenes})
    return found, gallery
