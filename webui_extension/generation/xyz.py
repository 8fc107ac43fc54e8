"""Axes of the host's X/Y/Z plot: strength, window, encoder, start and end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...core.choices import STEERING
from ..host.host import library
from .script import CHANGES

PREFIX = "[EEG] "


def add_axes() -> None:
    """Add our axes to the X/Y/Z plot's, once; does nothing in a host without that script."""
    grid = find_grid()
    if grid is None or any(option.label.startswith(PREFIX) for option in grid.axis_options):
        return
    axis = grid.AxisOption
    grid.axis_options += [
        axis(f"{PREFIX}Strength", float, change("strength")),
        axis(f"{PREFIX}Window", str, change_window),
        axis(f"{PREFIX}Encoder", str, change("encoder"), choices=lambda: library().names()),
        axis(f"{PREFIX}Start", float, change("start")),
        axis(f"{PREFIX}End", float, change("end")),
        axis(f"{PREFIX}Mode", str, change("mode"), choices=lambda: list(STEERING)),
    ]


def find_grid() -> Any:
    """Return the module of the host's X/Y/Z plot, which it loads by path, or None."""
    from modules import scripts

    for data in scripts.scripts_data:
        if data.script_class.__module__ in ("xyz_grid.py", "scripts.xyz_grid") and hasattr(data, "module"):
            return data.module
    return None


def change(name: str) -> Callable[[Any, Any, Any], None]:
    """Return what sets a field of the request for one cell of the grid."""

    def apply(p: Any, value: Any, _values: Any) -> None:
        # The host hands a copy of the job on whose attributes are shared: never change the mapping itself.
        setattr(p, CHANGES, {**getattr(p, CHANGES, {}), name: value})

    return apply


def change_window(p: Any, value: str, _values: Any) -> None:
    """Set which windows one cell draws: numbers of events such as `3` or `5-9`, or seconds such as `12.5 s`."""
    text = str(value).strip()
    if text.endswith("s"):
        found = {"choose": "times", "times": text.removesuffix("s").strip()}
    else:
        found = {"choose": "events", "which": text}
    setattr(p, CHANGES, {**getattr(p, CHANGES, {}), **found})
