"""Training in seconds: a closed-form encoder from the tab's recording, its score, and the file it is saved to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr

from ...core.choices import PERSONAL_ARCHITECTURES
from ..generation.fields import Sources
from ..generation.request import unit_of
from ..messages import note, shown
from .jobs import Job, follow
from .tab_parts import cancel_button, desk, number
from .tab_recording import RecordingPanel

if TYPE_CHECKING:
    from ...core.model.spaces import EncodePrompts

TARGETS = ("prompts", "prompts + text states")
MAX_CAPTIONS = 1000


def build_training(
    sources: Sources,
    recording: RecordingPanel,
    encode_prompts: Callable[[], EncodePrompts | None],
    renewed: list[Any],
    listed: Any,
    prefix: str,
) -> None:
    """Build what an encoder is fitted from, the button and the report, and connect them.

    renewed: dropdowns of encoders, the first of which takes the new one. listed: the library's list.
    """
    with gr.Row():
        with gr.Column():
            captions = gr.Textbox(
                "",
                label="Captions of the labels",
                info="One a line: label = what it means. Empty: every label is its own caption; labels left out are "
                "not learnt",
                lines=6,
                max_lines=12,
                elem_id=f"{prefix}_captions",
            )
            fill = gr.Button("Fill in the recording's labels", elem_id=f"{prefix}_fill")
        with gr.Column():
            architecture = gr.Radio(
                list(PERSONAL_ARCHITECTURES),
                value=PERSONAL_ARCHITECTURES[0],
                label="Architecture",
                info="tangent: for a few labels. linear: for many. filter-bank: slower, and reads rhythms too",
                elem_id=f"{prefix}_architecture",
            )
            targets = gr.Radio(
                list(TARGETS),
                value=TARGETS[0],
                label="What it learns",
                info="prompts fit every model; text states are the loaded model's own, for many captions",
                elem_id=f"{prefix}_targets",
            )
            with gr.Row():
                begin = gr.Number(
                    -0.1,
                    label="Window from (s)",
                    info="Seconds from the event",
                    min_width=100,
                    elem_id=f"{prefix}_from",
                )
                end = gr.Number(
                    0.8, label="Window to (s)", info="Seconds from the event", min_width=100, elem_id=f"{prefix}_to"
                )
                low = gr.Number(1.0, label="High-pass (Hz)", info="0: none", min_width=100, elem_id=f"{prefix}_low")
                high = gr.Number(30.0, label="Low-pass (Hz)", info="0: none", min_width=100, elem_id=f"{prefix}_high")
            name = gr.Textbox(
                "my-encoder",
                label="Name",
                info="Of the file; a number is added where it is taken",
                elem_id=f"{prefix}_name",
            )
    with gr.Row():
        button = gr.Button("Train and save", variant="primary", elem_id=f"{prefix}_train")
        cancel = cancel_button(prefix)
    place = desk(prefix, cancel)

    def fill_in(reference: str, units: str, reading: str) -> tuple[Any, Any]:
        return labels_as_captions(sources, reference, units, reading)

    def train_it(previous: str, *values: Any) -> Iterator[tuple]:
        yield from train(sources, encode_prompts, previous, values, len(renewed))

    source = [recording.recording, recording.units, recording.reading]
    fill.click(fill_in, source, [place.status, captions], show_progress="hidden")
    inputs = [*source, captions, architecture, targets, begin, end, low, high, name]
    place.connect(button.click, train_it, inputs, [listed, *renewed])


@shown(2)
def labels_as_captions(sources: Sources, reference: str, units: str, reading: str) -> tuple[str, str]:
    """Return a status and a line `label = label` for every label of a recording."""
    recording = sources.shelf.load(reference, units=unit_of(units), reading=reading)
    labels = sorted({event.label for event in recording.events})
    if not labels:
        raise ValueError("this recording has no labelled events to learn from")
    return "", "\n".join(f"{label} = {label}" for label in labels[:MAX_CAPTIONS])


def train(
    sources: Sources,
    encode_prompts: Callable[[], EncodePrompts | None],
    previous: str,
    values: Sequence[Any],
    n_dropdowns: int = 2,
) -> Iterator[tuple]:
    """Fit an encoder, score it on stretches left out, and save it; yields for [list of encoders, dropdowns].

    values: recording, units, reading, captions, architecture, targets, window from and to, high-pass, low-pass, name.
    """
    from .tab_library import cards_table

    def work(job: Job) -> tuple[Any, ...]:
        from ...core.files import free_path
        from ...core.fitting.captions import parse_captions
        from ...core.fitting.personal_encoder import fit_personal_encoder

        reference, units, reading, captions, architecture, targets, begin, end, low, high, name = values
        free_path(sources.library.folders[0], name, ".safetensors")  # a name that cannot be is said before the work
        recording = sources.shelf.load(reference, units=unit_of(units), reading=reading)
        text_states = targets == TARGETS[1]
        if text_states:
            job.say("Loading the model's text encoder")
        encode = encode_prompts() if text_states else None
        job.say("Fitting")
        fitted = fit_personal_encoder(
            recording,
            parse_captions(captions),
            architecture=architecture,
            tmin=number(begin, "window from"),
            tmax=number(end, "window to"),
            l_freq=number(low, "high-pass") or None,
            h_freq=number(high, "low-pass") or None,
            text_states=text_states,
            encode_prompts=encode,
            name=name.strip(),
            progress=job,
        )
        job.settle()
        saved = sources.library.save(fitted.encoder, name)
        names = sources.library.names()
        first = gr.update(choices=names, value=saved)
        others = [gr.update(choices=names) for _ in range(n_dropdowns - 1)]
        status = note(f"{fitted.report}\nsaved as {saved}, which Decode has chosen now")
        return status, cards_table(sources.library), first, *others

    yield from follow("Reading the recording", work, 1 + n_dropdowns, previous)
