"""The spellings of voltage units, and what each is in volts."""

from __future__ import annotations

import re

VOLTS = {"V": 1.0, "mV": 1e-3, "uV": 1e-6, "nV": 1e-9}

_PREFIXES = {"": "V", "m": "mV", "milli": "mV", "u": "uV", "micro": "uV", "n": "nV", "nano": "nV"}
_UNKNOWN = {"", "n/a", "na", "none", "unknown", "a.u", "au", "arb", "raw", "counts", "count", "adc", "adu", "?", "-"}
# a unit cut to EDF's eight characters still says what it is
_VOLTAGE = re.compile(r"^(m|milli|u|micro|n|nano|)[ -]?v(o|ol|olt|olts|olt\(s\))?$")


def canonical_unit(text: str) -> str | None:
    """Return "V", "mV", "uV" or "nV" for any spelling of it, "" for blank or unknown, None for what is not a voltage.

    "UV" is microvolts and "MV" millivolts: nobody records gigavolts' smaller brothers, and files do shout.
    """
    # µ is written as the micro sign, the Greek letter, Shift-JIS bytes or UTF-8 read as Latin-1
    word = text.strip().strip("\x00").strip()
    for micro in ("\u00c2\u00b5", "\u00ce\u00bc", "\x83\u00ca", "\u00b5", "\u03bc"):
        word = word.replace(micro, "u")
    word = word.strip(" .[]()").lower()
    if word in _UNKNOWN:
        return ""
    matched = _VOLTAGE.match(word)
    return _PREFIXES[matched.group(1)] if matched else None


def check_unit(units: str | None) -> str | None:
    """Return the canonical form of a unit the user gave, None for None; ValueError lists the known ones."""
    if units is None:
        return None
    unit = canonical_unit(units)
    if not unit:
        raise ValueError(f"units={units!r} is not a voltage; known: {', '.join(VOLTS)}")
    return unit
