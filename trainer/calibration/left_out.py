"""What an encoder says of trials it was not trained on, single and averaged, for its calibration; and the evidence it
keeps of its training.
"""

from dataclasses import dataclass, field, replace

import numpy as np
import torch

from core.evidence.kept import AVERAGED, Evidence
from core.evidence.scores import cancelled
from core.fitting.calibration import LeftOut, calibrate
from core.fitting.evidence import Windows, fit_evidence
from core.leaks.check import Check, that_leak
from core.model.checkpoint import EegEncoder
from core.model.prediction import predict
from core.preprocessing.trials import Trials

from ..targets.target import Target

WANTED = 200  # means of each number of repeats
MOST_TRIALS = 4000  # that means are made of, in each fold
MOST_DRAWS = 4  # times that the same trials are dealt into other groups


@dataclass(eq=False)
class LeftOutTrials:
    """Gathers, fold by fold, what encoders say of trials they had not seen: as they are used, and as means of 1, 2, 4,
    8 and 16 presentations.
    """

    targets: dict[str, Target]
    _parts: list[tuple[int, Trials, dict[str, torch.Tensor], np.ndarray]] = field(default_factory=list)
    _empty: list[tuple[int, dict[str, torch.Tensor], np.ndarray]] = field(default_factory=list)

    def add(
        self, encoder: EegEncoder, trials: Trials, rows: np.ndarray, at_use: Trials, run: int | None = None
    ) -> None:
        """Decode the single presentations in these rows, and them as they are used. run: a number for all of them; None
        takes their own runs.
        """
        if not len(rows):
            return
        self._decode(0, encoder, at_use, run)
        single = trials.unread(_some(trials.select_columns(rows), rows))
        usual = int(np.median(at_use.repeats))
        if (single.repeats > 1).any():
            return  # what was averaged when it was stored cannot be taken apart
        for averaged in AVERAGED:
            self._cancel(averaged, encoder, single, run)
            if averaged == usual:
                continue
            found = 0
            for draw in range(MOST_DRAWS if averaged > 1 else 1):
                means = single.average_repeats(at_most=averaged, seed=draw) if averaged > 1 else single
                means = means.select(means.repeats == averaged)
                self._decode(averaged, encoder, means, run)
                found += len(means)
                if not len(means) or found >= WANTED:
                    break

    def _cancel(self, averaged: int, encoder: EegEncoder, single: Trials, run: int | None) -> None:
        """Decode means of windows in which what was shown had been cancelled, run by run; a picture's repeats may lie
        in several runs, so a run is all there is where they are few.
        """
        runs = run_numbers(single) if run is None else np.full(len(single), run)
        picture = single.groups("subject", "image_id")[1]
        within = np.mean([len(np.unique(picture[runs == one])) < 0.75 * (runs == one).sum() for one in np.unique(runs)])
        runs = runs if within > 0.5 else np.zeros(len(single), dtype=np.int64) + (run or 0)
        for one in np.unique(runs):
            rows = np.flatnonzero(runs == one)
            empty = cancelled(np.asarray(single.eeg[rows]), picture[rows], averaged, int(one))
            if len(empty):
                who = np.unique(single.subject[rows])
                people = np.repeat(who, len(empty)) if len(who) == 1 else None  # several people's cancel into no one's
                self._empty.append((averaged, predict(encoder, empty, people=people), np.full(len(empty), one)))

    def _nothing(self) -> list[LeftOut]:
        found: list[LeftOut] = []
        for averaged in AVERAGED:
            parts = [part for part in self._empty if part[0] == averaged]
            if parts:
                outputs = {space: torch.cat([part[1][space] for part in parts]) for space in parts[0][1]}
                run = np.concatenate([part[2] for part in parts])
                found.append(LeftOut(outputs, torch.zeros(len(run), dtype=torch.int64), {}, averaged, run))
        return found

    def _decode(self, averaged: int, encoder: EegEncoder, trials: Trials, run: int | None) -> None:
        if not len(trials):
            return
        runs = run_numbers(trials) if run is None else np.full(len(trials), run)
        outputs = predict(encoder, np.asarray(trials.eeg), people=trials.subject)
        self._parts.append((averaged, trials.select_columns(np.arange(len(trials))), outputs, runs))

    def calibrate(self, encoder: EegEncoder) -> None:
        """Calibrate an encoder on what was gathered; nothing happens where that is nothing."""
        gathered = {
            averaged: self._joined(averaged)
            for averaged in (0, *AVERAGED)
            if any(p[0] == averaged for p in self._parts)
        }
        if 0 not in gathered:
            return
        held = gathered.pop(0)
        calibrate(
            encoder,
            held.outputs,
            held.label,
            held.targets,
            averaged=held.averaged,
            run=held.run,
            others=list(gathered.values()),
            nothing=self._nothing(),
        )

    def _joined(self, averaged: int) -> LeftOut:
        parts = [part for part in self._parts if part[0] == averaged]
        outputs = {space: torch.cat([part[2][space] for part in parts]) for space in parts[0][2]}
        label = np.concatenate([part[1].label for part in parts])
        rows = {space: np.concatenate([t.rows(part[1]) for part in parts]) for space, t in self.targets.items()}
        wanted = {space: (self.targets[space].values, of) for space, of in rows.items()}
        repeats = int(np.median(np.concatenate([part[1].repeats for part in parts])))
        run = np.concatenate([part[3] for part in parts])
        return LeftOut(outputs, torch.from_numpy(label), wanted, averaged or repeats, run)


def _some(columns: Trials, rows: np.ndarray) -> np.ndarray:
    """Return rows enough for means of every number of repeats, as many of each picture: memory must not grow with the
    trials.
    """
    if len(rows) <= MOST_TRIALS:
        return rows
    _, picture = columns.groups("subject", "image_id", "split")
    drawn = np.random.default_rng(0).permutation(len(rows))
    order = drawn[np.argsort(picture[drawn], kind="stable")]
    counts = np.bincount(picture)
    place = np.empty(len(rows), dtype=np.int64)
    place[order] = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    each = max(AVERAGED[-1], MOST_TRIALS // len(counts))
    kept = np.flatnonzero(place < each)
    return np.sort(rows[kept[np.argsort(picture[kept], kind="stable")][:MOST_TRIALS]])


def run_numbers(trials: Trials) -> np.ndarray:
    """Return a number for each trial's run (n,)."""
    return trials.select_columns(np.arange(len(trials))).groups("subject", "session", "run")[1]


def evidence_of(trials: Trials, rows: np.ndarray, encoder: EegEncoder) -> Evidence | None:
    """Return the evidence of the training trials in these rows, as they were stored; None where they are too few."""
    run = run_numbers(trials.select_columns(rows))
    order = np.lexsort((trials.onset[rows], run))
    found = fit_evidence(_Rows(trials.eeg, rows[order]), run[order], encoder.preprocessing)
    labels = trials.labels if encoder.head().config.kind == "prompts" else ()
    return replace(found, labels=labels) if found is not None else None


def note_leaks(encoder: EegEncoder, checks: list[Check]) -> None:
    """Let an encoder keep which leak checks its training data failed: its confidence is 0 from then on."""
    if encoder.evidence is not None:
        encoder.evidence = replace(encoder.evidence, leaks=that_leak(checks))


class _Rows:
    """Rows of an array that may lie on disk, read as they are asked for."""

    def __init__(self, eeg: Windows, rows: np.ndarray) -> None:
        self._eeg, self._rows = eeg, rows

    def __getitem__(self, chosen: np.ndarray) -> np.ndarray:
        return np.asarray(self._eeg[self._rows[chosen]])
