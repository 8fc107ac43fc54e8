"""Electrode positions as files give them: in metres, whatever they were in, and held against the channels' names."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...formats.contract.signals import Signals
from ...montage import standard_positions

# a head's radius and what a frame's origin adds to it, in metres
_LEAST_M, _MOST_M = 0.04, 0.25
_RADIUS_M = 0.095
_UNITS = {1.0: "m", 1e-2: "cm", 1e-3: "mm"}
_MIDDLE_M = np.array([0.0, 0.0, 0.04])
_MOST_APART_DEG = 60.0


def in_metres(signals: Signals) -> Signals:
    """Return signals whose positions (n_rows, 3) are metres: scaled from cm, mm or a unit sphere, else left out.

    What was done, and positions that contradict the channels' names, is said in `signals.notes`.
    """
    if signals.positions is None:
        return signals
    positions = np.array(signals.positions, dtype=np.float64)
    positions[~(np.abs(positions) < 1e6).all(axis=1)] = np.nan
    radii = np.linalg.norm(positions, axis=1)
    known = np.isfinite(radii) & (radii > 0)
    if not known.any():
        return replace(signals, positions=None)
    middle = float(np.median(radii[known]))
    factor = next((factor for factor in _UNITS if _LEAST_M <= middle * factor <= _MOST_M), None)
    if factor is None and 0.8 <= middle <= 1.2:
        positions *= _RADIUS_M / middle
        signals.notes.append("positions in the file are on a unit sphere: scaled to a head")
    elif factor is None:
        signals.notes.append(
            f"positions in the file are {middle:.3g} from the origin (median), in no unit that makes it a head: "
            "left out"
        )
        return replace(signals, positions=None)
    elif factor != 1.0:
        positions *= factor
        signals.notes.append(f"positions in the file are in {_UNITS[factor]}: taken to metres")
    apart = _apart(positions, standard_positions(signals.ch_names))
    if len(apart) >= 3 and np.median(apart) > _MOST_APART_DEG:
        signals.notes.append(
            f"positions in the file are {np.median(apart):.0f} degrees (median) from where the channels' names are: "
            "another frame, or other electrodes? Names go first where both are needed"
        )
    return replace(signals, positions=positions)


def _apart(positions: np.ndarray, named: np.ndarray) -> np.ndarray:
    """Return the angles in degrees, seen from the head's middle, between positions and the places of the names."""
    one, other = positions - _MIDDLE_M, named - _MIDDLE_M
    both = np.isfinite(one).all(axis=1) & np.isfinite(other).all(axis=1)
    one, other = one[both], other[both]
    cosines = (one * other).sum(axis=1) / (np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1) + 1e-12)
    return np.rad2deg(np.arccos(np.clip(cosines, -1, 1)))
