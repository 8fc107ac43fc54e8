"""What a user says of a file in one line, as the hosts' fields take it: `sfreq=250; axes=times,channels`."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

from ..formats.contract.signals import ReadOptions

NAMES = tuple(field.name for field in fields(ReadOptions))
_LISTS = ("events", "keep")


def load_options(units: str | None, text: str) -> dict[str, Any]:
    """Return the keyword arguments of `load_recording` from a choice of unit, if any, and a text as below.

    Raises ValueError as `options_from_text` does, and where the two say different units.
    """
    found = options_from_text(text)
    if units is not None and found.setdefault("units", units) != units:
        raise ValueError(f"the units are chosen as {units} and told as {found['units']!r}; leave one of them out")
    return found


def options_from_text(text: str) -> dict[str, Any]:
    """Return the keyword arguments of `load_recording` that a text names, `name=value` separated by ; or line ends.

    Lists are separated by commas (`keep=Right AUX`, `events=1=house,2=face`); `channels` is a list of names in the
    file's order, pairs `EXG1:Oz,EXG2:Pz`, or a JSON object. Such a text comes from a web page, so that it may name no
    file but one beside the recording. Raises ValueError naming what is not known and what is.
    """
    found: dict[str, Any] = {}
    for part in re.split(r"[;\n]", text):
        if not part.strip():
            continue
        name, equals, value = (piece.strip() for piece in part.partition("="))
        name = name.lower().removeprefix("--")
        if not equals or name not in NAMES or not value:
            raise ValueError(f"{part.strip()[:80]!r} is no `name=value`; the names are {', '.join(NAMES)}")
        if name in found:
            raise ValueError(f"{name} is given twice")
        found[name] = _value(name, value.strip("'\""))
    return found


def _value(name: str, text: str) -> Any:
    if name == "sfreq":
        try:
            return float(text.lower().removesuffix("hz"))
        except ValueError:
            raise ValueError(f"sfreq={text[:40]!r} is no number of hertz") from None
    if name == "channels":
        return _channels(text)
    if name == "montage" and (re.search(r"[\\/]", text) or Path(text).is_file()):
        raise ValueError(f"montage={text[:80]!r}: only the name of a montage can be given here, such as standard_1020")
    if name not in _LISTS:
        return text
    items = tuple(item.strip() for item in text.split(",") if item.strip())
    for item in items:
        source, *pattern = re.split(r"(?<!\\)@", item, maxsplit=1)
        if name == "events" and pattern and re.search(r"/|\\(?![@=])|\.\.", source):
            raise ValueError(f"events={item[:80]!r}: only a table beside the recording can be named here, by its name")
    return items


def _channels(text: str) -> Any:
    if text.startswith(("{", "[")):
        try:
            return json.loads(text)
        except (json.JSONDecodeError, RecursionError) as error:
            raise ValueError(f"channels={text[:60]!r} is no JSON: {error}") from None
    items = [item.strip() for item in text.split(",") if item.strip()]
    if any(":" in item for item in items):
        split = (item.partition(":") for item in items)
        pairs = [(theirs.strip(), ours.strip()) for theirs, _, ours in split]
        if lonely := [item for item, pair in zip(items, pairs, strict=True) if not all(pair)]:
            raise ValueError(f"channels: {', '.join(lonely)[:80]!r} is no pair `the file's name:its place`")
        return dict(pairs)
    return items
