"""The phantom's head: a spherical model with dipoles in its cortex and at its eyes, and what they give at any montage.

Directions are in the head frame with the sphere's middle as origin: x to the right, y to the nose, z up; a position of
length 1 lies on the inner skull.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

# The sphere that fits the 10-05 positions in the head frame, and the part of it inside the skull.
HEAD_MIDDLE = (0.0, 0.015, 0.040)
HEAD_RADIUS = 0.095
INNER_SKULL = 0.9 * HEAD_RADIUS
N_BACKGROUND = 160
POSITION_SPREAD = 0.05  # of the inner skull's radius, between persons
ORIENTATION_SPREAD = 0.25  # radians or so, between persons


@dataclass(frozen=True)
class Area:
    """One patch of visual cortex.

    position: on the right side for a pair (x > 0), mirrored for the left. orientation: of its dipole, not of unit
    length. field: preferred place in the picture (x, y) for the right-hemisphere patch, None where it is not
    retinotopic; a patch prefers the other side of the picture. drives: how strongly shape, colour, place and size
    drive it. peaks_ms: when its early and late responses peak. common_nam: amplitude of those two that any picture
    evokes, in nA·m.
    """

    name: str
    position: tuple[float, float, float]
    orientation: tuple[float, float, float]
    field: tuple[float, float] | None
    drives: tuple[float, float, float, float]
    peaks_ms: tuple[float, float]
    common_nam: tuple[float, float]


# y of `field` grows downwards, as in pictures. Orientations mix the outward direction with the folding of each patch.
AREAS = (
    Area("V1 fovea", (0.0, -0.90, 0.02), (0.1, -1.0, 0.2), (0.0, 0.0), (0.5, 0.6, 1.0, 1.0), (95, 165), (16, -20)),
    Area(
        "V1 upper field",
        (0.14, -0.84, -0.08),
        (0.5, -0.6, 0.8),
        (-0.9, -0.8),
        (0.2, 0.3, 1.2, 0.5),
        (92, 170),
        (12, -16),
    ),
    Area(
        "V1 lower field",
        (0.14, -0.82, 0.18),
        (0.5, -0.7, -0.7),
        (-0.9, 0.8),
        (0.2, 0.3, 1.2, 0.5),
        (90, 168),
        (12, -16),
    ),
    Area("V3 dorsal", (0.30, -0.74, 0.28), (0.6, -1.0, 0.3), (-1.0, 0.3), (0.4, 0.3, 1.0, 0.6), (112, 205), (16, -18)),
    Area("V4", (0.36, -0.68, -0.24), (0.5, -0.8, -0.6), (-0.7, -0.4), (0.6, 1.3, 0.5, 0.4), (130, 235), (18, -20)),
    Area("VO", (0.42, -0.48, -0.42), (0.5, -0.3, -1.0), None, (0.9, 1.2, 0.2, 0.3), (152, 265), (-18, 16)),
    Area("LO", (0.62, -0.55, 0.02), (1.0, -0.7, 0.1), None, (1.3, 0.5, 0.3, 0.8), (160, 275), (-28, 24)),
    Area(
        "posterior temporal", (0.74, -0.28, -0.16), (1.0, -0.2, -0.4), None, (1.3, 0.7, 0.1, 0.4), (182, 320), (-24, 20)
    ),
    Area(
        "intraparietal", (0.36, -0.52, 0.58), (0.5, -0.6, 0.9), (-0.8, 0.0), (0.4, 0.3, 0.9, 0.8), (195, 350), (12, 24)
    ),
    Area("anterior temporal", (0.78, 0.06, -0.22), (1.0, 0.2, -0.3), None, (0.9, 0.9, 0.1, 0.3), (260, 420), (-10, 16)),
    Area("medial parietal", (0.0, -0.48, 0.68), (0.0, -0.4, 1.0), None, (0.5, 0.5, 0.3, 0.8), (330, 450), (28, 36)),
    Area("lateral frontal", (0.40, 0.60, 0.34), (0.5, 0.8, 0.4), None, (0.5, 0.5, 0.2, 0.4), (285, 435), (-8, 14)),
)
ALPHA_SITES = (((0.22, -0.80, 0.22), (0.3, -1.0, 0.3)), ((0.34, -0.62, 0.45), (0.4, -0.8, 0.6)))  # right side; mirrored
EYE = ((0.34, 0.88, -0.20), (0.25, 1.0, 0.65))  # the right eye's field, up and forwards in a blink; mirrored


@dataclass(frozen=True)
class HeadModel:
    """Sensor patterns of every source of one person at one montage.

    visual (n_channels, n_visual), alpha (n_channels, 4), ocular (n_channels, 2) and background (n_channels,
    N_BACKGROUND) are leadfields in volts per ampere-metre (potentials against infinity). area (n_visual,) indexes
    AREAS; side (n_visual,) is -1 left, 0 middle, 1 right. ch_positions (n_channels, 3): metres, head frame.
    """

    ch_names: tuple[str, ...]
    ch_positions: np.ndarray
    visual: np.ndarray
    alpha: np.ndarray
    ocular: np.ndarray
    background: np.ndarray
    area: np.ndarray
    side: np.ndarray


def leadfield(ch_positions: np.ndarray, positions: np.ndarray, orientations: np.ndarray) -> np.ndarray:
    """Compute the potentials of unit dipoles in a four-shell sphere (brain, fluid, skull, scalp), through MNE.

    ch_positions: (n_channels, 3) metres, head frame. positions: (n_dipoles, 3) relative to the sphere, see the module.
    orientations: (n_dipoles, 3), any length but zero.

    Returns (n_channels, n_dipoles) volts per ampere-metre, against infinity. Raises ValueError for a dipole outside the
    inner skull.
    """
    import mne

    radius = np.linalg.norm(positions, axis=1)
    if radius.max() >= 1.0:
        raise ValueError(
            f"a dipole at {radius.max():.3f} of the inner skull's radius lies outside it; keep them below 1"
        )
    names = [f"E{i}" for i in range(len(ch_positions))]
    info = mne.create_info(names, 100.0, "eeg")
    montage = mne.channels.make_dig_montage(dict(zip(names, np.asarray(ch_positions), strict=True)), coord_frame="head")
    info.set_montage(montage)
    sphere = mne.make_sphere_model(HEAD_MIDDLE, HEAD_RADIUS, info=None, verbose="error")
    rr = np.asarray(HEAD_MIDDLE) + INNER_SKULL * positions
    nn = orientations / np.linalg.norm(orientations, axis=1, keepdims=True)
    places: Any = {"rr": rr, "nn": nn}  # MNE's types know the spacing of a grid only
    sources = mne.setup_volume_source_space(pos=places, mindist=0.0, sphere_units="m", verbose="error")
    # MNE's types let None pass, which it never returns
    forward: Any = mne.make_forward_solution(
        info, trans=None, src=sources, bem=sphere, meg=False, eeg=True, mindist=0.0, n_jobs=1, verbose="error"
    )
    gain = forward["sol"]["data"].reshape(len(names), len(rr), 3)
    return np.einsum("cdk,dk->cd", gain, nn)


@lru_cache(maxsize=16)
def head_model(ch_names: tuple[str, ...], subject: int) -> HeadModel:
    """Place one person's sources and compute their sensor patterns.

    ch_names: channels with a standard position. subject: seed of the person; it moves and turns every source a
    little, and draws the background's sources. The person's sources are the same at every montage.

    Raises ValueError naming the channels that have no standard position.
    """
    ch_positions = _positions(ch_names)
    rng = np.random.default_rng([subject, 1])
    area, side, position, orientation = [], [], [], []
    for index, patch in enumerate(AREAS):
        for sign in (1.0,) if patch.position[0] == 0 else (-1.0, 1.0):
            area.append(index)
            side.append(0 if patch.position[0] == 0 else int(sign))
            position.append(_mirror(patch.position, sign))
            orientation.append(_mirror(patch.orientation, sign))
    n_visual = len(area)
    for at, towards in (*ALPHA_SITES, EYE):
        for sign in (-1.0, 1.0):
            position.append(_mirror(at, sign))
            orientation.append(_mirror(towards, sign))
    position, orientation = np.array(position), np.array(orientation)
    orientation /= np.linalg.norm(orientation, axis=1, keepdims=True)
    position = position + rng.normal(0.0, POSITION_SPREAD, position.shape)
    orientation = orientation + rng.normal(0.0, ORIENTATION_SPREAD, orientation.shape)

    somewhere = rng.normal(size=(N_BACKGROUND, 3))
    somewhere[:, 2] = np.abs(somewhere[:, 2]) - 0.4  # little cortex lies low
    somewhere *= rng.uniform(0.6, 0.93, (N_BACKGROUND, 1)) / np.linalg.norm(somewhere, axis=1, keepdims=True)
    position = _inside(np.concatenate([position, somewhere]))
    orientation = np.concatenate([orientation, rng.normal(size=(N_BACKGROUND, 3))])
    gain = leadfield(ch_positions, position, orientation)
    visual, alpha, ocular, background = np.split(gain, np.cumsum([n_visual, 2 * len(ALPHA_SITES), 2]), axis=1)
    return HeadModel(
        ch_names, ch_positions, visual, alpha, ocular, background, np.array(area), np.array(side, dtype=np.int64)
    )


def _positions(ch_names: Sequence[str]) -> np.ndarray:
    from ..montage import standard_positions

    positions = np.asarray(standard_positions(ch_names), dtype=np.float64)
    unknown = [name for name, at in zip(ch_names, positions, strict=True) if not np.isfinite(at).all()]
    if unknown:
        raise ValueError(f"no standard position for {unknown}; the phantom needs channels named in the 10-05 system")
    return positions


def _mirror(vector: tuple[float, float, float], sign: float) -> tuple[float, float, float]:
    return (sign * vector[0], vector[1], vector[2])


def _inside(position: np.ndarray) -> np.ndarray:
    radius = np.linalg.norm(position, axis=1, keepdims=True)
    return position * np.minimum(1.0, 0.96 / radius)
