"""A store's windows with some of its channels and a part of its time, read only where they are indexed."""

from dataclasses import replace
from typing import Any

import numpy as np

from core.channel_groups import pick_channels
from core.montage import MONTAGES
from core.preprocessing.config import PreprocessingConfig
from core.preprocessing.trials import Trials

ALL, AUTO = "all", "auto"
OCCIPITAL = "things-17"  # P7 ... Oz: what THINGS decoders of one person read


class NarrowedWindows:
    """Looks like a float32 array (n, n_channels, n_times); what is indexed is read whole and cut to `channels` (their
    numbers) and `times` (a slice) then.
    """

    def __init__(self, windows: Any, channels: np.ndarray, times: slice) -> None:
        self._windows, self._channels, self._times = windows, channels, times
        self.shape = (len(windows), len(channels), len(range(windows.shape[2])[times]))
        self.dtype = np.dtype(np.float32)
        self.ndim = 3

    def __len__(self) -> int:
        return self.shape[0]

    def subset(self, chosen: Any) -> "NarrowedWindows":
        """Return the windows that a mask, a slice or numbers choose, still where they lie."""
        inner = getattr(self._windows, "subset", None)
        chosen_windows = self._windows[chosen] if inner is None else inner(chosen)
        return NarrowedWindows(chosen_windows, self._channels, self._times)

    def __getitem__(self, chosen: Any) -> np.ndarray:
        first, *rest = chosen if isinstance(chosen, tuple) else (chosen,)
        cut = np.asarray(self._windows[first])[..., self._channels, self._times]
        whole = (slice(None),) * (cut.ndim - 2)
        return cut[(*whole, *rest)] if rest else np.ascontiguousarray(cut)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("narrowed windows cannot become an array without a copy")
        whole = self[:]
        return whole if dtype is None else whole.astype(dtype, copy=False)


def narrowed(
    trials: Trials, config: PreprocessingConfig, channels: str = ALL, window: tuple[float, float] | None = None
) -> tuple[Trials, PreprocessingConfig]:
    """Return a store's trials and preprocessing with fewer channels and a shorter window.

    channels: "all"; "auto" (THINGS' 17 occipito-parietal ones where the trials are of one person and the store has
    them, all of them across people); a named layout ("epoc-14", "muse-4"); names and groups ("occipital, Pz"). window:
    from and to in seconds, inside the store's. Raises ValueError for channels or times that the store does not have,
    for a reference that needs channels left out, and for a baseline outside the window.
    """
    names = _names(trials, config, channels)
    tmin, tmax = (config.tmin, config.tmax) if window is None else window
    start, n_times = round((tmin - config.tmin) * config.sfreq), round((tmax - tmin) * config.sfreq)
    if names == config.ch_names and (start, n_times) == (0, config.n_times):
        return trials, config
    if start < 0 or n_times < 1 or start + n_times > config.n_times:
        raise ValueError(
            f"--window {tmin:g} {tmax:g} is not inside the store's {config.tmin:g} to {config.tmax:g} s; "
            "prepare a store with a longer window"
        )
    if len(names) < len(config.ch_names) and (
        config.reference == "average" or not (config.reference == "none" or set(config.reference) <= set(names))
    ):
        raise ValueError(
            f"--channels {channels}: the store's reference ({config.reference}) needs channels that would be left out; "
            "prepare a store with these channels"
        )
    if config.baseline is not None and not (tmin <= config.baseline[0] and config.baseline[1] <= tmax):
        raise ValueError(
            f"--window {tmin:g} {tmax:g} leaves out the store's baseline ({config.baseline[0]:g} to "
            f"{config.baseline[1]:g} s), which every recording decoded later would lack; prepare a store of that window"
        )
    rows = np.array([config.ch_names.index(name) for name in names])
    places = config.ch_positions
    made = replace(
        config,
        ch_names=names,
        tmin=tmin,
        tmax=tmin + n_times / config.sfreq,
        ch_positions=None if places is None else tuple(places[row] for row in rows),
    )
    eeg: Any = NarrowedWindows(
        trials.eeg, rows, slice(start, start + n_times)
    )  # an array as far as Trials is concerned
    return replace(trials, eeg=eeg), made


def as_read(trials: Trials, stored: PreprocessingConfig, read: PreprocessingConfig) -> Trials:
    """Return a store's trials as an encoder reads them, whose own preprocessing is `read`; as they are where that says
    the store's channels and window, or channels that the store does not have.
    """
    if (read.ch_names, read.tmin, read.n_times) == (stored.ch_names, stored.tmin, stored.n_times):
        return trials
    if not set(read.ch_names) <= set(stored.ch_names):
        return trials
    rows = np.array([stored.ch_names.index(name) for name in read.ch_names])
    start = round((read.tmin - stored.tmin) * stored.sfreq)
    eeg: Any = NarrowedWindows(trials.eeg, rows, slice(start, start + read.n_times))
    return replace(trials, eeg=eeg)


def _names(trials: Trials, config: PreprocessingConfig, channels: str) -> tuple[str, ...]:
    if channels == AUTO:
        has = set(MONTAGES[OCCIPITAL]) <= set(config.ch_names)
        channels = OCCIPITAL if has and len(np.unique(trials.subject)) == 1 else ALL
    if channels == ALL:
        return config.ch_names
    wanted = ",".join(MONTAGES[channels]) if channels in MONTAGES else channels
    try:
        return pick_channels(config.ch_names, wanted)
    except ValueError as error:
        layouts = f"{ALL}, {AUTO}, a layout ({', '.join(MONTAGES)}), or names and groups"
        raise ValueError(f"--channels {channels}: {error}. It takes {layouts}") from error
