"""BIDS: recordings in a folder, and what sidecars say of a file; written by mne-bids, changed by hand."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import warnings
import zipfile
from pathlib import Path

import mne
import numpy as np
import pytest

from core.loading.load import load_recording
from core.recording import describe

NAMES = ["Fz", "Cz", "Pz", "Oz"]


def raw_of(seconds: float = 8.0, seed: int = 0) -> mne.io.RawArray:
    data = np.random.default_rng(seed).standard_normal((4, round(seconds * 250))) * 2e-5
    raw = mne.io.RawArray(data, mne.create_info(NAMES, 250.0, "eeg"), verbose="ERROR")
    raw.info["line_freq"] = 50
    raw.set_annotations(mne.Annotations([1.0, 2.0], 0.5, ["face", "house"]))
    return raw


def write(root: Path, raw: mne.io.RawArray | None = None, subject: str = "01", **where) -> Path:
    import mne_bids

    place = mne_bids.BIDSPath(subject=subject, task="see", datatype="eeg", root=root, **where)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        written = mne_bids.write_raw_bids(
            raw_of() if raw is None else raw, place, allow_preload=True, format="BrainVision", verbose="ERROR"
        )
    return Path(written.fpath)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("bids") / "set"
    write(root)
    return root


@pytest.fixture
def data_set(pristine: Path, tmp_path: Path) -> Path:
    shutil.copytree(pristine, tmp_path / "set")
    return tmp_path / "set"


def file_of(root: Path) -> Path:
    return next(root.rglob("*_eeg.vhdr"))


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8-sig")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def table_of(root: Path, ending: str) -> Path:
    return next(root.rglob(f"*_{ending}.tsv"))


def test_file_and_folder_tell_the_same(data_set: Path) -> None:
    by_file = load_recording(file_of(data_set))
    for place in (data_set, data_set / "sub-01", data_set / "sub-01" / "eeg"):
        by_folder = load_recording(place)
        assert np.array_equal(by_folder.data, by_file.data)
        assert [event.label for event in by_folder.events] == ["face", "house"]
        assert by_folder.source["format"] == "bids"
    assert by_file.source["format"] == "brainvision"
    assert [(event.onset, event.duration) for event in by_file.events] == [(1.0, 0.5), (2.0, 0.5)]
    assert {path for path in by_file.source["companions"] if path.endswith(".tsv")} == {
        "sub-01_task-see_channels.tsv",
        "sub-01_task-see_events.tsv",
    }


def test_events_table_goes_before_the_files_own_markers(data_set: Path) -> None:
    change(table_of(data_set, "events"), "face", "pineapple")
    recording = load_recording(file_of(data_set))
    assert [event.label for event in recording.events] == ["pineapple", "house"]
    assert "which go before" in describe(recording)


def test_several_recordings_are_listed_and_one_is_asked_for(data_set: Path) -> None:
    write(data_set, raw_of(seed=1), subject="02")
    with pytest.raises(
        ValueError, match=r"2 recordings inside; say which: member=.*\(--member\).*sub-02_task-see"
    ) as caught:
        load_recording(data_set)
    assert "\n" not in str(caught.value)
    first = load_recording(data_set, member="sub-01_task-see_eeg.vhdr")
    second = load_recording(data_set, member="sub-02/eeg/sub-02_task-see_eeg.vhdr")
    assert not np.array_equal(first.data, second.data)
    assert load_recording(data_set / "sub-02").n_times == 2000


def test_derivatives_are_no_recordings(data_set: Path) -> None:
    shutil.copytree(data_set / "sub-01", data_set / "derivatives" / "cleaned" / "sub-01")
    assert load_recording(data_set).n_channels == 4


def test_bad_channels_are_dropped_unless_kept(data_set: Path) -> None:
    table = table_of(data_set, "channels")
    lines = table.read_text(encoding="utf-8-sig").splitlines()
    header = lines[0].split("\t")
    row = lines[2].split("\t")
    row[header.index("status")], row[header.index("status_description")] = "bad", "it fell off"
    table.write_text("\n".join([*lines[:2], "\t".join(row), *lines[3:]]) + "\n", encoding="utf-8")
    recording = load_recording(data_set)
    assert recording.ch_names == ("Fz", "Pz", "Oz")
    assert recording.source["dropped"]["Cz"] == "bad, by its sidecar: it fell off"
    assert load_recording(data_set, keep=["Cz"]).ch_names == tuple(NAMES)


def test_types_come_from_the_sidecar(data_set: Path) -> None:
    table = table_of(data_set, "channels")
    lines = table.read_text(encoding="utf-8-sig").splitlines()
    table.write_text("\n".join([*lines[:4], lines[4].replace("EEG", "VEOG")]) + "\n", encoding="utf-8")
    recording = load_recording(data_set)
    assert recording.source["dropped"] == {"Oz": "type eog"}


def test_sidecar_with_another_rate_is_a_lie(data_set: Path) -> None:
    sidecar = next(data_set.rglob("*_eeg.json"))
    told = json.loads(sidecar.read_text())
    sidecar.write_text(json.dumps({**told, "SamplingFrequency": 500.0}))
    for path in (data_set, file_of(data_set)):
        with pytest.raises(
            ValueError, match=r"declares 250 Hz, but its sidecar sub-01_task-see_eeg.json tells 500 Hz.*--sfreq"
        ):
            load_recording(path)
        assert load_recording(path, sfreq=250).sfreq == 250


def test_shorter_than_its_sidecar_says_is_said(data_set: Path) -> None:
    sidecar = next(data_set.rglob("*_eeg.json"))
    sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), "RecordingDuration": 60.0}))
    assert "tells of 60 s, and 8 s are here: cut off?" in describe(load_recording(data_set))


def test_sidecars_are_inherited_and_the_nearest_goes_first(data_set: Path) -> None:
    (data_set / "task-see_eeg.json").write_text(json.dumps({"EEGReference": "Cz, far", "PowerLineFrequency": 60}))
    sidecar = next((data_set / "sub-01").rglob("*_eeg.json"))
    near = json.loads(sidecar.read_text())
    del near["PowerLineFrequency"]
    sidecar.write_text(json.dumps({**near, "EEGReference": "linked ears"}))
    (data_set / "task-other_eeg.json").write_text(json.dumps({"PowerLineFrequency": 1}))
    recording = load_recording(data_set)
    assert recording.source["reference"] == "linked ears (by its sidecar)"
    assert "mains 60 Hz by its sidecar" in describe(recording)


def test_conflicting_units_are_noted_and_the_files_are_taken(data_set: Path) -> None:
    before = load_recording(data_set).data
    # the file says microvolts; versions of mne-bids differ in what they write
    table = table_of(data_set, "channels")
    table.write_text(re.sub(r"\t(µV|V)\t", "\tmV\t", table.read_text(encoding="utf-8-sig")), encoding="utf-8")
    recording = load_recording(data_set)
    assert np.array_equal(recording.data, before)
    assert "tells other units than the file, which were not taken" in describe(recording)


def test_positions_are_those_of_mne(tmp_path: Path) -> None:
    raw = raw_of()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        raw.set_montage("standard_1005", verbose="ERROR")
    path = write(tmp_path / "set", raw)
    recording = load_recording(path)
    assert recording.ch_positions is not None
    expected = np.array([channel["loc"][:3] for channel in raw.info["chs"]])
    assert np.abs(recording.ch_positions - expected).max() < 1e-3


def test_places_in_another_frame_are_turned_by_their_landmarks(tmp_path: Path) -> None:
    """The same places, turned by 30 degrees, moved and in mm, with the three landmarks likewise."""
    raw = raw_of()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        raw.set_montage("standard_1005", verbose="ERROR")
    path = write(tmp_path / "set", raw)
    expected = load_recording(path).ch_positions
    assert expected is not None
    turn = np.array([[np.cos(0.5), -np.sin(0.5), 0], [np.sin(0.5), np.cos(0.5), 0], [0, 0, 1]])

    def moved(place) -> list[float]:
        return ((turn @ np.asarray(place, float) + [0.01, 0.02, -0.03]) * 1000).tolist()

    table = next(path.parent.glob("*_electrodes.tsv"))
    lines = [line.split("\t") for line in table.read_text(encoding="utf-8-sig").splitlines()]
    rows = [[line[0], *(f"{x:.6f}" for x in moved(line[1:4])), *line[4:]] for line in lines[1:]]
    table.write_text("\n".join("\t".join(row) for row in [lines[0], *rows]) + "\n", encoding="utf-8")
    beside = next(path.parent.glob("*_coordsystem.json"))
    told = json.loads(beside.read_text(encoding="utf-8-sig"))
    marks = told["AnatomicalLandmarkCoordinates"]
    told["AnatomicalLandmarkCoordinates"] = {name: moved(place) for name, place in marks.items()}
    beside.write_text(json.dumps({**told, "EEGCoordinateUnits": "mm", "EEGCoordinateSystem": "Other"}))
    found = load_recording(path).ch_positions
    assert found is not None
    assert np.abs(found - expected).max() < 1e-4
    del told["AnatomicalLandmarkCoordinates"]
    beside.write_text(json.dumps({**told, "EEGCoordinateUnits": "mm", "EEGCoordinateSystem": "Other"}))
    assert "places not used" in describe(load_recording(path))


def test_links_of_datalad_without_their_file_say_so(data_set: Path) -> None:
    path = file_of(data_set)
    path.unlink()
    try:
        path.symlink_to(data_set / ".git" / "annex" / "objects" / "gone")
    except OSError:
        pytest.skip("this system makes no links")
    with pytest.raises(ValueError, match="git-annex"):
        load_recording(data_set)


def test_data_set_in_a_zip_file(data_set: Path, tmp_path: Path) -> None:
    write(data_set, raw_of(seed=1), subject="02")
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for path in sorted(data_set.rglob("*")):
            archive.write(path, path.relative_to(data_set.parent))
    recording = load_recording(tmp_path / "set.zip", member="sub-02_task-see_eeg.vhdr")
    assert np.array_equal(recording.data, load_recording(data_set / "sub-02").data)
    assert [event.label for event in recording.events] == ["face", "house"]


def test_gzipped_edf_keeps_its_sidecars(data_set: Path) -> None:
    """Not BIDS, but what people do to save space."""
    import edfio

    path = file_of(data_set).with_suffix(".edf")
    rows = [
        edfio.EdfSignal(row, 250, label=name, physical_dimension="uV")
        for row, name in zip(raw_of()[:][0] * 1e6, NAMES, strict=True)
    ]
    edfio.Edf(rows).write(path)
    for other in file_of(data_set).parent.glob("*_eeg.[ve]*"):
        if other != path:
            other.unlink()
    packed = path.with_name(path.name + ".gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    for place in (data_set, packed):
        assert [event.label for event in load_recording(place).events] == ["face", "house"]


def test_damaged_sidecars_are_named(data_set: Path) -> None:
    next(data_set.rglob("*_eeg.json")).write_text("{")
    with pytest.raises(ValueError, match=r"sub-01_task-see_eeg.json: not JSON"):
        load_recording(data_set)


def test_empty_data_set_and_other_folders_say_what_they_hold(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "dataset_description.json").write_text("{}")
    with pytest.raises(ValueError, match="no recording inside"):
        load_recording(tmp_path / "empty")
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "r.edf").write_bytes(b"0")
    with pytest.raises(ValueError, match=r"a folder, not a recording; load one of its files: r\.edf"):
        load_recording(tmp_path / "plain")
