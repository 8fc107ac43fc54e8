"""GDF 1 and 2 through MNE, with the units read from the header by ourselves (MNE knows uV, and mV only in GDF 2)."""

from __future__ import annotations

import struct
from pathlib import Path

from .mne_raw import load_samples, read_quietly, signals_from_raw
from .signals import Reader, Signals
from .units import VOLTS, canonical_unit

# ISO 11073 codes: volts is 4256, and the low five bits are the power of ten
_CODES = {4256: "V", 4274: "mV", 4275: "uV", 4276: "nV", 0: "", 512: ""}


def read_gdf(path: Path) -> Signals:
    """Read a GDF file: all rows in volts where the header says how; event codes become events labelled with them."""
    import mne

    with open(path, "rb") as file:
        fixed = file.read(256)
        if not fixed.startswith(b"GDF ") or len(fixed) < 256:
            raise ValueError(f"{path}: not a GDF file: it does not start with 'GDF' and a whole header")
        try:
            version = float(fixed[4:8])
        except ValueError as error:
            raise ValueError(f"{path}: its GDF version is {fixed[4:8]!r}, not a number") from error
        n_signals = struct.unpack("<I", fixed[252:256])[0] if version < 1.9 else struct.unpack("<H", fixed[252:254])[0]
        if not 0 < n_signals <= 4096:
            raise ValueError(f"{path}: its GDF header claims {n_signals} signals")
        file.seek(256 + (96 if version < 1.9 else 102) * n_signals)
        stated = file.read((8 if version < 1.9 else 2) * n_signals)
    if version < 1.9:
        texts = [stated[i * 8 : i * 8 + 8].decode("latin-1") for i in range(n_signals)]
        units = [canonical_unit(text) for text in texts]
        applied = [1e-6 if text.strip()[:2] == "uV" else 1.0 for text in texts]
    else:
        codes = [int.from_bytes(stated[i * 2 : i * 2 + 2], "little") for i in range(n_signals)]
        units = [_CODES.get(code) for code in codes]
        applied = [{4275: 1e-6, 4274: 1e-3}.get(code, 1.0) for code in codes]

    raw, notes = read_quietly(path, "GDF", lambda: load_samples(path, mne.io.read_raw_gdf(path, verbose="WARNING")))
    signals = signals_from_raw(raw, notes)
    if len(signals.ch_names) != n_signals:
        raise ValueError(f"{path}: its header lists {n_signals} signals but {len(signals.ch_names)} could be read")
    for i, (unit, factor) in enumerate(zip(units, applied, strict=True)):
        if signals.ch_types[i] == "eeg":
            signals.units[i] = unit
            signals.data[i] *= (VOLTS[unit] if unit else 1.0) / factor
    return signals


READER = Reader("gdf", (".gdf",), read_gdf, "GDF 1 and 2")
