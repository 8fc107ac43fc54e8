"""The readers of recordings, one file per family; adding a format is a small file and one line in READERS."""

from __future__ import annotations

from pathlib import Path

from ..formats.contract.signals import Reader
from ..formats.headsets import brainflow, emotiv, mind_monitor, muse, openbci, unicorn, xdf
from ..formats.lab import brainvision, cnt, edf, egi, gdf, mff, nicolet
from ..formats.toolboxes import arff, csv_file, eeglab, fif, matlab, native, numpy_files, nwb
from ..registry import by_name
from . import bids
from .detect import looked_for, reader_of, suffix_of_bytes

_FILES = by_name(
    (
        *edf.READERS,
        brainvision.READER,
        eeglab.READER,
        fif.READER,
        gdf.READER,
        *cnt.READERS,
        egi.READER,
        mff.READER,
        nicolet.READER,
        emotiv.READER,
        muse.READER,
        mind_monitor.READER,
        *openbci.READERS,
        unicorn.READER,
        brainflow.READER,
        arff.READER,
        native.READER,
        xdf.READER,
        nwb.READER,
        *matlab.READERS,
        numpy_files.READER,
        csv_file.READER,
    )
)
# a BIDS folder holds files of the others
READERS: dict[str, Reader] = by_name((*_FILES.values(), bids.reader_over(_FILES)))


def reader_for(path: Path, format: str | None = None) -> Reader:  # noqa: A002
    """Return the reader named `format`, or the one that takes `path` by its content, else by its name.

    Raises ValueError that lists the known formats and what was looked for.
    """
    return reader_of(path, READERS, format)[0]


def suffix_of_content(content: bytes) -> str:
    """Return the suffix of a file of these bytes, by what they hold; ValueError says what was looked for in vain."""
    if suffix := suffix_of_bytes(content, READERS):
        return suffix
    raise ValueError(f"the recording has no name, and its content is not recognised; looked for {looked_for(READERS)}")
