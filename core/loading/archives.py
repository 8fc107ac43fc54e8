"""Recordings inside .gz and .zip: unpacked into a temporary folder, bounded in size, and gone afterwards."""

from __future__ import annotations

import lzma
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from ..formats.contract.signals import Head, NoEeg, Reader, ReadOptions
from .detect import GZIP, HEAD_BYTES, by_suffix, recognised_by

# packed EEG is a half to a twentieth of its size; what grows far beyond that is an attack or no recording
GROWS_AT_MOST = 64
ALWAYS_ALLOWED = 256 << 20
MOST_BYTES = 16 << 30
_MOST_LAYERS = 3
_MOST_MEMBERS = 20_000
_MOST_LOOKED_INTO = 500
_BLOCK = 1 << 20
_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, struct.error, NotImplementedError, RuntimeError)
_NOT_A_RECORDING = (".vmrk", ".fdt", ".json", ".md", ".pdf", ".png", ".jpg", ".py", ".m", ".html", ".xml", ".txt~")
_SIDECARS = ("_events.tsv", "_channels.tsv", "_electrodes.tsv", "participants.tsv", "_scans.tsv", "_sessions.tsv")


@contextmanager
def unpacked(path: Path, options: ReadOptions, readers: Mapping[str, Reader]) -> Iterator[Path]:
    """Yield the file to read: `path` itself, or what a .gz or .zip holds, in a temporary folder that is removed.

    `readers` tell which of a zip file's members are recordings; of several `options.member` names one (ValueError
    lists them). Raises ValueError where it is damaged, cut off, locked or grows beyond any recording. Errors raised
    inside the block tell the user's names.
    """
    if packing_of(path) is None:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="sd-eeg-unpacked-") as folder:
        inner, shown, member = path, str(path), options.member
        for layer in range(_MOST_LAYERS):
            packing = packing_of(inner)
            if packing is None:
                break
            beside = Path(folder, str(layer))
            beside.mkdir()
            limit = min(MOST_BYTES, ALWAYS_ALLOWED + GROWS_AT_MOST * path.stat().st_size)
            try:
                if packing == "gzip":
                    inner = _unzip_gzip(inner, beside, limit, shown)
                else:
                    inner, chosen = _unzip_member(inner, beside, limit, (shown, member), readers)
                    shown, member = f"{shown}/{chosen}", None
            except OSError as error:
                if isinstance(error, FileNotFoundError):
                    raise
                raise ValueError(f"{shown}: cannot be unpacked: {error.strerror or error}") from error
        else:
            if packing_of(inner):
                raise ValueError(f"{path}: packed more than {_MOST_LAYERS} times over; unpack it")
        try:
            yield inner
        except (ValueError, FileNotFoundError) as error:
            said = as_given(str(error), inner, Path(shown))
            if said == str(error):
                raise
            kind = next((kind for kind in (FileNotFoundError, NoEeg) if isinstance(error, kind)), ValueError)
            raise kind(said) from error


def as_given(text: str, inner: Path, given: Path) -> str:
    """Return `text` with the name that the user gave in place of an unpacked file's, and its folder's likewise."""
    return text.replace(str(inner), str(given)).replace(f"{inner.parent}", str(given.parent))


def packing_of(path: Path) -> str | None:
    """Return "gzip" or "zip" by a file's first bytes, None for all else (NumPy's .npz is a zip, but no packing)."""
    if path.is_dir():
        return None
    with open(path, "rb") as file:
        magic = file.read(4)
    if magic.startswith(GZIP):
        return "gzip"
    return "zip" if magic in _ZIP and not is_npz(path) else None


def is_npz(path: Path) -> bool:
    """Say whether a file is a zip of .npy arrays and nothing else."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, ValueError, *_DAMAGED):
        return path.suffix.lower() == ".npz"
    return bool(names) and all(name.endswith(".npy") for name in names)


def _unzip_gzip(path: Path, folder: Path, limit: int, shown: str) -> Path:
    name = path.name[:-3] if path.name.lower().endswith(".gz") else path.name
    target = folder / (name or "recording")
    with open(path, "rb") as source, open(target, "wb") as file:
        written = 0
        unpacker = zlib.decompressobj(wbits=31)
        while block := source.read(_BLOCK):
            while block:
                try:
                    plain = unpacker.decompress(block, _BLOCK)
                except zlib.error as error:
                    raise ValueError(f"{shown}: damaged: its gzip data cannot be unpacked ({error})") from error
                written += len(plain)
                if written > limit:
                    raise ValueError(_too_large(shown, limit))
                file.write(plain)
                block = unpacker.unconsumed_tail
                if unpacker.eof:
                    # several gzip files after one another are one; zeros after the end are padding
                    block = unpacker.unused_data.lstrip(b"\x00")
                    if block:
                        unpacker = zlib.decompressobj(wbits=31)
    if not unpacker.eof:
        raise ValueError(f"{shown}: cut off: its gzip data end inside ({written} bytes could be unpacked)")
    if not written:
        raise ValueError(f"{shown}: an empty file inside a gzip file")
    return target


def _unzip_member(
    path: Path, folder: Path, limit: int, asked: tuple[str, str | None], readers: Mapping[str, Reader]
) -> tuple[Path, str]:
    shown, _ = asked
    try:
        with zipfile.ZipFile(path) as archive:
            return _extract(archive, folder, limit, asked, readers)
    except _DAMAGED as error:
        if "password" in str(error) or "encrypted" in str(error):
            raise ValueError(f"{shown}: locked with a password; unpack it yourself") from error
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{shown}: a damaged or cut off zip file: {reason[:200]}") from error


def _extract(
    archive: zipfile.ZipFile, folder: Path, limit: int, asked: tuple[str, str | None], readers: Mapping[str, Reader]
) -> tuple[Path, str]:
    shown, member = asked
    # old tools of Windows write \\ between folders
    files = {info.filename.replace("\\", "/"): info for info in archive.infolist() if _is_safe(info)}
    if len(files) > _MOST_MEMBERS:
        raise ValueError(f"{shown}: {len(files)} files inside; unpack it and load one")
    if "[Content_Types].xml" in files:
        raise ValueError(f"{shown}: an Office document, not a recording; save its table as CSV")
    found = _recordings(archive, files, readers)
    chosen = choose_member(shown, found, member, list(files))
    wanted = [name for name in files if _belongs(name, chosen, found)]
    if sum(files[name].file_size for name in wanted) > limit:
        raise ValueError(_too_large(shown, limit))
    for name in wanted:
        target = folder / PurePosixPath(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(files[name]) as source, open(target, "wb") as file:
            _copy(source.read, file, limit, shown)
    return folder / chosen, chosen


def _copy(read: Callable[[int], bytes], file: BinaryIO, limit: int, shown: str) -> None:
    written = 0
    while block := read(_BLOCK):
        written += len(block)
        if written > limit:
            raise ValueError(_too_large(shown, limit))
        file.write(block)


def _is_safe(info: zipfile.ZipInfo) -> bool:
    parts = PurePosixPath(info.filename.replace("\\", "/")).parts
    outside = not parts or parts[0] == "/" or ".." in parts or ":" in parts[0]
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts)
    return not (outside or hidden or info.is_dir())


def _recordings(
    archive: zipfile.ZipFile, files: dict[str, zipfile.ZipInfo], readers: Mapping[str, Reader]
) -> list[str]:
    """Return the names of what may be recordings: those whose content a reader knows, else those by their suffix."""
    folders = {name[: name.lower().index(".mff/") + 4] for name in files if ".mff/" in name.lower()}
    known, named, looked = sorted(folders), [], 0
    for name, info in files.items():
        path = PurePosixPath(name)
        if any(name.startswith(f"{inside}/") for inside in folders) or not info.file_size:
            continue
        if path.name.lower().endswith((*_NOT_A_RECORDING, *_SIDECARS)):
            continue
        start = b""
        if (looked := looked + 1) <= _MOST_LOOKED_INTO:
            with archive.open(info) as file:
                start = file.read(HEAD_BYTES)
        if start.startswith((GZIP, *_ZIP)):
            known.append(name)
            continue
        head = Head(Path(name), start)
        if recognised_by(head, readers, general=False):
            known.append(name)
        elif by_suffix(Path(name), readers):
            named.append(name)
    return known or named


def choose_member(shown: str, found: list[str], asked: str | None, everything: list[str]) -> str:
    """Return the one recording of `found`, or the one that `asked` names (whole, or the end of its path).

    Raises ValueError that lists what there is where that is none or several.
    """
    if asked is not None:
        wanted = asked.replace("\\", "/").strip("/")
        pool = [*found, *(name for name in everything if name not in found)]
        exact = [name for name in pool if name == wanted] or [name for name in pool if name.endswith(f"/{wanted}")]
        if len(exact) == 1:
            return exact[0]
        what = "several files" if exact else "no file"
        raise ValueError(f"{shown}: {what} {asked!r} inside; it has {_listed(exact or found or everything)}")
    if len(found) == 1:
        return found[0]
    if not found:
        raise ValueError(f"{shown}: no recording inside; it has {_listed(everything) or 'no files'}")
    raise ValueError(
        f"{shown}: {len(found)} recordings inside; say which: member={found[0]!r} (--member). It has {_listed(found)}"
    )


def _listed(names: list[str], most: int = 30) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _belongs(name: str, chosen: str, found: list[str]) -> bool:
    """Say whether a file must lie beside the chosen one: its parts and companions, and BIDS sidecars above it."""
    if name == chosen or name.startswith(f"{chosen}/"):
        return True
    path, target = PurePosixPath(name), PurePosixPath(chosen)
    if path.parent == target.parent:
        # other recordings stay where they are, but the parts of a split FIF file are recognised as such
        return name not in found or path.name.startswith(target.stem)
    return path.parent in target.parents and path.suffix.lower() in (".json", ".tsv")


def _too_large(shown: str, limit: int) -> str:
    return f"{shown}: unpacks to more than {limit >> 20} MiB, far more than a recording of its size; unpack it yourself"
