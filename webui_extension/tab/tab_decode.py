"""Decoding: which windows, with which encoder, and what it says of each."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr

from ..generation.fields import Sources, encoder_field, window_fields
from ..generation.request import EegRequest
from ..messages import note
from .jobs import Job, follow
from .tab_parts import cancel_button, desk
from .tab_recording import RecordingPanel

if TYPE_CHECKING:
    from ...core.conditioning.nearest_concepts import Reading

NAMES = ("recording", "units", "reading", "encoder", "choose", "label", "which", "average", "times")
MAX_ROWS = 100  # shown; the report has all of them
N_BEST = 3


@dataclass(frozen=True)
class DecodePanel:
    """The components that other panels read or fill in; `inputs` are the components of NAMES."""

    windows: dict[str, Any]
    encoder: Any
    inputs: list[Any]


def build_decode(sources: Sources, recording: RecordingPanel, prefix: str) -> DecodePanel:
    """Build the choice of windows and encoder, the button and its answer, and connect them."""
    windows = window_fields(prefix)
    with gr.Row():
        encoder = encoder_field(sources, prefix)
    with gr.Row():
        button = gr.Button("Decode", variant="primary", elem_id=f"{prefix}_decode")
        cancel = cancel_button(f"{prefix}_decode")
    place = desk(f"{prefix}_decode", cancel)
    table = gr.HTML("", elem_id=f"{prefix}_readings")
    with gr.Accordion("Report as text", open=False):
        report = gr.Textbox("", label="Report", lines=6, interactive=False, elem_id=f"{prefix}_report")
    fields = {
        "recording": recording.recording,
        "units": recording.units,
        "reading": recording.reading,
        "encoder": encoder,
        **windows,
    }
    inputs = [fields[name] for name in NAMES]

    def decode_it(previous: str, *values: Any) -> Iterator[tuple]:
        yield from decode(sources, previous, values)

    place.connect(button.click, decode_it, inputs, [table, report])
    return DecodePanel(windows, encoder, inputs)


def decode(sources: Sources, previous: str, values: Sequence[Any]) -> Iterator[tuple]:
    """Decode the windows that the values of NAMES choose; yields for [table, report]."""

    def work(job: Job) -> tuple[Any, ...]:
        from ...core.conditioning.for_host import answer, repeats_of, selection_lines
        from ...core.conditioning.nearest_concepts import read_windows
        from ...core.model.decodable import decodable
        from ..generation.decoded import load_decoded

        decoded = load_decoded(EegRequest(**dict(zip(NAMES, values, strict=True))), sources.shelf, sources.library)
        job.check()
        readings = read_windows(decoded.encoder, decoded.selection, n_best=N_BEST)
        report = answer(decoded.encoder, decoded.selection).report
        lines = selection_lines(decoded.selection, decoded.encoder)
        lines.append(decodable(decoded.encoder, decoded.selection).line())
        fitted = decoded.encoder.confidence.get(decoded.encoder.spaces[0])
        if fitted is not None and (why := fitted.unmeasured(repeats_of(decoded.selection))):
            lines.append(why)
        return note("\n".join(lines)), readings_table(readings, decoded.encoder.spaces[0]), report

    yield from follow("Filtering and decoding", work, 2, previous)


def readings_table(readings: Sequence[Reading], space: str) -> str:
    """Return readings as a table in HTML: the window, what it says with weights or similarities, the confidence."""
    from ...core.preprocessing.selection import in_seconds

    chance = next((one.chance for one in readings if one.chance is not None), None)
    scale = "weight" if space == "prompts" else "similarity"
    head = (
        f"<th>#</th><th>Window</th><th>Nearest, by {scale}</th><th>Confidence"
        f"{'' if chance is None else f' <small>(guessing: {chance:.2f})</small>'}</th>"
    )
    rows = []
    for number, one in enumerate(readings[:MAX_ROWS], 1):
        when = in_seconds(one.onset) if one.averaged == 1 else f"mean of {one.averaged}"
        best = "".join(f"<li><b>{score:.2f}</b> {html.escape(text)}</li>" for text, score in one.best)
        said = f"<ol>{best}</ol>" if best else "no concepts in this encoder's file"
        sure = "never calibrated" if one.confidence is None else meter(one.confidence)
        label = "" if one.label == when else html.escape(one.label)
        rows.append(
            f"<tr><td>{number}</td><td>{label}<small>{html.escape(when)}</small></td><td>{said}</td><td>{sure}</td></tr>"
        )
    more = len(readings) - MAX_ROWS
    if more > 0:
        rows.append(f'<tr><td colspan="4">and {more} more, in the report</td></tr>')
    return (
        f'<div class="sd-eeg-scroll"><table class="sd-eeg-table"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def meter(share: float) -> str:
    """Return a share of one as a bar with its number."""
    return f'<meter min="0" max="1" value="{share:.3f}" aria-label="confidence"></meter> {share:.2f}'
