"""What a reader hands over: rows of numbers with their names, types and units, before anything is judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..recording import Event


@dataclass
class Signals:
    """A file's rows before channels are chosen, units checked and gaps mended.

    `data` float64 (n_rows, n_times) is volts where `units` names a voltage ("V", "mV", "uV", "nV": what the file's
    numbers were) and in the file's own numbers elsewhere ("" unknown, None not a voltage). `ch_types` are MNE's words
    plus "marker" (every non-zero sample is an event). `units_said` is "declared", or "assumed" with `units_why`.
    """

    data: np.ndarray
    sfreq: float
    ch_names: list[str]
    ch_types: list[str]
    units: list[str | None]
    units_said: str = "declared"
    units_why: str = ""
    positions: np.ndarray | None = None
    events: list[Event] = field(default_factory=list)
    segments: tuple[int, ...] = (0,)
    reference: str = "as recorded"
    dropped: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    companions: tuple[Path, ...] = ()
    stim_mask: int | None = None
    # our own files were judged before they were written: they come back exactly as they went
    judged: bool = False
    saved_source: dict[str, Any] | None = None


@dataclass(frozen=True)
class Reader:
    """One family of files: its name, the suffixes it answers to, its function, and a line about it."""

    name: str
    suffixes: tuple[str, ...]
    read: Callable[[Path], Signals]
    description: str
