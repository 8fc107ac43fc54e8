"""EEGLAB's .set files in three forms: eeglabio's, EEGLAB's own with an .fdt, and MATLAB 7.3's."""

from __future__ import annotations

from pathlib import Path

import eeglabio
import numpy as np

from .case import LOOSER, Truth


def in_uv(what: Truth, lie: str) -> np.ndarray:
    """The numbers to write where the file means microvolts; the lie writes volts."""
    return what.data * (1.0 if lie == "units" else 1e6)


def write_eeglab(folder: Path, what: Truth, lie: str) -> Path:
    """Write a .set with eeglabio (MATLAB 5); the lie stores volts where EEGLAB means uV."""
    onsets, labels = zip(*what.events, strict=True)
    marks = [np.array(labels), np.array(onsets), np.zeros(len(onsets))]
    eeglabio.raw.export_set(
        str(folder / "r.set"), in_uv(what, lie) * 1e-6, what.sfreq, list(what.ch_names), annotations=marks
    )
    return times_told(folder / "r.set", what.sfreq, lie)


def times_told(path: Path, sfreq: float, lie: str) -> Path:
    """Add to a .set of eeglabio's the axis of times in ms that EEGLAB itself writes; the lie's is of another rate."""
    from scipy.io import loadmat, savemat

    fields = {name: value for name, value in loadmat(path).items() if not name.startswith("__")}
    fields["times"] = axis_of_times(int(fields["pnts"].item()), sfreq, lie)
    savemat(path, fields, appendmat=False)
    return path


def axis_of_times(n_times: int, sfreq: float, lie: str) -> np.ndarray:
    """Return (1, n_times) milliseconds as EEGLAB writes them."""
    return np.arange(n_times)[None] * 1e3 / (sfreq * (LOOSER if lie == "rate" else 1.0))


def write_eeglab_fdt(folder: Path, what: Truth, lie: str) -> Path:
    """Write a .set as EEGLAB saves it, each field a variable and the samples in an .fdt, with scipy."""
    from scipy.io import savemat

    in_uv(what, lie).T.astype("<f4").tofile(folder / "r.fdt")
    chanlocs = np.array([(name,) for name in what.ch_names], dtype=[("labels", object)])
    events = np.array(
        [(label, onset * what.sfreq + 1, 0.0) for onset, label in what.events],
        dtype=[("type", object), ("latency", object), ("duration", object)],
    )
    fields = {
        "setname": "r", "nbchan": float(len(what.ch_names)), "trials": 1.0, "pnts": float(what.data.shape[1]),
        "srate": what.sfreq, "xmin": 0.0, "xmax": (what.data.shape[1] - 1) / what.sfreq, "data": "r.fdt",
        "times": axis_of_times(what.data.shape[1], what.sfreq, lie),
        "chanlocs": chanlocs, "event": events, "epoch": np.zeros((0, 0)),
    }  # fmt: skip
    savemat(folder / "r.set", fields, appendmat=False)
    return folder / "r.set"


def write_eeglab_73(folder: Path, what: Truth, lie: str) -> Path:
    """Write a .set of MATLAB 7.3 with h5py as MATLAB does: arrays transposed, texts as codes, structs as references."""
    import h5py

    path = folder / "r.set"
    with h5py.File(path, "w", userblock_size=512) as file:
        eeg = file.create_group("EEG")
        eeg.attrs["MATLAB_class"] = np.bytes_("struct")
        hidden = file.create_group("#refs#")

        def number(group: h5py.Group, name: str, value: float | np.ndarray) -> h5py.Dataset:
            found = group.create_dataset(name, data=np.atleast_2d(value))
            found.attrs["MATLAB_class"] = np.bytes_("double")
            return found

        def text(group: h5py.Group, name: str, value: str) -> h5py.Dataset:
            found = group.create_dataset(name, data=np.array([[ord(c)] for c in value], np.uint16))
            found.attrs["MATLAB_class"] = np.bytes_("char")
            found.attrs["MATLAB_int_decode"] = np.int32(2)
            return found

        def column(group: h5py.Group, name: str, items: list[h5py.Dataset]) -> None:
            group.create_dataset(name, data=np.array([[item.ref] for item in items], h5py.ref_dtype))

        for name, value in (("nbchan", len(what.ch_names)), ("trials", 1), ("pnts", what.data.shape[1])):
            number(eeg, name, float(value))
        number(eeg, "srate", what.sfreq)
        number(eeg, "xmin", 0.0)
        number(eeg, "xmax", (what.data.shape[1] - 1) / what.sfreq)
        number(eeg, "times", axis_of_times(what.data.shape[1], what.sfreq, lie).T)
        number(eeg, "data", in_uv(what, lie).T)
        chanlocs, events = eeg.create_group("chanlocs"), eeg.create_group("event")
        for group in (chanlocs, events):
            group.attrs["MATLAB_class"] = np.bytes_("struct")
        column(chanlocs, "labels", [text(hidden, f"n{i}", name) for i, name in enumerate(what.ch_names)])
        column(events, "type", [text(hidden, f"t{i}", f"x{label}") for i, (_, label) in enumerate(what.events)])
        column(
            events, "latency", [number(hidden, f"l{i}", on * what.sfreq + 1) for i, (on, _) in enumerate(what.events)]
        )
    head = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Sat Nov 21 12:00:00 2020 HDF5 schema 1.00 .".ljust(124)
    content = path.read_bytes()
    path.write_bytes((head + b"\x00\x02IM").ljust(512, b"\x00") + content[512:])
    return path
