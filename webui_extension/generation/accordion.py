"""The accordion "EEG conditioning" of txt2img and img2img: the fields of a request as the host's components."""

from __future__ import annotations

from typing import Any

import gradio as gr

from .fields import (
    Sources,
    connect_recording,
    encoder_field,
    recording_fields,
    steering_fields,
    window_fields,
)
from .request import FIELDS

TITLE = "EEG conditioning"


def build_accordion(sources: Sources, tab: str) -> tuple[Any, dict[str, Any]]:
    """Build the accordion, closed and off.

    tab: "txt2img" or "img2img". Returns the checkbox that switches it on and the components by the names of the
    request's fields.
    """
    from modules.ui_components import InputAccordion, ToolButton

    prefix = f"sd_eeg_{tab}"
    with InputAccordion(False, label=TITLE, elem_id=prefix) as enabled:
        recording = recording_fields(sources, prefix)
        windows = window_fields(prefix)
        with gr.Row():
            encoder = encoder_field(sources, prefix)
            refresh = ToolButton("\U0001f504", elem_id=f"{prefix}_refresh", tooltip="Look for encoder files again")
        steering = steering_fields(prefix)
    connect_recording(sources, recording, windows["label"])
    chosen = gr.State("")

    def look_again(name: str) -> tuple[Any, str]:
        return gr.update(choices=sources.library.names(), value=""), name

    # gradio 4 remembers the place of what is chosen: were it not taken out and put back, the new file in that place
    # could not be picked.
    found = refresh.click(look_again, [encoder], [encoder, chosen], show_progress=False)
    found.then(lambda name: name, [chosen], [encoder], show_progress=False)
    fields = {**recording, **windows, "encoder": encoder, **steering}
    return enabled, {name: fields[name] for name in FIELDS}
