"""The formats by name, with the suffixes they answer to: all that a host must know before a file is opened."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...registry import registry


@dataclass(frozen=True)
class Format:
    """A family of files. suffixes: of a set of files (.vhdr, .vmrk, .eeg) the one that a reader is given comes first.

    module: where its reader lies, in a room of `formats`, loaded when the first file is opened; None for BIDS folders,
    whose files the other readers read.
    """

    suffixes: tuple[str, ...]
    module: str | None = None


# where several know a file, the first is asked first
FORMATS: dict[str, Format] = registry(
    ("edf", Format((".edf", ".rec"), "lab.edf")),
    ("bdf", Format((".bdf",), "lab.edf")),
    ("brainvision", Format((".vhdr", ".vmrk", ".eeg"), "lab.brainvision")),
    ("eeglab", Format((".set", ".fdt"), "toolboxes.eeglab")),
    ("fif", Format((".fif",), "toolboxes.fif")),
    ("gdf", Format((".gdf",), "lab.gdf")),
    ("neuroscan", Format((".cnt",), "lab.cnt")),
    ("ant", Format((".cnt",), "lab.cnt")),
    ("egi", Format((".raw", ".egi"), "lab.egi")),
    ("mff", Format((".mff",), "lab.mff")),
    ("nicolet", Format((".head", ".data"), "lab.nicolet")),
    ("emotiv", Format((".csv",), "headsets.emotiv")),
    ("muse", Format((".csv",), "headsets.muse")),
    ("mind_monitor", Format((".csv",), "headsets.mind_monitor")),
    ("openbci", Format((".txt",), "headsets.openbci")),
    ("openbci_sd", Format((".txt",), "headsets.openbci")),
    ("unicorn", Format((".csv",), "headsets.unicorn")),
    ("brainflow", Format((".csv",), "headsets.brainflow")),
    ("arff", Format((".arff",), "toolboxes.arff")),
    ("native", Format((".safetensors",), "toolboxes.native")),
    ("xdf", Format((".xdf", ".xdfz"), "headsets.xdf")),
    ("nwb", Format((".nwb",), "toolboxes.nwb")),
    ("matlab", Format((".mat",), "toolboxes.matlab")),
    ("hdf5", Format((".h5", ".hdf5", ".hdf"), "toolboxes.matlab")),
    ("numpy", Format((".npy", ".npz", ".pkl", ".pickle"), "toolboxes.numpy_files")),
    ("csv", Format((".csv", ".tsv", ".txt", ".asc"), "toolboxes.csv_file")),
    ("bids", Format(())),
)
SUFFIXES = {name: row.suffixes for name, row in FORMATS.items()}
ARCHIVES = (".gz", ".zip")


def recordings_in(folder: Path) -> list[Path]:
    """Return the files below a folder that a reader takes by name, sorted; of a set (.vhdr, .vmrk, .eeg) the first."""
    known = (*ARCHIVES, *(suffix for suffixes in SUFFIXES.values() for suffix in suffixes))
    found = (path for path in folder.rglob("*") if path.name.lower().endswith(known))
    return sorted(path for path in found if path.is_file() and not is_companion(path))


def is_companion(path: Path) -> bool:
    """Say whether a file only belongs to a recording whose main file stands beside it (.eeg to a .vhdr)."""
    own = path.suffix.lower()
    sets = [suffixes for suffixes in SUFFIXES.values() if own in suffixes[1:]]
    return any(path.with_suffix(suffixes[0]).is_file() for suffixes in sets)
