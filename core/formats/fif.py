"""FIF, MNE's own: continuous or epochs, always in volts."""

from __future__ import annotations

from pathlib import Path

from .mne_raw import load_samples, read_quietly, signals_from_epochs, signals_from_raw
from .signals import Reader, Signals


def read_fif(path: Path) -> Signals:
    """Read a continuous FIF file, or one of epochs (each becomes a segment with one event)."""
    import mne

    def read() -> tuple[str, object]:
        if path.name.lower().removesuffix(".gz").endswith(("-epo.fif", "_epo.fif")):
            return "epochs", mne.read_epochs(path, verbose="WARNING")
        try:
            return "raw", load_samples(path, mne.io.read_raw_fif(path, verbose="WARNING"))
        except ValueError as error:
            if "No raw data" not in str(error):
                raise
            return "epochs", mne.read_epochs(path, verbose="WARNING")

    (kind, found), notes = read_quietly(path, "FIF", read)
    # a name that is not as MNE likes it is no news to whoever reads the file
    notes = [note for note in notes if "does not conform to MNE naming conventions" not in note]
    return signals_from_raw(found, notes) if kind == "raw" else signals_from_epochs(found, notes)  # type: ignore[arg-type]


READER = Reader("fif", (".fif", ".fif.gz"), read_fif, "FIF, continuous or epochs")
