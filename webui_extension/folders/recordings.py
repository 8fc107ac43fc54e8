"""Where recordings come from: uploads, files in allowed folders, bytes in a request, and the phantom."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import shutil
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...core.recording import Recording

PREFIX = "sha256:"
DIGITS = 10  # of a digest, where people see it
MAX_KEPT = 64  # uploads; the oldest go
MAX_LOADED = 8
_LOADED: OrderedDict[tuple[str, str], Recording] = OrderedDict()
_LOCK = threading.RLock()


@dataclass(frozen=True)
class Shelf:
    """The recordings a host may open: what was uploaded to it, and files inside folders that its owner allows.

    kept: where uploads are copied to, one folder each, named by their digest. folders: whose files can be named, by a
    path inside one of them. uploads: where the host's upload widget puts files. max_bytes: of one upload.
    """

    kept: Path
    folders: tuple[Path, ...] = ()
    uploads: tuple[Path, ...] = ()
    max_bytes: int = 512 << 20

    def keep_files(self, files: Sequence[tuple[str, Path]]) -> str:
        """Keep uploaded files of one recording under their own names; returns its reference `sha256:...`.

        files: (name, where it lies now), several for BrainVision and EEGLAB. Raises ValueError where a file does not
        lie where uploads do, is too large, or has a name that leads elsewhere.
        """
        for name, path in files:
            if not any(_inside(path, folder) for folder in (*self.uploads, *self.folders)):
                raise ValueError(f"{name!r} is no uploaded file; upload it, or put it into {self._folders_text()}")
        total = sum(path.stat().st_size for _, path in files)
        self._check_size(total)
        return self._keep({plain_name(name): path.read_bytes() for name, path in files})

    def keep_base64(self, text: str) -> str:
        """Keep a recording that came as base64, also as a data URL; returns its reference.

        Raises ValueError for what is no base64, is too large (before it is decoded), or is not recognised.
        """
        from ...core.loading.readers import suffix_of_content

        content = self._decoded(text)
        try:
            suffix = suffix_of_content(content)
        except ValueError as error:
            raise ValueError(f'{error}. Or send {{"name": ..., "data": ...}}') from None
        return self._keep({f"recording{suffix}": content})

    def keep_base64_set(self, files: Sequence[tuple[str, str]]) -> str:
        """Keep the files (name, base64) of one recording; returns its reference. Raises ValueError as `keep_base64`."""
        self._check_size(sum(len(text) for _, text in files) * 3 // 4)
        return self._keep({plain_name(name): self._decoded(text) for name, text in files})

    def _decoded(self, text: str) -> bytes:
        data = text.partition(",")[2] if text.startswith("data:") else text
        self._check_size(len(data) * 3 // 4)
        try:
            content = base64.b64decode("".join(data.split()), validate=True)
        except (binascii.Error, ValueError) as error:
            raise ValueError(f"the recording is no base64 ({error}); send the file's bytes in base64") from error
        if not content:
            raise ValueError("the recording is empty; send the file's bytes in base64")
        return content

    def keep_recording(self, recording: Recording, name: str) -> str:
        """Keep a recording that was made here, such as the phantom's; returns its reference."""
        from ...core.formats.toolboxes.native import save_recording

        self.kept.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.kept, prefix=".") as folder:
            path = Path(folder) / f"{plain_name(name)}.safetensors"
            save_recording(recording, path)
            return self._keep({path.name: path.read_bytes()})

    def find(self, reference: str) -> Path:
        """Return the file that a reference names: `sha256:...` of an upload, or a path inside an allowed folder.

        Raises FileNotFoundError or ValueError that say what can be named.
        """
        reference = reference.strip()
        if not reference:
            raise ValueError("no recording chosen; upload one, or name a file in " + self._folders_text())
        if reference.startswith(PREFIX):
            return self._by_digest(reference.removeprefix(PREFIX).lower())
        shown = reference if len(reference) <= 80 else f"{reference[:60]}... ({len(reference)} letters)"
        if "\x00" in reference:
            raise ValueError(f"{shown!r} is no name of a file")
        for folder in self.folders:
            path = Path(reference) if Path(reference).is_absolute() else folder / reference
            try:
                if _inside(path, folder) and path.is_file():
                    return path
            except OSError as error:
                raise ValueError(f"{shown!r} is no name of a file: {error.strerror}") from error
        if Path(reference).is_absolute() or ".." in Path(reference).parts:
            raise ValueError(f"{shown!r} lies outside of what may be opened: {self._folders_text()}")
        raise FileNotFoundError(f"no recording called {shown!r} in {self._folders_text()}")

    def load(self, reference: str, *, units: str | None = None, reading: str = "") -> Recording:
        """Read the recording that a reference names; what was read last is remembered by its content.

        units, reading: what the file does not say, as `core.loading.options.load_options` takes it. Raises
        FileNotFoundError or ValueError, which name the file without the folder it lies in.
        """
        from ...core.loading.load import load_recording
        from ...core.loading.options import load_options

        path, options = self.find(reference), load_options(units, reading)
        key = (digest(path), repr(sorted(options.items())))
        with _LOCK:
            if key in _LOADED:
                _LOADED.move_to_end(key)
                return _LOADED[key]
            try:
                recording = load_recording(path, **options)
            except (ValueError, OSError) as error:
                raise type(error)(str(error).replace(str(path), path.name)) from error
            _LOADED[key] = recording
            while len(_LOADED) > MAX_LOADED:
                _LOADED.popitem(last=False)
            return recording

    def reference(self, path: Path) -> str:
        """Return how people and pictures name a recording: by its content, never by where it lies."""
        return PREFIX + digest(path)[:DIGITS]

    def names(self) -> list[str]:
        """Return the recordings in the allowed folders that a reader takes, by suffix, sorted."""
        return sorted(path.relative_to(folder).as_posix() for folder in self.folders for path in _recordings_in(folder))

    def _keep(self, files: Mapping[str, bytes]) -> str:
        found = _digest_of_contents(files.values())
        folder = self.kept / found
        with _LOCK:
            if not folder.is_dir():
                self.kept.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryDirectory(dir=self.kept, prefix=".") as made:
                    inner = Path(made) / "files"
                    inner.mkdir()
                    for name, content in files.items():
                        (inner / name).write_bytes(content)
                    os.replace(inner, folder)
            os.utime(folder)
            kept = sorted(
                (one for one in self.kept.iterdir() if _is_digest(one.name)), key=lambda one: one.stat().st_mtime
            )
            for old in kept[:-MAX_KEPT]:
                shutil.rmtree(old, ignore_errors=True)
        return PREFIX + found[:DIGITS]

    def _by_digest(self, digits: str) -> Path:
        if not re.fullmatch(r"[0-9a-f]{8,64}", digits):
            raise ValueError(f"{PREFIX}{digits[:80]} names no recording; a digest has 8 to 64 of the digits 0-9 a-f")
        for folder in sorted(self.kept.glob(f"{digits}*")) if self.kept.is_dir() else []:
            return main_file(sorted(folder.iterdir()))
        for folder in self.folders:
            for path in _recordings_in(folder):
                if digest(path).startswith(digits):
                    return path
        raise FileNotFoundError(
            f"the recording {PREFIX}{digits} is not at hand; upload it again, or put it into {self._folders_text()}"
        )

    def _check_size(self, size: int) -> None:
        if size > self.max_bytes:
            raise ValueError(
                f"the recording has {size >> 20} MiB; at most {self.max_bytes >> 20} are taken (Settings, EEG), or put "
                f"it into {self._folders_text()}"
            )

    def _folders_text(self) -> str:
        return " or ".join(map(str, self.folders)) or "no folder (none is allowed here)"


def digest(path: Path) -> str:
    """Return the digest of a recording's content, all files of its set together, whatever their names."""
    from ...core.files import digest_of, files_of_set

    together = files_of_set(path)
    if len(together) == 1:
        return digest_of(path)
    return hashlib.sha256("".join(sorted(map(digest_of, together))).encode()).hexdigest()


def _digest_of_contents(contents: Iterable[bytes]) -> str:
    each = sorted(hashlib.sha256(content).hexdigest() for content in contents)
    return each[0] if len(each) == 1 else hashlib.sha256("".join(each).encode()).hexdigest()


def main_file(files: Sequence[Path]) -> Path:
    """Return the file of a set that a reader is given (.vhdr, .set); ValueError where no reader takes any.

    What a recording's make is known by goes before tables, which may be its markers.
    """
    from ...core.formats.contract.suffixes import is_companion
    from ...core.loading.detect import head_of, recognised_by
    from ...core.loading.readers import READERS, reader_for

    def rank(path: Path) -> tuple[bool, bool]:
        return is_companion(path), not recognised_by(head_of(path), READERS, general=False)

    complaint = None
    for path in sorted(files, key=rank):
        try:
            reader_for(path)
            return path
        except ValueError as error:
            complaint = error
    raise ValueError(str(complaint).replace(str(files[-1]), files[-1].name)) from complaint


def plain_name(name: str) -> str:
    """Return a file name without folders; ValueError for one that cannot stand in a folder."""
    last = name.replace("\\", "/").rpartition("/")[2]
    if not last.strip(". ") or len(last) > 200 or re.search(r'[:*?"<>|\x00-\x1f]', last):
        raise ValueError(f"{name[:80]!r} is no name of a file")
    return last


def _inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _is_digest(name: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{64}", name) is not None


def _recordings_in(folder: Path) -> list[Path]:
    from ...core.formats.contract.suffixes import recordings_in

    return [path for path in recordings_in(folder) if _inside(path, folder)] if folder.is_dir() else []
