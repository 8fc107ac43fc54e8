"""Trigger channel: does a channel jump within thirty milliseconds of the onset, as no cortex does?"""

import numpy as np

from ..check import ALPHA, Check, not_checked
from ..evidence.recording_evidence import JUMP_S
from ..leak_input import LeakInput
from ..permutation import permutation_p

NAME = "channel that carries the trigger"
MIN_TRIALS, MAX_CHANNELS = 20, 512
STRONG = 1.0  # SDs of a single moment: a mean jump that large would show the onset in one trial
AFTER_S, EARLY_S, LATE_S = (0.0, 0.010), (-0.045, -0.025), (0.040, 0.050)


def check_trigger(given: LeakInput) -> Check:
    """Check that no channel jumps at the onset: by as much as tells the class, or more than single moments differ.

    The step from 30 to 10 ms before the onset to the first, second and third 10 ms after it, since displays, sensors
    and amplifiers lag; an answer of the cortex takes 40 ms or more. Of recordings it is taken before any filter, of
    windows, whose filters smear, within 10 ms.
    """
    rows, jump = given.evidence_rows("jump")
    usual, n_channels, reach = None, given.trials.eeg.shape[1], 10
    if len(rows):
        usual, n_channels = given.usual_jump, jump.shape[1] // len(JUMP_S)
        reach = round(JUMP_S[-1][1] * 1000)
    else:
        rows, jump = _of_windows(given)
    there = np.isfinite(jump).all(axis=1) if len(rows) else np.zeros(0, dtype=bool)
    rows, jump = rows[there], jump[there]
    label = given.trials.label[rows]
    if len(rows) < MIN_TRIALS:
        return not_checked(NAME, "what happens right at the onset is not at hand")
    unit = given.unit[rows]
    p, figure, channel = _told_by_jump(jump, label, unit, given.seed)
    if p <= ALPHA:
        sentence = f"Channel {channel % n_channels + 1} tells the class within {reach} ms of the onset"
        beside = f"({figure:+.1f} SD from shuffled, p = {p:.2g})"
        return Check(NAME, False, figure, f"{sentence} {beside}: it carries a trigger.")
    if usual is not None:
        size = np.abs(np.median(jump, axis=0)) / np.where(usual > 0, usual, np.inf)
        strongest = int(size.argmax())
        if size[strongest] > STRONG:
            by = f"{size[strongest]:.1f} SD of a single moment, within {reach} ms"
            sentence = f"Channel {strongest % n_channels + 1} jumps at the onset by {by}: it carries a trigger."
            return Check(NAME, False, float(size[strongest]), sentence)
    return Check(NAME, True, figure, f"No channel tells the class within {reach} ms of the onset (p = {p:.2g}).")


def _told_by_jump(jump: np.ndarray, label: np.ndarray, unit: np.ndarray, seed: int) -> tuple[float, float, int]:
    """Return p, the excess and the channel of the largest share of a channel's jumps that the class explains."""
    classes, label = np.unique(label, return_inverse=True)
    label = label.reshape(-1)
    if len(classes) < 2 or len(classes) > len(label) / 3:
        return 1.0, 0.0, 0
    jump = jump[:, : len(JUMP_S) * MAX_CHANNELS].astype(np.float64)
    for number in np.unique(unit):
        jump[unit == number] -= np.median(jump[unit == number], axis=0)
    size = np.median(np.abs(jump), axis=0) * 1.4826
    size = np.where(size > 0, size, jump.std(axis=0))
    jump = np.clip(jump / np.where(size > 0, size, 1.0), -6, 6)
    counts = np.bincount(label)
    starts = np.r_[0, np.cumsum(counts)[:-1]]

    def statistic(given: np.ndarray) -> np.ndarray:
        order = np.argsort(given, kind="stable")
        sums = np.add.reduceat(jump[order], starts)
        return (sums**2 / counts[:, None]).sum(axis=0)

    p, excess = permutation_p(statistic, label, unit, seed)
    return p, float(excess.max()), int(excess.argmax())


def _of_windows(given: LeakInput) -> tuple[np.ndarray, np.ndarray]:
    nothing = np.zeros(0, dtype=np.int64), np.zeros((0, 1))
    if not given.has_windows or given.sfreq is None:
        return nothing
    n_times, rate = given.trials.eeg.shape[2], given.sfreq

    def samples(span: tuple[float, float]) -> np.ndarray:
        first = int(np.ceil((span[0] - given.tmin) * rate - 1e-6))
        last = max(int(np.ceil((span[1] - given.tmin) * rate - 1e-6)), first + 1)
        return np.arange(first, last) if first >= 0 and last <= n_times else np.zeros(0, dtype=int)

    at, early, late = samples(AFTER_S), samples(EARLY_S), samples(LATE_S)
    beside = early if len(early) else late
    if not len(at) or not len(beside):
        return nothing
    rows = given.used
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), 6000)).astype(int))]
    parts = []
    for part in np.array_split(rows, len(rows) // 256 + 1):
        eeg = np.asarray(given.trials.eeg[part], dtype=np.float64)
        parts.append(eeg[:, :, at].mean(axis=2) - eeg[:, :, beside].mean(axis=2))
    return rows, np.concatenate(parts)
