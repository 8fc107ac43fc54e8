"""Preprocessing stored with an encoder and replayed on whatever it is fed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .recording import Recording


@dataclass(frozen=True)
class PreprocessingConfig:
    """Every step between a recording and an encoder's input; JSON-able."""

    ch_names: tuple[str, ...]
    sfreq: float
    tmin: float
    tmax: float
    l_freq: float | None = None
    h_freq: float | None = None
    notch: tuple[float, ...] = ()
    filter_order: int = 4
    reference: str | tuple[str, ...] = "none"
    baseline: tuple[float, float] | None = None
    scaling: str = "train"
    clip: float | None = None
    reject_uv: float | None = None
    whitening: str = "none"
    min_matched_channels: float = 0.5
    ch_positions: tuple[tuple[float, float, float], ...] | None = None

    @property
    def n_times(self) -> int:
        """Samples in a window."""
        return round((self.tmax - self.tmin) * self.sfreq)


@dataclass(frozen=True)
class Windows:
    """Cut windows: `data` float32 (n_kept, n_channels, n_times); `onsets`, `kept`, `reasons` one per onset asked for."""

    data: np.ndarray
    onsets: np.ndarray
    kept: np.ndarray
    reasons: tuple[str | None, ...]


@dataclass(frozen=True)
class Normaliser:
    """What was fitted on the training windows: `center`, `scale` (n_channels,), `whitener` (n_channels, n_channels)."""

    center: np.ndarray
    scale: np.ndarray
    whitener: np.ndarray | None = None


def prepare_continuous(recording: Recording, config: PreprocessingConfig) -> Recording:
    """Channel map, reference, filters, resampling."""
    raise NotImplementedError


def cut_windows(prepared: Recording, onsets: np.ndarray, config: PreprocessingConfig) -> Windows:
    """Cut windows at onsets in seconds."""
    raise NotImplementedError


def fit_normaliser(eeg: np.ndarray, config: PreprocessingConfig, labels: np.ndarray | None = None) -> Normaliser:
    """Fit on training windows only."""
    raise NotImplementedError


def normalise(eeg: Any, config: PreprocessingConfig, normaliser: Normaliser) -> Any:
    """Apply a fitted normaliser; float32 of the same shape."""
    raise NotImplementedError


def windows_of(
    recording: Recording,
    config: PreprocessingConfig,
    normaliser: Normaliser,
    *,
    label: str | None = None,
    index: int | Sequence[int] | None = None,
    time: float | Sequence[float] | None = None,
    average: bool = False,
    keep_rejected: bool = True,
) -> Windows:
    """Use-time path: prepare, cut, normalise."""
    raise NotImplementedError
