"""The tab "EEG": a recording, its windows, what an encoder says of them, and the way to a picture."""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import gradio as gr

from ..generation.fields import Sources
from .tab_decode import build_decode
from .tab_draw import Draw, DrawSettings, build_draw, build_send
from .tab_library import build_library
from .tab_phantom import build_phantom
from .tab_plots import build_plots
from .tab_recording import build_recording, connect_panel
from .tab_training import build_training

if TYPE_CHECKING:
    from ...core.model.spaces import EncodePrompts

PREFIX = "sd_eeg_tab"


@dataclass(frozen=True)
class Place:
    """What the tab stands in: a host, or nothing.

    encode_prompts: gives the loaded checkpoint's text encoder at the moment of the call, None where there is none.
    send: in a host, connects a button so that a request, as JSON in a hidden textbox, fills the accordion of "txt2img"
    or "img2img". draw: without a host, draws pictures. about: what draws, in words; pixels: its pictures are small and
    shown enlarged, unsmoothed; settings: what its sampler starts from.
    """

    sources: Sources
    encode_prompts: Callable[[], EncodePrompts | None]
    send: Callable[[Any, str, Any], None] | None = None
    draw: Draw | None = None
    about: str = ""
    pixels: bool = False
    settings: DrawSettings = field(default_factory=DrawSettings)


def build_tab(place: Place) -> gr.Blocks:
    """Build the tab with everything that it does."""
    sources = place.sources
    with gr.Blocks(title="EEG for Stable Diffusion", analytics_enabled=False) as tab:
        recording = build_recording(sources, PREFIX, heading(place.about) if place.draw is not None else "")
        with gr.Tabs(elem_id=f"{PREFIX}_topics"):
            with gr.Tab("Decode", elem_id=f"{PREFIX}_topic_decode"), gr.Row():
                with gr.Column():
                    decode = build_decode(sources, recording, PREFIX)
                    if place.send is not None:
                        build_send(sources, decode, place.send, PREFIX)
                if place.draw is not None:
                    with gr.Column():
                        build_draw(sources, decode, place.draw, place.settings, place.about, place.pixels, PREFIX)
            with gr.Tab("Look at the EEG", elem_id=f"{PREFIX}_topic_plots"):
                build_plots(sources, decode, f"{PREFIX}_plots")
            with gr.Tab("Phantom", elem_id=f"{PREFIX}_topic_phantom"):
                build_phantom(
                    sources, recording, decode.windows["label"], decode.windows["average"], f"{PREFIX}_phantom"
                )
            with gr.Tab("Encoders", elem_id=f"{PREFIX}_topic_library") as topic:
                listed, card = build_library(sources, topic, [decode.encoder], f"{PREFIX}_library")
            with gr.Tab("Train an encoder", elem_id=f"{PREFIX}_topic_training"):
                build_training(
                    sources, recording, place.encode_prompts, [decode.encoder, card], listed, f"{PREFIX}_training"
                )
        connect_panel(sources, recording, decode.windows["label"], decode.windows["average"], decode.encoder)
    return tab


def heading(about: str) -> str:
    """Return the page's title where there is no host around it, and what it draws with, in HTML."""
    return (
        '<div class="sd-eeg-heading"><h1>EEG for Stable Diffusion</h1>'
        f"<p>From a recording to a picture. Drawing with {html.escape(about)}.</p></div>"
    )
