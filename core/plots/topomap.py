"""A map of the scalp: a value at every electrode, spread over the head by spherical splines."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..montage import MONTAGES, spherical_splines, standard_positions
from ..recording import Recording
from .canvas import add_colour_bar, literal, new_figure, pixels, put_title
from .power_spectrum import band_amplitude

HEAD_EDGE = np.radians(98.0)  # angle from the vertex that is drawn as the head's outline: T7 and T8 lie on it
REACH = np.radians(42.0)  # further than this from every electrode a map would be made up
MAX_NAMES = 32
COARSE, FINE = 60, 360  # points across the map


def plot_topomap(
    recording: Recording,
    values: np.ndarray | None = None,
    *,
    band: tuple[float, float] = (8.0, 13.0),
    unit: str = "µV",
    title: str | None = None,
    names: bool | None = None,
    size: int = 520,
    dark: bool = False,
    limits: tuple[float, float] | None = None,
) -> np.ndarray:
    """Return a map of the scalp seen from above, nose up: the amplitude in a frequency band, or values of your own.

    values: (n_channels,), in `unit`, NaN where unknown; by default each channel's root mean square in `band` (hertz) in
    microvolts. names: write the channels' names; by default up to 32. limits: the values that colours run over, by
    default those of the map. The map stays empty further than 42 degrees from
    every electrode, where it would be made up. Channels of the 10-05 system are drawn at their standard places.

    Raises ValueError where fewer than three channels have a known place.
    """
    standard = standard_positions(recording.ch_names)
    # a file's own places lie on a head of its own, so they serve only names outside the system
    places = (
        standard if recording.ch_positions is None else np.where(np.isnan(standard), recording.ch_positions, standard)
    )
    amplitudes = band_amplitude(recording, band) if values is None else np.asarray(values, dtype=np.float64)
    if amplitudes.shape != (recording.n_channels,):
        raise ValueError(f"{recording.n_channels} channels but values of shape {amplitudes.shape}")
    known = np.isfinite(places).all(axis=1) & np.isfinite(amplitudes)
    if known.sum() < 3:
        raise ValueError(
            f"a scalp map needs at least three channels whose place and value are known; of {list(recording.ch_names)} "
            f"{int(known.sum())} are: load positions, or name channels as the 10-20 system does"
        )
    electrodes = _directions(places[known])
    flat = _flat(electrodes)
    limit = max(1.06, float(np.linalg.norm(flat, axis=1).max()) + 0.06)
    field, reached = _field(electrodes, amplitudes[known], limit)
    figure, axes, theme = new_figure(size, int(0.94 * size), dark)
    low, high = limits or (float(field[reached > 0].min()), float(field[reached > 0].max()))
    colours: dict[str, Any] = {"cmap": "viridis", "vmin": low, "vmax": high}
    if values is not None and low < 0 < high:
        colours = {"cmap": "RdBu_r", "vmin": -max(-low, high), "vmax": max(-low, high)}
    extent = (-limit, limit, -limit, limit)
    shown = axes.imshow(field, origin="lower", extent=extent, alpha=reached, interpolation="bilinear", **colours)
    _draw_head(axes, theme)
    _draw_electrodes(
        axes, flat, np.array(recording.ch_names)[known], known.sum() <= MAX_NAMES if names is None else names, theme
    )
    edge = max(limit, 1.12) + 0.04
    axes.set(xlim=(-edge, edge), ylim=(-edge, edge + 0.06), aspect="equal", xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    label = f"{band[0]:g} to {band[1]:g} Hz, root mean square (µV)" if values is None else f"amplitude ({unit})"
    add_colour_bar(figure, axes, shown, literal(label), theme, shrink=0.6, pad=0.02)
    put_title(axes, title, theme)
    return pixels(figure)


def _directions(places: np.ndarray) -> np.ndarray:
    # The sphere that fits the standard positions serves every recording: few electrodes do not tell their own centre.
    points = standard_positions(("Cz", *MONTAGES["things-63"]))
    points = points[~np.isnan(points).any(axis=1)]
    center = np.linalg.lstsq(np.c_[2 * points, np.ones(len(points))], (points**2).sum(axis=1), rcond=None)[0][:3]
    x, y, z = ((places - center) / np.linalg.norm(places - center, axis=1, keepdims=True)).T
    # the sphere is turned about the axis through the ears until Cz is the vertex
    _, forward, up = points[0] - center
    sine, cosine = np.array([forward, up]) / np.hypot(forward, up)
    return np.stack([x, cosine * y - sine * z, sine * y + cosine * z], axis=1)


def _flat(directions: np.ndarray) -> np.ndarray:
    # azimuthal equidistant, the vertex in the middle, the head's outline at 1
    angle = np.arccos(np.clip(directions[:, 2], -1, 1))
    azimuth = np.arctan2(directions[:, 1], directions[:, 0])
    return (angle / HEAD_EDGE)[:, None] * np.stack([np.cos(azimuth), np.sin(azimuth)], axis=1)


def _field(electrodes: np.ndarray, values: np.ndarray, limit: float) -> tuple[np.ndarray, np.ndarray]:
    # The map and how much of it is shown, 0 to 1, on a square grid: splined coarsely, since it is smooth, cut finely.
    from scipy.ndimage import zoom

    coarse, _ = _grid(limit, COARSE)
    splined = (spherical_splines(electrodes, coarse) @ values).reshape(COARSE, COARSE)
    field = np.asarray(zoom(splined, FINE / COARSE, order=1))
    fine, radius = _grid(limit, FINE)
    distance = np.arccos(np.clip((fine @ electrodes.T).max(axis=1), -1, 1)).reshape(FINE, FINE)
    fade = 4 * limit / FINE  # two points of the grid
    return field, np.clip((REACH - distance) / fade, 0, 1) * np.clip((limit - radius) / fade, 0, 1)


def _grid(limit: float, n: int) -> tuple[np.ndarray, np.ndarray]:
    # directions (n * n, 3) of a square grid's points on the sphere, and their distance (n, n) from the middle
    x, y = np.meshgrid(*[np.linspace(-limit, limit, n)] * 2)
    radius, azimuth = np.hypot(x, y), np.arctan2(y, x)
    angle = radius * HEAD_EDGE
    points = np.stack([np.sin(angle) * np.cos(azimuth), np.sin(angle) * np.sin(azimuth), np.cos(angle)], axis=-1)
    return points.reshape(-1, 3), radius


def _draw_head(axes: Any, theme: dict[str, str]) -> None:
    turn = np.linspace(0, 2 * np.pi, 200)
    style = {"color": theme["quiet"], "linewidth": 1.4, "zorder": 3}
    axes.plot(np.cos(turn), np.sin(turn), **style)
    axes.plot([-0.09, 0, 0.09], [0.996, 1.11, 0.996], **style)
    side = np.linspace(-np.pi / 2, np.pi / 2, 40)
    for sign in (-1, 1):
        axes.plot(sign * (0.995 + 0.07 * np.cos(side)), 0.14 * np.sin(side), **style)


def _draw_electrodes(axes: Any, flat: np.ndarray, names: np.ndarray, named: bool, theme: dict[str, str]) -> None:
    from matplotlib.patheffects import withStroke

    # an edge of the paper's colour keeps dots and names readable on any colour of the map
    halo = [withStroke(linewidth=2, foreground=theme["paper"])]
    axes.plot(*flat.T, ".", color=theme["ink"], markersize=4, path_effects=halo, zorder=4)
    for name, point in zip(names.tolist() if named else (), flat, strict=False):
        place: dict[str, Any] = {"xytext": (0, 4), "textcoords": "offset points", "ha": "center", "zorder": 5}
        axes.annotate(literal(name), point, fontsize=7, color=theme["ink"], path_effects=halo, **place)
