"""Looking at the recording, or at the picked windows: traces, spectrum, scalp map, spectrogram."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import gradio as gr

from ...core.choices import PLOTS
from ..generation.decoded import chosen_windows
from ..generation.fields import Sources
from ..generation.request import EegRequest, unit_of
from ..gradio_versions import js
from .jobs import Job, follow
from .tab_decode import NAMES, DecodePanel
from .tab_parts import cancel_button, desk, gallery, number

OF = ("the recording", "the picked windows")
LABELS = {
    "start": "Shown from (s)",
    "duration": "Seconds shown",
    "up_to": "Up to (Hz)",
    "low": "Band from (Hz)",
    "high": "Band to (Hz)",
}
DARK_PAGE = "() => [document.body.classList.contains('dark')]"


def build_plots(sources: Sources, decode: DecodePanel, prefix: str) -> None:
    """Build the choice of what is drawn, the button and the pictures, and connect them."""
    with gr.Row():
        kind = gr.Radio(list(PLOTS), value="traces", label="Kind of plot", elem_id=f"{prefix}_kind")
        of = gr.Radio(list(OF), value=OF[0], label="Plotted", elem_id=f"{prefix}_of")
    with gr.Row():
        channels = gr.Textbox(
            "", label="Channels", info="Names such as O1, O2; empty: all", elem_id=f"{prefix}_channels"
        )
        numbers = {
            (name, option): gr.Number(
                value,
                label=LABELS[option],
                visible=name == "traces",
                elem_id=f"{prefix}_{name}_{option}".replace(" ", "_"),
            )
            for name, options in PLOTS.items()
            for option, value in options.items()
        }
        begin = gr.Number(0.0, label="Window from (s)", visible=False, elem_id=f"{prefix}_from")
        end = gr.Number(1.0, label="Window to (s)", visible=False, elem_id=f"{prefix}_to")
    with gr.Row():
        button = gr.Button("Plot", variant="primary", elem_id=f"{prefix}_plot")
        cancel = cancel_button(prefix)
    dark = gr.Checkbox(False, visible=False)
    place = desk(prefix, cancel)
    pictures = gallery("Plots", f"{prefix}_pictures", plots=True)

    def show_options(kind: str, of: str) -> list[Any]:
        whole = of == OF[0]
        seen = [gr.update(visible=name == kind and (whole or kind != "traces")) for name, _ in numbers]
        return [*seen, gr.update(visible=not whole), gr.update(visible=not whole)]

    def plot_it(previous: str, *values: Any) -> Iterator[tuple]:
        yield from plot_eeg(sources, previous, values)

    for choice in (kind, of):
        choice.change(show_options, [kind, of], [*numbers.values(), begin, end], show_progress="hidden")
    inputs = [*decode.inputs, kind, of, channels, begin, end, *numbers.values(), dark]
    # A step of its own: where an event has a State among its inputs, gradios differ in what their JavaScript gets. It
    # has a function, for older ones go on from nothing else.
    step = button.click(lambda is_dark: is_dark, [dark], [dark], show_progress="hidden", **js(DARK_PAGE))
    place.connect(step.then, plot_it, inputs, [pictures])


def plot_eeg(sources: Sources, previous: str, values: Sequence[Any]) -> Iterator[tuple]:
    """Draw a plot of the recording or of each picked window; yields for [pictures].

    values: of NAMES, then kind, of, channels, from and to, every option of PLOTS in their order, and dark.
    """

    def work(job: Job) -> tuple[Any, ...]:
        from ...core.plots.plots import plot

        given = dict(zip(NAMES, values, strict=False))
        kind, of, channels, begin, end, *numbers, dark = values[len(NAMES) :]
        places = [(name, option) for name, options in PLOTS.items() for option in options]
        options = {
            option: number(value, option) for (name, option), value in zip(places, numbers, strict=True) if name == kind
        }
        if of == OF[0]:
            eeg: Any = sources.shelf.load(given["recording"], units=unit_of(given["units"]), reading=given["reading"])
        else:
            selection = chosen_windows(EegRequest(**given), sources.shelf)
            eeg = replace(selection, tmin=number(begin, "window from"), tmax=number(end, "window to"))
        job.check()
        pictures = plot(eeg, kind, channels=channels, dark=bool(dark), progress=job, **options)
        # maps of the head are square, everything over time or frequency is wide
        return "", gr.update(value=pictures, columns=3 if kind == "scalp map" else 1)

    yield from follow("Drawing", work, 1, previous)
