"""The same EEG in two trials: whole windows, or a channel of them, equal up to scale and offset."""

import numpy as np

from ..check import Check, not_checked
from ..leak_input import LeakInput

NAME = "same EEG in two trials"
MAX_TRIALS, READ, MAX_CHANNELS = 65_536, 256, 8
MIN_SAMPLES = 16
N_CELL, N_SURE = 4, 12  # projections that find pairs, and that confirm them
CELL, CLOSE = 0.01, 0.002


def check_same_window(given: LeakInput) -> Check:
    """Check that no two trials hold the same EEG, in all channels or in one, whatever its scale and offset.

    Windows of unit length are projected on random directions; those that fall together in all of them are equal.
    """
    if not given.has_windows:
        return not_checked(NAME, "the windows are not at hand")
    rows = given.used
    if given.trials.eeg.shape[2] < MIN_SAMPLES or len(rows) < 2:
        return not_checked(NAME, "there are too few trials or samples")
    n_all = len(rows)
    if n_all > MAX_TRIALS:
        rows = rows[np.linspace(0, n_all - 1, MAX_TRIALS).astype(int)]
    found = np.concatenate([_pairs(prints) for prints in _prints(given, rows)])
    first, second = rows[found[:, 0]], rows[found[:, 1]]
    other = (given.unit[first] != given.unit[second]) | (given.trials.onset[first] != given.trials.onset[second])
    n = len(np.unique(np.concatenate([first[other], second[other]])))
    of = f"{len(rows)} trials" + (f" (of {n_all})" if n_all > len(rows) else "")
    if n:
        pairs = list(zip(first[other][:1].tolist(), second[other][:1].tolist(), strict=True))
        crossed = int((given.part[first] != given.part[second])[other].sum())
        where = f", {crossed} pairs of them in two splits" if len(given.rows) > 1 else ""
        example = f"for example trials {pairs[0][0]} and {pairs[0][1]}"
        sentence = f"{n} of {of} hold EEG that another one holds too{where}; {example}."
        return Check(NAME, False, n / len(rows), sentence)
    return Check(NAME, True, 0.0, f"No two of {of} hold the same EEG.")


def _prints(given: LeakInput, rows: np.ndarray) -> list[np.ndarray]:
    """Return projections (n, N_CELL + N_SURE) of the windows, and of up to eight channels; NaN where nothing varies."""
    _, n_channels, n_times = given.trials.eeg.shape
    rng = np.random.default_rng(7)
    directions = rng.normal(size=(n_times, N_CELL + N_SURE)) / np.sqrt(n_times)
    # smooth directions: EEG has next to nothing in the highest frequencies
    directions = np.apply_along_axis(lambda column: np.convolve(column, np.ones(5), "same"), 0, directions)
    directions -= directions.mean(axis=0)
    channels = np.unique(np.linspace(0, n_channels - 1, min(n_channels, MAX_CHANNELS)).astype(int))
    weights = rng.normal(size=n_channels)
    whole, single = [], []
    for start in range(0, len(rows), READ):
        eeg = np.asarray(given.trials.eeg[rows[start : start + READ]], dtype=np.float64)
        eeg = eeg - eeg.mean(axis=2, keepdims=True)
        projected = eeg @ directions  # (n, channels, projections)
        power = (eeg**2).sum(axis=2)
        size = np.sqrt(power.sum(axis=1))
        whole.append(_over(np.einsum("ncp,c->np", projected, weights), size))
        single.append(_over(projected[:, channels], np.sqrt(power[:, channels])))
    if n_channels == 1:
        return [np.concatenate(whole)]
    each = np.concatenate(single)
    return [np.concatenate(whole), *(each[:, i] for i in range(len(channels)))]


def _over(values: np.ndarray, size: np.ndarray) -> np.ndarray:
    usable = size > 1e-12
    scaled = values / np.where(usable, size, 1.0)[..., None]
    # a mirrored copy is one too
    scaled = scaled * np.where(scaled[..., :1] < 0, -1.0, 1.0)
    return np.where(usable[..., None], scaled, np.nan)


def _pairs(prints: np.ndarray) -> np.ndarray:
    """Return numbers (n_pairs, 2) of rows that are equal in all projections."""
    usable = np.flatnonzero(np.isfinite(prints).all(axis=1))
    spread = max(float(prints[usable].std()) if len(usable) else 0.0, 1e-12)
    found = []
    for shift in (0.0, 0.5):
        cells = np.floor(prints[usable, :N_CELL] / (CELL * spread * 10) + shift).astype(np.int64)
        _, cell = np.unique(cells, axis=0, return_inverse=True)
        order = usable[np.argsort(cell.reshape(-1), kind="stable")]
        sorted_cell = np.sort(cell.reshape(-1))
        for apart in (1, 2, 3):
            same = np.flatnonzero(sorted_cell[apart:] == sorted_cell[:-apart])
            a, b = order[same], order[same + apart]
            close = np.abs(prints[a] - prints[b]).max(axis=1) < CLOSE * spread if len(a) else np.zeros(0, bool)
            found.append(np.stack([np.minimum(a[close], b[close]), np.maximum(a[close], b[close])], axis=1))
    return np.unique(np.concatenate(found), axis=0)
