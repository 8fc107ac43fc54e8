"""Folders of small recordings in which it is known what can be decoded, for tests."""

from pathlib import Path

import numpy as np

from core.formats.toolboxes.native import save_recording
from core.recording import Event, Recording

NAMES = ("TP9", "AF7", "AF8", "TP10")
SFREQ = 128.0


def recording(
    labels: list[str],
    response_s: float | None = 0.2,
    response_uv: float = 30.0,
    mains_uv: float = 0.0,
    seed: int = 0,
    shown: list[str] | None = None,
) -> Recording:
    """Return noise of 10 uV with an event each 1.3 s; pictures shown as "b" are answered `response_s` after (or before)
    the event. shown: what the events are answered as, where it is not what they are called.
    """
    rng = np.random.default_rng(seed)
    n = int((len(labels) * 1.3 + 3) * SFREQ)
    data = 1e-5 * rng.standard_normal((len(NAMES), n))
    data += mains_uv * 1e-6 * np.sin(2 * np.pi * 50 * np.arange(n) / SFREQ)
    onsets = [1.5 + 1.3 * i for i in range(len(labels))]
    bump = response_uv * 1e-6 * np.hanning(int(0.25 * SFREQ))
    for onset, label in zip(onsets, shown or labels, strict=True):
        if response_s is not None and label == "b":
            start = int((onset + response_s) * SFREQ)
            data[[0, 3], start : start + len(bump)] += bump
    events = tuple(Event(onset, 0.0, label) for onset, label in zip(onsets, labels, strict=True))
    return Recording(data, SFREQ, NAMES, events=events, source={"notes": []})


def random_labels(n: int = 40, seed: int = 0) -> list[str]:
    """Return as many "a" as "b" in random order."""
    return np.random.default_rng(seed).permutation(["a", "b"] * (n // 2)).tolist()


def write_runs(folder: Path, n_runs: int = 3, **options) -> Path:
    """Write runs of random labels, one file each; see `recording`."""
    folder.mkdir(parents=True, exist_ok=True)
    for run in range(n_runs):
        save_recording(recording(random_labels(seed=run), seed=run, **options), folder / f"run{run + 1}.safetensors")
    return folder
