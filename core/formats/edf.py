"""EDF, EDF+ and BDF through MNE, with the units read from the header by ourselves.

MNE scales only a few spellings of a unit; "UV", "uv", ".uV" or "nV" come through unscaled, up to 1e9 too large.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from .mne_raw import load_samples, read_quietly, signals_from_raw
from .signals import Reader, Signals
from .units import VOLTS, canonical_unit

# the spellings that MNE's reader multiplies by itself (headers are read as Latin-1)
_MNE_SCALES = {"uV": 1e-6, "\u00b5V": 1e-6, "\u03bcV": 1e-6, "\x83\u00caV": 1e-6, "mV": 1e-3}
_MAX_SIGNALS = 4096


@dataclass(frozen=True)
class EdfHeader:
    """The fixed ASCII fields of an EDF or BDF header, one entry per signal in file order."""

    labels: tuple[str, ...]
    dimensions: tuple[str, ...]
    physical: np.ndarray
    digital: np.ndarray
    samples: np.ndarray
    n_records: int
    record_s: float
    first_byte: int
    sample_bytes: int

    @property
    def annotation_rows(self) -> tuple[bool, ...]:
        """Which signals hold annotations and not samples."""
        return tuple(label in ("EDF Annotations", "BDF Annotations") for label in self.labels)


def read_header(path: Path) -> EdfHeader:
    """Read an EDF or BDF header; ValueError says what in it is not as the format demands."""
    with open(path, "rb") as file:
        fixed = file.read(256)
        is_bdf = fixed[:8] == b"\xffBIOSEMI"
        if len(fixed) < 256 or not (is_bdf or fixed[:8].decode("latin-1").strip() == "0"):
            raise ValueError(
                f"{path}: not an EDF or BDF file: it starts with {fixed[:8]!r}, not with version 0 or BIOSEMI "
                "(a renamed text file? give its real suffix or format= / --format)"
            )
        try:
            first_byte, n_records = int(fixed[184:192]), int(fixed[236:244])
            record_s, n_signals = float(fixed[244:252]), int(fixed[252:256])
        except ValueError as error:
            raise ValueError(f"{path}: its EDF header holds text where a number belongs: {error}") from error
        if not (0 < n_signals <= _MAX_SIGNALS) or first_byte < 256 * (1 + n_signals):
            raise ValueError(f"{path}: its EDF header claims {n_signals} signals and {first_byte} bytes of header")
        raw = file.read(256 * n_signals)
    if len(raw) < 256 * n_signals:
        raise ValueError(f"{path}: ends inside its own header ({256 + len(raw)} bytes for {n_signals} signals)")

    fields, at = [], 0
    for width in (16, 80, 8, 8, 8, 8, 8, 80, 8):
        fields.append([raw[at + i * width : at + (i + 1) * width].decode("latin-1") for i in range(n_signals)])
        at += width * n_signals
    try:
        physical, digital = (
            np.array(
                [
                    [float(low.replace(",", ".")) for low in fields[a]],
                    [float(high.replace(",", ".")) for high in fields[a + 1]],
                ]
            )
            for a in (3, 5)
        )
        samples = np.array([int(text) for text in fields[8]])
    except ValueError as error:
        raise ValueError(f"{path}: its EDF header holds text where a number belongs: {error}") from error
    if (samples < 0).any() or samples.sum() == 0:
        raise ValueError(f"{path}: its EDF header claims {samples.tolist()} samples a record")
    return EdfHeader(
        labels=tuple(text.strip().strip("\x00").strip() for text in fields[0]),
        dimensions=tuple(fields[2]),
        physical=physical,
        digital=digital,
        samples=samples,
        n_records=n_records,
        record_s=record_s if record_s > 0 else 1.0,
        first_byte=first_byte,
        sample_bytes=3 if is_bdf else 2,
    )


def read_channels(path: str | Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return whole signals of an EDF or BDF file as float64 in the units the file declares, each at its own rate.

    For rows that are not EEG, such as Emotiv's TIME_STAMP_s and TIME_STAMP_ms. Raises ValueError listing the file's
    signals where one is missing.
    """
    path = Path(path)
    header = read_header(path)
    if missing := [name for name in names if name not in header.labels]:
        raise ValueError(f"{path}: no signal {missing}; it has {list(header.labels)}")
    width = header.sample_bytes
    record = int(header.samples.sum()) * width
    n_records = (path.stat().st_size - header.first_byte) // record
    if header.n_records >= 0:
        n_records = min(n_records, header.n_records)
    bytes_ = (
        np.memmap(path, np.uint8, "r", header.first_byte, (n_records, record))
        if n_records
        else np.zeros((0, record), np.uint8)
    )
    starts = np.concatenate([[0], np.cumsum(header.samples)]) * width
    found = {}
    for name in names:
        row = header.labels.index(name)
        block = np.ascontiguousarray(bytes_[:, starts[row] : starts[row + 1]])
        if width == 2:
            counts = block.view("<i2").astype(np.float64)
        else:
            triples = block.reshape(n_records, -1, 3).astype(np.int32)
            counts = (triples[..., 0] | triples[..., 1] << 8 | triples[..., 2] << 16).astype(np.float64)
            counts[counts >= 1 << 23] -= 1 << 24
        (low, high), (least, most) = header.physical[:, row], header.digital[:, row]
        gain = (high - low) / (most - least) if most != least else 1.0
        found[name] = ((counts - least) * gain + low).ravel()
    return found


@contextmanager
def _called(path: Path, suffix: str) -> Iterator[Path]:
    """Yield a path to the same bytes that ends in `suffix`, without which MNE refuses them."""
    if path.suffix.lower() == suffix:
        yield path
        return
    with TemporaryDirectory() as folder:
        named = Path(folder) / f"recording{suffix}"
        try:
            named.symlink_to(path.resolve())
        except OSError:  # Windows without the right to link
            shutil.copyfile(path, named)
        yield named


def read_edf(path: Path) -> Signals:
    """Read an EDF, EDF+ or BDF file: all rows in volts where the header's own unit says how."""
    import mne

    header = read_header(path)
    is_bdf = header.sample_bytes == 3
    kind = "BDF" if is_bdf else "EDF"
    if path.stat().st_size < header.first_byte + int(header.samples.sum()) * header.sample_bytes:
        raise ValueError(f"{path}: holds no complete record of data after its header")
    read = mne.io.read_raw_bdf if is_bdf else mne.io.read_raw_edf
    with _called(path, ".bdf" if is_bdf else ".edf") as named:
        raw, notes = read_quietly(path, kind, lambda: load_samples(path, read(named, verbose="WARNING")))
    signals = signals_from_raw(raw, notes)

    rows = [i for i, skip in enumerate(header.annotation_rows) if not skip]
    if len(rows) != len(signals.ch_names):
        raise ValueError(f"{path}: its header lists {len(rows)} signals but {len(signals.ch_names)} could be read")
    stated = [header.dimensions[i].strip() for i in rows]
    mended = []
    for i, text in enumerate(stated):
        if signals.ch_types[i] != "eeg":
            continue
        signals.units[i] = unit = canonical_unit(text)
        wanted, applied = (VOLTS[unit] if unit else 1.0), _MNE_SCALES.get(text, 1.0)
        if wanted != applied:
            signals.data[i] *= wanted / applied
            mended.append(text)
    if mended:
        signals.notes.append(f"units written {', '.join(sorted({repr(text) for text in mended}))} were understood")
    rates = {
        round(int(n) / header.record_s, 3)
        for n, skip in zip(header.samples, header.annotation_rows, strict=True)
        if not skip
    }
    if len(rates) > 1:
        signals.notes.append(
            f"rates differ between signals ({sorted(rates)} Hz): the slower ones were resampled by MNE"
        )
    signals.stim_mask = 0xFFFF if is_bdf else None
    return signals


READERS = (
    Reader("edf", (".edf", ".rec"), read_edf, "EDF and EDF+, 16 bit"),
    Reader("bdf", (".bdf",), read_edf, "BDF and BDF+, BioSemi's 24-bit EDF"),
)
