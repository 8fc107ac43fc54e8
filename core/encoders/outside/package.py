"""The package braindecode, which is optional: imported when one of its models is made, and not before."""

import importlib
import warnings
from typing import Any

from ...missing_package import install_hint


def braindecode(module: str = "models") -> Any:
    """Return a module of braindecode; ValueError says what to do where it is not installed or cannot be loaded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what its own dependencies deprecate
        try:
            return importlib.import_module(f"braindecode.{module}")
        except ModuleNotFoundError as error:
            hint = install_hint(error).replace("\n", " ")
            raise ValueError(f"this encoder is a model of the package braindecode: {hint}") from error
        except (ImportError, OSError, RuntimeError) as error:
            raise ValueError(
                f"the package braindecode is installed and cannot be loaded ({error}): install a torchaudio made for "
                "this torch, or braindecode anew"
            ) from error


def check_text(where: str, value: Any, most: int) -> None:
    """Raise ValueError where a value is no text of at most so many characters."""
    if not isinstance(value, str) or len(value) > most:
        raise ValueError(f"{where} is {str(value)[:80]!r}; it must be a text of at most {most} characters.")


def check_names(where: str, names: Any, n_channels: int) -> None:
    """Raise ValueError where names are not a tuple of a text for each channel, or an empty one for not known."""
    texts = isinstance(names, tuple) and all(isinstance(name, str) and len(name) <= 64 for name in names)
    if not texts or len(names) not in (0, n_channels):
        raise ValueError(f"{where} is {str(names)[:80]}; it must be a list of {n_channels} names, or empty.")
