"""Who has looked at a store's test split: a list beside the store that only grows."""

import json
import os
from datetime import datetime, timezone
from pathlib import Path

from core.files import text_lines

FILE = "test_openings.jsonl"


def earlier_openings(store: Path, split: str) -> list[dict[str, str]]:
    """Return the openings of a split that are written down, oldest first; lines that say nothing are left out.

    split: the hash of who is in which part.
    """
    path = store / FILE
    found: list[dict[str, str]] = []
    for line in text_lines(path.read_text(encoding="utf-8")) if path.is_file() else []:
        try:
            row = json.loads(line)
        except ValueError:
            continue  # cut off by a kill
        if isinstance(row, dict) and row.get("split") == split:
            found.append({str(name): str(value) for name, value in row.items()})
    return found


def note_opening(store: Path, split: str, run: str, encoder: str, command: str) -> str:
    """Append that a split was opened by a run, and return a sentence where it cannot be written ("" otherwise).

    run: the folder's name. encoder: the SHA-256 of what was tested. One line is one write, so that commands at the same
    time both stand there.
    """
    row = {
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "split": split,
        "run": run,
        "encoder": encoder,
        "command": command,
    }
    try:
        handle = os.open(store / FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, (_ended(store / FILE) + json.dumps(row) + "\n").encode())
        finally:
            os.close(handle)
    except OSError as error:
        return f"that the test split was opened could not be written beside the store ({error.strerror or error})"
    return ""


def opened_before(earlier: list[dict[str, str]], encoder: str) -> str:
    """Return a sentence on earlier openings of a split, "" for none: by the same encoder, and by others, whose number
    says how much the best of them is luck.
    """
    if not earlier:
        return ""
    others = [row for row in earlier if row.get("encoder") != encoder]
    runs = sorted({row.get("run", "") for row in others})
    named = ", ".join(runs[:4]) + (f" and {len(runs) - 4} more" if len(runs) > 4 else "")
    n_encoders = len({row.get("encoder") for row in others})
    told = f"the test split had been opened {_times(len(earlier))} before, first on {earlier[0].get('time', '?')[:10]}"
    if not others:
        return f"{told}, always by this encoder: the figures are those of then"
    return (
        f"{told}: by {n_encoders} other encoder{'s' if n_encoders > 1 else ''} (of {named}). What is chosen by these "
        "figures is chosen by the test; choose by validation"
    )


def _ended(path: Path) -> str:
    """Return what ends the last line of a file: nothing, or a line break where a kill cut it off."""
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - 1, 0))
        return "\n" if file.read(1) not in (b"", b"\n") else ""


def _times(n: int) -> str:
    return "once" if n == 1 else f"{n} times"
