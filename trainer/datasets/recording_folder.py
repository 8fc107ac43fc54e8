"""Which files of a folder are recordings, and who and which session their names say."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

WANTED = "a recording, or a folder of recordings"

# where a recording is several files, the one on the left stands for all of them
LEADERS = {
    ".vhdr": (".eeg", ".vmrk", ".dat", ".avg"),
    ".set": (".fdt",),
    ".data": (".head",),
    ".cnt": (".trg", ".seg", ".evt"),
}
# such files hold anything; without content that a reader recognises they are tables, notes or archives
LOOSE = (
    ".csv", ".tsv", ".txt", ".json", ".npy", ".npz", ".mat", ".gz", ".dat", ".log", ".zip", ".h5", ".md",
    ".safetensors",
)  # fmt: skip
_PERSON = re.compile(r"(?:^|[_/ -])(?:sub-([A-Za-z0-9]+)|subj?(?:ect)?[-_ ]?(\d+))(?=[_/. -]|$)", re.IGNORECASE)
_SESSION = re.compile(r"(?:^|[_/ -])(?:ses-([A-Za-z0-9]+)|sess?(?:ion)?[-_ ]?(\d+))(?=[_/. -]|$)", re.IGNORECASE)
_SPLIT_FIF = re.compile(r"^(.*?)(?:-\d+|_split-(?:0[2-9]|[1-9]\d))(\.fif(?:\.gz)?|_(?:raw|meg|eeg)\.fif)$")


@dataclass(frozen=True)
class Found:
    """The recordings of a folder, each with its name below it, and what was passed over with the reason."""

    recordings: dict[str, Path]
    passed_over: dict[str, str]


def find_recordings(
    source: Path | None,
    patterns: Sequence[str] = (),
    tables: Sequence[Path] = (),
    format: str | None = None,  # noqa: A002
) -> Found:
    """Return the recordings of a folder (or one file) by their path below it, as POSIX text.

    patterns: shell patterns (`subject1_*`) that the path below the folder, or the name, must match. tables: files that
    are tables of what was shown and so no recordings. format: a reader; then every file that answers to its suffixes
    counts. A file that belongs to another (.eeg beside .vhdr) is that one's. Raises ValueError where no source was
    given or no file is a recording, FileNotFoundError where the source is not there.
    """
    from core.loading.bids import recordings_in

    if source is None:
        raise ValueError(f"--source is needed: {WANTED}")
    source = Path(source)
    if not source.exists():
        raise FileNotFoundError(f"{source} does not exist; --source must be {WANTED}")
    if source.is_file() or _is_folder_recording(source):
        return Found({source.name: source}, {})
    taken: dict[str, Path] = {}
    passed: dict[str, str] = {}
    known_tables = {table.resolve() for table in tables}
    # in BIDS names tell what is a recording; everything else says something about one
    in_bids = (source / "dataset_description.json").is_file()
    for path in recordings_in(source) if in_bids else _files(source):
        below = path.relative_to(source).as_posix()
        if patterns and not any(fnmatch(below, pattern) or fnmatch(path.name, pattern) for pattern in patterns):
            continue
        if path.resolve() in known_tables:
            continue
        if reason := _why_not(path, format):
            passed[below] = reason
        else:
            taken[below] = path
    if not taken:
        few = "; ".join(f"{name}: {reason}" for name, reason in list(passed.items())[:4])
        asked = f" that match --files {' '.join(patterns)}" if patterns else ""
        raise FileNotFoundError(
            f"{source} holds no file that is a recording{asked}; --source must be {WANTED}"
            + (f" ({few})" if few else "")
        )
    return Found(taken, passed)


def person_and_session(below: str) -> tuple[str, str]:
    """Return the subject and the session that a path below the folder says, "" where it does not.

    `sub-01/ses-2/...` (BIDS) and `subject1_session2_...` say so in their names; else the first folder is the person.
    """
    person, session = _PERSON.search(below), _SESSION.search(below)
    folder = below.split("/")[0] if "/" in below else ""
    return (
        next(filter(None, person.groups())) if person else folder,
        next(filter(None, session.groups())) if session else "",
    )


def _files(source: Path) -> list[Path]:
    """Return files and folder recordings below a folder, sorted; nothing hidden, nothing inside a recording."""
    found = []
    for path in sorted(source.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir() and not _is_folder_recording(path):
            # a trial store may lie beside what it was made of
            found += [] if (path / "store.json").is_file() and (path / "shards").is_dir() else _files(path)
        else:
            found.append(path)
    return found


def _is_folder_recording(path: Path) -> bool:
    from core.loading.readers import READERS

    suffixes = tuple(suffix for reader in READERS.values() if reader.folder for suffix in reader.suffixes)
    return path.is_dir() and bool(suffixes) and path.name.lower().endswith(suffixes)


def _why_not(path: Path, format: str | None) -> str | None:  # noqa: A002
    from core.loading.detect import by_suffix, head_of, recognised_by
    from core.loading.readers import READERS

    if leader := _belongs_to(path):
        return f"belongs to {leader}"
    if path.is_dir():
        return None
    named = by_suffix(path, READERS)
    if format is not None:
        return None if any(reader.name == format for reader in named) else f"not named as {format} files are"
    head = head_of(path)
    if recognised_by(head, READERS, general=False):
        return None
    name = path.name.lower()
    if name.endswith(".zip") and head.start.startswith(b"PK"):
        return None
    # a damaged .edf must be heard of; a .csv that no reader knows is most likely no recording at all
    if named and not name.removesuffix(".gz").endswith(LOOSE):
        return None
    return "not recognised as a recording (say --format if it is one)"


def _belongs_to(path: Path) -> str | None:
    stem, suffix = path.stem, path.suffix.lower()
    for leader, followers in LEADERS.items():
        if suffix in followers:
            for beside in (path.with_suffix(leader), path.with_suffix(leader.upper())):
                if beside.exists():
                    return beside.name
    if match := _SPLIT_FIF.match(path.name):
        first = path.with_name(match.group(1) + match.group(2))
        if first != path and first.exists():
            return first.name
        for beside in path.parent.glob(f"{match.group(1)}_split-01*"):
            return beside.name
    return None if stem else "nothing"
