"""Choosing channels in words: by name, by the part of the head they lie over, by side."""

from __future__ import annotations

import re
from collections.abc import Sequence

# The letters of 10-05 names, each in one group only: rows between two lobes (FC, CP, PO ...) go where their rhythms do.
_LOBES = {
    "frontal": ("N", "NFP", "FP", "AFP", "AF", "AFF", "F", "FFC", "FFT"),
    "central": ("FC", "FCC", "C", "CCP", "CP"),
    "temporal": ("FT", "FTT", "T", "TTP", "TP"),
    "parietal": ("CPP", "TPP", "P", "PPO"),
    "occipital": ("PO", "POO", "O", "OI", "I"),
}
_LOBE_OF = {letters: lobe for lobe, several in _LOBES.items() for letters in several}
_SIDE_OF_DIGIT = ("right", "left")  # even numbers lie on the right, odd ones on the left, z on the midline
_PLACE = re.compile(r"([A-Za-z]+?)(\d+h?|z)", re.IGNORECASE)
GROUPS = (*_LOBES, "left", "right")


def groups_of(name: str) -> frozenset[str]:
    """Return the groups a channel belongs to, by its 10-05 name in any common spelling; none for other names.

    PO7 is occipital and left, FCz central and on neither side, TP9 temporal; earlobes and mastoids have a side only.
    """
    from .montage import is_eeg_name, normalise_name

    place = _PLACE.fullmatch(normalise_name(name))
    if not place or not is_eeg_name(name):
        return frozenset()
    letters, number = place[1].upper(), place[2].lower().rstrip("h")
    side = {_SIDE_OF_DIGIT[int(number) % 2]} if number.isdigit() else set()
    return frozenset(({_LOBE_OF[letters]} if letters in _LOBE_OF else set()) | side)


def named_channels(ch_names: Sequence[str], names: str | Sequence[str]) -> tuple[str, ...]:
    """Return which of `ch_names` are meant by names in any common spelling, each once, in the order they are given.

    names: a sequence, or a text such as "T7, F8" (commas, semicolons or spaces between). Raises ValueError that lists
    what there is.
    """
    found: list[str] = []
    for item in _items(names):
        words = (item,) if (known := _find(ch_names, item)) else item.split()
        found += [known] if known else [_find(ch_names, word) or _unknown(ch_names, word) for word in words]
    return tuple(dict.fromkeys(found))


def pick_channels(ch_names: Sequence[str], text: str) -> tuple[str, ...]:
    """Return the channels a text names: names and groups ("O1, O2", "frontal, Cz", "left temporal"); empty for all.

    Groups that stand together without a comma must all hold. Raises ValueError that lists what there is for a name or
    a group without a channel.
    """
    if not text.strip():
        return tuple(ch_names)
    found: list[str] = []
    for item in _items(text):
        words = [word.lower() for word in item.split()]
        if all(word in GROUPS for word in words) and not _find(ch_names, item):
            inside = [name for name in ch_names if groups_of(name).issuperset(words)]
            if not inside:
                raise ValueError(f"no channel here is {' '.join(words)}; the recording has {', '.join(ch_names)}")
            found += inside
            continue
        for word in (item,) if _find(ch_names, item) else item.split():
            if word.lower() in GROUPS:
                found += pick_channels(ch_names, word)
            else:
                found.append(_find(ch_names, word) or _unknown(ch_names, word, f", and groups: {', '.join(GROUPS)}"))
    return tuple(dict.fromkeys(found))


def _items(names: str | Sequence[str]) -> list[str]:
    parts = names.replace(";", ",").replace("\n", ",").split(",") if isinstance(names, str) else names
    return [part.strip() for part in parts if part.strip()]


def _find(ch_names: Sequence[str], name: str) -> str | None:
    # exact names win: two spellings of one place (T3 beside T7) are two channels
    if name in ch_names:
        return name
    from .montage import normalise_name

    wanted = normalise_name(name).lower()
    return next((own for own in ch_names if normalise_name(own).lower() == wanted), None)


def _unknown(ch_names: Sequence[str], name: str, more: str = "") -> str:
    raise ValueError(f"no channel {name!r} in this recording; it has {', '.join(ch_names)}{more}")
