"""The spellings of voltage units, and what each is in volts."""

from __future__ import annotations

import re

VOLTS = {"V": 1.0, "mV": 1e-3, "uV": 1e-6, "nV": 1e-9}

_PREFIXES = {
    **{"": "V", "m": "mV", "milli": "mV", "n": "nV", "nano": "nV"},
    **dict.fromkeys(("u", "micro", "mu", "mc", "mk", "mic", "micr"), "uV"),
}
_UNKNOWN = {"", "n/a", "na", "none", "unknown", "a.u", "au", "arb", "raw", "counts", "count", "adc", "adu", "?", "-"}
# a unit cut to EDF's eight characters still says what it is; what follows is what it counts or how it was coupled
_VOLTAGE = re.compile(
    r"^(m|milli|u|micro?|micr|mu|mc|mk|n|nano|)[ -]?v(o|ol|olt|olts|olt\(s\))?"
    r"([ _/(\[-]*(rms|eff|dc|ac|bit|lsb|count|counts|sample|ref)[)\]]*)?$"
)
# powers of ten in front of volts, as "10^-6 V" or "1e-6V"
_POWER = re.compile(r"^1(?:\.0*)?(?:0?\s*(?:\^|\*\*?)\s*|e)(-?[0369])\s*\*?\s*v(?:olts?)?$")
_POWERS = {"0": "V", "-0": "V", "-3": "mV", "-6": "uV", "-9": "nV"}
# the letter micro was lost on the way ("?V"), or a number stands before the unit: a voltage, but which?
_SOME_VOLTAGE = re.compile(r"^([?\ufffd\u25a1_*~^]+|[\d.,eE+-]+\s*(m|u|n)?)v(olts?)?$")


_CYRILLIC = str.maketrans({"\u043c": "m", "\u043a": "k", "\u0432": "v", "\u043d": "n"})


def canonical_unit(text: str) -> str | None:
    """Return "V", "mV", "uV" or "nV" for any spelling of it, "" for blank or unknown, None for what is not a voltage.

    "UV" is microvolts and "MV" millivolts: nobody records gigavolts' smaller brothers, and files do shout.
    """
    # µ is written as the micro sign, the Greek letter, Shift-JIS bytes or UTF-8 read as Latin-1
    word = text.strip().strip("\x00").strip()
    for micro in ("\u00c2\u00b5", "\u00ce\u00bc", "\x83\u00ca", "&micro;", "&mu;", "\u00b5", "\u03bc"):
        word = word.replace(micro, "u")
    word = word.strip(" .[]()'\"").lower().translate(_CYRILLIC)
    if word in _UNKNOWN:
        return ""
    if matched := _VOLTAGE.match(word):
        return _PREFIXES[matched.group(1)]
    if matched := _POWER.match(word):
        return _POWERS.get(matched.group(1), "")
    return "" if _SOME_VOLTAGE.match(word) else None


def check_unit(units: str | None) -> str | None:
    """Return the canonical form of a unit the user gave, None for None; ValueError lists the known ones."""
    if units is None:
        return None
    unit = canonical_unit(units)
    if not unit:
        raise ValueError(f"units={units!r} is not a voltage; known: {', '.join(VOLTS)}")
    return unit
