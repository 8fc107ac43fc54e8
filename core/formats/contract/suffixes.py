"""The names of the formats and the suffixes they answer to: all that a host must know before a file is opened."""

from __future__ import annotations

from pathlib import Path

# of a set of files (.vhdr, .vmrk, .eeg) the one that a reader is given comes first
SUFFIXES: dict[str, tuple[str, ...]] = {
    "arff": (".arff",),
    "bids": (),
    "brainflow": (".csv",),
    "brainvision": (".vhdr", ".vmrk", ".eeg"),
    "neuroscan": (".cnt",),
    "ant": (".cnt",),
    "csv": (".csv", ".tsv", ".txt", ".asc"),
    "edf": (".edf", ".rec"),
    "bdf": (".bdf",),
    "eeglab": (".set", ".fdt"),
    "egi": (".raw", ".egi"),
    "emotiv": (".csv",),
    "fif": (".fif",),
    "gdf": (".gdf",),
    "matlab": (".mat",),
    "hdf5": (".h5", ".hdf5", ".hdf"),
    "mff": (".mff",),
    "mind_monitor": (".csv",),
    "muse": (".csv",),
    "native": (".safetensors",),
    "nicolet": (".head", ".data"),
    "numpy": (".npy", ".npz", ".pkl", ".pickle"),
    "nwb": (".nwb",),
    "openbci": (".txt",),
    "openbci_sd": (".txt",),
    "unicorn": (".csv",),
    "xdf": (".xdf", ".xdfz"),
}
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
