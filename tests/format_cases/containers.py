"""Containers and tables: XDF by the specification's bytes, NWB by pynwb, MATLAB by scipy and h5py, arrays by NumPy."""

from __future__ import annotations

import gzip
import json
import warnings
import zipfile
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import h5py
import numpy as np
import scipy.io

from .case import LOOSER, FormatCase, Truth, truth
from .eeglab_writers import axis_of_times
from .xdf_writer import XdfStream, write_xdf


def write_lsl(folder: Path, what: Truth, lie: str) -> Path:
    """Write an EEG stream in uV whose computer's clock runs 100 s apart, and a stream of markers by another clock."""
    sfreq = what.sfreq * 250 / 256 if lie == "rate" else what.sfreq
    n_times = what.data.shape[1]
    stamps = 500.0 + np.arange(n_times) / sfreq
    values = (what.data.T * (1.0 if lie == "units" else 1e6)).astype(np.float32)
    offsets = [(500.0 + 2 * k, -100.0) for k in range(int(n_times / sfreq / 2) + 1)]
    eeg = XdfStream("amp", "EEG", what.sfreq, stamps, values, labels=what.ch_names, unit="microvolts", offsets=offsets)
    onsets = np.array([onset * what.sfreq / sfreq for onset, _ in what.events]) + 400.0
    markers = XdfStream("task", "Markers", 0, onsets, [[label] for _, label in what.events], format="string", chunk=1)
    return write_xdf(folder / "r.xdf", eeg, markers)


def write_nwb(folder: Path, what: Truth, lie: str) -> Path:
    """Write int32 counts of 10 nV with pynwb; one lie forgets the factor to volts, the other adds other timestamps."""
    from pynwb import NWBHDF5IO, NWBFile
    from pynwb.ecephys import ElectricalSeries

    began = datetime(2024, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    file = NWBFile(session_description="pictures", identifier="one", session_start_time=began)
    device = file.create_device(name="amplifier")
    group = file.create_electrode_group(name="cap", description="scalp", location="scalp", device=device)
    file.add_electrode_column(name="label", description="place in the 10-05 system")
    for name in what.ch_names:
        file.add_electrode(group=group, location="scalp", label=name)
    region = file.create_electrode_table_region(region=list(range(len(what.ch_names))), description="all")
    counts = np.rint(what.data.T / 1e-8).astype(np.int32)
    factor = {"conversion": 1.0 if lie == "units" else 1e-8}
    file.add_acquisition(
        ElectricalSeries(name="EEG", data=counts, electrodes=region, rate=what.sfreq, starting_time=3.0, **factor)
    )
    file.add_trial_column(name="stimulus", description="what was shown")
    for onset, label in what.events:
        file.add_trial(start_time=3.0 + onset, stop_time=3.5 + onset, stimulus=label)
    with NWBHDF5IO(folder / "r.nwb", "w") as writer:
        writer.write(file)
    if lie == "rate":
        with h5py.File(folder / "r.nwb", "a") as opened:
            opened["acquisition/EEG/timestamps"] = 3.0 + np.arange(len(counts)) / (what.sfreq * LOOSER)
    return folder / "r.nwb"


def scaled(what: Truth, lie: str) -> np.ndarray:
    """Return the truth in uV; the lie leaves it in volts, which is what nobody says of such files."""
    return what.data * (1.0 if lie == "units" else 1e6)


def write_mat(folder: Path, what: Truth, lie: str) -> Path:
    """Write a structure as laboratories do, with scipy: EEG.data (times x channels), srate, labels, stim."""
    stim = np.zeros(what.data.shape[1], np.uint8)
    for onset, label in what.events:
        stim[round(onset * what.sfreq)] = int(label)
    names = np.array(what.ch_names, dtype=object)
    eeg = {"data": scaled(what, lie).T, "srate": what.sfreq, "labels": names, "stim": stim, "unit": "uV"}
    eeg["time"] = axis_of_times(len(stim), what.sfreq, lie) / 1e3
    scipy.io.savemat(folder / "r.mat", {"EEG": eeg})
    return folder / "r.mat"


def write_mat73(folder: Path, what: Truth, lie: str) -> Path:
    """Write what MATLAB 7.3 writes, with h5py: a 512-byte mark, axes turned round, texts as cells of UTF-16 numbers."""
    path = folder / "r.mat"
    stim = np.zeros((what.data.shape[1], 1))
    for onset, label in what.events:
        stim[round(onset * what.sfreq)] = int(label)
    times = axis_of_times(len(stim), what.sfreq, lie)
    with h5py.File(path, "w", userblock_size=512) as file:
        cells = []
        for i, name in enumerate(what.ch_names):
            cell = file.create_dataset(f"#refs#/{i}", data=np.array([[ord(letter)] for letter in name], np.uint16))
            cell.attrs["MATLAB_class"] = np.bytes_("char")
            cells.append([cell.ref])
        file.create_dataset("chans", data=np.array(cells, h5py.ref_dtype)).attrs["MATLAB_class"] = np.bytes_("cell")
        file.create_dataset("unit", data=np.array([[117], [86]], np.uint16)).attrs["MATLAB_class"] = np.bytes_("char")
        # MATLAB's (channels x times) is written as HDF5's (times, channels)
        for name, value in {
            "eeg": scaled(what, lie).T,
            "fs": np.array([[what.sfreq]]),
            "trigger": stim.T,
            "t": times.T,
        }.items():
            file.create_dataset(name, data=value, compression="gzip").attrs["MATLAB_class"] = np.bytes_("double")
    mark = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Mon Jan  1 00:00:00 2024 HDF5 schema 1.00 ."
    with open(path, "r+b") as file:
        file.write(mark.ljust(116) + bytes(8) + b"\x00\x02IM")
    return path


def write_npy(folder: Path, what: Truth, lie: str) -> Path:
    """Write bare numbers: rate, axes, unit and names are the user's to say."""
    np.save(folder / "r.npy", scaled(what, lie).T.astype(np.float32))
    return folder / "r.npy"


def write_npz(folder: Path, what: Truth, lie: str) -> Path:
    """Write trials of one second with their labels, times, names and unit, each an array of its own."""
    n_trials, n_times = len(what.events), round(what.sfreq)
    data = scaled(what, lie).reshape(len(what.ch_names), n_trials, n_times).transpose(1, 0, 2)
    times = axis_of_times(n_times, what.sfreq, lie)[0] / 1e3 - 0.2
    labels = np.array([label for _, label in what.events])
    about = {"times": times, "sfreq": what.sfreq, "y": labels, "ch_names": np.array(what.ch_names), "unit": "uV"}
    np.savez_compressed(folder / "r.npz", X=data, **about)
    return folder / "r.npz"


def trials(ch_names: str, sfreq: float) -> Truth:
    """Return the truth of trials of one second whose time zero is 0.2 s after their start."""
    what = truth(ch_names, sfreq, seconds=12.0)
    return replace(what, events=tuple((i + 0.2, str(i % 2 + 1)) for i in range(12)))


def write_pickle(folder: Path, what: Truth, lie: str) -> Path:
    """Write a dictionary as THINGS-EEG2 does its raw recordings: a pickle in a .npy, with a row of triggers."""
    stim = np.zeros(what.data.shape[1])
    for onset, label in what.events:
        stim[round(onset * what.sfreq)] = int(label)
    about = {
        "raw_eeg_data": np.vstack([what.data * (1e6 if lie == "units" else 1.0), stim]),
        "ch_names": [*what.ch_names, "stim"],
        "ch_types": ["eeg"] * len(what.ch_names) + ["stim"],
        "sfreq": int(what.sfreq),
        "times": axis_of_times(len(stim), what.sfreq, lie)[0] / 1e3,
    }
    np.save(folder / "raw_eeg_training.npy", np.array(about, dtype=object), allow_pickle=True)
    return folder / "raw_eeg_training.npy"


def write_csv(folder: Path, what: Truth, lie: str) -> Path:
    """Write a spreadsheet's table: seconds, channels with their unit, a column of words where something was shown."""
    rows = ["time," + ",".join(f"{name} [uV]" for name in what.ch_names) + ",event"]
    words = {round(onset * what.sfreq): label for onset, label in what.events}
    for i, values in enumerate(scaled(what, lie).T):
        rows.append(f"{i / what.sfreq:.6f}," + ",".join(f"{value:.9g}" for value in values) + f",{words.get(i, '')}")
    (folder / "r.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder / "r.csv"


def write_bids(folder: Path, what: Truth, lie: str) -> Path:
    """Write a data set of one subject with mne-bids, BrainVision inside; events are in events.tsv."""
    import mne
    import mne_bids

    info = mne.create_info(list(what.ch_names), what.sfreq, "eeg")
    raw = mne.io.RawArray(what.data * (1e6 if lie == "units" else 1.0), info, verbose="ERROR")
    raw.info["line_freq"] = 50
    onsets, labels = zip(*what.events, strict=True)
    raw.set_annotations(mne.Annotations(onsets, 0.0, labels))
    where = mne_bids.BIDSPath(subject="01", task="pictures", datatype="eeg", root=folder / "set")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mne_bids.write_raw_bids(raw, where, allow_preload=True, format="BrainVision", verbose="ERROR")
    if lie == "rate":
        sidecar = next((folder / "set").rglob("*_eeg.json"))
        sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), "SamplingFrequency": what.sfreq * LOOSER}))
    return folder / "set"


def plain_labels(what: Truth) -> Truth:
    return replace(what, events=tuple((onset, label.split()[-1]) for onset, label in what.events))


def gzipped(folder: Path, what: Truth, lie: str) -> Path:
    """Write a CSV table and pack it with gzip."""
    path = write_csv(folder, what, lie)
    packed = folder / "r.csv.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    return packed


def zipped(folder: Path, what: Truth, lie: str) -> Path:
    """Write BrainVision's three files with pybv into a folder of a zip file, beside a text that is none."""
    import pybv

    (folder / "inside").mkdir()
    marks = [{"onset": round(t * what.sfreq), "description": int(label), "duration": 1} for t, label in what.events]
    pybv.write_brainvision(
        data=what.data * (1e6 if lie == "units" else 1.0),
        sfreq=what.sfreq,
        ch_names=list(what.ch_names),
        fname_base="r",
        folder_out=folder / "inside",
        events=marks,
        resolution=1e-3,
        fmt="binary_float32",
    )
    with zipfile.ZipFile(folder / "r.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("README.md", "three files")
        for path in sorted((folder / "inside").iterdir()):
            archive.write(path, f"session/{path.name}")
            path.unlink()
    return folder / "r.zip"


CASES: tuple[FormatCase, ...] = (
    FormatCase(
        name="XDF",
        reader="xdf",
        truth=truth("Fz Cz Pz Oz", 256.0, labels=("face", "house")),
        write=write_lsl,
        writer="the specification's bytes",
        step_uv=0.001,
        real={"eeg_formats/xdf/eeglab_test.xdf": {"units": "uV"}},
    ),
    FormatCase(
        name="NWB",
        reader="nwb",
        truth=truth("Fz Cz Pz Oz", 250.0, labels=("face", "house")),
        write=write_nwb,
        writer="pynwb",
        step_uv=0.01,
    ),
    FormatCase(
        name="MATLAB 5 structure",
        reader="matlab",
        truth=truth("Fz Cz Pz Oz", 250.0),
        write=write_mat,
        writer="scipy",
        step_uv=0.001,
    ),
    FormatCase(
        name="MATLAB 7.3",
        reader="matlab",
        truth=truth("Fz Cz Pz Oz", 250.0),
        write=write_mat73,
        writer="h5py",
        step_uv=0.001,
    ),
    FormatCase(
        name="NumPy array",
        reader="numpy",
        truth=truth("Fz Cz Pz Oz", 250.0),
        write=write_npy,
        writer="NumPy",
        step_uv=0.001,
        options={"units": "uV", "sfreq": 250, "axes": "times,channels", "channels": ["Fz", "Cz", "Pz", "Oz"]},
        why_not={"rate": "a bare array states no rate", "events": "a bare array has no events"},
    ),
    FormatCase(
        name="NumPy archive of trials",
        reader="numpy",
        truth=trials("Fz Cz Pz Oz", 100.0),
        write=write_npz,
        writer="NumPy",
        step_uv=0.001,
        options={"axes": "trials,channels,times"},
    ),
    FormatCase(
        name="NumPy pickle (THINGS-EEG2)",
        reader="numpy",
        truth=truth("Fz Cz Pz Oz", 1000.0),
        write=write_pickle,
        writer="NumPy",
        step_uv=0.001,
    ),
    FormatCase(
        name="CSV table",
        reader="csv",
        truth=truth("Fz Cz Pz Oz", 250.0, labels=("face", "house")),
        write=write_csv,
        writer="text",
        step_uv=0.001,
        why_not={"rate": "its times are its rate"},
    ),
    FormatCase(
        name="BIDS folder",
        reader="bids",
        truth=truth("Fz Cz Pz Oz", 250.0, labels=("face", "house")),
        write=write_bids,
        writer="mne-bids",
        step_uv=0.1,
        cut=lambda path: next(path.rglob("*.eeg")),
    ),
    FormatCase(
        name="gzip of any format",
        reader="csv",
        truth=truth("Fz Cz Pz Oz", 250.0, labels=("face", "house")),
        write=gzipped,
        writer="gzip",
        step_uv=0.001,
        why_not={"rate": "its times are its rate"},
        real={
            "n170_muse/subject2_session1_data_2018-04-15-21.18.48.csv.gz": {},
            "ssvep_muse/subject1_session1_data_2017-09-14-21.20.04.csv.gz": {},
            "eeg_formats/emotiv/EEG_Eye_State.arff.gz": {},
        },
    ),
    FormatCase(
        name="zip of any format",
        reader="brainvision",
        truth=replace(
            what := truth("Fz Cz Pz Oz", 250.0), events=tuple((t, f"Stimulus/S  {label}") for t, label in what.events)
        ),
        write=lambda folder, what, lie: zipped(folder, plain_labels(what), lie),
        writer="pybv, zip",
        step_uv=0.01,
        why_not={"rate": "BrainVision holds no timestamps"},
        real={
            "eeg_formats/emotiv/brain_download_baseline_insight5.zip": {
                "member": "Baseline/Closed_20sx1_201227-103149.csv"
            }
        },
    ),
)
