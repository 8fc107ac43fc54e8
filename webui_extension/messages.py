"""What a person reads when something fails: one sentence, never a traceback from inside a package."""

from __future__ import annotations

import functools
import html
from collections.abc import Callable
from typing import Any

READABLE = (ValueError, OSError, ImportError, MemoryError)


def sentence(error: BaseException) -> str:
    """Return what to show of an error: our own sentences as they are, others with what they are about."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        from ..core.missing_package import install_hint

        return install_hint(error)
    if isinstance(error, OSError) and error.filename:
        return f"{error.strerror or error}: {str(error.filename)[-120:]}"
    if isinstance(error, MemoryError):
        return "not enough memory for this; take a shorter recording or fewer windows"
    text = str(error) or type(error).__name__
    return text if isinstance(error, READABLE) else f"{type(error).__name__}: {text}"


def alert(text: str) -> str:
    """Return a failure as HTML that stands out and that a screen reader announces."""
    return f'<div class="sd-eeg-alert" role="alert">{html.escape(text)}</div>'


def note(text: str) -> str:
    """Return readable lines as HTML, an empty text as nothing."""
    return f'<div class="sd-eeg-note" role="status">{html.escape(text)}</div>' if text else ""


def shown(n_outputs: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Wrap an event's function: its first output is a status in HTML, and an error shows there, nowhere else.

    n_outputs: how many outputs the event has, the status included; after an error the others stay as they are.
    """

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            import gradio

            try:
                return function(*args, **kwargs)
            except Exception as error:
                if not isinstance(error, READABLE):
                    import traceback

                    traceback.print_exc()  # a defect of ours: whoever runs the host can report it
                status = alert(sentence(error))
                return (status, *[gradio.update() for _ in range(n_outputs - 1)]) if n_outputs > 1 else status

        return wrapped

    return wrap
