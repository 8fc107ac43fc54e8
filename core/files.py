"""Writing files so that a kill or a full disk leaves the old one, naming them, and hashing them."""

import glob
import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

PACK = Path(__file__).resolve().parent.parent  # the folder in which core/, trainer/ and assets/ lie
PHANTOM = PACK / "assets" / "phantom"
SHIPPED_ENCODERS = PACK / "assets" / "encoders"


@contextmanager
def write_atomically(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that replaces it when the block ends without an error.

    Raises whatever the block raises, after removing the temporary file; `path` is then as it was before.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Containers that share a folder have the same process numbers.
    beside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.part")
    try:
        yield beside
        # Some writers make files that only their owner can read; a shared model folder needs more.
        beside.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o644)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


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
