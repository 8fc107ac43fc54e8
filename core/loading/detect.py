"""Which reader takes a file: by its content first, by its name where the content does not tell."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path

from ..formats.contract.signals import Head, Reader

HEAD_BYTES = 64 << 10
GZIP = b"\x1f\x8b"


def head_of(path: Path) -> Head:
    """Return the first 64 KiB of a file, of a gzip file the first 64 KiB that it holds (none where it is damaged)."""
    with open(path, "rb") as file:
        return _head(path, file.read(HEAD_BYTES))


def _head(path: Path, start: bytes) -> Head:
    if not start.startswith(GZIP):
        return Head(path, start)
    name = path.name[:-3] if path.name.lower().endswith(".gz") else path.name
    try:
        unpacked = zlib.decompressobj(wbits=31).decompress(start, HEAD_BYTES)
    except zlib.error:
        unpacked = b""
    return Head(path.with_name(name), unpacked)


def suffix_of_bytes(content: bytes, readers: Mapping[str, Reader]) -> str | None:
    """Return the suffix that a file of these bytes should have, None where no reader recognises them."""
    if content.startswith(b"PK\x03\x04"):
        return ".zip"
    found = recognised_by(_head(Path("recording"), content[:HEAD_BYTES]), readers)
    return found[0].suffixes[0] + (".gz" if content.startswith(GZIP) else "") if found else None


def recognised_by(head: Head, readers: Mapping[str, Reader], *, general: bool = True) -> list[Reader]:
    """Return the readers that know a file by its content; the general ones only where no other does, or never."""
    for kind in (False, True) if general else (False,):
        found = [
            reader
            for reader in readers.values()
            if reader.general == kind and reader.recognises is not None and reader.recognises(head)
        ]
        if found:
            return found
    return []


def looked_for(readers: Mapping[str, Reader]) -> str:
    """Return in words what each reader looks for in a file's content."""
    return "; ".join(reader.looked_for for reader in readers.values() if reader.looked_for)


def by_suffix(path: Path, readers: Mapping[str, Reader]) -> list[Reader]:
    """Return the readers that answer to the longest suffix of the name that any answers to."""
    name = path.name.lower().removesuffix(".gz")
    found = [
        (len(suffix), reader) for reader in readers.values() for suffix in reader.suffixes if name.endswith(suffix)
    ]
    longest = max((length for length, _ in found), default=0)
    return [reader for length, reader in found if length == longest]


def reader_of(path: Path, readers: Mapping[str, Reader], format: str | None = None) -> tuple[Reader, str]:  # noqa: A002
    """Return the reader of a file and how it was found ("asked for", "by its content", "by its name").

    Content goes before the name, so that a wrong suffix misleads no one; where several readers recognise the content,
    the name chooses among them. Raises ValueError that lists the known formats, or what was looked for in the content.
    """
    if format is not None:
        if format not in readers:
            raise ValueError(f"unknown format {format!r}; known: {', '.join(sorted(readers))}")
        return readers[format], "asked for"
    named = by_suffix(path, readers)
    if path.is_dir():
        if folders := [reader for reader in named if reader.folder]:
            return folders[0], "by its name"
        for reader in readers.values():
            if reader.folder and reader.recognises is not None and reader.recognises(Head(path, b"")):
                return reader, "by its content"
        inside = sorted(item.name for item in path.iterdir() if by_suffix(item, readers))
        more = ", ..." if len(inside) > 12 else ""
        told = f"; load one of its files: {', '.join(inside[:12])}{more}" if inside else ""
        raise ValueError(f"{path}: a folder, not a recording{told}")
    found = recognised_by(head_of(path), readers)
    if both := [reader for reader in found if reader in named]:
        return both[0], "by its content"
    if found:
        return found[0], f"by its content (its name, {path.suffix or 'without a suffix'}, says otherwise)"
    # a damaged beginning is for the reader that the name tells of to explain; a table of no known make is a plain one
    if named:
        return next((reader for reader in named if reader.general), named[0]), "by its name"
    raise ValueError(
        f"{path}: not recognised, neither by its name nor by its content. Looked for: {looked_for(readers)}. "
        f"If you know what it is, say so with format= / --format: {', '.join(sorted(readers))}"
    )
