"""The EEG tab inside a host."""

from __future__ import annotations

from typing import Any


def add_tab() -> list[tuple[Any, str, str]]:
    """Build the tab, as the host asks for it: (interface, title, element id)."""
    from ..generation.host_sources import HostSources
    from .send import connect_send
    from .tab import Place, build_tab

    place = Place(HostSources(), loaded_text_encoder, connect_send, None)
    return [(build_tab(place), "EEG", "sd_eeg")]


def loaded_text_encoder() -> Any:
    """Return the loaded checkpoint's text encoder as core takes it, None where no checkpoint is loaded."""
    from types import SimpleNamespace

    from modules import shared

    from ..host.host import prompt_encoder

    if getattr(shared, "sd_model", None) is None:
        return None
    return prompt_encoder(SimpleNamespace(width=512, height=512, sd_model=shared.sd_model))()
