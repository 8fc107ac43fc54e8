"""A seeded mutator: bits flipped, ends cut off, headers rewritten, pieces moved, of one file or a set of files."""

from __future__ import annotations

import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

Rng = np.random.Generator
HEADER_BYTES = 4096
# what a header's number is replaced by: edges of the types that parsers read it into, and no numbers at all
HOSTILE_TEXT = (
    b"0", b"-1", b"1", b"2", b"7", b"255", b"4097", b"65536", b"99999999", b"2147483647", b"-2147483648", b"4294967296",
    b"9223372036854775807", b"1e308", b"-1e308", b"1e-308", b"nan", b"inf", b"", b" ", b"x", b"0x10", b"1,5", b"\xff",
)  # fmt: skip
HOSTILE_INTS = (0, 1, 2, 255, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 40, (1 << 63) - 1)
_NUMBER = re.compile(rb"[-+]?\d[\d.]*")


@dataclass
class FileSet:
    """The files of one recording by their path in its folder, and which of them (or which folder) is loaded."""

    entry: str
    files: dict[str, bytes]
    done: list[str] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(map(len, self.files.values()))


def mutated(rng: Rng, whole: FileSet, others: list[bytes]) -> FileSet:
    """Return a damaged copy of a recording's files; `done` says how. `others`: files of other formats to splice in."""
    found = FileSet(whole.entry, dict(whole.files))
    for _ in range(int(rng.choice([1, 1, 1, 2, 3]))):
        name = str(rng.choice(sorted(found.files)))
        if rng.random() < 0.5 and found.entry in found.files:
            name = found.entry  # of a set of files the header is what most depends on
        change = _CHANGES[int(rng.integers(len(_CHANGES)))]
        if name.endswith((".gz", ".zip", ".npz")) and rng.random() < 0.7:
            change = _inside  # else nearly all that is seen of a pack is a checksum that is wrong
        found.files[name] = change(rng, found.files[name], others)
        found.done.append(f"{change.__name__.lstrip('_')} {name}")
    chance = rng.random()
    if chance < 0.03 and len(found.files) > 1:
        gone = str(rng.choice(sorted(set(found.files) - {found.entry})))
        del found.files[gone]
        found.done.append(f"without {gone}")
    elif chance < 0.06 and found.entry in found.files and len(found.files) == 1:
        suffix = str(rng.choice([".edf", ".fif", ".csv", ".set", ".vhdr", ".mat", ".txt", ".cnt", ".xdf", ".xyz", ""]))
        found.files = {f"r{suffix}": found.files[found.entry]}
        found.entry = f"r{suffix}"
        found.done.append(f"called r{suffix}")
    elif chance < 0.14:
        found = _packed(rng, found)
    return found


def _packed(rng: Rng, found: FileSet) -> FileSet:
    """Pack the files after they were damaged, and sometimes damage the pack as well."""
    if len(found.files) == 1 and found.entry in found.files and rng.random() < 0.5:
        name, content = f"{found.entry}.gz", gzip.compress(found.files[found.entry], 1, mtime=0)
    else:
        name, content = "r.zip", _zipped(found.files)
    if rng.random() < 0.3:
        content = _flip_bits(rng, content, [])
    return FileSet(name, {name: content}, [*found.done, f"packed as {name}"])


def _inside(rng: Rng, content: bytes, others: list[bytes]) -> bytes:
    """Damage what a gzip or zip file holds, and pack it again as it should be."""
    change = _CHANGES[int(rng.integers(len(_CHANGES)))]
    try:
        if content.startswith(b"\x1f\x8b"):
            return gzip.compress(change(rng, gzip.decompress(content), others), 1, mtime=0)
        with zipfile.ZipFile(io.BytesIO(content)) as pack:
            members = {name: pack.read(name) for name in pack.namelist()}
        name = str(rng.choice(sorted(members)))
    except (OSError, EOFError, ValueError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError):
        return change(rng, content, others)  # it was damaged before
    return _zipped({**members, name: change(rng, members[name], others)})


def _zipped(members: dict[str, bytes]) -> bytes:
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w") as pack:
        for name, content in members.items():
            pack.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return into.getvalue()


def _flip_bits(rng: Rng, content: bytes, others: list[bytes]) -> bytes:
    if not content:
        return content
    changed = np.frombuffer(content, np.uint8).copy()
    most = len(changed) if rng.random() < 0.4 else min(HEADER_BYTES, len(changed))
    at = rng.integers(most, size=int(rng.choice([1, 1, 2, 4, 16, 64])))
    changed[at] ^= (1 << rng.integers(8, size=len(at))).astype(np.uint8)
    return changed.tobytes()


def _cut_off(rng: Rng, content: bytes, others: list[bytes]) -> bytes:
    if rng.random() < 0.3:
        return content[: int(rng.integers(min(HEADER_BYTES, len(content)) + 1))]
    return content[: int(rng.integers(len(content) + 1))]


def _rewrite_number(rng: Rng, content: bytes, others: list[bytes]) -> bytes:
    """Replace a number written in digits by a hostile one, as wide as the old one or not."""
    found = list(_NUMBER.finditer(content[:HEADER_BYTES]))
    if not found:
        return _rewrite_bytes(rng, content, others)
    match = found[int(rng.integers(len(found)))]
    new = HOSTILE_TEXT[int(rng.integers(len(HOSTILE_TEXT)))]
    width = match.end() - match.start()
    if rng.random() < 0.7:  # headers of fixed fields stay aligned
        rest = re.match(rb" *", content[match.end() :])
        room = width + (len(rest.group()) if rest and b"\n" not in content[:256] else 0)
        new = new[:room].ljust(width)
        return content[: match.start()] + new + content[match.start() + len(new) :]
    return content[: match.start()] + new + content[match.end() :]


def _rewrite_bytes(rng: Rng, content: bytes, others: list[bytes]) -> bytes:
    """Replace 1, 2, 4 or 8 bytes by an edge of such integers, or by a float that is none."""
    width = int(rng.choice([1, 2, 4, 8]))
    if len(content) < width:
        return content
    most = len(content) - width + 1
    at = int(rng.integers(most if rng.random() < 0.3 else min(most, HEADER_BYTES)))
    if rng.random() < 0.5:
        at -= at % width
    value = HOSTILE_INTS[int(rng.integers(len(HOSTILE_INTS)))] & ((1 << (8 * width)) - 1)
    new = value.to_bytes(width, "little" if rng.random() < 0.6 else "big")
    if width >= 4 and rng.random() < 0.2:
        kind = "f4" if width == 4 else "f8"
        new = np.array(rng.choice([np.nan, np.inf, -np.inf, 3e38, 0.0]), rng.choice(["<", ">"]) + kind).tobytes()
    return content[:at] + new + content[at + width :]


def _move_piece(rng: Rng, content: bytes, others: list[bytes]) -> bytes:
    """Copy a piece of this file, or of another format's, over or into another place."""
    source = others[int(rng.integers(len(others)))] if others and rng.random() < 0.3 else content
    if not source:
        return content
    start = int(rng.integers(len(source)))
    length = int(rng.choice([1, 4, 16, 100, 1000, 20000]))
    piece = source[start : start + length]
    at = int(rng.integers(len(content) + 1)) if rng.random() < 0.6 else int(rng.integers(min(len(content), 4096) + 1))
    return content[:at] + piece + content[at + (len(piece) if rng.random() < 0.5 else 0) :]


def _drop_piece(rng: Rng, content: bytes, others: list[bytes]) -> bytes:
    at = int(rng.integers(len(content) + 1)) if rng.random() < 0.6 else int(rng.integers(min(len(content), 4096) + 1))
    return content[:at] + content[at + int(rng.choice([1, 2, 8, 100, 5000])) :]


def _change_lines(rng: Rng, content: bytes, others: list[bytes]) -> bytes:
    """Drop, repeat, swap or blank a line; of what is no text, a piece is dropped."""
    lines = content.split(b"\n")
    if len(lines) < 3 or b"\x00" in content[:HEADER_BYTES]:
        return _drop_piece(rng, content, others)
    most = len(lines) if rng.random() < 0.4 else min(len(lines), 30)
    i, j = (int(k) for k in rng.integers(most, size=2))
    what = int(rng.integers(5))
    if what == 0:
        del lines[i]
    elif what == 1:
        lines.insert(i, lines[j])
    elif what == 2:
        lines[i], lines[j] = lines[j], lines[i]
    elif what == 3:
        lines[i] = b""
    else:
        cells = re.split(rb"([,;\t])", lines[i])
        k = int(rng.integers(len(cells)))
        cells[k] = HOSTILE_TEXT[int(rng.integers(len(HOSTILE_TEXT)))]
        lines[i] = b"".join(cells)
    return b"\n".join(lines)


_CHANGES: tuple[Callable[[Rng, bytes, list[bytes]], bytes], ...] = (
    _flip_bits,
    _cut_off,
    _rewrite_number,
    _rewrite_number,
    _rewrite_bytes,
    _rewrite_bytes,
    _move_piece,
    _drop_piece,
    _change_lines,
)
