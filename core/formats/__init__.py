"""The readers of recordings, one file per family; adding a format is a small file and one line in READERS."""

from __future__ import annotations

from pathlib import Path

from . import brainvision, edf, eeglab, fif, gdf, muse, native
from .signals import Reader

READERS: dict[str, Reader] = {
    reader.name: reader
    for reader in (*edf.READERS, brainvision.READER, eeglab.READER, fif.READER, gdf.READER, muse.READER, native.READER)
}


def reader_for(path: Path, format: str | None = None) -> Reader:  # noqa: A002
    """Return the reader named `format`, or the one whose suffix ends `path` (the longest suffix wins).

    Raises ValueError that lists the known formats.
    """
    if format is not None:
        if format not in READERS:
            raise ValueError(f"unknown format {format!r}; known: {', '.join(sorted(READERS))}")
        return READERS[format]
    name = path.name.lower()
    found = [
        (len(suffix), reader) for reader in READERS.values() for suffix in reader.suffixes if name.endswith(suffix)
    ]
    if not found:
        suffixes = sorted({suffix for reader in READERS.values() for suffix in reader.suffixes})
        raise ValueError(
            f"{path}: no reader for this kind of file; known suffixes: {', '.join(suffixes)} "
            f"(or name one with format= / --format: {', '.join(sorted(READERS))})"
        )
    return max(found, key=lambda pair: pair[0])[1]
