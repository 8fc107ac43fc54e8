"""The two families of .cnt files: Neuroscan's continuous files through MNE, ANT's (eego, ASA) through antio."""

from __future__ import annotations

import math
import struct
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ...files import text_lines
from ...missing_package import install_hint
from ...recording import Event
from ..containers.companions import same_name, under_names
from ..containers.mne_raw import load_samples, read_quietly, signals_from_raw
from ..containers.truncated import cut_off, whole_part, without
from ..contract.signals import Head, Reader, ReadOptions, Signals
from ..contract.suffixes import SUFFIXES
from ..contract.units import VOLTS, canonical_unit

# Neuroscan's SETUP structure (paulbourke.net/dataformats/eeg): 900 bytes, then 75 a channel, samples, table of events
_SETUP, _ELECTRODE = 900, 75
_N_CHANNELS, _RATE, _N_SAMPLES, _EVENT_TABLE = 370, 376, 864, 886
_EVENT_BYTES = {1: 8, 2: 19, 3: 19}
_NO_EVENTS = struct.pack("<Bii", 1, 0, 0)


def read_neuroscan(path: Path, options: ReadOptions) -> Signals:
    """Read a Neuroscan .cnt: microvolts by each channel's sensitivity, events by the table at its end.

    Its electrode places are those of a drawing on a screen and are left out. A file that was cut off is read up to its
    last whole sample. Raises ValueError saying what in the header is wrong.
    """
    import mne

    with open(path, "rb") as file:
        setup = file.read(_SETUP)
    size = path.stat().st_size
    if len(setup) < _SETUP or not setup.startswith(b"Version "):
        raise ValueError(
            f"{path}: not a Neuroscan .cnt file: it does not start with 'Version' and 900 bytes of header (nor an ANT "
            "one, which starts with RIFF)"
        )
    n_channels, rate = (struct.unpack_from("<H", setup, at)[0] for at in (_N_CHANNELS, _RATE))
    n_samples, table = (struct.unpack_from("<i", setup, at)[0] for at in (_N_SAMPLES, _EVENT_TABLE))
    first = _SETUP + _ELECTRODE * n_channels
    if not 0 < n_channels <= 4096 or rate == 0 or first >= size:
        raise ValueError(
            f"{path}: its Neuroscan header claims {n_channels} channels at {rate} Hz in {size} bytes: cut off?"
        )
    n_bytes, notes = _sample_bytes(path, n_channels, n_samples, table - first)
    frame = n_channels * n_bytes
    promised = (table - first) // frame if table > first else n_samples
    n_whole = min((size - first) // frame, promised)
    if n_whole == 0:
        raise ValueError(f"{path}: holds no complete sample after its header: it is cut off, or only a header")
    broken = n_whole < promised or not _table_is_whole(path, table, first)
    if n_whole < promised:
        notes.append(cut_off(n_whole, promised, "samples", 1 / rate) + ", and with them its table of events")
    elif broken:
        notes.append("its table of events is missing, damaged or cut off: read without events")

    def once() -> Any:
        with ExitStack() as stack:
            named = path
            if broken:
                stop = first + n_whole * frame
                patches = {_N_SAMPLES: struct.pack("<i", n_whole), _EVENT_TABLE: struct.pack("<i", stop)}
                named = stack.enter_context(whole_part(path, "recording.cnt", stop, patches, _NO_EVENTS))
            elif path.suffix.lower() != ".cnt":
                named = stack.enter_context(under_names({"recording.cnt": path})) / "recording.cnt"
            data_format: Literal["int16", "int32"] = "int16" if n_bytes == 2 else "int32"
            raw = mne.io.read_raw_cnt(named, data_format=data_format, verbose="WARNING")
            if raw.n_times > n_whole:
                raw.crop(tmax=(n_whole - 1) / raw.info["sfreq"])
            return load_samples(path, raw)

    raw, warned = read_quietly(path, "Neuroscan CNT", once)
    signals = signals_from_raw(raw, [*notes, *without(warned, "meas date", "outside data range", "fit the")])
    signals.units = ["uV" if kind == "eeg" else None for kind in signals.ch_types]
    signals.positions = None
    return signals


def _table_is_whole(path: Path, at: int, first: int) -> bool:
    """Whether the table of events lies after the samples and holds as many bytes, and whole events, as it says."""
    with open(path, "rb") as file:
        size = file.seek(0, 2)
        if not first < at <= size - 9:
            return False
        file.seek(at)
        kind, length, _ = struct.unpack("<Bii", file.read(9))
    return kind in _EVENT_BYTES and 0 <= length <= size - at - 9 and length % _EVENT_BYTES[kind] == 0


def _sample_bytes(path: Path, n_channels: int, n_samples: int, data_bytes: int) -> tuple[int, list[str]]:
    """Return the bytes of a sample (2 or 4): by the stated number of samples, else by what the numbers look like."""
    if n_samples > 0 and data_bytes in (2 * n_channels * n_samples, 4 * n_channels * n_samples):
        return data_bytes // (n_channels * n_samples), []
    with open(path, "rb") as file:
        file.seek(_SETUP + _ELECTRODE * n_channels)
        raw = file.read(min(1 << 20, data_bytes) if data_bytes > 0 else 1 << 20)
    words = np.frombuffer(raw[: len(raw) // 4 * 4], "<i2")
    if words.size < 64:
        raise ValueError(
            f"{path}: its header does not say whether its samples have 16 or 32 bits, and too few are there"
        )
    # the upper halves of 32-bit numbers are their signs: 0 or -1 wherever a sample is below 65536 steps
    upper = words[1::2]
    wide = float(np.isin(upper, (0, -1)).mean()) > 0.9
    note = f"its header does not say how wide its samples are: by the numbers themselves {32 if wide else 16} bits"
    return (4 if wide else 2), [note]


def read_ant(path: Path, options: ReadOptions) -> Signals:
    """Read an ANT .cnt (eego, ASA) with the .evt, .seg or .trg beside it, through antio.

    libeep ends the interpreter on files that it does not like, so this reader runs in a child process. Raises
    ValueError where the file is cut off (its header lies at its end) or antio is missing.
    """
    try:
        from antio import read_cnt
        from antio.parser import read_data, read_info, read_triggers
    except ModuleNotFoundError as error:
        raise ValueError(f"{path}: an ANT .cnt file: {install_hint(error)}") from error
    companions = _check_riff(path)

    def once() -> tuple[Any, ...]:
        with ExitStack() as stack:
            named = path
            if path.suffix != ".cnt":  # antio takes no other name, and looks for the others by it
                files: dict[str, Path | bytes] = {"recording.cnt": path}
                files |= {f"recording{beside.suffix.lower()}": beside for beside in companions}
                named = stack.enter_context(under_names(files)) / "recording.cnt"
            cnt = read_cnt(named)
            n_channels, n_times = cnt.get_channel_count(), cnt.get_sample_count()
            # libeep packs a sample into a third of a byte at best
            if n_channels * n_times > 8 * path.stat().st_size + (1 << 24):
                raise ValueError(f"{path}: its header claims {n_times} samples of {n_channels} channels: damaged")
            return cnt.get_sample_frequency(), read_info(cnt), read_data(cnt), read_triggers(cnt)

    (sfreq, (names, units, references, *_), data, (onsets, lengths, texts, _, pauses)), notes = read_quietly(
        path, "ANT CNT", once
    )
    sfreq = float(sfreq)
    found = [canonical_unit(unit) for unit in units]
    for row, unit in zip(data, found, strict=True):
        row *= VOLTS[unit] if unit else 1.0
    events = [
        Event(onset / sfreq, length / sfreq, text) for onset, length, text in zip(onsets, lengths, texts, strict=True)
    ]
    joints = {at for at in (_paused(companions, data.shape[1]) or pauses["stop"]) if 0 < at < data.shape[1]}
    if joints:
        notes.append(
            f"{len(joints)} places where the recording was paused or the amplifier reconnected: segments there"
        )
    several = len(set(references)) > 1
    told = _rate_of_triggers(companions)
    # ANT's bipolar inputs (ECG, EOG, respiration) share neither reference nor place with the cap
    types = ["misc" if name.upper().startswith("BIP") else "eeg" for name in names]
    return Signals(
        data=data,
        sfreq=sfreq,
        ch_names=list(names),
        ch_types=types,
        units=found,
        events=events,
        rates_told={".trg": told},
        segments=(0, *sorted(joints)),
        reference="several references"
        if several
        else (f"{references[0]}" if references and references[0] else "as recorded"),
        notes=notes,
        companions=companions,
    )


def _rate_of_triggers(companions: tuple[Path, ...]) -> float:
    """Return the rate (Hz) by the sampling interval with which a .trg begins, NaN without one."""
    for beside in companions:
        if beside.suffix.lower() == ".trg":
            with open(beside, "rb") as file:
                first = file.readline(256).split()
            try:
                interval = float(first[0])
            except (ValueError, IndexError):
                return math.nan
            return 1 / interval if 1e-6 <= interval <= 1 else math.nan
    return math.nan


def _paused(companions: tuple[Path, ...], n_times: int) -> list[int]:
    """Return the first samples after pauses by a .seg file: a line for each later stretch, its date and its length."""
    lengths = []
    for beside in companions:
        if beside.suffix.lower() != ".seg":
            continue
        for line in text_lines(beside.read_bytes()[: 1 << 20].decode("latin-1"))[1:]:
            cells = line.split()
            if len(cells) == 3 and cells[2].isdigit():
                lengths.append(int(cells[2]))
    # only the first stretch's length is not told: they are counted from the end
    return [n_times - sum(lengths[i:]) for i in range(len(lengths))]


def _check_riff(path: Path) -> tuple[Path, ...]:
    """Return the files with events beside an ANT .cnt; ValueError where it ends before its own end."""
    with open(path, "rb") as file:
        start = file.read(20)
    size = path.stat().st_size
    if not _is_riff(start):
        raise ValueError(f"{path}: not an ANT .cnt file: it does not start with RIFF and CNT")
    stated = struct.unpack("<I", start[4:8])[0] if start.startswith(b"RIFF") else struct.unpack("<Q", start[4:12])[0]
    if stated + 8 > size:
        raise ValueError(
            f"{path}: the file is cut off: {stated + 8 - size} of its {stated + 8} bytes are missing, among them the "
            "header, which ANT's software writes at the end"
        )
    found = (same_name(path.with_suffix(suffix)) for suffix in (".evt", ".seg", ".trg"))
    return tuple(beside for beside in found if beside is not None)


def _is_riff(start: bytes) -> bool:
    return (start.startswith(b"RIFF") and start[8:12] == b"CNT ") or (
        start.startswith(b"RF64") and b"CNT" in start[8:20]
    )


def _is_neuroscan(head: Head) -> bool:
    if len(head.start) < _SETUP or not head.start.startswith(b"Version "):
        return False
    n_channels, rate = (struct.unpack_from("<H", head.start, at)[0] for at in (_N_CHANNELS, _RATE))
    return 0 < n_channels <= 4096 and rate > 0


READERS = (
    Reader(
        "neuroscan",
        SUFFIXES["neuroscan"],
        read_neuroscan,
        "Neuroscan continuous (.cnt)",
        _is_neuroscan,
        "Neuroscan CNT ('Version' and a header of channels and rate)",
    ),
    Reader(
        "ant",
        SUFFIXES["ant"],
        read_ant,
        "ANT eego and ASA (.cnt)",
        lambda head: _is_riff(head.start),
        "ANT CNT (RIFF with CNT)",
        isolated=True,
    ),
)
