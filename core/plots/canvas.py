"""Figures that are drawn off screen and come back as pixels; what all plots share in looks.

matplotlib draws on figures of its own, never through pyplot, whose state a host may be using.
"""

from typing import Any

import numpy as np

DOTS_PER_INCH = 100
LIGHT = {"paper": "#ffffff", "ink": "#1f1f1d", "quiet": "#66645f", "line": "#e5e2db", "accent": "#1f6b75"}
DARK = {"paper": "#1a1b1e", "ink": "#e9e7e2", "quiet": "#a3a09a", "line": "#3a3c42", "accent": "#78c2c9"}
LINES_LIGHT = ("#1f6b75", "#b07d2a", "#8a4f7d", "#4c7a34", "#a8483d", "#4a63a8", "#7a6a55", "#2f9c95")
LINES_DARK = ("#78c2c9", "#d9b26a", "#d09bc4", "#9fc985", "#ec9288", "#9db2ee", "#c3b39c", "#6fe0d6")


def new_figure(width: int, height: int, dark: bool) -> tuple[Any, Any, dict[str, str]]:
    """Return a figure of width × height pixels, its axes without clutter, and its colours by name.

    Raises ImportError that says how to install matplotlib where it is missing.
    """
    figure, (axes,), theme = new_panels(width, height, 1, dark)
    return figure, axes, theme


def new_panels(width: int, height: int, n: int, dark: bool) -> tuple[Any, list[Any], dict[str, str]]:
    """Return what `new_figure` does, with n axes below one another that share their horizontal axis."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("plots need matplotlib; install it with: pip install matplotlib") from error
    theme = DARK if dark else LIGHT
    figure = Figure(figsize=(width / DOTS_PER_INCH, height / DOTS_PER_INCH), dpi=DOTS_PER_INCH)
    FigureCanvasAgg(figure)
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.1)
    figure.set_facecolor(theme["paper"])
    panels = figure.subplots(n, sharex=True, squeeze=False)[:, 0].tolist()
    for axes in panels:
        axes.set_facecolor(theme["paper"])
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.spines["bottom"].set_color(theme["line"])
        axes.tick_params(color=theme["line"], labelcolor=theme["quiet"], labelsize=9)
        axes.xaxis.label.set_color(theme["ink"])
        axes.yaxis.label.set_color(theme["ink"])
    return figure, panels, theme


def add_colour_bar(figure: Any, axes: Any, image: Any, label: str, theme: dict[str, str], **options: float) -> None:
    """Put a colour bar with its label beside the axes."""
    bar = figure.colorbar(image, ax=axes, **options)
    bar.set_label(label, color=theme["ink"])
    bar.ax.tick_params(color=theme["quiet"], labelcolor=theme["quiet"], labelsize=9)
    bar.outline.set_visible(False)


def put_title(axes: Any, title: str | None, theme: dict[str, str]) -> None:
    """Write a title above the axes, if there is one."""
    if title:
        axes.set_title(literal(title), color=theme["ink"], fontsize=11)


def literal(text: str) -> str:
    """Return a text from a file so that its dollar signs are not taken for formulas."""
    return text.replace("$", r"\$")


def pixels(figure: Any) -> np.ndarray:
    """Return the drawn figure as uint8 (height, width, 3)."""
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()
