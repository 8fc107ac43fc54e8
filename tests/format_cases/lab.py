"""Formats of laboratory amplifiers, written by edfio, pybv, eeglabio, MNE, mffpy, antio, or as documents say."""

from __future__ import annotations

import datetime
import re
import struct
from pathlib import Path

import edfio
import mne
import numpy as np
import pybv

from core.formats.lab.edf import read_header

from .case import LOOSER, FormatCase, Truth, truth
from .eeglab_writers import in_uv, times_told, write_eeglab, write_eeglab_73, write_eeglab_fdt


def _write_edf(path: Path, what: Truth, lie: str, extra: tuple = ()) -> Path:
    of_bdf = path.suffix == ".bdf"
    signal = edfio.BdfSignal if of_bdf else edfio.EdfSignal
    signals = []
    for name, row in zip(what.ch_names, in_uv(what, lie), strict=True):
        # EDF's fields hold eight characters, so a range must be short to be exact
        span = float(f"{np.abs(row).max() * 1.1:.3g}")
        signals.append(signal(row, what.sfreq, label=name, physical_dimension="uV", physical_range=(-span, span)))
    marks = [edfio.EdfAnnotation(onset, None, label) for onset, label in what.events]
    (edfio.Bdf if of_bdf else edfio.Edf)([*signals, *extra], annotations=marks).write(path)
    return path


def start_records(path: Path, starts: list[float], mark: bytes = b"") -> Path:
    """Have an EDF+ or BDF+ of edfio's say that its records began at `starts`, with no annotations but `mark` in 7."""
    raw = bytearray(path.read_bytes())
    header = read_header(path)
    width, record = (int(n) * header.sample_bytes for n in (header.samples[-1], header.samples.sum()))
    for i, start in enumerate(starts):
        stop = header.first_byte + (i + 1) * record
        text = f"+{start:g}\x14\x14\x00".encode() + (mark if i == 7 else b"")
        raw[stop - width : stop] = text.ljust(width, b"\x00")
    path.write_bytes(raw)
    return path


def _write_edf_plus(path: Path, what: Truth, lie: str) -> Path:
    path = _write_edf(path, what, lie)
    return start_records(path, [i * LOOSER for i in range(16)]) if lie == "rate" else path


def write_edf(folder: Path, what: Truth, lie: str) -> Path:
    """Write an EDF+ with edfio; one lie declares uV over volts, the other has records that begin 2.4 percent apart."""
    return _write_edf_plus(folder / "r.edf", what, lie)


def write_bdf(folder: Path, what: Truth, lie: str) -> Path:
    """Write a BDF+ with edfio, with the same two lies."""
    return _write_edf_plus(folder / "r.bdf", what, lie)


def write_emotiv_edf(folder: Path, what: Truth, lie: str) -> Path:
    """Write EmotivPRO's columns with edfio; one lie declares uV over volts, the other has a clock of another rate."""
    n = what.data.shape[1]
    clock = np.arange(n) / (what.sfreq * 0.9 if lie == "rate" else what.sfreq)
    marker = np.zeros(n)
    for onset, label in what.events:
        marker[round(onset * what.sfreq)] = int(label)
    ramp = np.arange(n) % what.sfreq

    def row(values: np.ndarray, label: str, unit: str, most: float) -> edfio.EdfSignal:
        return edfio.EdfSignal(values, what.sfreq, label=label, physical_dimension=unit, physical_range=(-most, most))

    extra = (
        row(np.floor(clock), "TIME_STAMP_s", "s", 32767),
        row(np.floor(clock % 1 * 1000), "TIME_STAMP_ms", "ms", 32767),
        row(ramp, "COUNTER", "", 32767),
        row(np.zeros(n), "INTERPOLATED", "", 32767),
        row(np.full(n, 4.0), "BATTERY", "", 100),
        row(marker, "MARKER_HARDWARE", "", 32767),
        *(row(np.full(n, 4.0), f"CQ_{name}", "", 100) for name in what.ch_names),
    )
    bare = Truth(what.data, what.sfreq, what.ch_names, ())
    return _write_edf(folder / "r.edf", bare, lie, extra)


def write_brainvision(folder: Path, what: Truth, lie: str) -> Path:
    """Write a triplet with pybv; the lie declares uV over numbers that are volts."""
    events = [
        {"onset": round(onset * what.sfreq), "duration": 1, "description": int(label), "type": "Stimulus"}
        for onset, label in ((onset, label.rsplit(" ", 1)[-1]) for onset, label in what.events)
    ]
    pybv.write_brainvision(
        data=in_uv(what, lie) * 1e-6,
        sfreq=what.sfreq,
        ch_names=list(what.ch_names),
        fname_base="r",
        folder_out=folder,
        events=events,
        resolution=1e-9 if lie == "units" else 0.1,
        fmt="binary_float32",
    )
    return folder / "r.vhdr"


def _mne_raw(what: Truth, lie: str) -> mne.io.RawArray:
    info = mne.create_info(list(what.ch_names), what.sfreq, "eeg")
    # FIF means volts: the lie is the common one, microvolts put into an array that MNE takes for volts
    raw = mne.io.RawArray(what.data * (1e6 if lie == "units" else 1.0), info, verbose="ERROR")
    onsets, labels = zip(*what.events, strict=True)
    raw.set_annotations(mne.Annotations(onsets, [0.0] * len(onsets), labels), verbose="ERROR")
    return raw


def write_fif(folder: Path, what: Truth, lie: str) -> Path:
    """Write a continuous FIF with MNE; the lie saves microvolts as volts."""
    _mne_raw(what, lie).save(folder / "r_raw.fif", verbose="ERROR")
    return folder / "r_raw.fif"


def _epochs(what: Truth, lie: str) -> mne.EpochsArray:
    n_epochs = len(what.events)
    each = what.data.shape[1] // n_epochs
    info = mne.create_info(list(what.ch_names), what.sfreq, "eeg")
    data = what.data * (1e6 if lie == "units" else 1.0)
    data = data.reshape(len(data), n_epochs, each).transpose(1, 0, 2)
    codes = [int(label) for _, label in what.events]
    events = np.c_[np.arange(n_epochs) * each, np.zeros(n_epochs, int), codes]
    return mne.EpochsArray(data, info, events, tmin=-0.25, event_id={"1": 1, "2": 2}, verbose="ERROR")


def write_fif_epochs(folder: Path, what: Truth, lie: str) -> Path:
    """Write epochs with MNE; the lie saves microvolts as volts."""
    _epochs(what, lie).save(folder / "r-epo.fif", verbose="ERROR")
    return folder / "r-epo.fif"


def write_eeglab_epochs(folder: Path, what: Truth, lie: str) -> Path:
    """Write epochs of EEGLAB with eeglabio through MNE; the lie stores volts where EEGLAB means uV."""
    epochs = _epochs(what, "")
    if lie == "units":
        epochs._data *= 1e-6
    epochs.export(folder / "r.set", verbose="ERROR")
    return times_told(folder / "r.set", what.sfreq, lie)


def write_gdf(folder: Path, what: Truth, lie: str) -> Path:
    """Write a GDF 2.2 of float64 by its specification (Schloegl 2006), one record a second, with an event table."""
    n, rate = len(what.ch_names), round(what.sfreq)
    n_records = what.data.shape[1] // rate
    fixed = b"GDF 2.20" + b"X X".ljust(66) + bytes(10 + 4 + 64 + 16)
    fixed = fixed.ljust(184, b"\0") + struct.pack("<H", n + 1)
    fixed = fixed.ljust(236, b"\0") + struct.pack("<qIIHH", n_records, 1, 1, n, 0)
    heads = b"".join(name.encode().ljust(16) for name in what.ch_names) + bytes(80 * n)
    heads += bytes(6 * n) + struct.pack("<H", 4275) * n
    heads += struct.pack(f"<{n}d", *[-1e4] * n) + struct.pack(f"<{n}d", *[1e4] * n)
    heads += struct.pack(f"<{n}d", *[-1e4] * n) + struct.pack(f"<{n}d", *[1e4] * n) + bytes(68 * n)
    heads += bytes(4 * n) * 3 + struct.pack("<i", rate) * n + struct.pack("<i", 17) * n
    heads = heads.ljust(256 * n, b"\0")
    body = in_uv(what, lie).reshape(n, -1, rate).transpose(1, 0, 2).astype("<f8").tobytes()
    table = b"\x01" + len(what.events).to_bytes(3, "little") + struct.pack("<f", rate)
    table += b"".join(struct.pack("<I", round(onset * rate) + 1) for onset, _ in what.events)
    table += b"".join(struct.pack("<H", int(label)) for _, label in what.events)
    (folder / "r.gdf").write_bytes(fixed + heads + body + table)
    return folder / "r.gdf"


def neuroscan_bytes(what: Truth, counts: np.ndarray, n_bytes: int = 4, uv_a_count: float = 0.01) -> bytes:
    """A Neuroscan .cnt of counts (n_channels, n_times) by the SETUP, ELECTLOC, TEEG and EVENT1 structures."""
    n, n_times = counts.shape
    setup = bytearray(900)
    setup[:12] = b"Version 3.0\0"
    setup[225:247] = b"11/21/20  12:00:00".ljust(22)
    setup[225:247] = b"11/21/20\0\0" + b"12:00:00\0\0\0\0"
    struct.pack_into("<H", setup, 370, n)
    struct.pack_into("<H", setup, 376, round(what.sfreq))
    struct.pack_into("<i", setup, 864, n_times)
    first = 900 + 75 * n
    table = first + n * n_times * n_bytes
    struct.pack_into("<i", setup, 886, table)
    electrodes = bytearray()
    for i, name in enumerate(what.ch_names):
        one = bytearray(75)
        one[:10] = name.encode().ljust(10, b"\0")
        struct.pack_into("<ff", one, 19, 100.0 + 50 * np.cos(i), 100.0 + 50 * np.sin(i))
        struct.pack_into("<f", one, 59, uv_a_count * 204.8)
        struct.pack_into("<f", one, 71, 1.0)
        electrodes += one
    body = counts.T.astype("<i4" if n_bytes == 4 else "<i2").tobytes()
    events = b"".join(
        struct.pack("<HBci", int(label), 0, b"\0", first + (round(onset * what.sfreq) + 1) * n * n_bytes)
        for onset, label in what.events
    )
    return bytes(setup + electrodes) + body + struct.pack("<Bii", 1, len(events), 0) + events


def write_neuroscan(folder: Path, what: Truth, lie: str) -> Path:
    """Write a 32-bit Neuroscan .cnt by its documented structures; the lie states a millionth of the sensitivity."""
    counts = np.rint(what.data * 1e6 / 0.01)
    (folder / "r.cnt").write_bytes(neuroscan_bytes(what, counts, uv_a_count=1e-8 if lie == "units" else 0.01))
    return folder / "r.cnt"


def write_ant(folder: Path, what: Truth, lie: str) -> Path:
    """Write an ANT .cnt with antio's libeep, its triggers in the .trg beside it.

    One lie declares V over microvolts, the other has a .trg of another sampling interval.
    """
    from antio.libeep import pyeep

    info = pyeep.create_channel_info()
    for name in what.ch_names:
        pyeep.add_channel(info, name, "CPz", "uV")
    path = folder / "r.cnt"
    handle = pyeep.write_cnt(str(path), round(what.sfreq), info, 0)
    # libeep stores steps of 1/128 uV as 32-bit numbers: a lie of a million would leave nothing
    pyeep.add_samples(handle, in_uv(what, "").T.ravel().tolist(), len(what.ch_names))
    pyeep.close(handle)
    if lie == "units":
        content = path.read_bytes()
        path.write_bytes(content.replace(b" uV REF:", b" V  REF:"))
    rate = what.sfreq * LOOSER if lie == "rate" else what.sfreq
    lines = [f"{1 / rate:.16f} {2 * len(what.ch_names) + 4}"]
    lines += [f"{onset:12.6f} {round(onset * what.sfreq):9d} {label:>3}" for onset, label in what.events]
    path.with_suffix(".trg").write_text("\n".join(lines) + "\n")
    return path


def write_egi_raw(folder: Path, what: Truth, lie: str) -> Path:
    """Write EGI's simple binary, version 4 (float32), one track a label; the lie states the range of a converter."""
    labels = sorted({label for _, label in what.events})
    n, n_times = what.data.shape
    tracks = np.zeros((len(labels), n_times))
    for onset, label in what.events:
        tracks[labels.index(label), round(onset * what.sfreq)] = 1
    bits, span = (1, 32767) if lie == "units" else (0, 0)
    head = struct.pack(
        ">i6hi5hih", 4, 2020, 11, 21, 12, 0, 0, 0, round(what.sfreq), n, 1, bits, span, n_times, len(labels)
    )
    head += b"".join(label.encode().ljust(4) for label in labels)
    frames = np.vstack([what.data * 1e6, tracks]).T.astype(">f4")
    (folder / "r.raw").write_bytes(head + frames.tobytes())
    return folder / "r.raw"


def write_mff(folder: Path, what: Truth, lie: str) -> Path:
    """Write a .mff folder with mffpy; one lie stores volts where EGI means microvolts, one has longer epochs."""
    import mffpy

    begun = datetime.datetime(2020, 11, 21, 12, tzinfo=datetime.timezone.utc)
    writer = mffpy.Writer(str(folder / "r.mff"))
    writer.addxml("fileInfo", recordTime=begun)
    writer.add_coordinates_and_sensor_layout("HydroCel GSN 32 1.0")
    signal = mffpy.bin_writer.BinWriter(round(what.sfreq))
    signal.add_block(in_uv(what, lie).astype(np.float32))
    writer.addbin(signal)
    events = [
        {"beginTime": begun + datetime.timedelta(seconds=onset), "duration": 1000, "code": label, "label": label}
        for onset, label in what.events
    ]
    writer.addxml("eventTrack", filename="Events_ours.xml", name="ours", trackType="EVNT", events=events)
    writer.write()
    if lie == "rate":
        epochs = folder / "r.mff" / "epochs.xml"
        end = round(what.data.shape[1] / what.sfreq / LOOSER * 1e6)
        epochs.write_text(re.sub(r"(?<=<endTime>)\d+", str(end), epochs.read_text()))
    return folder / "r.mff"


def write_nicolet(folder: Path, what: Truth, lie: str) -> Path:
    """Write a .head and .data as EPILEPSIAE lays them out.

    One lie states a millionth of the conversion factor, the other that they last two seconds longer than they do.
    """
    counts = np.rint(what.data * 1e6 / 0.01).astype("<i2")
    lines = [
        "start_ts=2020-11-21 12:00:00.000", f"num_samples={counts.shape[1]}", f"sample_freq={what.sfreq:g}",
        f"conversion_factor={1e-8 if lie == 'units' else 0.01}", f"num_channels={len(counts)}",
        f"elec_names=[{','.join(what.ch_names)}]", "pat_id=1", "adm_id=1", "rec_id=1",
        f"duration_in_sec={18 if lie == 'rate' else 16}", "sample_bytes=2",
    ]  # fmt: skip
    (folder / "r.head").write_text("\n".join(lines) + "\n")
    (folder / "r.data").write_bytes(counts.T.tobytes())
    return folder / "r.head"


_NAMES = "AF3 O1 Oz P8"
_NO_STAMPS = "holds no timestamps"


def _labels(what: Truth, pattern: str) -> Truth:
    return Truth(what.data, what.sfreq, what.ch_names, tuple((on, pattern.format(label)) for on, label in what.events))


def _net_of_32() -> Truth:
    """The smallest net that mffpy knows, with its reference."""
    what = truth(" ".join(f"E{i + 1}" for i in range(33)), 250.0, labels=("DIN1", "STIM"))
    return Truth(what.data, what.sfreq, (*what.ch_names[:32], "Vertex Reference"), what.events)


def _epoched(n_epochs: int = 10) -> Truth:
    what = truth(_NAMES, 128.0, seconds=n_epochs * 1.25)
    events = tuple((i * 1.25 + 0.25, str(i % 2 + 1)) for i in range(n_epochs))
    return Truth(what.data, what.sfreq, what.ch_names, events)


CASES = (
    FormatCase(
        name="EDF+",
        reader="edf",
        truth=truth(_NAMES, 128.0),
        write=write_edf,
        writer="edfio",
        step_uv=0.005,
        real={"eeg_formats/edf/eeglab_test.edf": {}, "eeg_formats/edf/mne_duplicate_channel_labels.edf": {}},
    ),
    FormatCase(
        name="BDF+",
        reader="bdf",
        truth=truth(_NAMES, 256.0),
        write=write_bdf,
        writer="edfio",
        step_uv=0.001,
        real={"eeg_formats/bdf/mne_test.bdf": {}, "eeg_formats/bdf/mne_test_bdf_stim_channel.bdf": {}},
    ),
    FormatCase(
        name="Emotiv EDF",
        reader="edf",
        truth=truth("AF3 T7 Pz T8 AF4", 128.0),
        write=write_emotiv_edf,
        writer="edfio",
        step_uv=0.005,
    ),
    FormatCase(
        name="BrainVision",
        reader="brainvision",
        truth=_labels(truth(_NAMES, 250.0), "Stimulus/S  {}"),
        write=write_brainvision,
        writer="pybv",
        step_uv=0.001,
        why_not={"rate": f"BrainVision {_NO_STAMPS}"},
        real={"eeg_formats/brainvision/test.vhdr": {}},
        cut=lambda path: path.with_suffix(".eeg"),
    ),
    FormatCase(
        name="EEGLAB .set (MATLAB 5)",
        reader="eeglab",
        truth=truth(_NAMES, 128.0, labels=("face", "house")),
        write=write_eeglab,
        writer="eeglabio",
        step_uv=0.001,
    ),
    FormatCase(
        name="EEGLAB .set + .fdt",
        reader="eeglab",
        truth=truth(_NAMES, 128.0, labels=("face", "house")),
        write=write_eeglab_fdt,
        writer="scipy",
        step_uv=0.001,
        real={"eeg_formats/eeglab/eeglab_data.set": {}},
        cut=lambda path: path.with_suffix(".fdt"),
    ),
    FormatCase(
        name="EEGLAB .set (MATLAB 7.3)",
        reader="eeglab",
        truth=_labels(truth(_NAMES, 128.0), "x{}"),
        write=lambda folder, what, lie: write_eeglab_73(folder, _labels(truth(_NAMES, 128.0), "{}"), lie),
        writer="h5py",
        step_uv=0.001,
    ),
    FormatCase(
        name="EEGLAB epochs",
        reader="eeglab",
        truth=_epoched(),
        write=write_eeglab_epochs,
        writer="eeglabio",
        step_uv=0.001,
    ),
    FormatCase(
        name="FIF",
        reader="fif",
        truth=truth(_NAMES, 128.0, labels=("face", "house")),
        write=write_fif,
        writer="mne",
        step_uv=0.001,
        why_not={"rate": f"FIF {_NO_STAMPS}"},
    ),
    FormatCase(
        name="FIF epochs",
        reader="fif",
        truth=_epoched(),
        write=write_fif_epochs,
        writer="mne",
        step_uv=0.001,
        why_not={"rate": f"FIF {_NO_STAMPS}"},
        real={"eeg_formats/fif/wmvanvliet_subject04-epo.fif": {}},
    ),
    FormatCase(
        name="GDF",
        reader="gdf",
        truth=truth(_NAMES, 128.0, labels=("769", "770")),
        write=write_gdf,
        writer="bytes by the specification",
        step_uv=0.001,
        why_not={"rate": f"GDF {_NO_STAMPS}"},
    ),
    FormatCase(
        name="Neuroscan .cnt",
        reader="neuroscan",
        truth=truth(_NAMES, 250.0),
        write=write_neuroscan,
        writer="bytes by the documented structures",
        step_uv=0.01,
        why_not={"rate": f"Neuroscan's .cnt {_NO_STAMPS}"},
    ),
    FormatCase(
        name="ANT .cnt",
        reader="ant",
        truth=truth(_NAMES, 256.0),
        write=write_ant,
        writer="antio",
        step_uv=0.01,
    ),
    FormatCase(
        name="EGI simple binary",
        reader="egi",
        truth=truth("E1 E2 E3 E4", 250.0, labels=("DIN1", "STIM")),
        write=write_egi_raw,
        writer="bytes by EGI's description",
        step_uv=0.001,
        why_not={"rate": f"EGI's simple binary {_NO_STAMPS}"},
    ),
    FormatCase(
        name="EGI .mff",
        reader="mff",
        truth=_net_of_32(),
        write=write_mff,
        writer="mffpy",
        step_uv=0.001,
        cut=lambda path: path / "signal1.bin",
    ),
    FormatCase(
        name="Nicolet",
        reader="nicolet",
        truth=truth(_NAMES, 256.0),
        write=write_nicolet,
        writer="bytes by EPILEPSIAE's description",
        step_uv=0.01,
        why_not={"events": "Nicolet's form holds no events"},
        cut=lambda path: path.with_suffix(".data"),
    ),
)
