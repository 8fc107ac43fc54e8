"""How well labels can be told from EEG windows by a classical decoder that never saw the run it is tested on."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from core.scoring.design import exchangeable_units, stretches
from core.scoring.intervals import auc_influences, interval_of_influences
from core.scoring.permutations import SHARED_BY_LINEAR, null_of
from core.scoring.scores import auc_of_ranks, mean_ranks

MIN_TRIALS, MIN_PER_LABEL, MAX_LABELS, MAX_TRIALS = 20, 5, 50, 3000
N_STRETCHES, N_BINS = 5, 8
N_CLASSES, N_FILTERS = 4, 3
PERMUTATIONS = 1000
LEAST_LOG = -700.0
ARTEFACT = 5.0  # times the median peak to peak


@dataclass(frozen=True)
class Decodability:
    """A cross-validated ROC-AUC (`value`, chance 0.5; of several labels the mean of each against the rest).

    interval: 95 %. p_value: labels shuffled inside what was held out, by whole blocks where they were shown in blocks.
    each: by held-out part. A value of None was not measured; `note` says why, or what is to be known beside it.
    """

    value: float | None
    interval: tuple[float, float] | None = None
    p_value: float | None = None
    n_trials: int = 0
    labels: tuple[str, ...] = ()
    each: dict[str, float] = field(default_factory=dict)
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON holds them."""
        return asdict(self)

    def text(self) -> str:
        """Return the figures in a few words."""
        if self.value is None or self.interval is None:
            return f"not measured: {self.note}"
        low, high = self.interval
        return f"ROC-AUC {self.value:.3f} (95 % {low:.3f} to {high:.3f}, chance 0.5, p = {self.p_value:.2g})"


def decode_labels(
    windows: np.ndarray,
    label: np.ndarray,
    labels: Sequence[str],
    person: np.ndarray,
    run: np.ndarray,
    onset: np.ndarray,
    apart_s: float,
    seed: int = 0,
) -> Decodability:
    """Return how well held-out labels are told from windows (n, n_channels, n_times) in volts.

    label: int (n,), into `labels`. person, run: (n,), of any kind; onset: (n,) seconds. A person's whole runs are held
    out one at a time; a single run in five stretches of time, without the trials within apart_s of the stretch. The
    decoder is logistic regression on Xdawn covariances in tangent space and on channels averaged in eight bins of
    time. Windows over five times the median peak-to-peak amplitude and labels with less than five trials are left out.
    """
    windows = np.asarray(windows)
    peaks = np.ptp(windows, axis=2).max(axis=1) if len(windows) else np.zeros(0)
    usable = peaks <= ARTEFACT * np.median(peaks) if len(peaks) else np.zeros(0, dtype=bool)
    counts = np.bincount(label[usable], minlength=len(labels))
    known = np.flatnonzero(counts >= MIN_PER_LABEL)
    chosen = np.flatnonzero(usable & np.isin(label, known))
    if len(known) == 1 and len(set(label.tolist())) == 1:
        return Decodability(
            None, note=f"there is one label only, {labels[int(known[0])]!r}, so nothing can be told apart"
        )
    if len(known) < 2 or len(chosen) < MIN_TRIALS:
        return Decodability(
            None,
            note=f"{len(chosen)} usable trials of {len(known)} labels; it takes {MIN_TRIALS} trials, two labels and "
            f"{MIN_PER_LABEL} trials of each",
        )
    if len(known) > MAX_LABELS:
        return Decodability(None, note=f"{len(known)} labels; this estimate is for at most {MAX_LABELS}")
    if len(chosen) > MAX_TRIALS:
        chosen = chosen[np.linspace(0, len(chosen) - 1, MAX_TRIALS).astype(int)]
    truth = np.searchsorted(known, label[chosen])
    data = windows[chosen]
    folds = _folds(person[chosen], run[chosen], onset[chosen], apart_s)
    scores, part = np.full((len(chosen), len(known)), np.nan), np.full(len(chosen), "", dtype=object)
    for name, held, train in folds:
        if len(np.unique(truth[train])) < 2:
            continue
        scores[held] = _fit_and_score(data, truth, train, held, len(known))
        part[held] = name
    tested = np.flatnonzero(np.isfinite(scores).all(axis=1))
    groups = [
        rows for name in dict.fromkeys(part[tested].tolist()) if _mixed(truth[rows := tested[part[tested] == name]])
    ]
    if not groups:
        return Decodability(None, note="every run holds one label only, so none can be tested by the others")
    names = tuple(labels[int(i)] for i in known)
    return _figures(scores, truth, groups, part, names, len(label) - len(chosen), seed, person[chosen])


def mean_auc(ranks: Sequence[np.ndarray], truth: Sequence[np.ndarray]) -> float:
    """Return the ROC-AUC averaged over labels and then over groups of trials, each group as heavy as its trials.

    ranks: of each group, the ranks of every label's scores (n, n_labels) among its trials; truth: its labels (n,).
    """
    values = [_auc(rank, own) for rank, own in zip(ranks, truth, strict=True)]
    return float(np.average(values, weights=[len(own) for own in truth]))


def _figures(
    scores: np.ndarray,
    truth: np.ndarray,
    groups: list[np.ndarray],
    part: np.ndarray,
    labels: tuple[str, ...],
    n_left_out: int,
    seed: int,
    person: np.ndarray,
) -> Decodability:
    if len(labels) == 2:  # one score for two labels
        scores = (scores[:, 1] - scores[:, 0])[:, None] * np.array([-1.0, 1.0])
    ranks, own = [mean_ranks(scores[rows]) for rows in groups], [truth[rows] for rows in groups]
    value, tested = mean_auc(ranks, own), np.concatenate(groups)
    parts = np.repeat(np.arange(len(groups)), [len(rows) for rows in groups])
    units = exchangeable_units(truth[tested], block=_shown_in_blocks(truth[tested], parts), person=person[tested])
    shuffles = units.within(parts).shuffles(truth[tested], PERMUTATIONS, np.random.default_rng(seed))
    bounds = np.cumsum([len(rows) for rows in groups])[:-1]
    permuted = np.array([mean_auc(ranks, np.split(given, bounds)) for some in shuffles for given in some])
    # parts of one person share training trials; the features' Xdawn knows labels, the samples' means do not
    null = null_of(value, permuted, units, truth[tested], shared=len(groups) > 1, usual=SHARED_BY_LINEAR)
    moved = [
        np.mean([auc_influences(scores[rows, c], truth[rows] == c)[1] for c in np.unique(truth[rows])], axis=0)
        * (len(rows) / len(tested))
        for rows in groups
    ]
    low, high = interval_of_influences(
        value, np.concatenate(moved), units.unit, truth[tested], null.spread_at(value, permuted)
    )
    return Decodability(
        value,
        (float(low), float(high)),
        null.p_value,
        sum(map(len, groups)),
        labels,
        {str(part[rows[0]]): _auc(rank, truth[rows]) for rank, rows in zip(ranks, groups, strict=True)},
        f"{n_left_out} trials left out (far larger than usual, or of labels with few trials)" if n_left_out else "",
    )


def _auc(ranks: np.ndarray, truth: np.ndarray) -> float:
    each = auc_of_ranks(ranks, truth[:, None] == np.arange(ranks.shape[1]))
    return float(each[~np.isnan(each)].mean())


def _shown_in_blocks(truth: np.ndarray, part: np.ndarray) -> np.ndarray | None:
    """Return each trial's stretch of one label inside its part (n,), in the trials' order; None where labels mix."""
    found, start = np.zeros(len(truth), dtype=np.int64), 0
    for number in np.unique(part):
        rows = np.flatnonzero(part == number)
        block = stretches(truth[rows], len(np.unique(truth[rows])))
        if block is None:
            return None
        found[rows] = block + start
        start += block.max() + 1
    return found


def _mixed(truth: np.ndarray) -> bool:
    return len(np.unique(truth)) > 1


def _folds(
    person: np.ndarray, run: np.ndarray, onset: np.ndarray, apart_s: float
) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Return for each part its name, the trials held out and those trained on, all of one person."""
    found = []
    for who in dict.fromkeys(person.tolist()):
        own = np.flatnonzero(person == who)
        runs = list(dict.fromkeys(run[own].tolist()))
        if len(runs) > 1:
            for name in runs:
                found.append((str(name), own[run[own] == name], own[run[own] != name]))
            continue
        order = own[np.argsort(onset[own], kind="stable")]
        for i, held in enumerate(np.array_split(order, N_STRETCHES)):
            if not len(held):
                continue
            first, last = onset[held].min() - apart_s, onset[held].max() + apart_s
            train = order[(onset[order] < first) | (onset[order] > last)]
            if len(train):
                found.append((f"{runs[0]}, part {i + 1} of {N_STRETCHES}", held, train))
    return found


def _fit_and_score(
    data: np.ndarray, truth: np.ndarray, train: np.ndarray, held: np.ndarray, n_labels: int
) -> np.ndarray:
    """Return each held-out trial's log probability of each label (n, n_labels)."""
    from sklearn.linear_model import LogisticRegression

    features = _features(data, truth, train, np.concatenate([train, held]))
    fitted = LogisticRegression(C=1.0, max_iter=2000).fit(features[: len(train)], truth[train])
    found = np.full((len(held), n_labels), LEAST_LOG)  # for a label that the training part lacks
    found[:, fitted.classes_] = np.maximum(fitted.predict_log_proba(features[len(train) :]), LEAST_LOG)
    return found


def _features(data: np.ndarray, truth: np.ndarray, train: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the features of `rows`, of which those of `train` come first: all that is fitted, is fitted to these."""
    import torch

    from core.encoders.tangent import TangentConfig, fit_tangent

    n_channels, n_times = data.shape[1:]
    # microvolts: covariances of volts squared lie near the smallest numbers
    eeg = torch.from_numpy(np.asarray(data[rows], dtype=np.float64) * 1e6)
    config = TangentConfig(
        n_channels=n_channels,
        n_times=n_times,
        n_classes=min(len(np.unique(truth[train])), N_CLASSES),
        n_filters=min(max(n_channels // 2, 1), N_FILTERS),
    )
    tangent = fit_tangent(eeg[: len(train)], truth[train], config)
    tokens = torch.cat([tangent(part).flatten(1) for part in eeg.split(256)]).numpy()
    bins = np.array_split(np.arange(n_times), min(N_BINS, n_times))
    means = np.concatenate([eeg[:, :, b].mean(2).numpy() for b in bins], axis=1)
    center, spread = means[: len(train)].mean(axis=0), means[: len(train)].std(axis=0)
    # together as heavy as one of the tangent space's features
    means = (means - center) / np.where(spread > 0, spread, 1.0) / np.sqrt(means.shape[1])
    return np.concatenate([tokens, means], axis=1)
