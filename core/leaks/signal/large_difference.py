"""Implausible difference: is one class's EEG far larger, smaller or further off than the others'?"""

import numpy as np

from ..check import ALPHA, Check, not_checked
from ..leak_input import LeakInput
from ..permutation import permutation_p

NAME = "implausibly large class difference"
MAX_TRIALS, MIN_TRIALS, MIN_EACH, MAX_CLASSES, MAX_RUNS = 4000, 20, 8, 40, 60
RATIO, LEAST_V = 1.3, 4e-6  # amplitude of one class over the others', and how many volts apart at least
N_BINS = 8  # of a window: means of tenths of a second, which a look to a side fills
APART, LEAST_APART_V = (
    1.5,
    1.5e-5,
)  # SDs of single trials, volts: no answer to a picture is told by one mean of one channel
SURELY = 1.1  # at least so many times in all likelihood, however many classes, channels and runs are looked at


def check_difference(given: LeakInput) -> Check:
    """Check that no class differs from the others in amplitude by more than pictures do in any channel.

    Answers to pictures are a few microvolts in a background of ten or more, which changes a window's amplitude little.
    Eyes that close, muscles that tense or a generator change it by a third and more: a state or a device, which may be
    meant, but is no picture. Eyes that look to another side shift the mean instead, by more than single trials differ.
    """
    if not given.has_windows:
        return not_checked(NAME, "the windows are not at hand")
    rows = given.used
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), MAX_TRIALS)).astype(int))]
    label = given.trials.label[rows]
    classes, counts = np.unique(label, return_counts=True)
    if len(rows) < MIN_TRIALS or (counts >= MIN_EACH).sum() < 2 or len(classes) > MAX_CLASSES:
        return not_checked(NAME, "there are too few trials of each class")
    sizes, means = [], []
    for part in np.array_split(rows, len(rows) // 256 + 1):
        eeg = np.asarray(given.trials.eeg[part], dtype=np.float64)
        sizes.append(eeg.std(axis=2))
        bins = np.array_split(np.arange(eeg.shape[2]), min(N_BINS, eeg.shape[2]))
        means.append(np.stack([eeg[:, :, places].mean(axis=2) for places in bins], axis=2))
    amplitude, mean = np.concatenate(sizes), np.concatenate(means)
    size = np.log(np.maximum(amplitude, 1e-9))
    ranks = size.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable") / len(size)
    label = np.searchsorted(classes, label)
    unit = given.unit[rows]

    runs = [np.flatnonzero(unit == number) for number in np.unique(unit)[:MAX_RUNS]]
    ranks -= ranks.mean(axis=0)

    def told(given_label: np.ndarray, own: np.ndarray) -> np.ndarray:
        sums = np.eye(len(classes))[given_label[own]].T @ ranks[own]
        return (sums**2 / np.maximum(np.bincount(given_label[own], minlength=len(classes)), 1)[:, None]).sum(axis=0)

    whole = np.arange(len(unit))
    p, _ = permutation_p(lambda one: told(one, whole), label, np.zeros_like(unit), given.seed)
    if len(runs) > 1 and p > ALPHA:
        p_run, _ = permutation_p(lambda one: np.array([told(one, own).max() for own in runs]), label, unit, given.seed)
        p = min(p, p_run)
    # in one run alone it would not move the medians of all
    n_looked = len(classes) * amplitude.shape[1] * (1 + len(runs))
    found = [_largest(amplitude[own], label[own], len(classes), n_looked) for own in (whole, *runs)]
    largest, c, channel, own_v, others_v = max(found)
    if p <= ALPHA and largest > RATIO:
        name = given.trials.labels[int(classes[c])]
        sentence = (
            f"Windows of {name!r} differ {largest:.2f}-fold in amplitude from the others in channel {channel + 1} "
            f"({own_v * 1e6:.0f} uV, others {others_v * 1e6:.0f} uV, p = {p:.2g}): "
            "far more than an answer to a picture."
        )
        return Check(NAME, False, largest, sentence)
    apart, c, channel, volts = max(_furthest(mean[own], label[own], len(classes), n_looked) for own in (whole, *runs))
    if apart > APART:
        name = given.trials.labels[int(classes[c])]
        sentence = (
            f"Windows of {name!r} lie {volts * 1e6:.0f} uV from the others in channel {channel + 1}, {apart:.1f} SD of "
            "single trials: far more than an answer to a picture; eyes that look to a side do that, or a drift."
        )
        return Check(NAME, False, apart, sentence)
    return Check(
        NAME, True, largest, f"No class differs implausibly in amplitude (at most {largest:.2f}-fold, p = {p:.2g})."
    )


def _largest(
    amplitude: np.ndarray, label: np.ndarray, n_classes: int, n_looked: int
) -> tuple[float, int, int, float, float]:
    """Return how many times a class is larger or smaller than the others at most, which, where, and both medians.

    Only classes that are so in all likelihood count: the ratio of medians less what chance gives it, at the level that
    so many looks leave to each, lies above `SURELY`.
    """
    from scipy.stats import norm

    z, size = float(norm.isf(ALPHA / 2 / n_looked)), np.log(np.maximum(amplitude, 1e-12))
    best = (1.0, 0, 0, 0.0, 0.0)
    for c in range(n_classes):
        own = label == c
        if own.sum() < MIN_EACH or (~own).sum() < MIN_EACH:
            continue
        middle, others = np.median(amplitude[own], axis=0), np.median(amplitude[~own], axis=0)
        ratio = np.maximum(middle / np.maximum(others, 1e-12), others / np.maximum(middle, 1e-12))
        error = np.hypot(_error_of_median(size[own]), _error_of_median(size[~own]))
        counts = (np.abs(middle - others) >= LEAST_V) & (np.log(np.maximum(ratio, 1.0)) - z * error > np.log(SURELY))
        ratio = np.where(counts, ratio, 1.0)
        channel = int(ratio.argmax())
        best = max(best, (float(ratio[channel]), c, channel, float(middle[channel]), float(others[channel])))
    return best


def _furthest(mean: np.ndarray, label: np.ndarray, n_classes: int, n_looked: int) -> tuple[float, int, int, float]:
    """Return how many SDs of single trials a class's means (n, n_channels, n_bins) lie from the others' at least, in
    all likelihood, which class, in which channel, and by how many volts.
    """
    from scipy.stats import norm

    z, best = float(norm.isf(ALPHA / 2 / (n_looked * mean.shape[2]))), (0.0, 0, 0, 0.0)
    for c in range(n_classes):
        own = label == c
        if own.sum() < MIN_EACH or (~own).sum() < MIN_EACH:
            continue
        gap = np.abs(np.median(mean[own], axis=0) - np.median(mean[~own], axis=0))
        spread = np.sqrt((mean[own].var(axis=0) + mean[~own].var(axis=0)) / 2)
        error = np.hypot(_error_of_median(mean[own]), _error_of_median(mean[~own]))
        sure = np.where(gap >= LEAST_APART_V, gap - z * error, 0.0) / np.maximum(spread, 1e-12)
        at = np.unravel_index(int(sure.argmax()), sure.shape)
        best = max(best, (float(sure[at]), c, int(at[0]), float(gap[at])))
    return best


def _error_of_median(values: np.ndarray) -> np.ndarray:
    """Return the standard error of the median of values (n, ...), as for a Gaussian."""
    spread = np.maximum(1.4826 * np.median(np.abs(values - np.median(values, axis=0)), axis=0), values.std(axis=0) / 2)
    return np.sqrt(np.pi / 2) * spread / np.sqrt(len(values))
