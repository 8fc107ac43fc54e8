"""Whitening and scale of each recording session, where they are asked for; other sessions take those of all together.

Each session's windows are brought to where the pooled normaliser makes of them what the session's own would. So
windows can be averaged over sessions, a host that knows no session loses nothing, and nothing else changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import numpy as np

from .config import PreprocessingConfig
from .normaliser import Normaliser, fit_normaliser
from .trials import Trials

LEAST_WINDOWS, MOST_WINDOWS = 8, 1000


def session_names(trials: Trials) -> np.ndarray:
    """Return the name of each trial's session (n,): person/session."""
    pairs = zip(trials.subject.tolist(), trials.session.tolist(), strict=True)
    return np.array([f"{person}/{session}" for person, session in pairs], dtype=np.str_)


def fit_sessions(
    pooled: Normaliser, trials: Trials, rows: Mapping[str, np.ndarray], config: PreprocessingConfig
) -> Normaliser:
    """Return the pooled normaliser with one for each session, fitted to its training trials alone.

    rows: for each session by name the numbers of its training trials. What is fitted is what the config asks for, as
    `fit_normaliser` does, which also says what is raised.
    """
    own = {name: fit_normaliser(np.asarray(trials.eeg[of]), config, trials.label[of]) for name, of in rows.items()}
    return replace(pooled, sessions=own)


def by_sessions(trials: Trials, normaliser: Normaliser) -> Trials:
    """Return trials whose windows the pooled normaliser takes to where their sessions' own would; those of sessions
    that have none stay as they are, and so do all where the normaliser has no sessions.

    Windows are changed as they are read. Give single presentations: a mean over sessions has no session.
    """
    if not normaliser.sessions:
        return trials
    return replace(trials, eeg=SessionWindows(trials.eeg, session_names(trials), normaliser))


def unknown_sessions(trials: Trials, rows: np.ndarray, normaliser: Normaliser) -> tuple[str, ...]:
    """Return the sessions of rows that a normaliser by sessions does not know; none where it has no sessions."""
    if not normaliser.sessions:
        return ()
    names = np.unique(session_names(trials)[rows]).tolist()
    return tuple(name for name in names if name not in normaliser.sessions)


def with_new_sessions(
    normaliser: Normaliser, trials: Trials, rows: np.ndarray, config: PreprocessingConfig
) -> Normaliser:
    """Return the normaliser with one for each session of rows that it does not know, fitted to that session's windows
    without their labels, where `config.new_sessions` is "own"; else, and where a session has too few, as it is.
    """
    found = dict(normaliser.sessions)
    if config.new_sessions == "own":
        names = session_names(trials)
        for name in unknown_sessions(trials, rows, normaliser):
            of = rows[names[rows] == name]
            own = own_normaliser(trials.eeg[of[_spread(len(of))]], config)
            if own is not None:
                found[name] = own
    return replace(normaliser, sessions=found)


def own_normaliser(windows: np.ndarray, config: PreprocessingConfig) -> Normaliser | None:
    """Return a normaliser of one session's windows (n, n_channels, n_times) in volts, None where they are too few for a
    covariance: fewer than eight, or than ten samples a channel.
    """
    if len(windows) < LEAST_WINDOWS or len(windows) * windows.shape[2] < 10 * windows.shape[1]:
        return None
    return fit_normaliser(windows, config)


def _spread(n: int) -> np.ndarray:
    return np.unique(np.linspace(0, n - 1, min(n, MOST_WINDOWS)).astype(int))


class SessionWindows:
    """Looks like a float32 array (n, n_channels, n_times); what is indexed is changed as its session asks."""

    def __init__(self, eeg: Any, sessions: np.ndarray, normaliser: Normaliser) -> None:
        self._eeg, self._sessions, self._normaliser = eeg, sessions, normaliser
        self._maps = _maps_to(normaliser, normaliser.sessions)
        self.shape: tuple[int, ...] = tuple(eeg.shape)
        self.dtype = np.dtype(np.float32)
        self.ndim = 3

    def __len__(self) -> int:
        return self.shape[0]

    def subset(self, chosen: Any) -> SessionWindows:
        """Return the windows that a mask, a slice or numbers choose, unread where they lie on disk."""
        eeg = self._eeg.subset(chosen) if hasattr(self._eeg, "subset") else self._eeg[chosen]
        return SessionWindows(eeg, self._sessions[chosen], self._normaliser)

    def __getitem__(self, chosen: Any) -> np.ndarray:
        if isinstance(chosen, tuple):
            first, *rest = cast(tuple[Any, ...], chosen)
            many = np.ndim(first) > 0 or isinstance(first, slice)
            return self[first][(slice(None), *rest) if many else tuple(rest)]
        windows, sessions = np.asarray(self._eeg[chosen]), np.asarray(self._sessions[chosen])
        if windows.ndim == 2:
            return self._changed(windows[None], sessions[None])[0]
        return self._changed(windows, sessions)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("windows that are changed as they are read cannot become an array without a copy")
        whole = self[:]
        return whole if dtype is None else whole.astype(dtype, copy=False)

    def _changed(self, windows: np.ndarray, sessions: np.ndarray) -> np.ndarray:
        found = np.array(windows, dtype=np.float32)
        for name in np.unique(sessions):
            if str(name) in self._maps:
                rows = sessions == name
                matrix, offset = self._maps[str(name)]
                found[rows] = matrix @ windows[rows] + offset[:, None]
        return found


def _maps_to(pooled: Normaliser, sessions: Mapping[str, Normaliser]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return for each session the matrix and the offset (float64) that come before the pooled normaliser."""
    eye = np.eye(len(pooled.center))
    back = eye if pooled.whitener is None else np.linalg.inv(pooled.whitener.astype(np.float64))
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for name, own in sessions.items():
        whitener = eye if own.whitener is None else own.whitener.astype(np.float64)
        gain = pooled.scale.astype(np.float64) / own.scale
        found[name] = back @ (gain[:, None] * whitener), back @ (pooled.center - gain * own.center)
    return found
