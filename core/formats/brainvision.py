"""BrainVision: a .vhdr header with its .vmrk markers and .eeg data beside it."""

from __future__ import annotations

from pathlib import Path

from .mne_raw import load_samples, read_quietly, signals_from_raw
from .signals import Reader, Signals
from .units import canonical_unit


def read_brainvision(path: Path) -> Signals:
    """Read a .vhdr; MNE scales V, mV, uV and nV, takes a blank unit for uV, and marks every other unit as misc.

    Raises ValueError or FileNotFoundError where the header is not one or a file that it names is not beside it.
    """
    import mne

    text = path.read_bytes()[:4096].decode("utf-8", errors="replace")
    if "brain vision" not in text[:200].lower() and "brainvision" not in text[:200].lower():
        raise ValueError(f"{path}: not a BrainVision header: it does not start with 'Brain Vision Data Exchange'")
    companions = []
    for key in ("DataFile", "MarkerFile"):
        lines = [line for line in text.splitlines() if line.strip().lower().startswith(f"{key.lower()}=")]
        if lines:
            name = lines[0].split("=", 1)[1].strip().replace("$b", path.stem)
            if Path(name).name != name:
                raise ValueError(f"{path}: its {key} {name!r} is not the name of a file beside it")
            beside = path.parent / name
            if not beside.is_file():
                raise FileNotFoundError(
                    f"{path}: its {key} {name!r} is not beside it; a BrainVision recording is three files "
                    "(.vhdr, .vmrk, .eeg) and renaming one breaks the link"
                )
            companions.append(beside)
    raw, notes = read_quietly(
        path, "BrainVision", lambda: load_samples(path, mne.io.read_raw_brainvision(path, verbose="WARNING"))
    )
    signals = signals_from_raw(raw, notes)
    signals.companions = tuple(companions)
    stated = getattr(raw, "_orig_units", {})
    for i, name in enumerate(signals.ch_names):
        if signals.ch_types[i] == "eeg":
            # MNE has scaled by what the header said; remember what that was
            signals.units[i] = canonical_unit(str(stated.get(name, "uV"))) or "uV"
    return signals


READER = Reader("brainvision", (".vhdr",), read_brainvision, "BrainVision (.vhdr with .vmrk and .eeg beside it)")
