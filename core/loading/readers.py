"""The readers of recordings, one file per family; adding a format is a small file and one row in `FORMATS`."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from ..formats.contract.signals import Reader
from ..formats.contract.suffixes import FORMATS
from ..registry import by_name, registry
from . import bids
from .detect import looked_for, reader_of, suffix_of_bytes


def _reader_in(module: str, name: str) -> Reader:
    """Return the reader of that name from a module of `formats`, which has one `READER` or several `READERS`."""
    found = import_module(f"..formats.{module}", __package__)
    readers: tuple[Reader, ...] = getattr(found, "READERS", None) or (found.READER,)
    return by_name(readers)[name]


_FILES = registry(*((name, _reader_in(row.module, name)) for name, row in FORMATS.items() if row.module))
# a BIDS folder holds files of the others
READERS: dict[str, Reader] = by_name((*_FILES.values(), bids.reader_over(_FILES)))


def reader_for(path: Path, format: str | None = None) -> Reader:  # noqa: A002
    """Return the reader named `format`, or the one that takes `path` by its content, else by its name.

    Raises ValueError that lists the known formats and what was looked for.
    """
    return reader_of(path, READERS, format)[0]


def suffix_of_content(content: bytes) -> str:
    """Return the suffix of a file of these bytes, by what they hold; ValueError says what was looked for in vain."""
    if suffix := suffix_of_bytes(content, READERS):
        return suffix
    raise ValueError(f"the recording has no name, and its content is not recognised; looked for {looked_for(READERS)}")
