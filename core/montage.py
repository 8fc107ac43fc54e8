"""Channel names, their places on the head, and mapping a recording's channels to those an encoder wants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MONTAGES: dict[str, tuple[str, ...]] = {}


@dataclass(frozen=True)
class ChannelMap:
    """How target channels come from a recording's: `matrix` float32 (n_target, n_source), and what was done.

    `matched` and `interpolated` are target names, `unused` are source names that serve neither.
    """

    matrix: np.ndarray
    matched: tuple[str, ...]
    interpolated: tuple[str, ...]
    unused: tuple[str, ...]


def normalise_name(name: str) -> str:
    """Return the 10-05 spelling of a channel name ("EEG FP1-REF" is "Fp1", "T3" is "T7"); others come back trimmed."""
    raise NotImplementedError


def standard_positions(names: Sequence[str]) -> np.ndarray:
    """Return (n, 3) positions in metres (head frame, mne's standard_1005), NaN where a name is unknown."""
    raise NotImplementedError


def is_eeg_name(name: str) -> bool:
    """Say whether a channel name is a place of the 10-05 system, in any common spelling."""
    raise NotImplementedError


def map_channels(
    source_names: Sequence[str],
    target_names: Sequence[str],
    source_positions: np.ndarray | None = None,
    target_positions: np.ndarray | None = None,
    *,
    min_matched: float = 0.5,
) -> ChannelMap:
    """Match channels by name and interpolate missing ones by spherical splines (Perrin et al. 1989)."""
    raise NotImplementedError
