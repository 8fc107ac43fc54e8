"""What a person reads when a node cannot work: one sentence, never a traceback from inside a package."""

import functools
from collections.abc import Callable
from typing import Any

from ...core.missing_package import install_hint


def readable(execute: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a node's `execute` so that a missing package says how to install it, and an odd file error which file."""

    @functools.wraps(execute)
    def wrapped(cls: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return execute(cls, *args, **kwargs)
        except ModuleNotFoundError as error:
            raise ImportError(install_hint(error)) from error
        except OSError as error:
            if isinstance(error, FileNotFoundError) and not error.filename:
                raise  # a sentence of our own
            raise ValueError(f"{error.strerror or error}: {str(error.filename or 'a file')[-120:]}") from error

    return wrapped
