"""Sending what the EEG tab shows into the accordion of txt2img or img2img."""

from __future__ import annotations

import json
from typing import Any

from .gradio_versions import js
from .request import DEFAULTS, FIELDS
from .script import ACCORDIONS


def connect_send(button: Any, tab: str, request: Any) -> None:
    """Let a button fill the accordion of "txt2img" or "img2img" and switch there.

    request: a hidden textbox with the fields of a request as JSON.
    """
    enabled, fields = ACCORDIONS[tab]
    button.click(
        spread,
        [request],
        [enabled, *(fields[name] for name in FIELDS)],
        show_progress=False,
        **js(f"(text) => {{ switch_to_{tab}(); return [text]; }}"),
    )


def spread(text: str) -> list[Any]:
    """Return whether the accordion is on, and the value of every field, from a request's JSON."""
    given = json.loads(text) if text.strip() else {}
    return [bool(given), *(given.get(name, DEFAULTS[name]) for name in FIELDS)]
