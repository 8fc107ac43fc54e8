"""One store seen in other frequency bands: from the data set's own files, from its recordings, or window by window."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from core.preprocessing.config import PreprocessingConfig
from core.preprocessing.continuous import prepare_continuous
from core.preprocessing.trials import Trials
from core.preprocessing.windows import cut_windows
from core.recording import Recording

from ..datasets import DATASETS
from ..store.dataset import Session
from ..store.store import TrialStore
from .plain_decoder import READ, features_of

# What the PeRCeiVe data set is published in, hertz.
BANDS: dict[str, tuple[float, float] | None] = {
    "raw": None, "5-95": (5.0, 95.0), "14-70": (14.0, 70.0), "55-95": (55.0, 95.0),
}  # fmt: skip
HIGHEST = 0.45  # of the sampling rate: up to there a filter still has room to fall
NARROWEST_HZ = 5.0


@dataclass(frozen=True)
class View:
    """The features (n, d) of a store's trials in one band, or None and why in `note`."""

    name: str
    features: np.ndarray | None
    note: str


def band_views(store: TrialStore, trials: Trials, source: Path | None = None) -> Iterator[View]:
    """Yield a view for each of BANDS, one in memory at a time.

    `cvpr40` is read from its four files. Else recordings are filtered before they are cut where they can be had: the
    phantom is simulated again, others need `source`; without it the store's windows are filtered one by one.
    """
    name = store.info.get("provenance", {}).get("dataset", "")
    for band, edges in BANDS.items():
        try:
            if name == "cvpr40":
                yield _published(store, trials, band, source)
            elif name in DATASETS and (source is not None or not DATASETS[name].needs_source):
                yield _from_recordings(store, trials, band, edges, source)
            else:
                yield _from_windows(store, trials, band, edges)
        except (ValueError, OSError) as error:
            yield View(band, None, " ".join(str(error).split()))


def edges_within(edges: tuple[float, float], sfreq: float, held: float | None) -> tuple[float, float, str]:
    """Return the part of a band that data at `sfreq` can hold, low-passed at `held` Hz or not, and a note.

    Raises ValueError where less than 5 Hz is left.
    """
    low, high = edges
    limits = {f"the sampling rate of {sfreq:g} Hz": HIGHEST * sfreq}
    if held is not None:
        limits[f"the low-pass at {held:g} Hz"] = held
    why, limit = min(limits.items(), key=lambda item: item[1])
    top = min(high, limit)
    if top - low < NARROWEST_HZ:
        raise ValueError(f"impossible here: {low:g} to {high:g} Hz lies above what {why} leaves ({limit:g} Hz)")
    return low, top, "" if top == high else f"{low:g} to {top:g} Hz: {why} leaves no more"


def _published(store: TrialStore, trials: Trials, band: str, source: Path | None) -> View:
    from ..datasets import cvpr40

    provenance = store.info["provenance"]
    folder = source or Path(provenance["source"])
    kept = {name: provenance["options"][name] for name in ("splits", "split", "subject", "sd_uv")}
    options = cvpr40.Cvpr40Options(band=band, **kept)
    sessions = cvpr40.DATASET.sessions(folder, options)
    features = _of_sessions(store, trials, sessions, store.config)
    return View(band, features, f"{cvpr40.signals_file(folder, options).name}")


def _from_recordings(
    store: TrialStore, trials: Trials, band: str, edges: tuple[float, float] | None, source: Path | None
) -> View:
    config, note = replace(store.config, l_freq=None, h_freq=None, reject_uv=None), "unfiltered"
    if edges is not None:
        low, high, note = edges_within(edges, config.sfreq, None)
        config = replace(config, l_freq=low, h_freq=high)
    provenance = store.info["provenance"]
    dataset = DATASETS[provenance["dataset"]]
    known = {field.name for field in fields(dataset.options)}
    told = {name: _tuples(value) for name, value in provenance["options"].items() if name in known}
    sessions = dataset.sessions(source, dataset.options(**told))
    return View(band, _of_sessions(store, trials, sessions, config), note)


def _of_sessions(
    store: TrialStore, trials: Trials, sessions: Sequence[Session], config: PreprocessingConfig
) -> np.ndarray:
    """Return the features of the store's trials, cut from their recordings where they were cut before."""
    by_key = {session.key: session for session in sessions}
    features, start = [], 0
    for key, entry in sorted(store.info["sessions"].items()):
        rows = np.arange(start, start + int(entry["n_trials"]))
        start += len(rows)
        if not len(rows):
            continue
        if key not in by_key:
            raise ValueError(f"the source has no recording {key!r}, which the store was made from")
        recording, shown = by_key[key].load()
        there = {(round(row["onset"], 6), row["label"]) for row in shown if not row.get("refused")}
        wanted = [(round(float(trials.onset[i]), 6), trials.labels[trials.label[i]]) for i in rows]
        if lost := [one for one in wanted if one not in there]:
            raise ValueError(f"recording {key!r} differs from the store's: nothing labelled {lost[0][1]} at its time")
        windows = cut_windows(prepare_continuous(recording, config), trials.onset[rows], config)
        if not windows.kept.all():
            raise ValueError(f"recording {key!r} is shorter than the one the store was made from")
        features.append(features_of(windows.data))
    return np.concatenate(features)


def _from_windows(store: TrialStore, trials: Trials, band: str, edges: tuple[float, float] | None) -> View:
    stored = store.config
    held = " to ".join("-" if edge is None else f"{edge:g}" for edge in (stored.l_freq, stored.h_freq))
    if edges is None:
        note, filtered = f"as prepared ({held} Hz)", None
    else:
        low, high, note = edges_within(edges, stored.sfreq, stored.h_freq)
        note = f"windows filtered one by one{'; ' + note if note else ''}"
        filtered = replace(stored, l_freq=low, h_freq=high, notch=(), reference="none", tmin=0.0, baseline=None)
        filtered = replace(filtered, tmax=stored.n_times / stored.sfreq)
    parts = []
    for start in range(0, len(trials), READ):
        windows = np.asarray(trials.eeg[start : min(start + READ, len(trials))])
        parts.append(features_of(windows if filtered is None else filter_windows(windows, filtered)))
    return View(band, np.concatenate(parts), note)


def filter_windows(windows: np.ndarray, config: PreprocessingConfig) -> np.ndarray:
    """Return windows (n, n_channels, n_times) filtered as `config` says, each by itself."""
    n, n_channels, n_times = windows.shape
    data = windows.transpose(1, 0, 2).reshape(n_channels, -1)
    one = Recording(data, config.sfreq, config.ch_names, segments=tuple(range(0, n * n_times, n_times)))
    return prepare_continuous(one, config).data.reshape(n_channels, n, n_times).transpose(1, 0, 2)


def _tuples(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value
