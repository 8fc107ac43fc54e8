"""The fields of a request as gradio components: the accordion and the tab build them here, so they look alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ...core.choices import AVERAGES, FROM_FILE, MAX_STRENGTH, STEERING, UNITS
from ..folders.library import Library
from ..folders.recordings import Shelf
from ..gradio_versions import uploaded_files
from ..messages import note, shown
from .request import CHOOSE, INITS, NEGATIVES, unit_of

MANY_LABELS = 200
FINER = ("start", "end", "fallback", "negative", "init", "prompts")


@dataclass(frozen=True)
class Sources:
    """Where a user interface finds recordings and encoders."""

    shelf: Shelf
    library: Library


def recording_fields(sources: Sources, prefix: str) -> dict[str, Any]:
    """Build the upload, the recording's reference, what it does not say, and what was read; returns them by name.

    prefix: of the elements' ids. `connect_recording` makes them act.
    """
    with gr.Row():
        upload = gr.File(
            label="Upload a recording (EDF, XDF, BrainVision, EEGLAB, Emotiv, Muse, OpenBCI ...; a set at once)",
            file_count="multiple",
            height=190,
            elem_id=f"{prefix}_upload",
        )
        with gr.Column():
            recording = gr.Textbox(
                "",
                label="Recording",
                info="Filled in by an upload; or the name of a file in an allowed folder",
                elem_id=f"{prefix}_recording",
            )
            units = gr.Dropdown(
                list(UNITS),
                value=FROM_FILE,
                label="Units of its numbers",
                elem_id=f"{prefix}_units",
            )
            reading = gr.Textbox(
                "",
                label="What the file does not say",
                info="As an error asks for it: sfreq=250; channels=Fp1,Fp2; board=cyton",
                elem_id=f"{prefix}_reading",
            )
    status = gr.HTML("", elem_id=f"{prefix}_recording_status")
    return {"upload": upload, "recording": recording, "units": units, "reading": reading, "status": status}


def window_fields(prefix: str) -> dict[str, Any]:
    """Build what chooses moments of a recording; returns the components by the names of the request's fields."""
    choose = gr.Radio(list(CHOOSE), value=CHOOSE[0], label="Windows", elem_id=f"{prefix}_choose")
    with gr.Row():
        label = gr.Dropdown(
            [""],
            value="",
            label="Events labelled",
            info="Empty: any event",
            allow_custom_value=True,
            elem_id=f"{prefix}_label",
            min_width=120,
        )
        which = gr.Textbox(
            "",
            label="Which of them",
            info="From 0: 0, 3, 5-9; -1 the last; empty: all",
            elem_id=f"{prefix}_which",
            min_width=120,
        )
        average = gr.Dropdown(
            list(AVERAGES),
            value=AVERAGES[0],
            label="Average",
            info="Repeats of a label, or all, into one window",
            elem_id=f"{prefix}_average",
            min_width=120,
        )
        times = gr.Textbox(
            "", label="Times", info="Seconds: 1.5, 3 (for windows by times)", elem_id=f"{prefix}_times", min_width=120
        )
    return {"choose": choose, "label": label, "which": which, "average": average, "times": times}


def encoder_field(sources: Sources, prefix: str) -> Any:
    """Build the choice of an encoder; any name can be typed, so that a file put there later needs no restart."""
    names = sources.library.names()
    return gr.Dropdown(
        names,
        value=names[0] if names else "",
        label="EEG encoder",
        info="Files in models/eeg_encoders, and those that come with the extension",
        allow_custom_value=True,
        elem_id=f"{prefix}_encoder",
    )


def steering_fields(prefix: str) -> dict[str, Any]:
    """Build how the EEG acts on the picture; returns the components by the names of the request's fields."""
    return {**mode_fields(prefix), **finer_fields(prefix)}


def mode_fields(prefix: str) -> dict[str, Any]:
    """Build how the EEG acts on the prompt, and how much."""
    with gr.Row():
        mode = gr.Radio(
            list(STEERING),
            value=STEERING[0],
            label="Mode",
            info="replace: in the prompt's place. blend: between prompt and EEG. add: the prompt, moved by the EEG",
            elem_id=f"{prefix}_mode",
            scale=3,
            min_width=320,
        )
        strength = gr.Slider(
            0.0,
            MAX_STRENGTH,
            value=1.0,
            step=0.05,
            label="Strength",
            info="replace: 0 is the train mean. blend: 0 is the prompt, 1 the EEG. add: 0 is the prompt",
            elem_id=f"{prefix}_strength",
            scale=2,
            min_width=320,
        )
    return {"mode": mode, "strength": strength}


def finer_fields(prefix: str, wanted: Sequence[str] = FINER) -> dict[str, Any]:
    """Build when the EEG acts, what stands against it and what else is rarely changed.

    wanted: which of them are seen; what nobody can act on is not shown.
    """
    with gr.Row():
        start = gr.Slider(
            0.0, 1.0, value=0.0, step=0.05, label="Start", elem_id=f"{prefix}_start", visible="start" in wanted
        )
        end = gr.Slider(0.0, 1.0, value=1.0, step=0.05, label="End", elem_id=f"{prefix}_end", visible="end" in wanted)
    with gr.Row():
        fallback = gr.Checkbox(
            False,
            label="Fall back to the prompt where the decoder is unsure",
            elem_id=f"{prefix}_fallback",
            visible="fallback" in wanted,
        )
        negative = gr.Radio(
            list(NEGATIVES),
            value=NEGATIVES[0],
            label="Negative conditioning",
            elem_id=f"{prefix}_negative",
            visible="negative" in wanted,
        )
        init = gr.Radio(
            list(INITS),
            value=INITS[0],
            label="Init image from the EEG",
            info="Needs an encoder with such a head",
            elem_id=f"{prefix}_init",
            visible="init" in wanted,
        )
    prompts = gr.Textbox(
        "",
        label="The encoder's prompts, reworded",
        info="One a line, same number and order; empty: as in the file",
        lines=3,
        elem_id=f"{prefix}_prompts",
        visible="prompts" in wanted,
    )
    return {
        "start": start,
        "end": end,
        "fallback": fallback,
        "negative": negative,
        "init": init,
        "prompts": prompts,
    }


def connect_recording(sources: Sources, fields: dict[str, Any], label: Any) -> None:
    """Make an upload fill in the reference, and a reference show what it is and offer its events' labels."""
    names = ("upload", "recording", "units", "reading", "status")
    upload, recording, units, reading, status = (fields[name] for name in names)

    def keep(value: Any) -> tuple[Any, Any]:
        return kept(sources.shelf, value)

    def describe_it(reference: str, unit: str, told: str) -> tuple[Any, Any]:
        return described(sources.shelf, reference, unit, told) if reference.strip() else ("", gr.update())

    upload.change(keep, [upload], [status, recording])
    asked = [recording, units, reading]
    recording.change(describe_it, asked, [status, label])
    units.change(describe_it, asked, [status, label])
    reading.submit(describe_it, asked, [status, label])
    reading.blur(describe_it, asked, [status, label])


@shown(2)
def kept(shelf: Shelf, value: Any) -> tuple[Any, Any]:
    """Keep what was uploaded; returns an empty status and the recording's reference, none where it was emptied."""
    files = uploaded_files(value)
    return ("", shelf.keep_files(files)) if files else (gr.update(), gr.update())


@shown(2)
def described(shelf: Shelf, reference: str, units: str, reading: str) -> tuple[Any, Any]:
    """Return what was read and inferred of a recording, as HTML, and an update with the labels of its events."""
    from ...core.recording import describe

    recording = shelf.load(reference, units=unit_of(units), reading=reading)
    labels = sorted({event.label for event in recording.events})[:MANY_LABELS]
    return note(describe(recording)), gr.update(choices=["", *labels])
