"""Weka's ARFF with an attribute for each electrode: the form of the UCI data set "EEG Eye State"."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ...montage import MONTAGES, is_eeg_name
from ..containers.text_table import first_lines, read_text_table
from ..contract.signals import Head, Reader, ReadOptions, Signals
from ..contract.suffixes import SUFFIXES
from ..contract.units import VOLTS

_EPOC_SFREQ = 128.0
_ATTRIBUTE = re.compile(r"@attribute\s+('[^']*'|\"[^\"]*\"|\S+)\s+(.*)$", re.IGNORECASE)
_MOST_LINES = 4096


def read_arff(path: Path, options: ReadOptions) -> Signals:
    """Read the attributes that are electrodes, and those with a list of numbers as values as trigger rows.

    An ARFF has no rate and no unit: for an EPOC's fourteen electrodes both are known (128 Hz, microvolts), else they
    are asked for. Raises ValueError where no attribute is an electrode or the data are sparse.
    """
    names, kinds, skip = _attributes(path, first_lines(path, _MOST_LINES))
    eeg = [i for i, name in enumerate(names) if is_eeg_name(name)]
    codes = [i for i, kind in enumerate(kinds) if re.fullmatch(r"\{\s*-?\d+(\s*,\s*-?\d+)*\s*\}", kind)]
    if not eeg:
        raise ValueError(f"{path}: an ARFF none of whose attributes is an electrode: {names[:20]}")
    table = read_text_table(path, delimiter=",", skip=skip, numbers=[*eeg, *codes], comment="%", names=names)
    epoc = {names[i].upper() for i in eeg} == {place.upper() for place in MONTAGES["epoc-14"]}
    unit = "uV" if epoc else ""
    for row in table.numbers[: len(eeg)]:
        row *= VOLTS[unit] if unit else 1.0
    return Signals(
        data=table.numbers,
        sfreq=_EPOC_SFREQ if epoc else options.sfreq or np.nan,
        sfreq_said="documented" if epoc else "asked",
        ch_names=[names[i] for i in [*eeg, *codes]],
        ch_types=["eeg"] * len(eeg) + ["stim"] * len(codes),
        units=[unit] * len(eeg) + [None] * len(codes),
        units_said="assumed",
        units_why="an Emotiv EPOC's fourteen electrodes: uV" if epoc else "",
        dropped={name: "not EEG" for i, name in enumerate(names) if i not in {*eeg, *codes}},
        notes=[*table.notes, *([table.cut_off] if table.cut_off else [])],
    )


def _attributes(path: Path, lines: list[str]) -> tuple[list[str], list[str], int]:
    names, kinds = [], []
    for n, line in enumerate(lines):
        if line.strip().lower().startswith("@data"):
            if any("{" in below for below in lines[n + 1 : n + 4]):
                raise ValueError(f"{path}: a sparse ARFF; save it as a dense one")
            return names, kinds, n + 1
        if found := _ATTRIBUTE.match(line.strip()):
            names.append(found[1].strip("'\""))
            kinds.append(found[2].strip())
    raise ValueError(f"{path}: no @DATA among its first {len(lines)} lines, so not an ARFF, or cut off in its header")


def _is_arff(head: Head) -> bool:
    lines = [line.strip().lower() for line in head.lines(200)]
    return any(line.startswith("@relation") for line in lines) and any(line.startswith("@attribute") for line in lines)


READER = Reader(
    "arff",
    SUFFIXES["arff"],
    read_arff,
    "ARFF with electrodes as attributes (EEG Eye State)",
    _is_arff,
    "ARFF (@RELATION and @ATTRIBUTE)",
)
