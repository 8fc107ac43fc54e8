"""A recording's labelled events as windows to fit to, and the stretches of time that are left out of a fit."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..encoders import OnePerson, encoder_named
from ..preprocessing.config import PreprocessingConfig
from ..preprocessing.continuous import prepare_continuous
from ..preprocessing.windows import cut_windows
from ..recording import Recording

MAX_SFREQ = 128.0  # responses end below 45 Hz; more samples only cost time
MIN_EVENTS, MIN_PER_LABEL, MAX_LABELS = 20, 5, 1000
N_FOLDS = 5
ARTEFACT = 5.0  # times the median peak-to-peak amplitude


@dataclass(frozen=True)
class LabelledWindows:
    """A recording's labelled events in order of time: what an encoder is fitted to.

    eeg: volts (n, channels, times). label: (n,), an index into `labels`. onset: (n,), seconds. prepared: the recording
    they were cut from. notes: readable lines on what was left out.
    """

    labels: tuple[str, ...]
    eeg: np.ndarray
    label: np.ndarray
    onset: np.ndarray
    config: PreprocessingConfig
    prepared: Recording
    notes: tuple[str, ...]

    def fold(self) -> np.ndarray:
        """Return which stretch each event lies in (n,)."""
        return contiguous_folds(len(self.label))

    def apart_from(self, left_out: np.ndarray) -> np.ndarray:
        """Return which events' windows (n,) bool do not touch those of the events that are left out (n,) bool."""
        length = self.config.tmax - self.config.tmin
        first, last = self.onset[left_out].min(), self.onset[left_out].max()
        return (self.onset < first - length) | (self.onset > last + length)


def labelled_windows(
    recording: Recording,
    captions: Mapping[str, str],
    *,
    tmin: float,
    tmax: float,
    l_freq: float | None,
    h_freq: float | None,
    architecture: str,
    min_per_label: int = MIN_PER_LABEL,
) -> LabelledWindows:
    """Cut the windows of a recording's labelled events as an architecture for one person wants them, artefacts left
    out.

    captions: the labels that are wanted, empty for all. The others are those of `fit_personal_encoder`. Raises
    ValueError where a wanted label does not occur, or labels or events are too few.
    """
    counted = Counter(event.label for event in recording.events)
    listed = ", ".join(f"{one!r} x {n}" for one, n in counted.most_common(20)) or "none"
    if absent := [one for one in captions if one not in counted]:
        raise ValueError(f"no event is labelled {absent[0]!r}; this recording's events: {listed}")
    labels = tuple(captions) if captions else tuple(sorted(counted))
    if not 2 <= len(labels) <= MAX_LABELS:
        raise ValueError(f"an encoder needs 2 to {MAX_LABELS} labels to tell apart; this recording's events: {listed}")
    setup = one_person(architecture)
    config = PreprocessingConfig(
        ch_names=recording.ch_names,
        sfreq=min(recording.sfreq, MAX_SFREQ),
        tmin=tmin,
        tmax=tmax,
        l_freq=l_freq,
        h_freq=h_freq,
        # After a high-pass there is no offset left to take off: the mean of 100 ms would only add its own noise.
        baseline=(tmin, 0.0) if setup.baseline and not l_freq and tmin < 0 < tmax else None,
        scaling=setup.scaling,
        ch_positions=_positions(recording),
    )
    chosen = [event for event in sorted(recording.events, key=lambda e: e.onset) if event.label in labels]
    prepared = prepare_continuous(recording, config)
    windows = cut_windows(prepared, [event.onset for event in chosen], config, keep_rejected=True)
    kept_events = [event for event, kept in zip(chosen, windows.kept, strict=True) if kept]
    # Above several times what is usual lie blinks, coughs and loose electrodes, whatever the headset's scale.
    peaks_uv = np.ptp(windows.data, axis=2).max(axis=1) * 1e6 if len(windows.data) else np.zeros(0)
    limit = float(ARTEFACT * np.median(peaks_uv)) if len(peaks_uv) else 0.0
    clean = peaks_uv <= limit
    config = replace(config, reject_uv=round(limit, 3) or None)
    label = np.array([labels.index(event.label) for event in kept_events], dtype=np.int64)[clean]
    counts = np.bincount(label, minlength=len(labels))
    if len(label) < MIN_EVENTS or counts.min() < min_per_label:
        few = ", ".join(f"{one!r} x {n}" for one, n in zip(labels, counts, strict=True) if n < min_per_label)
        raise ValueError(
            f"{len(label)} usable events are too few: {MIN_EVENTS} in all and {min_per_label} of each label are needed"
            + (f", but there are {few[:200]}" if few else "")
            + f". This recording's events: {listed[:600]}"
        )
    lost = len(chosen) - len(label)
    notes = (f"{lost} of {len(chosen)} windows left out (edges, gaps, over {limit:.0f} µV)",) if lost else ()
    onset = np.array([event.onset for event in kept_events])[clean]
    return LabelledWindows(labels, windows.data[clean], label, onset, config, prepared, notes)


def one_person(architecture: str) -> OnePerson:
    """Return how an architecture is set up for one person's few events."""
    setup = encoder_named(architecture).one_person
    assert setup is not None
    return setup


def _positions(recording: Recording) -> tuple[tuple[float, float, float], ...] | None:
    known = recording.ch_positions
    if known is None or not np.isfinite(known).all():
        return None
    return tuple((float(x), float(y), float(z)) for x, y, z in known)


def contiguous_folds(n: int, n_folds: int = N_FOLDS) -> np.ndarray:
    """Return which of `n_folds` stretches each of n events in order of time lies in (n,).

    Neighbours in time share slow drifts, so leaving out every fifth event would leak.
    """
    return np.arange(n) * n_folds // n
