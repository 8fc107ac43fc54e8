"""The tab's recording: uploaded, named, or simulated, and what was read and inferred of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ..folders.recordings import Shelf
from ..generation.fields import MANY_LABELS, Sources, recording_fields
from ..generation.request import unit_of
from ..gradio_versions import uploaded_files
from ..messages import note
from .jobs import Job, follow
from .tab_parts import Desk, cancel_button, desk

PHANTOM_ENCODER = "phantom-epoc14.safetensors"
SITTING = """a large red star at the top left
a small blue ring on the right
a large green square in the middle
a small yellow circle at the bottom"""
SITTING_REPEATS = 12


@dataclass(frozen=True)
class RecordingPanel:
    """The components that other panels read or fill in."""

    recording: Any
    units: Any
    reading: Any
    desk: Desk
    simulate: Any
    files: Any
    upload: Any


def build_recording(sources: Sources, prefix: str, heading: str = "") -> RecordingPanel:
    """Build the panel; `connect_panel` makes it act. heading: HTML that stands before it."""
    with gr.Row():
        gr.HTML(heading, elem_id=f"{prefix}_heading_status")
        simulate = gr.Button("No headset? Simulate a recording", elem_id=f"{prefix}_simulate", scale=0, min_width=340)
        button = cancel_button(prefix)
    with gr.Row(visible=bool(sources.shelf.folders)):
        files = gr.Dropdown([], value=None, label="Files in allowed folders", elem_id=f"{prefix}_files")
        listing = gr.Button("List files", elem_id=f"{prefix}_list", scale=0, min_width=120)
    listing.click(lambda: gr.update(choices=sources.shelf.names()), [], [files], show_progress="hidden")
    found = recording_fields(sources, prefix)
    return RecordingPanel(
        found["recording"],
        found["units"],
        found["reading"],
        desk(prefix, button, found["status"]),
        simulate,
        files,
        found["upload"],
    )


def connect_panel(sources: Sources, panel: RecordingPanel, label: Any, average: Any, encoder: Any) -> None:
    """Make uploads, names, units and the phantom's button fill in the recording and what depends on it."""
    loaded = [panel.recording, label]

    def keep_upload(previous: str, files: Any, unit: str, told: str, chosen: str) -> Iterator[tuple]:
        yield from keep(sources.shelf, previous, files, unit, told, chosen)

    def open_named(previous: str, name: str | None, unit: str, told: str, chosen: str) -> Iterator[tuple]:
        yield from open_recording(sources.shelf, previous, name or "", unit, told, chosen)

    def simulate_sitting(previous: str) -> Iterator[tuple]:
        yield from short_sitting(sources, previous)

    panel.desk.connect(panel.upload.upload, keep_upload, [panel.upload, panel.units, panel.reading, label], loaded)
    for event, name in (
        (panel.recording.submit, panel.recording),
        (panel.recording.blur, panel.recording),
        (panel.units.input, panel.recording),
        (panel.reading.submit, panel.recording),
        (panel.reading.blur, panel.recording),
        (panel.files.input, panel.files),
    ):
        panel.desk.connect(event, open_named, [name, panel.units, panel.reading, label], loaded)
    panel.desk.connect(panel.simulate.click, simulate_sitting, [], [*loaded, average, encoder])


def keep(shelf: Shelf, previous: str, files: Any, units: str, reading: str, chosen: str) -> Iterator[tuple]:
    """Keep uploaded files of one recording and read it; yields for [recording, label]."""

    def work(job: Job) -> tuple[Any, ...]:
        reference = shelf.keep_files(uploaded_files(files))
        return opened(shelf, reference, units, reading, chosen)

    yield from follow("Reading the recording", work, 2, previous)


def open_recording(
    shelf: Shelf, previous: str, reference: str, units: str, reading: str, chosen: str
) -> Iterator[tuple]:
    """Read the recording that a reference names, nothing where it is empty; yields for [recording, label]."""

    def work(_job: Job) -> tuple[Any, ...]:
        if not reference.strip():
            return "", gr.update(), gr.update(choices=[""], value="")
        return opened(shelf, reference, units, reading, chosen)

    yield from follow("Reading the recording", work, 2, previous)


def short_sitting(sources: Sources, previous: str) -> Iterator[tuple]:
    """Simulate a few scenes and choose what decodes them; yields for [recording, label, average, encoder]."""

    def work(job: Job) -> tuple[Any, ...]:
        from ...core.phantom import session

        sitting = session.show(session.scenes_from_captions(SITTING), repeats=SITTING_REPEATS)
        job.settle()
        reference = sources.shelf.keep_recording(sitting.recording, "phantom-sitting")
        status, recording, label = opened(sources.shelf, reference, "from the file")
        known = PHANTOM_ENCODER in sources.library.names()
        return status, recording, label, "per label", gr.update(value=PHANTOM_ENCODER) if known else gr.update()

    yield from follow("Simulating a sitting", work, 4, previous)


def opened(shelf: Shelf, reference: str, units: str, reading: str = "", chosen: str = "") -> tuple[Any, Any, Any]:
    """Read a recording; returns the status, its reference and the update of a dropdown of its events' labels.

    chosen: the label that is chosen now, which stays if the recording has it. Raises as `Shelf.load` does.
    """
    from ...core.recording import describe

    recording = shelf.load(reference, units=unit_of(units), reading=reading)
    labels = sorted({event.label for event in recording.events})[:MANY_LABELS]
    kept = chosen if chosen in labels else ""
    return described(describe(recording)), reference, gr.update(choices=["", *labels], value=kept)


def described(text: str) -> str:
    """Return core's description of a recording as HTML, what was simulated marked as such."""
    if "simulated" not in text:
        return note(text)
    return f'<div class="sd-eeg-simulated">Simulated (phantom): no brain data</div>{note(text)}'
