"""The edge of every trainer command: bad input becomes one readable line and exit status 2."""

import errno
import os
import sys
from collections.abc import Callable
from typing import NoReturn

STATUS_BAD_INPUT = 2
STATUS_INTERRUPTED = 130


def run(main: Callable[[], None]) -> None:
    """Run a command's `main`.

    ValueError, FileNotFoundError and other errors of the file system become one line on standard error and exit
    status 2; Ctrl-C ends with status 130. Set SD_EEG_TRACEBACK=1 to see where an error came from.
    """
    try:
        main()
    except (ValueError, OSError) as error:
        if os.environ.get("SD_EEG_TRACEBACK"):
            raise
        stop(one_line(error))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(STATUS_INTERRUPTED) from None


def stop(message: str) -> NoReturn:
    """Print a message on standard error and leave with exit status 2."""
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(STATUS_BAD_INPUT)


def one_line(error: BaseException) -> str:
    """Return an error's text on one line; its class where it has no text."""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        place = f"{error.filename}: " if error.filename is not None else ""
        return f"{place}{error.strerror}; what was finished is kept: make room and go on (train.py takes --resume)"
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


def peak_megabytes() -> float:
    """Return the most memory this process has had so far, in MiB."""
    if sys.platform == "win32":
        import psutil

        return psutil.Process().memory_info().peak_wset / 2**20
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 2**20 if sys.platform == "darwin" else most / 2**10  # bytes there, KiB elsewhere
