"""What the tab's panels share: a status with a Cancel button for long work, galleries, and numbers that are checked."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ..gradio_versions import at_once, lossless
from .jobs import cancel


@dataclass(frozen=True)
class Desk:
    """A panel's status (HTML), the id of its job (State) and its Cancel button."""

    status: Any
    job: Any
    cancel: Any

    def connect(
        self,
        event: Callable[..., Any],
        function: Callable[..., Any],
        inputs: Sequence[Any],
        outputs: Sequence[Any],
        **more: Any,
    ) -> Any:
        """Let an event such as `button.click` run a generator function that `jobs.follow` feeds.

        function: takes the id of the panel's last job and then the inputs' values.
        """
        return event(
            function,
            [self.job, *inputs],
            [self.status, self.job, self.cancel, *outputs],
            show_progress="hidden",
            **at_once(),
            **more,
        )


def cancel_button(prefix: str) -> Any:
    """Build a Cancel button, which acts while a job is under way."""
    return gr.Button("Cancel", interactive=False, elem_id=f"{prefix}_cancel", min_width=80, scale=0)


def desk(prefix: str, button: Any, status: Any = None) -> Desk:
    """Build the status, unless there is one, and connect the Cancel button."""
    status = status or gr.HTML("", elem_id=f"{prefix}_status")
    job = gr.State("")
    button.click(stop, [job], [button], queue=False, show_progress="hidden")
    return Desk(status, job, button)


def stop(job_id: str) -> Any:
    """Cancel the page's job; the job itself says so when it has stopped."""
    cancel(job_id)
    return gr.update(interactive=False)


def gallery(caption: str, elem_id: str, *, columns: int = 4, pixels: bool = False, plots: bool = False) -> Any:
    """Build a gallery under its caption, for gradio's own label lies over the pictures.

    pixels: enlarge small pictures without smoothing. plots: one wide picture a row, never cropped.
    """
    gr.HTML(f'<div class="sd-eeg-caption">{html.escape(caption)}</div>', elem_id=f"{elem_id}_caption_status")
    kind = ["sd-eeg-gallery", *(["sd-eeg-pixels"] if pixels else []), *(["sd-eeg-plots"] if plots else [])]
    return gr.Gallery(
        label=caption,
        show_label=False,
        columns=1 if plots else columns,
        object_fit="contain" if plots else None,
        elem_id=elem_id,
        elem_classes=kind,
        **lossless(),
    )


def number(value: Any, name: str) -> float:
    """Return what stands in a number's field as float; ValueError where it is empty."""
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{name}: a number is needed, not {value!r}")
    return float(value)
