"""What a reader is given and what it hands over: rows of numbers with names, types and units, before any judgement."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ...files import text_lines
from ...recording import Event

SEARCHED_BYTES = 64 << 20


@dataclass(frozen=True)
class ReadOptions:
    """What the user says of a file that the file does not say, or says wrongly; see `recording.load_recording`."""

    units: str | None = None
    format: str | None = None
    sfreq: float | None = None
    events: tuple[str, ...] = ()
    channels: Path | Mapping[str, Any] | Sequence[str] | None = None
    montage: str | None = None
    keep: tuple[str, ...] = ()
    member: str | None = None
    stream: str | None = None
    variable: str | None = None
    axes: str | None = None
    board: str | None = None


@dataclass
class Signals:
    """A file's rows before channels are chosen, units checked and gaps mended.

    `data` float32 or float64 (n_rows, n_times) is volts where `units` names a voltage ("V", "mV", "uV", "nV": what the
    file's numbers were) and in the file's own numbers elsewhere ("" unknown, None not a voltage). `ch_types` are MNE's
    words plus "marker" (every non-zero sample is an event). `units_said` is "declared", or "assumed" with `units_why`.

    `sfreq` is what the file says; `sfreq_said` is "declared" (in the file), "documented" (by the maker, the file says
    nothing), "measured" (by its timestamps) or "asked" (from the user). `stamps` (n_times,) are the samples' times in
    seconds of any clock, as the file gives them, where it does: the rate is judged by them.
    `stamps_jitter_s` is how far a single stamp may be off (Bluetooth bursts). `rates_told` are rates (Hz) that other
    places tell, by the place's name ("EEG.times", "sidecar sub-01_eeg.json"), held against `sfreq`.
    `lost` is how many samples a counter says never arrived. `events` have onsets in seconds (sample / sfreq) from the
    first sample; `event_source` names where they come from. `marker_events` are those of further sources by name
    (marker streams, marker columns of text), taken beside them; `sidecar_events` those of tables that belong to the
    recording (BIDS's events.tsv), which go before all others.
    """

    data: np.ndarray
    sfreq: float
    ch_names: list[str]
    ch_types: list[str]
    units: list[str | None]
    units_said: str = "declared"
    units_why: str = ""
    sfreq_said: str = "declared"
    stamps: np.ndarray | None = None
    stamps_jitter_s: float = 0.2
    rates_told: dict[str, float] = field(default_factory=dict[str, float])
    lost: int | None = None
    positions: np.ndarray | None = None
    events: list[Event] = field(default_factory=list[Event])
    event_source: str = "annotations"
    marker_events: dict[str, list[Event]] = field(default_factory=dict[str, list[Event]])
    sidecar_events: dict[str, list[Event]] = field(default_factory=dict[str, list[Event]])
    segments: tuple[int, ...] = (0,)
    reference: str = "as recorded"
    dropped: dict[str, str] = field(default_factory=dict[str, str])
    notes: list[str] = field(default_factory=list[str])
    companions: tuple[Path, ...] = ()
    stim_mask: int | None = None
    # our own files were judged before they were written: they come back exactly as they went
    judged: bool = False
    saved_source: dict[str, Any] | None = None


class NoEeg(ValueError):  # noqa: N818 (what the file is, not a fault of the program)
    """A file can be read and holds no EEG: motion, band powers, markers or other signals only."""


@dataclass(frozen=True)
class Head:
    """The beginning of a file, by which readers recognise their own: its path and its first bytes (at most 64 KiB).

    For a gzip file the bytes are the unpacked ones and `path` has lost its `.gz`.
    """

    path: Path
    start: bytes

    def lines(self, most: int = 40) -> list[str]:
        """Return the first lines as text without line ends; none where the bytes are no text."""
        if b"\x00" in self.start:
            return []
        whole = text_lines(self.start.decode("utf-8-sig", errors="replace"))
        return whole[:most]

    def holds(self, word: bytes) -> bool:
        """Say whether a word stands in the file: in its beginning, or anywhere where it lies unpacked on disk.

        Of a large file the first and the last 64 MiB are looked at.
        """
        if word in self.start:
            return True
        if not self.path.is_file() or not self.start:
            return False
        with open(self.path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
            last = max(len(whole) - SEARCHED_BYTES, 0)
            return whole[: len(self.start)] == self.start and (
                whole.find(word, 0, SEARCHED_BYTES) >= 0 or whole.find(word, last) >= 0
            )


@dataclass(frozen=True)
class Reader:
    """One family of files: its name, the suffixes it answers to, its function, and a line about it.

    read(path, options) returns `Signals`. recognises(head) says whether the content is of this family; `looked_for`
    says in words what it looks for ("EDF: version 0 in the first eight bytes"). A reader without `recognises` is chosen
    by suffix or by name only. `general`: it knows what many programs write (tables, HDF5), so that its word counts
    only where no other reader knows the file. `isolated`: its parser can take the interpreter down, so it runs in a
    child process. `folder`: it reads folders (EGI's .mff).
    """

    name: str
    suffixes: tuple[str, ...]
    read: Callable[[Path, ReadOptions], Signals]
    description: str
    recognises: Callable[[Head], bool] | None = None
    looked_for: str = ""
    general: bool = False
    isolated: bool = False
    folder: bool = False
