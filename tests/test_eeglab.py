"""EEGLAB's .set files: samples in a file of their own that was renamed, lost or cut off; epochs; other names."""

import builtins
from pathlib import Path

import eeglabio
import numpy as np
import pytest
from scipy.io import loadmat, savemat

from core.formats.contract.signals import ReadOptions
from core.formats.toolboxes import eeglab
from core.formats.toolboxes.mat_outline import outline_of
from core.loading.load import load_recording
from tests.format_cases import CASES
from tests.format_cases.eeglab_writers import write_eeglab, write_eeglab_73, write_eeglab_fdt
from tests.format_cases.lab import write_eeglab_epochs

KNOWN = CASES["EEGLAB .set + .fdt"].truth
EPOCHS = CASES["EEGLAB epochs"].truth


def as_written(path: Path) -> list[str]:
    recording = load_recording(path)
    np.testing.assert_allclose(recording.data, KNOWN.data, atol=1e-9)
    assert [event.label for event in recording.events] == [label for _, label in KNOWN.events]
    return recording.source["notes"]


def test_set_and_fdt_renamed_together_are_read(tmp_path: Path) -> None:
    write_eeglab_fdt(tmp_path, KNOWN, "")
    for suffix in (".set", ".fdt"):
        (tmp_path / f"r{suffix}").rename(tmp_path / f"subject{suffix}")
    assert any("samples are in 'r.fdt': subject.fdt was read" in note for note in as_written(tmp_path / "subject.set"))


def test_an_fdt_under_another_name_is_found_by_its_exact_size(tmp_path: Path) -> None:
    path = write_eeglab_fdt(tmp_path, KNOWN, "")
    (tmp_path / "r.fdt").rename(tmp_path / "data.fdt")
    (tmp_path / "another.fdt").write_bytes(b"\0" * 4096)
    assert any("data.fdt was read, the only .fdt of its size (renamed?)" in note for note in as_written(path))
    (tmp_path / "same size.fdt").write_bytes((tmp_path / "data.fdt").read_bytes())
    with pytest.raises(FileNotFoundError, match=r"'r\.fdt', which is missing.*another\.fdt, data\.fdt, same size\.fdt"):
        load_recording(path)


def test_an_fdt_that_is_cut_off_is_read_so_far(tmp_path: Path) -> None:
    path = write_eeglab_fdt(tmp_path, KNOWN, "")
    data = tmp_path / "r.fdt"
    data.write_bytes(data.read_bytes()[: 16 * 1024 + 5])
    recording = load_recording(path)
    assert recording.n_times == 1024
    assert "the file is cut off: 1024 of its 2048 samples, 8 s are missing" in recording.source["notes"]
    np.testing.assert_allclose(recording.data, KNOWN.data[:, :1024], atol=1e-9)


def test_an_fdt_stands_for_the_set_beside_it_and_alone_asks_for_it(tmp_path: Path) -> None:
    path = write_eeglab_fdt(tmp_path, KNOWN, "")
    assert any("its description is r.set, beside it" in note for note in as_written(tmp_path / "r.fdt"))
    path.unlink()
    with pytest.raises(
        FileNotFoundError, match=r"r\.fdt: .*r\.set is missing beside it \(there is none\); give the .set"
    ):
        load_recording(tmp_path / "r.fdt")


@pytest.mark.parametrize("write", [write_eeglab, write_eeglab_fdt, write_eeglab_73])
def test_a_rate_that_the_axis_of_times_denies_is_settled_by_the_user(tmp_path: Path, write) -> None:
    path = write(tmp_path, KNOWN, "rate")
    with pytest.raises(ValueError, match=r"declares 128 Hz, but its EEG\.times tells 125 Hz.*sfreq=125 or sfreq=128"):
        load_recording(path)
    recording = load_recording(path, sfreq=128)
    assert recording.sfreq == 128
    assert "sfreq=128 was given, though its EEG.times tells 125 Hz" in recording.source["notes"]


def test_times_in_seconds_are_no_lie_and_a_length_that_is_one_is_noted(tmp_path: Path) -> None:
    path = write_eeglab_fdt(tmp_path, KNOWN, "")
    fields = {name: value for name, value in loadmat(path).items() if not name.startswith("__")}
    savemat(path, {**fields, "times": fields["times"] / 1e3}, appendmat=False)
    assert load_recording(path).sfreq == 128
    del fields["times"]
    savemat(path, {**fields, "xmax": 20.0}, appendmat=False)
    assert any("tell of 20 s, its 2048 samples last 16 s at 128 Hz" in note for note in as_written(path))


@pytest.mark.parametrize("write", [write_eeglab, write_eeglab_fdt, write_eeglab_73])
def test_a_set_file_is_known_by_its_content_under_any_name(tmp_path: Path, write) -> None:
    path = write(tmp_path, KNOWN, "")
    other = path.rename(tmp_path / "r.dat")
    recording = load_recording(other)
    assert recording.source["format"] == "eeglab"
    np.testing.assert_allclose(recording.data, KNOWN.data, atol=1e-9)


def test_epochs_keep_their_time_zero_and_their_order(tmp_path: Path) -> None:
    recording = load_recording(write_eeglab_epochs(tmp_path, EPOCHS, ""))
    assert recording.segments == tuple(range(0, 1600, 160))
    np.testing.assert_allclose([event.onset for event in recording.events], [onset for onset, _ in EPOCHS.events])
    assert [event.label for event in recording.events] == [label for _, label in EPOCHS.events]


def test_every_event_of_an_epoch_stays_on_its_own_sample(tmp_path: Path) -> None:
    from scipy.io import loadmat, savemat

    path = write_eeglab_epochs(tmp_path, EPOCHS, "")
    fields = {name: value for name, value in loadmat(path, simplify_cells=True).items() if not name.startswith("__")}
    # a key is pressed a quarter of a second after each picture, and EEGLAB writes its code as a number
    pressed = [{**event, "type": 64.0, "latency": event["latency"] + 32} for event in fields["event"]]
    both = sorted([*fields["event"], *pressed], key=lambda event: event["latency"])
    fields["event"] = np.array(
        [(event["type"], float(event["latency"]), 0.0, float(event["epoch"])) for event in both],
        dtype=[("type", object), ("latency", object), ("duration", object), ("epoch", object)],
    )
    epochs = [(np.array([one["eventtype"], 64.0], object), np.array([0.0, 250.0], object)) for one in fields["epoch"]]
    fields["epoch"] = np.array(epochs, dtype=[("eventtype", object), ("eventlatency", object)])
    fields["chanlocs"] = np.array([(name,) for name in EPOCHS.ch_names], dtype=[("labels", object)])
    savemat(path, fields, appendmat=False)
    recording = load_recording(path)
    known = sorted([*EPOCHS.events, *((onset + 0.25, "64") for onset, _ in EPOCHS.events)])
    assert [event.label for event in recording.events] == [label for _, label in known]
    np.testing.assert_allclose([event.onset for event in recording.events], [onset for onset, _ in known])


def test_boundaries_start_segments(tmp_path: Path) -> None:
    marks = [np.array(["face", "boundary", "house"]), np.array([1.0, 4.0, 6.0]), np.zeros(3)]
    eeglabio.raw.export_set(str(tmp_path / "r.set"), KNOWN.data, 128.0, list(KNOWN.ch_names), annotations=marks)
    recording = load_recording(tmp_path / "r.set")
    assert recording.segments == (0, 512)
    assert [event.label for event in recording.events] == ["face", "house"]


def test_a_matlab_file_of_something_else_is_refused(tmp_path: Path) -> None:
    from scipy.io import savemat

    savemat(tmp_path / "r.set", {"x": np.zeros(10)}, appendmat=False)
    with pytest.raises(ValueError, match=r"r\.set: not an EEGLAB file: a MATLAB file without nbchan and pnts"):
        load_recording(tmp_path / "r.set")
    (tmp_path / "t.set").write_text("not a MATLAB file")
    with pytest.raises(ValueError, match=r"t\.set: not an EEGLAB file: it is no MATLAB file at all"):
        load_recording(tmp_path / "t.set", format="eeglab")


def test_a_matlab_73_name_of_a_data_file_without_any_text_is_none(tmp_path: Path) -> None:
    import h5py

    path = tmp_path / "r.set"
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in (("nbchan", 2.0), ("pnts", 100.0), ("trials", 1.0), ("srate", 128.0)):
            file[f"EEG/{name}"] = np.array([[value]])
        file["EEG/data"] = h5py.Empty("u2")  # a data set of no space at all, whose size is None
        file["EEG/data"].attrs["MATLAB_class"] = np.bytes_("char")
    outline = outline_of(path)
    assert (outline.n_channels, outline.data_file) == (2, "")


def test_matlab_73_without_its_package_says_what_to_install(tmp_path: Path, monkeypatch) -> None:
    path = write_eeglab_73(tmp_path, KNOWN, "")
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "pymatreader":
            raise ModuleNotFoundError("No module named 'pymatreader'", name="pymatreader")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ValueError, match=r"MATLAB 7\.3 \(HDF5\): the package 'pymatreader' is needed"):
        eeglab.read_eeglab(path, ReadOptions())
