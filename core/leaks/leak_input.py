"""What every leak check is handed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ..preprocessing.trials import Trials
from .evidence.recording_evidence import RecordingEvidence


@dataclass(frozen=True, eq=False)
class LeakInput:
    """Trials with their split, and what is known of the recordings they were cut from.

    trials: single presentations, whose eeg may lie on disk or be absent (n, 0, 0). parts: `train`, `val`, `test` →
    numbers of trials or masks; empty where nothing is split yet. sfreq (Hz) and tmin (s from the onset) of the windows.
    l_freq: their high-pass (Hz), None for none. recording: (n,) names of the recordings, by default what the trials'
    own columns tell apart. evidence: by recording. pictures: by image id, uint8 (H, W, 3).
    """

    trials: Trials
    parts: Mapping[str, np.ndarray] = field(default_factory=dict)
    sfreq: float | None = None
    tmin: float = 0.0
    l_freq: float | None = None
    recording: np.ndarray | None = None
    evidence: Mapping[str, RecordingEvidence] = field(default_factory=dict)
    pictures: Mapping[str, np.ndarray] = field(default_factory=dict)
    seed: int = 0

    @cached_property
    def rows(self) -> dict[str, np.ndarray]:
        """Numbers of the trials of each part; all of them under `all` where nothing is split."""
        found = {
            name: np.flatnonzero(part) if np.asarray(part).dtype == bool else np.asarray(part, dtype=np.int64)
            for name, part in self.parts.items()
        }
        found = {name: part for name, part in found.items() if len(part)}
        return found or {"all": np.arange(len(self.trials))}

    @cached_property
    def used(self) -> np.ndarray:
        """Numbers of the trials of all parts, in the order of the trials."""
        return np.unique(np.concatenate(list(self.rows.values())))

    @cached_property
    def part(self) -> np.ndarray:
        """Number of the part of each trial (n,), the last one that has it; -1 for none."""
        number = np.full(len(self.trials), -1)
        for i, rows in enumerate(self.rows.values()):
            number[rows] = i
        return number

    @cached_property
    def kind(self) -> np.ndarray:
        """Number of what classes may be shuffled inside (n,): all, or each part where these have their own classes."""
        classes = [np.unique(self.trials.label[rows]) for rows in self.rows.values()]
        same = all(np.array_equal(one, classes[0]) for one in classes)
        return np.zeros_like(self.part) if same else self.part

    @cached_property
    def unit(self) -> np.ndarray:
        """Number of the recording of each trial (n,): its file, and within it the blocks that the trials name."""
        columns = self.trials.select_columns(np.arange(len(self.trials))).groups("subject", "session", "run", "block")
        if self.recording is None:
            return columns[1]
        return pair_numbers(np.unique(self.recording, return_inverse=True)[1], columns[1])

    @cached_property
    def file(self) -> np.ndarray:
        """Number of the recording of each trial (n,), as far as it is known."""
        if self.recording is None:
            return self.trials.select_columns(np.arange(len(self.trials))).groups("subject", "session", "run")[1]
        return np.unique(self.recording, return_inverse=True)[1]

    def evidence_rows(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return numbers of the used trials (m,) of which the evidence knows `name` (before, jump or cue), and its
        values (m, ...).
        """
        rows, values = [], []
        for key, one in self.evidence.items():
            here = self.used if self.recording is None else self.used[self.recording[self.used] == key]
            known = np.round(one.onset, 4)
            place = np.clip(np.searchsorted(known, np.round(self.trials.onset[here], 4)), 0, max(len(known) - 1, 0))
            there = known[place] == np.round(self.trials.onset[here], 4) if len(known) else np.zeros(len(here), bool)
            rows.append(here[there])
            values.append(getattr(one, name)[place[there]] if len(known) else getattr(one, name)[:0])
        if not rows or len({value.shape[1:] for value in values}) > 1:
            return np.zeros(0, dtype=np.int64), np.zeros(0)
        return np.concatenate(rows), np.concatenate(values)

    @property
    def usual_jump(self) -> np.ndarray:
        """What a channel's jumps usually are (n_channels,), the median over recordings, 0 where it is not known."""
        return np.median([one.usual_jump for one in self.evidence.values()], axis=0)

    @property
    def has_windows(self) -> bool:
        """Tell whether there is EEG to look at."""
        return bool(np.prod(self.trials.eeg.shape))


def pair_numbers(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return a number for each distinct pair of two numberings (n,)."""
    return np.unique(a.astype(np.int64) * (int(b.max(initial=0)) + 1) + b, return_inverse=True)[1].reshape(-1)
