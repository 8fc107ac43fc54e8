"""Tables of words as text (CSV, TSV): one reading for events, lists of markers and what was shown."""

import csv
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from ...files import text_lines

MOST_BYTES = 256 << 20


@dataclass(frozen=True)
class Cells:
    """A table's cells without the blanks around them: its first row, and each further one with its line's number.

    delimiter: the tab, semicolon or comma that separates them.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    delimiter: str


def read_cells(path: Path, most_bytes: int = MOST_BYTES) -> Cells:
    """Read a text table in UTF-8; empty lines are passed over, and rows may differ in length.

    Raises ValueError where it is too large, no text, quoted beyond reading, or empty.
    """
    if path.stat().st_size > most_bytes:
        raise ValueError(f"{path}: more than {most_bytes >> 20} MiB, which is no table of events or pictures")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path}: not a text file in UTF-8, so no table: {error.reason} at byte {error.start}"
        ) from error
    first = next((line for line in text_lines(text) if line.strip()), "")
    delimiter = max("\t;,", key=first.count)
    reader, line = csv.reader(StringIO(text, newline=None), delimiter=delimiter), 1
    rows: list[tuple[int, tuple[str, ...]]] = []
    try:
        for read in reader:
            if any(cell.strip() for cell in read):
                rows.append((line, tuple(cell.strip() for cell in read)))
            line = reader.line_num + 1  # a quoted cell may go over several lines
    except csv.Error as error:
        raise ValueError(f"{path}: cannot be read as a table: {error}") from error
    if not rows:
        raise ValueError(f"{path}: an empty table")
    return Cells(rows[0][1], tuple(rows[1:]), delimiter)
