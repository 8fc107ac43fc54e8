"""EDF, EDF+ and BDF through MNE, with the units read from the header by ourselves.

MNE scales only a few spellings of a unit; "UV", "uv", ".uV" or "nV" come through unscaled, up to 1e9 too large.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...montage import is_eeg_name
from ..containers.companions import under_names
from ..containers.mne_raw import load_samples, read_quietly, signals_from_raw
from ..containers.sample_counter import lost_by_counter
from ..containers.truncated import cut_off, without
from ..contract.signals import Head, Reader, ReadOptions, Signals
from ..contract.suffixes import SUFFIXES
from ..contract.units import VOLTS, canonical_unit
from ..headsets.emotiv_markers import add_interval_markers
from .edf_clock import apply_clock, record_clock

# the spellings that MNE's reader multiplies by itself (headers are read as Latin-1)
_MNE_SCALES = {"uV": 1e-6, "\u00b5V": 1e-6, "\u03bcV": 1e-6, "\x83\u00caV": 1e-6, "mV": 1e-3}
_MAX_SIGNALS = 4096
_TRIGGERS = re.compile(r"^(status|trig.*|stim.*|marker.*|event.*)$", re.IGNORECASE)
# the rows that Emotiv's EEG and motion files share, and those of motion (EmotivPRO's guide, "EDF files")
_EMOTIV_COMMON = re.compile(r"^(TIME_STAMP_m?s|COUNTER.*|INTERPOLATED.*|MARKER.*|BATTERY.*|EDF Annotations)$")
_EMOTIV_MOTION = re.compile(r"^((GYRO|ACC|MAG)_?[XYZ]|Q[0-3])$", re.IGNORECASE)


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


def whole_records(path: Path, header: EdfHeader) -> int:
    """Return how many complete records the file holds, whatever its header says."""
    record = int(header.samples.sum()) * header.sample_bytes
    return max((path.stat().st_size - header.first_byte) // record, 0)


def records_of(path: Path, header: EdfHeader) -> np.ndarray:
    """Return the bytes of all complete records (n_records, bytes a record), mapped and not read."""
    n_records, record = whole_records(path, header), int(header.samples.sum()) * header.sample_bytes
    if not n_records:
        return np.zeros((0, record), np.uint8)
    return np.memmap(path, np.uint8, "r", header.first_byte, (n_records, record))


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
    records = records_of(path, header)
    starts = np.concatenate([[0], np.cumsum(header.samples)]) * width
    found = {}
    for name in names:
        row = header.labels.index(name)
        block = np.ascontiguousarray(records[:, starts[row] : starts[row + 1]])
        if width == 2:
            counts = block.view("<i2").astype(np.float64)
        else:
            triples = block.reshape(len(records), -1, 3).astype(np.int32)
            counts = (triples[..., 0] | triples[..., 1] << 8 | triples[..., 2] << 16).astype(np.float64)
            counts[counts >= 1 << 23] -= 1 << 24
        (low, high), (least, most) = header.physical[:, row], header.digital[:, row]
        gain = (high - low) / (most - least) if most != least else 1.0
        found[name] = ((counts - least) * gain + low).ravel()
    return found


def read_edf(path: Path, options: ReadOptions) -> Signals:
    """Read an EDF, EDF+ or BDF file: all rows in volts where the header's own unit says how.

    Rows at another rate than the EEG's are left out, or held at the EEG's rate where they are triggers. Gaps that the
    records' own start times tell of (EDF+D) are segments. Emotiv's files bring their clock, counter and quality along.
    """
    header = read_header(path)
    n_records = whole_records(path, header)
    if not n_records:
        raise ValueError(f"{path}: holds no complete record of data after its header: it is cut off, or only a header")
    _refuse_motion(path, header)
    main, slower = _main_rate(header)
    raw, notes = _through_mne(path, header, slower)
    signals = signals_from_raw(raw, notes)
    rows = [i for i, skip in enumerate(header.annotation_rows) if not skip and i not in slower]
    if len(rows) != len(signals.ch_names):
        raise ValueError(f"{path}: its header lists {len(rows)} signals but {len(signals.ch_names)} could be read")
    _scale(signals, [header.dimensions[i].strip() for i in rows])
    signals.notes += _about_length(header, n_records)
    if slower:
        _hold_triggers(path, signals, header, main, slower)
    signals.stim_mask = 0xFFFF if header.sample_bytes == 3 else None
    clock = record_clock(records_of(path, header), header)
    if clock is not None:
        apply_clock(signals, clock, header.record_s)
    if {"TIME_STAMP_s", "TIME_STAMP_ms"} <= set(header.labels):
        _emotiv(path, signals, header, main)
        add_interval_markers(path, signals)
    return signals


def _through_mne(path: Path, header: EdfHeader, skipped: dict[int, float]) -> tuple[Any, list[str]]:
    """Return MNE's raw object, its samples read, and its warnings; a file under another name is linked to its own."""
    import mne

    is_bdf = header.sample_bytes == 3
    suffix, kind = (".bdf", "BDF") if is_bdf else (".edf", "EDF")
    read = mne.io.read_raw_bdf if is_bdf else mne.io.read_raw_edf
    exclude = [header.labels[i] for i in skipped]
    # only where rates differ after all (labels that repeat) does MNE resample, which must be done in one piece
    rates = {int(header.samples[i]) for i, label in enumerate(header.labels) if label not in exclude}
    rates -= {int(n) for n, skip in zip(header.samples, header.annotation_rows, strict=True) if skip}

    def once() -> Any:
        named = path
        with ExitStack() as stack:
            if path.suffix.lower() != suffix:
                named = stack.enter_context(under_names({f"recording{suffix}": path})) / f"recording{suffix}"
            try:
                raw = read(named, exclude=exclude, verbose="WARNING")
            except Exception as error:  # MNE raises a bare Exception for annotations that are no UTF-8
                if "invalid byte" not in str(error):
                    raise
                raw = read(named, exclude=exclude, encoding="latin1", verbose="WARNING")
            return load_samples(path, raw, whole=len(rates) > 1)

    raw, notes = read_quietly(path, kind, once)
    return raw, without(notes, "Number of records from the header", "outside data range")


def _main_rate(header: EdfHeader) -> tuple[int, dict[int, float]]:
    """Return the samples a record of most rows that may be EEG, and the other rows with their rates in hertz."""
    rows = [i for i, skip in enumerate(header.annotation_rows) if not skip and header.samples[i] > 0]
    voltages = [i for i in rows if canonical_unit(header.dimensions[i]) is not None]
    # a sleep recording has two EEG rows among a dozen slower ones
    named = [i for i in voltages if is_eeg_name(header.labels[i]) or header.labels[i].upper().startswith("EEG")]
    likely = named or voltages or rows
    counts = Counter(int(header.samples[i]) for i in likely)
    main = max(counts, key=lambda n: (counts[n], n), default=0)
    repeated = {label for label, count in Counter(header.labels).items() if count > 1}
    slower = {
        i: float(header.samples[i]) / header.record_s
        for i, skip in enumerate(header.annotation_rows)
        if not skip and header.samples[i] != main and header.labels[i] not in repeated
    }
    return main, slower


def _hold_triggers(path: Path, signals: Signals, header: EdfHeader, main: int, slower: dict[int, float]) -> None:
    """Leave rows at other rates out, and hold each value of a trigger row until its next one, at the EEG's rate."""
    rates = ", ".join(f"{rate:g}" for rate in sorted(set(slower.values())))
    signals.notes.append(
        f"rates differ between signals: those at {main / header.record_s:g} Hz were read, not those at {rates} Hz"
    )
    for i, rate in slower.items():
        name = header.labels[i]
        if not _TRIGGERS.match(name) or rate <= 0:
            signals.dropped[name] = f"sampled at {rate:g} Hz, where the EEG is at {main / header.record_s:g} Hz"
            continue
        values = read_channels(path, [name])[name]
        n_times = signals.data.shape[1]
        at = np.minimum((np.arange(n_times) * (rate * header.record_s / main)).astype(np.int64), len(values) - 1)
        signals.data = np.vstack([signals.data, values[at].astype(signals.data.dtype)[None]])
        signals.ch_names.append(name)
        signals.ch_types.append("stim")
        signals.units.append(None)
        if signals.positions is not None:
            signals.positions = np.vstack([signals.positions, np.full((1, 3), np.nan)])


def _scale(signals: Signals, stated: list[str]) -> None:
    """Bring rows to volts whose unit MNE does not know, and note the units that their numbers had."""
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


def _about_length(header: EdfHeader, n_records: int) -> list[str]:
    if header.n_records < 0:
        return [f"its header leaves the number of records open (never closed?): all {n_records} were read"]
    if n_records < header.n_records:
        return [cut_off(n_records, header.n_records, "records", header.record_s)]
    if n_records > header.n_records:
        return [f"its header tells of {header.n_records} records, the file holds {n_records}: all were read"]
    return []


def _refuse_motion(path: Path, header: EdfHeader) -> None:
    """EmotivPRO writes EEG and motion to two files; what comes with the second alone is no EEG."""
    others = [label for label in header.labels if not _EMOTIV_COMMON.match(label)]
    if others and all(_EMOTIV_MOTION.match(label) for label in others) and "TIME_STAMP_s" in header.labels:
        raise ValueError(
            f"{path}: holds the motion sensors of an Emotiv headset ({', '.join(others[:6])}) and no EEG: EmotivPRO "
            "writes EEG and motion to two files; load the other one"
        )


def _emotiv(path: Path, signals: Signals, header: EdfHeader, main: int) -> None:
    """Add what Emotiv's bookkeeping rows tell of its clock, of samples lost and of samples made up."""
    names = [name for name in ("TIME_STAMP_s", "TIME_STAMP_ms", "COUNTER", "INTERPOLATED") if name in header.labels]
    rows = {name: i for i, name in enumerate(header.labels)}
    if any(int(header.samples[rows[name]]) != main for name in names):
        return
    found = read_channels(path, names)
    stamps = np.round(found["TIME_STAMP_s"]) + found["TIME_STAMP_ms"] / 1000
    if len(stamps) == signals.data.shape[1] and np.ptp(stamps) > 0:
        signals.stamps = stamps
    if "COUNTER" in found:
        losses = lost_by_counter(np.round(found["COUNTER"]))
        signals.lost = None if losses is None else losses[0]
    made_up = int((found.get("INTERPOLATED", np.zeros(1)) > 0.5).sum())
    if made_up:
        share = made_up / signals.data.shape[1]
        signals.notes.append(f"{made_up} samples ({share:.1%}) were interpolated by Emotiv's software (INTERPOLATED)")


def _is_edf(head: Head) -> bool:
    return head.start[:8] == b"0       " and len(head.start) >= 256


def _is_bdf(head: Head) -> bool:
    return head.start.startswith(b"\xffBIOSEMI")


READERS = (
    Reader(
        "edf",
        SUFFIXES["edf"],
        read_edf,
        "EDF and EDF+, 16 bit",
        _is_edf,
        "EDF (version 0 in the first eight bytes)",
    ),
    Reader(
        "bdf",
        SUFFIXES["bdf"],
        read_edf,
        "BDF and BDF+, BioSemi's 24-bit EDF",
        _is_bdf,
        "BDF (BIOSEMI after a byte 255)",
    ),
)
