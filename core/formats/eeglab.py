"""EEGLAB .set files, continuous or epoched, with or without an .fdt beside them."""

from __future__ import annotations

from pathlib import Path

from .mne_raw import read_quietly, signals_from_epochs, signals_from_raw
from .signals import Reader, Signals


def read_eeglab(path: Path) -> Signals:
    """Read a .set file. EEGLAB stores no unit and means microvolts: so does MNE, and `units` says it was assumed."""
    import mne

    with open(path, "rb") as file:
        magic = file.read(128)
    # MATLAB 5 says so in text, 7.3 is HDF5, 4 starts with a small little-endian type code
    if not (magic.startswith((b"MATLAB", b"\x89HDF")) or (magic[1:4] == b"\x00\x00\x00" and len(magic) > 20)):
        raise ValueError(f"{path}: not an EEGLAB file: it is no MATLAB file at all")
    data_file = path.with_suffix(".fdt")
    companions = (data_file,) if data_file.is_file() else ()

    def read() -> tuple[str, object]:
        try:
            return "raw", mne.io.read_raw_eeglab(path, preload=True, verbose="WARNING")
        except TypeError as error:  # MNE's way of saying that the number of trials is not 1
            if "epoch" not in str(error).lower() and "trials" not in str(error).lower():
                raise
            return "epochs", mne.io.read_epochs_eeglab(path, verbose="WARNING")

    (kind, found), notes = read_quietly(path, "EEGLAB", read)
    signals = signals_from_raw(found, notes) if kind == "raw" else signals_from_epochs(found, notes)  # type: ignore[arg-type]
    signals.units = ["uV" if kind_ == "eeg" else None for kind_ in signals.ch_types]
    signals.units_said, signals.units_why = "assumed", "EEGLAB writes no unit and means uV"
    signals.companions = companions
    return signals


READER = Reader("eeglab", (".set",), read_eeglab, "EEGLAB, continuous or epoched")
