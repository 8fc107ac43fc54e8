"""What happens with the decoded windows: sent to txt2img or img2img in a host, drawn here without one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr

from ..generation.fields import Sources, finer_fields, mode_fields
from ..generation.request import EegRequest
from ..messages import note
from .jobs import Job, failure, follow
from .tab_decode import NAMES, DecodePanel
from .tab_parts import cancel_button, desk, gallery, number

if TYPE_CHECKING:
    from PIL.Image import Image

STEERING = ("mode", "strength", "fallback", "negative", "prompts")
MAX_PICTURES = 64
MAX_STEPS = 200
TRUTH = "What was shown: the phantom's scenes (simulated, not brain data)"


@dataclass(frozen=True)
class DrawSettings:
    """How pictures are drawn where there is no host: the prompt beside the EEG, and the sampler's numbers."""

    prompt: str = ""
    steps: int = 25
    guidance: float = 5.0
    seed: int = 0


Draw = Callable[[EegRequest, DrawSettings, Job], list["Image"]]


def build_send(sources: Sources, decode: DecodePanel, send: Callable[[Any, str, Any], None], prefix: str) -> None:
    """Build the buttons that fill the host's accordions.

    send: connects a button (its `click`) so that the JSON in a textbox fills the accordion of "txt2img" or "img2img".
    """
    with gr.Row():
        buttons = {tab: gr.Button(f"Send to {tab}", elem_id=f"{prefix}_send_{tab}") for tab in ("txt2img", "img2img")}
    status = gr.HTML("", elem_id=f"{prefix}_send_status")
    request = gr.Textbox("", visible=False, elem_id=f"{prefix}_request")

    def check(*values: Any) -> tuple[str, str]:
        return checked_request(sources, values)

    for tab, button in buttons.items():
        step = button.click(check, decode.inputs, [status, request], show_progress="hidden")
        send(AfterChecking(step.then), tab, request)


@dataclass(frozen=True)
class AfterChecking:
    """Stands for a button whose `click` comes after the request has been checked and written down."""

    click: Callable[..., Any]


def checked_request(sources: Sources, values: Sequence[Any]) -> tuple[str, str]:
    """Return a status and the request as JSON: what names the recording, its windows and the encoder, and no more.

    Where something is wrong the status says it and the JSON is empty, so that an earlier request is not sent again.
    """
    given = dict(zip(NAMES, values, strict=True))
    try:
        request = EegRequest(**given)
        sources.library.path(request.encoder)
        sources.shelf.find(request.recording)
    except Exception as error:
        return failure(error), ""
    return "", json.dumps(given)


def build_draw(
    sources: Sources, decode: DecodePanel, draw: Draw, defaults: DrawSettings, about: str, pixels: bool, prefix: str
) -> None:
    """Build the prompt, how the EEG acts on it, the Draw button and the pictures.

    about: what draws, in words. pixels: whether its pictures are so small that they are shown enlarged, unsmoothed.
    """
    prompt = gr.Textbox(
        defaults.prompt,
        label="Prompt",
        info="Beside the EEG in the modes blend and add; replace takes the EEG alone",
        elem_id=f"{prefix}_prompt",
    )
    steering = mode_fields(prefix)
    with gr.Accordion("More: prompts, negative, steps, seed", open=False):
        steering |= finer_fields(prefix, STEERING)
        with gr.Row():
            steps = gr.Number(defaults.steps, label="Steps", precision=0, min_width=100, elem_id=f"{prefix}_steps")
            guidance = gr.Number(defaults.guidance, label="Guidance", min_width=100, elem_id=f"{prefix}_guidance")
            seed = gr.Number(defaults.seed, label="Seed", precision=0, min_width=100, elem_id=f"{prefix}_seed")
    with gr.Row():
        button = gr.Button("Draw", variant="primary", elem_id=f"{prefix}_draw")
        cancel = cancel_button(f"{prefix}_draw")
    place = desk(f"{prefix}_draw", cancel)
    pictures = gallery(f"Drawn from the EEG by {about}", f"{prefix}_pictures", pixels=pixels)
    with gr.Column(visible=False) as beside:
        truth = gallery(TRUTH, f"{prefix}_truth", pixels=True)

    def draw_it(previous: str, *values: Any) -> Iterator[tuple]:
        yield from draw_windows(sources, draw, previous, values)

    inputs = [*decode.inputs, *(steering[name] for name in STEERING), prompt, steps, guidance, seed]
    place.connect(button.click, draw_it, inputs, [pictures, truth, beside])


def draw_windows(sources: Sources, draw: Draw, previous: str, values: Sequence[Any]) -> Iterator[tuple]:
    """Draw the chosen windows; yields for [pictures, truth, its column].

    values: of NAMES, STEERING and the fields of DrawSettings.
    """

    def work(job: Job) -> tuple[Any, ...]:
        from ..generation.decoded import load_decoded

        asked = dict(zip((*NAMES, *STEERING), values, strict=False))
        asked["strength"] = float(asked["strength"])
        request = EegRequest(**asked)
        settings = settings_of(values[len(asked) :])
        selection = load_decoded(request, sources.shelf, sources.library).selection
        if len(selection) > MAX_PICTURES:
            raise ValueError(
                f"{len(selection)} windows would be as many pictures; choose at most {MAX_PICTURES}, or average them"
            )
        images = draw(request, settings, job)
        known = truth_of(selection)
        captions = [f"{number}: {label}" for number, label in enumerate(selection.labels, 1)]
        pictures = list(zip(images, captions, strict=True))
        told = f"{len(images)} drawn" + (f"; {selection.note}" if selection.note else "")
        return note(told), pictures, known, gr.update(visible=bool(known))

    yield from follow("Decoding", work, 3, previous)


def settings_of(values: Sequence[Any]) -> DrawSettings:
    """Return the settings of a drawing; raises ValueError naming what is not a number."""
    prompt, steps, guidance, seed = values
    found = DrawSettings(
        str(prompt), int(number(steps, "steps")), number(guidance, "guidance"), int(number(seed, "seed"))
    )
    if not 1 <= found.steps <= MAX_STEPS:
        raise ValueError(f"steps: 1 to {MAX_STEPS}, not {found.steps}")
    if not 0 <= found.seed < 1 << 32:
        raise ValueError(f"seed: 0 to {(1 << 32) - 1}, not {found.seed}")
    return found


def truth_of(selection: Any) -> list[tuple[Any, str]]:
    """Return the scenes that a simulated recording says were shown in the windows, with captions; else nothing."""
    from ...core.phantom.session import pictures_shown

    shown_ones = enumerate(zip(selection.labels, pictures_shown(selection), strict=True), 1)
    return [
        (picture, f"{number}: {label}, simulated") for number, (label, picture) in shown_ones if picture is not None
    ]
