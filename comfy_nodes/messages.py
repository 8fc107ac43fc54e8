"""What a person reads when a node cannot work: one sentence, never a traceback from inside a package."""

import functools
import sys
from collections.abc import Callable
from typing import Any

INSTALL_NAMES = {"sklearn": "scikit-learn", "PIL": "pillow"}


def readable(execute: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a node's `execute` so that a missing package says how to install it, and an odd file error which file."""

    @functools.wraps(execute)
    def wrapped(cls: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return execute(cls, *args, **kwargs)
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            raise ImportError(missing_package(INSTALL_NAMES.get(package, package))) from error
        except OSError as error:
            if isinstance(error, FileNotFoundError) and not error.filename:
                raise  # a sentence of our own
            raise ValueError(f"{error.strerror or error}: {str(error.filename or 'a file')[-120:]}") from error

    return wrapped


def missing_package(name: str) -> str:
    """Return how to install a package into the Python that runs the host."""
    return (
        f"the EEG nodes need the package {name!r}, which this Python does not have. Install it with\n"
        f'"{sys.executable}" -m pip install {name}\nand restart ComfyUI'
    )
