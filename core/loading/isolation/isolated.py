"""Readers whose parser can take the interpreter down run in a child process, bounded in time and memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Timer
from typing import Any, NoReturn

from ...files import files_of_set
from ...formats.contract.signals import NoEeg, Reader, ReadOptions, Signals
from .signals_wire import options_as_message, receive, send

PROGRAM = Path(__file__).with_name("isolated_child.py")
# what a cold disk and a virus scanner take to start Python and import MNE
START_S = 60.0
READ_S, BYTES_PER_S = 8.0, 4 << 20
BUSY = 5.0  # by how much longer than its processor's time a child may take where others use the machine
# compressed recordings unfold about threefold into int16 and twelvefold into float64
MEMORY, MEMORY_PER_BYTE = 1 << 30, 32
MOST_BYTES = 16 << 30
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def read_isolated(reader: Reader, path: Path, options: ReadOptions) -> Signals:
    """Run a reader in a child process and return what it read.

    The child may take 8 s of a processor and a second for every 4 MiB of the recording's files, five times that by the
    clock, and memory of 1 GiB and 32 times their size (bounded on Linux; macOS bounds time only, Windows time by the
    clock). Raises ValueError, in one line, where it crashes, hangs or asks for more, and whatever the reader raises.
    """
    size = sum(file.stat().st_size for file in files_of_set(path)) if path.is_file() else _size_of_folder(path)
    seconds = READ_S + size / BYTES_PER_S
    memory = min(MEMORY + MEMORY_PER_BYTE * size, MOST_BYTES)
    child = _start(path)
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        answer = {}
        with _Deadline(child, START_S) as starting:
            request = {
                "path": path,
                "reader": reader.name,
                "options": options_as_message(options),
                "sys_path": sys.path,
                "memory": memory,
                "seconds": seconds,
            }
            answer = _exchange(child, request)
        if answer is None:
            took = f"in {START_S:g} s" if starting.passed else f"({_ended(child)})"
            raise ValueError(f"{path}: the process that reads {reader.name} files did not start {took}")
        if "ready" in answer:
            with _Deadline(child, seconds * BUSY) as reading:
                answer = _exchange(child, None)
            if answer is None and (reading.passed or _used_its_time(child)):
                raise ValueError(
                    f"{path}: cannot be read as {reader.description}: its parser was still at it after {seconds:.0f} s "
                    "and was stopped; the file is damaged, or of another kind that shares the name"
                )
            if answer is None:
                raise ValueError(
                    f"{path}: cannot be read as {reader.description}: its parser crashed ({_ended(child)}); the file "
                    "is damaged, or of another kind that shares the name"
                )
    finally:
        child.kill()
        child.stdin.close()
        child.stdout.close()
        child.wait()
    if "error" in answer:
        _raise(path, reader, answer, memory)
    return Signals(**answer["signals"])


def _start(path: Path) -> subprocess.Popen[bytes]:
    # a frozen program is no Python: it would start itself once more
    if not sys.executable or getattr(sys, "frozen", False):
        raise ValueError(
            f"{path}: such files are read in a process of their own, and this Python does not know its own program"
        )
    hidden = subprocess.CREATE_NO_WINDOW if sys.platform == "win32" else 0
    return subprocess.Popen(
        [sys.executable, str(PROGRAM)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **_ONE_THREAD},
        creationflags=hidden,
    )


class _Deadline:
    """Kills the child when the time is up; `passed` says whether it had to."""

    def __init__(self, child: subprocess.Popen[bytes], seconds: float) -> None:
        self.passed = False
        self._child = child
        self._timer = Timer(seconds, self._kill)
        self._timer.daemon = True

    def _kill(self) -> None:
        self.passed = True
        self._child.kill()

    def __enter__(self) -> _Deadline:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()


def _exchange(child: subprocess.Popen[bytes], message: dict[str, Any] | None) -> dict[str, Any] | None:
    """Send a message, if any, and return the child's next one; None where the child is gone."""
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        if message is not None:
            send(child.stdin, message)
        return receive(child.stdout, MOST_BYTES)
    except (EOFError, OSError, ValueError, KeyError, TypeError):
        return None


def _used_its_time(child: subprocess.Popen[bytes]) -> bool:
    """Return whether the system ended the child for the processor's time it took."""
    try:
        return sys.platform != "win32" and child.wait(timeout=5) == -signal.SIGXCPU
    except subprocess.TimeoutExpired:
        return False


def _ended(child: subprocess.Popen[bytes]) -> str:
    try:
        status = child.wait(timeout=5)
    except subprocess.TimeoutExpired:
        return "it answered with what is no answer"
    return f"signal {-status}" if status < 0 else f"exit status {status}"


def _raise(path: Path, reader: Reader, answer: dict[str, Any], memory: int) -> NoReturn:
    kind, text = answer["error"], answer["text"]
    if kind == "MemoryError":
        raise ValueError(
            f"{path}: cannot be read as {reader.description}: its parser asked for more than {memory >> 20} MiB; the "
            "file is damaged, or of another kind that shares the name"
        )
    if kind == "ModuleNotFoundError":
        raise ModuleNotFoundError(text, name=answer["name"])
    known = {"FileNotFoundError": FileNotFoundError, "NoEeg": NoEeg, "ValueError": ValueError}
    if kind in known:
        raise known[kind](text)
    reason = " ".join(text.split())[:300] or kind
    raise ValueError(f"{path}: cannot be read as {reader.description}: {reason}")


def _size_of_folder(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
