"""The flags by which every command is told what a recording's file does not say, or says wrongly."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from core.formats.contract.signals import ReadOptions
from core.loading.load import load_recording
from core.loading.options import options_from_text
from core.recording import Recording


@dataclass(frozen=True, kw_only=True)
class ReadingOptions:
    """What is said of the files; one flag for every field of `core.formats.contract.signals.ReadOptions`."""

    units: str | None = None
    """what the file's numbers are, where it does not say: V, mV, uV, nV"""
    format: str | None = None
    """which reader takes the file, where neither its content nor its name tells"""
    sfreq: float | None = None
    """the file's sampling rate in hertz, where it does not say or says wrongly"""
    events: tuple[str, ...] = ()
    """which events are taken, each `[source@]pattern[=label]`: 1=house, stim/.*, STATUS@3, shown.csv@* (all)"""
    channels: str | None = None
    """what the file's channels are: a JSON file (map.json), names in order (Fp1,Fp2) or pairs (EXG1:Oz,EXG2:Pz)"""
    montage: str | None = None
    """named layout that gives the file's channels their places"""
    keep: tuple[str, ...] = ()
    """channels to keep that would be left out as not EEG (Right AUX)"""
    member: str | None = None
    """which recording of a .zip or a folder that holds several"""
    stream: str | None = None
    """which stream or series of a file that holds several (XDF, NWB)"""
    variable: str | None = None
    """which variable of a .mat, .npz or .npy holds the EEG"""
    axes: str | None = None
    """order of an array's axes: channels,times or times,channels or epochs,channels,times"""
    board: str | None = None
    """BrainFlow's board id or name, for its CSV files"""


def read_arguments(options: ReadingOptions) -> dict[str, Any]:
    """Return the keyword arguments of `load_recording` that the flags say. Raises ValueError as `channels` may."""
    found = {field.name: getattr(options, field.name) for field in fields(ReadOptions)}
    text = options.channels
    if text is not None and not (text.lower().endswith(".json") or Path(text).is_file()):
        found["channels"] = options_from_text(f"channels={text}")["channels"]
    return found


def read_file(path: Path, options: ReadingOptions) -> Recording:
    """Read one file as the flags say; raises what `load_recording` does."""
    return load_recording(path, **read_arguments(options))
