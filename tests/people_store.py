"""A small store of several people, days and runs in which two kinds of picture are told apart, or nothing is."""

from functools import partial
from pathlib import Path

import numpy as np

from core.preprocessing.config import PreprocessingConfig
from tests.recording_folders import NAMES, recording
from trainer.store.dataset import Session
from trainer.store.store import TrialStore, write_store

CONFIG = PreprocessingConfig(
    ch_names=NAMES, sfreq=128.0, tmin=0.0, tmax=0.6, l_freq=1.0, h_freq=30.0, scaling="none", baseline=None
)
EACH = 12  # pictures of either kind


def load(person: int, day: int, run: int, response_uv: float, seed: int, gain: float):
    """A recording in which each picture is shown once."""
    number = seed + 100 * person + 10 * day + run
    pictures = np.random.default_rng(number).permutation(2 * EACH)
    labels = ["ab"[picture % 2] for picture in pictures]
    found = recording(labels, 0.2, response_uv, seed=number)
    found.data[:] *= gain**day
    rows = [
        {"label": label, "image_id": f"picture {picture}", "onset": event.onset, "subject": f"p{person}",
         "session": f"day {day}", "run": f"p{person} day {day} run {run}"}
        for label, picture, event in zip(labels, pictures, found.events, strict=True)
    ]  # fmt: skip
    return found, rows


def people_store(
    folder: Path, people=2, days=2, runs=2, response_uv: float = 30.0, seed: int = 0, gain: float = 1.0
) -> TrialStore:
    """Write a store; `gain` is how many times larger the next day's amplitudes are."""
    sessions = [
        Session(f"{person}-{day}-{run}", partial(load, person, day, run, response_uv, seed, gain))
        for person in range(people)
        for day in range(days)
        for run in range(runs)
    ]
    return write_store(folder, sessions, CONFIG, provenance={"dataset": "made up"}, progress=False)
