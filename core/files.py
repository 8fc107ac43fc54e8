"""Writing files so that a kill or a full disk leaves the old one, naming them, hashing them, and lines of text."""

import errno
import glob
import hashlib
import os
import platform
import re
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import IO

PACK = Path(__file__).resolve().parent.parent  # the folder in which core/, trainer/ and assets/ lie
PHANTOM = PACK / "assets" / "phantom"
SHIPPED_ENCODERS = PACK / "assets" / "encoders"


@contextmanager
def write_atomically(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that replaces it when the block ends without an error.

    Raises whatever the block raises, after removing the temporary file; `path` is then as it was before. A full disk is
    an OSError, however the writer puts it. What a killed process left of `path` is removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path)
    beside = path.with_name(f".{path.name}.{_here()}.{os.getpid()}.{secrets.token_hex(4)}.part")
    try:
        yield beside
        # Some writers make files that only their owner can read; a shared model folder needs more.
        beside.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o644)
        os.replace(beside, path)
    except Exception as error:
        if isinstance(error, OSError) or not _is_full(path.parent, error):
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
    finally:
        beside.unlink(missing_ok=True)


def _is_full(folder: Path, error: Exception) -> bool:
    """Tell whether a writer failed for want of room: torch and safetensors say so in errors of their own."""
    said = str(error)
    told = ("No space left", "StorageFull", "PytorchStreamWriter failed writing", "file write failed")
    return any(words in said for words in told) or shutil.disk_usage(folder).free < 1 << 16


@lru_cache(maxsize=1)
def _here() -> str:
    """Return what tells this machine, and this container of it, from others that have the same process numbers."""
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        namespace = ""
    return hashlib.sha256(f"{platform.node()} {namespace}".encode()).hexdigest()[:8]


def _sweep(path: Path) -> None:
    """Remove what processes of this machine that have ended without a word left unfinished of a file."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.{_here()}.*.part"):
        pid = left.name.split(".")[-3]
        with suppress(OSError, ValueError):
            if not _runs(int(pid), left):
                left.unlink(missing_ok=True)


def _runs(pid: int, left: Path) -> bool:
    if os.name == "nt":  # where asking for a process ends it; Windows removes no file that is open
        return time.time() - left.stat().st_mtime < 3600
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def held(folder: str | Path, name: str = ".lock") -> Iterator[None]:
    """Hold a folder, made if missing, for one process as long as the block runs; a kill lets go of it.

    Raises ValueError, naming the process, where another one holds it. A file system without locks is taken as held.
    """
    path = Path(folder) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        file = open(path, "a+b")  # noqa: SIM115 (closed below: closing it lets go)
        try:
            _lock(file)
            if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
                break
        except BlockingIOError as error:
            file.close()
            raise ValueError(
                f"{folder} is in use: another process{_holder(path)} is writing it; wait until it has ended"
            ) from error
        file.close()  # whoever held it has taken the file away in between
    try:
        with suppress(OSError):  # on a full disk nobody is told who holds it
            file.truncate(0)
            file.write(f"{os.getpid()} on {platform.node()}\n".encode())
            file.flush()
        yield
    finally:
        if os.name == "nt":  # which removes no open file
            file.close()
        with suppress(OSError):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # what could not be written for want of room is tried once more
            file.close()


def _holder(path: Path) -> str:
    """Return who holds a lock, as it says itself; nothing where it does not."""
    try:
        told = path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:  # Windows lets nobody read it
        return ""
    return f" ({told})" if told else ""


def _lock(file: IO[bytes]) -> None:
    """Lock a file for this process; BlockingIOError where another one has it."""
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
            raise BlockingIOError(*error.args) from error


def text_lines(text: str) -> list[str]:
    """Return the lines of a text file, ended by a newline, a carriage return or both.

    `str.splitlines` also ends them at form feeds, U+2028 and other characters that may stand inside a cell or a name.
    """
    return re.split(r"\r\n|\n|\r", text.removesuffix("\n").removesuffix("\r")) if text else []


def sha256_of(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def digest_of(path: str | Path) -> str:
    """Return `sha256_of`, remembered as long as the file's size and times stay as they are."""
    now = Path(path).stat()
    # A copy may bring an old modification time along; when the file itself was last changed, nobody can set.
    return _digest(str(path), now.st_size, now.st_mtime_ns, now.st_ctime_ns)


@lru_cache(maxsize=1024)
def _digest(path: str, size: int, modified_ns: int, changed_ns: int) -> str:
    return sha256_of(path)


def files_of_set(path: Path) -> list[Path]:
    """Return a recording's file with those that belong to it (.eeg and .vmrk of a .vhdr, .fdt of a .set), sorted."""
    found = sorted(one for one in path.parent.glob(f"{glob.escape(path.stem)}.*") if one.is_file())
    return found or [path]


def free_path(folder: Path, filename: str, suffix: str) -> Path:
    """Return a path in `folder` that no file has yet, a number added where needed.

    filename: with or without the suffix. Raises ValueError for a name that leads elsewhere or that some system refuses.
    """
    stem = filename.strip().removesuffix(suffix)
    if not stem or len(stem) > 100 or stem.startswith(".") or re.search(r'[\\/:*?"<>|\x00-\x1f]', stem):
        raise ValueError(f"{filename!r} is no file name; use letters, digits, - and _, without a folder")
    taken = [path.name.removesuffix(suffix) for path in folder.glob(f"{glob.escape(stem)}*{suffix}")]
    names = (stem if not n else f"{stem}-{n + 1}" for n in range(len(taken) + 1))
    return folder / f"{next(name for name in names if name not in taken)}{suffix}"
