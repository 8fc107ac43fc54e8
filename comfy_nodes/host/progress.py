"""Progress bars and the Cancel button, for work that takes longer than a second."""

import contextlib
from collections.abc import Callable


def host_progress() -> Callable[[int, int], None]:
    """Return a function of (done, total) that moves the node's progress bar and stops where the user cancelled."""
    import comfy.model_management
    from comfy_api.v0_0_2 import ComfyAPISync

    api = ComfyAPISync()

    def report(done: int, total: int) -> None:
        comfy.model_management.throw_exception_if_processing_interrupted()
        with contextlib.suppress(ValueError):  # no execution is under way where a script calls the node
            api.execution.set_progress(done, total)

    return report
