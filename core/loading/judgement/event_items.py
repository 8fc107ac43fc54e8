"""The one grammar by which events are chosen: items `[source@]pattern[=label]`.

`source@` is annotations, a trigger row, a marker column or stream, or a table beside the recording; a pattern is a
label or a regular expression of a whole label, `*` every label; `=label` is what they are called from then on. `\\@`
and `\\=` stand for the characters themselves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_SPLIT = re.compile(r"(?<!\\)([@=])")


@dataclass(frozen=True)
class EventItem:
    """One item of the grammar: where to look (None: everywhere), what labels, and what they are called from then on."""

    text: str
    source: str | None
    pattern: str
    label: str | None

    def rename(self, label: str) -> str | None:
        """Return what an event with this label is called, None where the item does not mean it.

        A pattern is a label as it stands (runs of blanks count as one), else a regular expression of the whole label,
        whose groups the new label may name (`Stimulus/(.*)=\\1`).
        """
        if self.pattern == "*" or " ".join(label.split()) == " ".join(self.pattern.split()):
            return label if self.label is None else self.label
        try:
            found = re.fullmatch(self.pattern, label)
        except (re.error, RecursionError):
            return None  # said where nothing matches
        if found is None:
            return None
        if self.label is None:
            return label
        try:
            return found.expand(self.label) if found.re.groups else self.label
        except (re.error, IndexError) as error:
            raise ValueError(f"events={self.text!r} (--events): its new label {self.label!r}: {error}") from error


def parse_event_item(text: str) -> EventItem:
    """Return an item of the events grammar; ValueError shows the grammar where the text is not one."""
    parts = _SPLIT.split(text)
    marks = parts[1::2]
    words = [re.sub(r"\\([@=])", r"\1", part).strip() for part in parts[::2]]
    if marks not in ([], ["@"], ["="], ["@", "="]) or not all(words):
        raise ValueError(
            f"events={text!r} (--events) is not [source@]pattern[=label]: {_why_not(marks, words)}. "
            "Examples: face, 1=house, STATUS@1=house, shown.csv@*"
        )
    return EventItem(
        text=text,
        source=words[0] if "@" in marks else None,
        pattern=words[1] if "@" in marks else words[0],
        label=words[-1] if "=" in marks else None,
    )


def _why_not(marks: list[str], words: list[str]) -> str:
    if len(marks) > 2 or marks.count("@") > 1 or marks.count("=") > 1 or marks == ["=", "@"]:
        return r"where @ or = belongs to a label or a name, write \@ or \="
    if not any(words):
        return "it is empty"
    return "a part of it is empty (* is every label)"
