"""BrainVision's text files: what a header (.vhdr) says, and where the markers (.vmrk) lie."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ...files import text_lines

_MOST_TEXT = 16 << 20
SAMPLE_BYTES = {"INT_16": 2, "INT_32": 4, "IEEE_FLOAT_32": 4}


@dataclass(frozen=True)
class Vhdr:
    """A header's entries by (section, key), in lower case, and its channels as (name, resolution, unit)."""

    entries: dict[tuple[str, str], str]
    channels: tuple[tuple[str, str, str], ...]

    def common(self, key: str) -> str:
        """Return an entry of [Common Infos], "" where there is none."""
        return self.entries.get(("common infos", key.lower()), "")

    @property
    def is_text(self) -> bool:
        """Whether the data are written as text."""
        return self.common("DataFormat").upper() == "ASCII"

    @property
    def vectorized(self) -> bool:
        """Whether a channel's samples follow each other, and not a sample's channels."""
        return self.common("DataOrientation").upper() == "VECTORIZED"

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of all channels; 0 where the data are text or of an unknown kind."""
        kind = self.entries.get(("binary infos", "binaryformat"), "INT_16").upper()
        return 0 if self.is_text else SAMPLE_BYTES.get(kind, 0) * len(self.channels)


def text_of(path: Path) -> str:
    """Return a header's or marker file's text: UTF-8 where it is that, else Latin-1, as older recorders wrote."""
    with open(path, "rb") as file:
        raw = file.read(_MOST_TEXT)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def read_vhdr(path: Path) -> Vhdr:
    """Read a header; ValueError where it is none or does not describe each of its channels."""
    text = text_of(path)
    if not re.match(r"\s*brain ?vision", text[:200], re.IGNORECASE) or "header" not in text[:200].lower():
        raise ValueError(
            f"{path}: not a BrainVision header: it does not start with 'Brain Vision Data Exchange Header'"
        )
    entries, section = {}, ""
    for line in text_lines(text):
        line = line.strip()
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1].strip().lower()
            if section == "comment":
                break
            continue
        key, equals, value = line.partition("=")
        if equals and not line.startswith(";"):
            entries[section, key.strip().lower()] = value.strip()
    described = {
        int(key[2:]): value
        for (part, key), value in entries.items()
        if part == "channel infos" and re.fullmatch(r"ch\d{1,6}", key)
    }
    n_channels = entries.get(("common infos", "numberofchannels"), "")
    if not n_channels.isdigit() or not 0 < int(n_channels) <= 4096:
        raise ValueError(f"{path}: its header says NumberOfChannels={n_channels!r}, where 1 to 4096 is allowed")
    if missing := [i for i in range(1, int(n_channels) + 1) if i not in described]:
        raise ValueError(
            f"{path}: its header claims {n_channels} channels but describes no Ch{missing[0]}"
            + (f" and {len(missing) - 1} more: it is cut off or damaged" if len(missing) > 1 else "")
        )
    channels = []
    for i in range(1, int(n_channels) + 1):
        name, _, resolution, unit = [*described[i].split(","), "", "", "", ""][:4]
        channels.append((name.strip().replace("\\1", ","), resolution.strip(), unit.strip()))
    return Vhdr(entries, tuple(channels))


def last_marker(path: Path) -> int:
    """Return the largest position, in samples counted from 1, that a marker file tells of; 0 for none."""
    most = 0
    for line in text_lines(text_of(path)):
        found = re.match(r"\s*Mk\d+=[^,]*,[^,]*,\s*(\d{1,15})\s*,", line)
        if found:
            most = max(most, int(found.group(1)))
    return most
