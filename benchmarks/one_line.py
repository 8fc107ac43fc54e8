"""What a person reads where a benchmark cannot run: one line instead of a traceback."""

import sys
from pathlib import Path
from types import TracebackType

from core.missing_package import INSTALL_NAMES


def say_what_is_missing() -> None:
    """From here on a missing package or file ends the program with one line on stderr and exit status 2."""
    usual = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, ModuleNotFoundError) and error.name:
            package = error.name.partition(".")[0]
            name = INSTALL_NAMES.get(package, package)
            why = f"the package {name!r} is missing; `python install.py test` makes a .venv that has it"
        elif isinstance(error, FileNotFoundError | NotADirectoryError):
            why = " ".join(str(error).split())
        else:
            return usual(kind, error, trace)
        print(f"{Path(sys.argv[0]).name} cannot run here: {why}", file=sys.stderr)
        sys.stderr.flush()
        raise SystemExit(2)

    sys.excepthook = hook
