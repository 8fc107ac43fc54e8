"""The program that `isolated.read_isolated` runs: reads one file in a process of its own and sends what it read.

It is run by its path. The package has another name in every host, so it is imported here under a name of its own.
"""

import os
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

PACKAGE = "sd_eeg_isolated"


def main(readers: Mapping[str, Any] | None = None) -> None:
    """Answer two messages: ready, and what one of `readers` (those of the package) read or why not."""
    own = Path(__file__).resolve().parent
    # this folder's files have names like other people's packages
    sys.path[:] = [entry for entry in sys.path if not entry or Path(entry).resolve() != own]
    answers = _private_stdout()
    _no_crash_reports()

    package = sys.modules[PACKAGE] = ModuleType(PACKAGE)
    package.__path__ = [str(own.parents[2])]
    wire = import_module(f"{PACKAGE}.core.loading.isolation.signals_wire")
    request = wire.receive(sys.stdin.buffer, 0)
    # packages may lie where only the host's path leads
    sys.path.extend(entry for entry in request["sys_path"] if entry and entry not in sys.path)
    formats = import_module(f"{PACKAGE}.core.loading.readers")
    signals = import_module(f"{PACKAGE}.core.formats.contract.signals")
    try:
        import mne

        _ = mne.io.read_raw  # MNE imports on first use, which is not the parser's time
    except ImportError:
        pass
    wire.send(answers, {"ready": True})
    _bound(request["memory"], request["seconds"])
    try:
        reader = (readers or formats.READERS)[request["reader"]]
        found = reader.read(request["path"], signals.ReadOptions(**request["options"]))
        answer: dict[str, Any] = {"signals": wire.signals_as_message(found)}
    except Exception as error:  # parsers fail with whatever they met
        name = str(getattr(error, "name", "") or "")
        answer = {"error": type(error).__name__, "text": str(error), "name": name}
        for kind in ("ModuleNotFoundError", "FileNotFoundError", "MemoryError"):
            if kind in {base.__name__ for base in type(error).__mro__}:
                answer["error"] = kind
    wire.send(answers, answer)


def _private_stdout() -> BinaryIO:
    """Return the pipe to the parent, and let whatever a parser prints go nowhere."""
    answers = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return answers


def _no_crash_reports() -> None:
    if sys.platform == "win32":
        import ctypes

        # neither the box that says a program has stopped working nor the one that asks for a disk
        ctypes.windll.kernel32.SetErrorMode(0x0001 | 0x0002 | 0x8000)
    else:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _bound(memory: int, seconds: float) -> None:
    """Bound what is asked for from here on, and the processor's time, which no busy machine takes from us."""
    if sys.platform == "win32":
        return
    import resource

    def lower(kind: int, value: int) -> None:
        hard = resource.getrlimit(kind)[1]
        resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))

    used = resource.getrusage(resource.RUSAGE_SELF)
    lower(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime + seconds) + 1)
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        lower(resource.RLIMIT_AS, pages * resource.getpagesize() + memory)
    except (OSError, ValueError):
        pass  # not Linux: no count of what is in use, and macOS ignores the limit


if __name__ == "__main__":
    main()
