"""Sending what the EEG tab shows into the accordion of txt2img or img2img."""

from __future__ import annotations

import json
from typing import Any

import gradio as gr

from ..generation.request import FIELDS
from ..generation.script import ACCORDIONS
from ..gradio_versions import js


def connect_send(button: Any, tab: str, request: Any) -> None:
    """Let a button fill the accordion of "txt2img" or "img2img", switch it on, and go there.

    request: a hidden textbox with fields of a request as JSON; empty where there was nothing to send, and then nothing
    happens.
    """
    enabled, fields = ACCORDIONS[tab]
    button.click(
        spread,
        [request],
        [enabled, *(fields[name] for name in FIELDS)],
        show_progress=False,
        **js(f"(text) => {{ if (text) switch_to_{tab}(); return [text]; }}"),
    )


def spread(text: str) -> list[Any]:
    """Return whether the accordion is on and the value of every field; what the JSON leaves out stays as it is."""
    given = json.loads(text) if text.strip() else {}
    if not given:
        return [gr.update() for _ in range(len(FIELDS) + 1)]
    return [True, *(given.get(name, gr.update()) for name in FIELDS)]
