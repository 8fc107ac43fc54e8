"""Work that takes longer than a second: done in a thread, with progress on the page and a way to cancel it.

An event's function is a generator that `follow` feeds: what it yields goes to a status, the job's id, the Cancel button
and the outputs. The id is kept by the page, so several pages never see each other's jobs.
"""

from __future__ import annotations

import html
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ..messages import READABLE, alert, note, sentence

POLL_S = 0.2
PATIENCE_S = 2.0  # how long a cancelled job's own end is waited for
_JOBS: dict[str, Job] = {}


class Cancelled(Exception):  # noqa: N818  (it is no error)
    """Raised inside a job's work where its user has cancelled it."""


@dataclass(eq=False)
class Job:
    """One piece of work under way; called with (done, total) it moves the progress bar, or stops what was cancelled."""

    words: str
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    done: int = 0
    total: int = 0
    result: tuple[Any, ...] = ()
    error: BaseException | None = None
    cancelled: bool = False
    settled: bool = False
    finished: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, done: int, total: int) -> None:
        """Set how much is done; raises Cancelled where the user has cancelled."""
        self.check()
        self.done, self.total = done, total

    def say(self, words: str) -> None:
        """Set what is being done, and forget how much of it; raises Cancelled where the user has cancelled."""
        self.check()
        self.words, self.done, self.total = words, 0, 0

    def check(self) -> None:
        """Raise Cancelled where the user has cancelled."""
        if self.cancelled:
            raise Cancelled

    def settle(self) -> None:
        """Go past what can be cancelled, before something is written; raises Cancelled where it already was."""
        with self.lock:
            self.check()
            self.settled = True

    def cancel(self) -> None:
        """Ask the work to stop; without effect once it is settled or finished."""
        with self.lock:
            self.cancelled = self.cancelled or not (self.settled or self.finished.is_set())

    def status(self) -> str:
        """Return what is being done as HTML, with a progress bar."""
        text = "Cancelling" if self.cancelled else self.words
        known = self.total > 1 and not self.cancelled
        amount = f' value="{min(self.done, self.total)}" max="{self.total}"' if known else ""
        count = f" ({self.done} of {self.total})" if known else ""
        return (
            f'<div class="sd-eeg-note sd-eeg-progress" role="status"><span>{html.escape(text)}{count} ...</span>'
            f'<progress aria-label="{html.escape(text)}"{amount}></progress></div>'
        )


def start(words: str, work: Callable[[Job], tuple[Any, ...]]) -> Job:
    """Start work in a thread of its own; what it returns or raises is kept on the job."""
    job = Job(words)
    _JOBS[job.id] = job

    def run() -> None:
        try:
            job.result = work(job)
        except BaseException as error:
            job.error = error
        finally:
            job.finished.set()

    threading.Thread(target=run, name=f"sd-eeg {words}", daemon=True).start()
    return job


def cancel(job_id: str) -> None:
    """Cancel a job by its id; one that has ended, or was never started, does not mind."""
    job = _JOBS.get(job_id)
    if job is not None:
        job.cancel()


def follow(words: str, work: Callable[[Job], tuple[Any, ...]], n_outputs: int, previous: str = "") -> Iterator[tuple]:
    """Do work and yield, as it goes on, a status, the job's id, the Cancel button's update and the outputs.

    work: given the job, returns a status in HTML and `n_outputs` values; what it raises becomes the status, and the
    outputs stay as they are. previous: the id of this page's last job, which is cancelled. Where the page goes away the
    job is cancelled too.
    """
    import gradio

    same = [gradio.update() for _ in range(n_outputs)]
    cancel(previous)
    job = start(words, work)
    said, asked = "", 0.0
    try:
        while not job.finished.wait(POLL_S):
            if job.cancelled:
                asked = asked or time.monotonic()
                if time.monotonic() - asked > PATIENCE_S:
                    break  # a step that cannot be interrupted: it ends by itself, and what it gives is dropped
            if (status := job.status()) != said:
                said = status
                yield (status, job.id, gradio.update(interactive=not job.cancelled), *same)
        ended = ("", gradio.update(interactive=False))
        if job.cancelled and (not job.finished.is_set() or isinstance(job.error, Cancelled) or not job.error):
            yield (note("Cancelled; nothing was changed."), *ended, *same)
        elif job.error is not None:
            yield (failure(job.error), *ended, *same)
        else:
            status, *outputs = job.result
            yield (status, *ended, *outputs)
    finally:
        job.cancel()
        _JOBS.pop(job.id, None)


def failure(error: BaseException) -> str:
    """Return an error as the status shows it; a defect of ours is also printed, for whoever runs the host."""
    if not isinstance(error, READABLE):
        import traceback

        traceback.print_exception(type(error), error, error.__traceback__)
    return alert(sentence(error))
