"""The extension's page in the host's Settings."""

from __future__ import annotations

from typing import Any

from .host import FOLDER_OPTION, MAX_UPLOAD_MIB, RECORDINGS_OPTION, SIZE_OPTION

SECTION = ("sd_eeg", "EEG")


def add_settings() -> None:
    """Add our options to the host's settings."""
    from modules import shared

    for key, default, label, component in options():
        option = shared.OptionInfo(default, label, *component, section=SECTION)
        shared.opts.add_option(key, option)


def options() -> list[tuple[str, Any, str, tuple[Any, ...]]]:
    """Return key, default, label and component (with its arguments, or nothing) of every option."""
    import gradio as gr

    return [
        (FOLDER_OPTION, "", "Folder of EEG encoders (empty: models/eeg_encoders in the webui's folder)", ()),
        (
            RECORDINGS_OPTION,
            "",
            "Folders whose recordings may be named in the accordion and by the API, one a line (empty: eeg_recordings "
            "in the webui's data folder)",
            (gr.Textbox, {"lines": 3}),
        ),
        (
            SIZE_OPTION,
            MAX_UPLOAD_MIB,
            "Largest recording that is taken by upload or through the API (MiB)",
            (gr.Number, {"precision": 0}),
        ),
    ]
