"""Tables of numbers as text, read block by block: blanks and broken rows become NaN, memory is bounded by the file's.

All readers of CSV and other text go through here, so that a cut-off end, a decimal comma, a line of words in the middle
and a table that is no table are treated alike.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

MOST_BYTES = 8 << 30
MOST_COLUMNS = 4096
_BLOCK = 1 << 20
_HEADER_BYTES = 1 << 20
_LONGEST_LINE = 4 << 20
_TRIED = 500
NEWLINE = b"\n"
# a radio that hiccups spoils a row now and then; more than this is another format
MOST_BROKEN = 0.01
_MOST_LABELS = 200_000


@dataclass
class TextTable:
    """Columns of a table: `numbers` float32 and `exact` float64 (n_columns, n_rows), NaN where blank or broken.

    `clocks` are seconds float64 (n_columns, n_rows) of columns that hold dates or times; `labels` maps a column to its
    non-blank cells as (row, text). `cut_off` is a sentence where the last row is not whole, `ends` says whether the
    last line has an end, `notes` say what else was seen.
    """

    numbers: np.ndarray
    exact: np.ndarray
    clocks: np.ndarray
    labels: dict[int, list[tuple[int, str]]]
    cut_off: str = ""
    ends: bool = True
    notes: list[str] = field(default_factory=list)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.numbers.shape[1]

    def remarks(self) -> list[str]:
        """Return what is to be said of a table whose maker ends every line."""
        if self.cut_off:
            return [*self.notes, self.cut_off]
        return self.notes if self.ends else [*self.notes, "its last line has no end: the file may be cut off there"]


def first_lines(path: Path, most: int = 64) -> list[str]:
    """Return the first lines of a text file without their ends; ValueError where it is no text or they are endless."""
    with open(path, "rb") as file:
        start = file.read(_HEADER_BYTES)
    whole = len(start) < _HEADER_BYTES
    if b"\x00" in start[:1024]:
        raise ValueError(f"{path}: not a text file (it holds zero bytes), so not a table")
    try:
        text = start.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise ValueError(f"{path}: text in UTF-16; save it as UTF-8") from error
        # an old header may hold a name in Latin-1; the numbers are ASCII either way
        text = start.decode("latin-1")
    lines = re.split(r"\r\n|\n|\r", text.rstrip("\r\n"))
    if not whole and len(lines) < 2:
        raise ValueError(f"{path}: its first line is longer than {_HEADER_BYTES >> 10} KiB, so not a table")
    return lines[:most]


def delimiter_of(line: str) -> str:
    """Return what separates the cells of a line: a tab or semicolon where commas can be decimal ones, else a comma."""
    for mark in ("\t", ";"):
        # a row of n numbers with decimal commas has n commas and n - 1 marks
        if line.count(mark) and line.count(mark) + 1 >= line.count(","):
            return mark
    return ","


def split_names(line: str, delimiter: str) -> list[str]:
    """Return a header's names; a delimiter inside brackets or quotes belongs to the name (MARKERS['Blank','Image'])."""
    if "[" in line:
        cells = [cell.replace("\x00", delimiter) for cell in _hidden_in_brackets(line, delimiter).split(delimiter)]
    else:
        try:
            cells = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
        except csv.Error:
            cells = line.split(delimiter)
    names = [cell.strip().strip('"').strip() for cell in cells]
    while names and not names[-1]:
        names.pop()
    return names


def _hidden_in_brackets(line: str, delimiter: str) -> str:
    """Return a line with a zero for each delimiter inside square brackets that are closed."""
    parts = re.split(r"(\[[^\[\]]*\])", line)
    parts[1::2] = [part.replace(delimiter, "\x00") for part in parts[1::2]]
    return "".join(parts)


def read_text_table(
    path: Path,
    *,
    delimiter: str,
    skip: int,
    numbers: Sequence[int],
    exact: Sequence[int] = (),
    clocks: Sequence[int] = (),
    labels: Sequence[int] = (),
    comment: str = "",
    names: Sequence[str] = (),
) -> TextTable:
    """Read the columns asked for (by index) of all rows after the first `skip` lines.

    `comment` begins lines that are passed over; `names` are only for messages. Raises ValueError where it is no text,
    has no rows, has more bytes or columns than any recording, or where more than one row in a hundred is broken.
    """
    n_bytes = path.stat().st_size
    if n_bytes > MOST_BYTES:
        raise ValueError(f"{path}: {n_bytes >> 30} GiB of text; cut it, or save it in a binary format")
    asked = [*numbers, *exact]
    if not asked or max([*asked, *clocks, *labels]) >= MOST_COLUMNS:
        raise ValueError(f"{path}: a table of more than {MOST_COLUMNS} columns" if asked else f"{path}: no columns")
    most_rows = min(_count_lines(path), n_bytes // len(asked) + 1)
    out = TextTable(
        np.empty((len(numbers), most_rows), np.float32),
        np.empty((len(exact), most_rows)),
        np.empty((len(clocks), most_rows)),
        {column: [] for column in labels},
    )
    row, broken, first_broken, width, mark = 0, 0, "", 0, delimiter.encode()
    comma = "," if delimiter != "," else ""
    for text, number, ends in _blocks(path, skip, comment):
        if delimiter == " ":
            text = b"\n".join(b" ".join(line.split()) for line in text.split(b"\n"))
        if not width and text:
            width = text.partition(b"\n")[0].count(mark) + 1
        out.ends = ends
        if not ends and text.rpartition(b"\n")[2].count(mark) + 1 < width:
            text = text.rpartition(b"\n")[0]
            out.cut_off = "it ends inside a row: the file is cut off there"
        if not text:
            continue
        n_lines = text.count(b"\n") + 1
        values, bad = _values(text, n_lines, delimiter, asked, comma)
        if bad.any():
            at = int(np.flatnonzero(bad)[0])
            first_broken = first_broken or f"line {number + at}: {_shown(text.split(NEWLINE)[at])}"
            broken += int(bad.sum())
        if row + n_lines > most_rows or (broken > 10 and broken > MOST_BROKEN * (row + n_lines)):
            raise ValueError(_no_table(path, first_broken, asked, names))
        stop = row + n_lines
        out.numbers[:, row:stop] = values[:, : len(numbers)].T
        out.exact[:, row:stop] = values[:, len(numbers) :].T
        lines = text.split(NEWLINE) if clocks or labels else []
        for i, column in enumerate(clocks):
            out.clocks[i, row:stop] = _clock(_cells(lines, mark, column))
        for column in labels:
            found = [(row + i, _text(cell)) for i, cell in enumerate(_cells(lines, mark, column)) if cell.strip()]
            out.labels[column] += found[: _MOST_LABELS - len(out.labels[column])]
        row = stop
    if not row or broken == row:
        raise ValueError(_no_table(path, first_broken, asked, names) if row else f"{path}: a header and no rows")
    if broken:
        out.notes.append(f"{broken} rows are not numbers: taken as missing ({first_broken})")
    out.numbers, out.exact, out.clocks = out.numbers[:, :row], out.exact[:, :row], out.clocks[:, :row]
    return out


def _count_lines(path: Path) -> int:
    count, last = 0, b""
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            # a line ends with \n or, in files of old Macs, with \r alone
            count += max(block.count(b"\n"), block.count(b"\r"))
            last = block
    return count + (not last.endswith((b"\n", b"\r")))


def _blocks(path: Path, skip: int, comment: str) -> Iterator[tuple[bytes, int, bool]]:
    """Yield whole lines joined by newlines, the number of the first one (from 1), whether the last one has an end."""
    number, rest, first = 1, b"", True
    marks = tuple(mark.encode() for mark in comment)
    with open(path, "rb") as file:
        while True:
            block = file.read(_BLOCK)
            if first:
                block, first = block.removeprefix(b"\xef\xbb\xbf"), False
            text, last = rest + block, not block
            if not last and text.endswith(b"\r"):
                more = file.read(1)
                text, last = text + more, not more
            if b"\r" in text:
                text = text.replace(b"\r\n", NEWLINE).replace(b"\r", NEWLINE)
            ends = not last or not text or text.endswith(NEWLINE)
            at = len(text) if last else text.rfind(NEWLINE) + 1
            text, rest = text[:at].removesuffix(NEWLINE), text[at:]
            began, n_lines = number, text.count(NEWLINE) + (at > 0)
            number += n_lines
            if passed := min(skip, n_lines):
                text = (text.split(NEWLINE, passed)[passed:] or [b""])[0]
                skip, began = skip - passed, began + passed
            if (
                any(mark in text for mark in marks)
                or NEWLINE * 2 in text
                or text[:1] == NEWLINE
                or text[-1:] == NEWLINE
            ):
                kept = (line for line in text.split(NEWLINE) if line.strip() and not line.lstrip().startswith(marks))
                text = NEWLINE.join(kept)
            yield text, began, ends
            if last:
                return
            if len(rest) > _LONGEST_LINE:
                raise ValueError(f"{path}: line {number} is longer than {_LONGEST_LINE >> 20} MiB, so not a table")


def _values(
    text: bytes, n_lines: int, delimiter: str, asked: Sequence[int], comma: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return float64 (n_lines, n_asked) and which lines are broken (all NaN); blanks are NaN and not broken."""
    if comma:
        text = text.replace(b",", b".")
    if b'"' in text:
        text = text.replace(b'"', b"")
    mark = delimiter.encode()
    text = text.replace(b" ", b"") if delimiter != " " else text
    while mark + mark in text:
        text = text.replace(mark + mark, mark + b"nan" + mark)
    text = text.replace(NEWLINE + mark, b"\nnan" + mark).replace(mark + NEWLINE, mark + b"nan\n")
    if text.startswith(mark):
        text = b"nan" + text
    if text.endswith(mark):
        text += b"nan"
    try:
        values = np.loadtxt(
            io.BytesIO(text), delimiter=delimiter, usecols=asked, comments=None, ndmin=2, encoding="latin-1"
        )
    except (ValueError, UnicodeError, OverflowError):
        values = np.empty((0, 0))
    if len(values) == n_lines:
        return values, np.zeros(n_lines, bool)
    return _slowly(text.split(NEWLINE), mark, asked)


def _slowly(lines: list[bytes], mark: bytes, asked: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Read line by line what has a broken one; gives up early where most are broken, for they take no memory then."""
    bad = np.zeros(len(lines), dtype=bool)
    values: list[list[float]] = []
    missing = [math.nan] * len(asked)
    for i, line in enumerate(lines):
        cells = line.split(mark)
        try:
            values.append([float(cells[column]) for column in asked])
        except (ValueError, IndexError, OverflowError):
            bad[i] = True
            values.append(missing)
        if i == _TRIED and bad[:i].mean() > 0.5:
            bad[i:] = True
            return np.broadcast_to(np.nan, (len(lines), len(asked))), bad
    return np.array(values), bad


def _cells(lines: list[bytes], mark: bytes, column: int) -> list[bytes]:
    cells = (line.split(mark, column + 1) for line in lines)
    return [parts[column].strip() if len(parts) > column else b"" for parts in cells]


def _text(cell: bytes) -> str:
    return cell.decode("utf-8", errors="replace").strip().strip('"').strip()


def _shown(line: bytes) -> str:
    return repr(line[:60].decode("latin-1"))


_DAYTIME = re.compile(r"^(\d{1,2}):(\d{2}):(\d{2}(?:[.,]\d{1,9})?)$")
_DATE = re.compile(r"^\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d{1,6})?$")


def _clock(cells: list[bytes]) -> np.ndarray:
    """Return seconds: of dates since 1970, of times of day since midnight, of plain numbers as they are."""
    texts = [_text(cell) for cell in cells]
    if all(_DATE.match(text) for text in texts):
        try:
            return np.array(texts, dtype="datetime64[us]").astype(np.int64) / 1e6
        except ValueError:
            pass
    return np.array([_seconds(text) for text in texts])


def _seconds(text: str) -> float:
    if found := _DAYTIME.match(text):
        return int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3].replace(",", "."))
    dated = text.replace(",", ".")
    try:
        return float(np.datetime64(dated, "us").astype(np.int64)) / 1e6 if _DATE.match(dated) else float(text)
    except ValueError:
        return math.nan


def unix_seconds(stamps: np.ndarray) -> np.ndarray | None:
    """Return timestamps in seconds, be they in seconds or milliseconds since 1970; None where none is a number."""
    known = stamps[np.isfinite(stamps)]
    if not known.size:
        return None
    # seconds stay below this until the year 5138
    return stamps / 1000 if float(np.median(known)) > 1e11 else stamps


def _no_table(path: Path, first: str, asked: Sequence[int], names: Sequence[str]) -> str:
    wanted = ", ".join(names[column] for column in asked[:6] if column < len(names))
    columns = f"its columns ({wanted}{', ...' if len(asked) > 6 else ''})" if wanted else f"{max(asked) + 1} columns"
    return f"{path}: its rows do not hold numbers in {columns}; {first}"
