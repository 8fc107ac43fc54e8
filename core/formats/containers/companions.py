"""Files that belong together and lost each other: what lies beside a file, and names that parsers insist on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath
from tempfile import TemporaryDirectory


@contextmanager
def under_names(files: Mapping[str, Path | bytes]) -> Iterator[Path]:
    """Yield a temporary folder that holds the given files under the given names: links to paths, files of bytes.

    For parsers that go by names, where the files' own are wrong. Gone afterwards; errors name the files by their own.
    """
    with TemporaryDirectory() as folder:
        own = {}
        for name, content in files.items():
            place = Path(folder) / name
            if isinstance(content, bytes):
                place.write_bytes(content)
                continue
            own[str(place)] = str(content)
            try:
                place.symlink_to(content.resolve())
            except OSError:  # Windows without the right to link
                shutil.copyfile(content, place)
        with naming(own):
            yield Path(folder)


@contextmanager
def naming(own: Mapping[str, str]) -> Iterator[None]:
    """Raise what is raised inside as ValueError with paths replaced by others, where it names any of them."""
    try:
        yield
    except Exception as error:
        said = told = str(error)
        for place, name in own.items():
            told = told.replace(place, name)
        if told == said:
            raise
        raise ValueError(told) from error


def bare_name(written: str) -> str:
    """Return the last part of a path that a file's header holds, whichever system wrote it: nothing else is opened."""
    return PureWindowsPath(written.strip()).name


def same_name(path: Path) -> Path | None:
    """Return the path if it is there, else the one file beside it whose name differs in upper and lower case only."""
    if path.is_file():
        return path
    wanted = path.name.lower()
    alike = [other for other in _files(path.parent) if other.name.lower() == wanted]
    return alike[0] if len(alike) == 1 else None


def with_suffix_of(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """Return a folder's files with one of the suffixes (lower case), in order of their names."""
    return [path for path in _files(folder) if path.suffix.lower() in suffixes]


def _files(folder: Path) -> list[Path]:
    # a recording has a handful of neighbours; a folder of thousands is not searched to guess among them
    if not folder.is_dir():
        return []
    found = []
    for path in folder.iterdir():
        if path.is_file():
            found.append(path)
        if len(found) > 5000:
            break
    return sorted(found)
