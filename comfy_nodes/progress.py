"""Progress bars and the Cancel button, for work that takes longer than a second."""

from collections.abc import Callable


def host_progress() -> Callable[[int, int], None]:
    """Return a function of (done, total) that moves the node's progress bar and stops where the user cancelled."""
    import comfy.model_management
    from comfy_api.v0_0_2 import ComfyAPISync

    api = ComfyAPISync()

    def report(done: int, total: int) -> None:
        comfy.model_management.throw_exception_if_processing_interrupted()
        try:
            api.execution.set_progress(done, total)
        except ValueError:
            pass  # no execution is under way: a script called the node

    return report
