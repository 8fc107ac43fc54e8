"""A format under test: how such a file is written by someone else's software, what is known of it, how it can lie."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

# the rate that a lying file's timestamps tell, as a share of the one that it states
LOOSER = 250 / 256


@dataclass(frozen=True)
class Truth:
    """What a written file holds: volts (n_channels, n_times), rate, names, events as (onset in s, label)."""

    data: np.ndarray
    sfreq: float
    ch_names: tuple[str, ...]
    events: tuple[tuple[float, str], ...]


def truth(ch_names: str, sfreq: float, *, seconds: float = 16.0, labels: tuple[str, ...] = ("1", "2"), seed: int = 0):
    """Return EEG-like noise of about 20 uV with an event every 1.5 s, on whole samples."""
    names = tuple(ch_names.split())
    rng = np.random.default_rng(seed)
    data = rng.standard_normal((len(names), round(seconds * sfreq))) * 2e-5
    onsets = np.arange(1.0, seconds - 1, 1.5)
    events = tuple((round(onset * sfreq) / sfreq, labels[i % len(labels)]) for i, onset in enumerate(onsets))
    return Truth(data, sfreq, names, events)


@dataclass(frozen=True)
class FormatCase:
    """One row of the table of formats.

    write(folder, truth, lie) writes the truth with an independent writer and returns the path to load. lie "" is
    honest; "units": the numbers are of another unit than the file (or its maker) says; "rate": the file states one
    rate and its timestamps, or whatever else tells one, another. why_not: why a cell cannot be ("units", "rate",
    "events", "truncated"). cut(path): the file of which the last part is cut off. real: files below the folder of real
    data, with the options each needs. refused: real files that are no recording, with the words that say why.
    step_uv: one quantisation step.
    """

    name: str
    reader: str
    truth: Truth
    write: Callable[[Path, Truth, str], Path]
    writer: str
    step_uv: float = 0.1
    options: Mapping[str, Any] = field(default_factory=dict)
    why_not: Mapping[str, str] = field(default_factory=dict)
    real: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    cut: Callable[[Path], Path] = lambda path: path
