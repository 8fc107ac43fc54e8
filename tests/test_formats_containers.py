"""XDF and NWB: streams and series, clocks, gaps, markers, and files that are damaged or lie."""

from __future__ import annotations

import struct
from datetime import datetime, timezone
from pathlib import Path

import h5py
import numpy as np
import pytest
import pyxdf

from core.loading.load import load_recording
from core.recording import describe
from tests.format_cases.xdf_writer import BOUNDARY, XdfStream, chunk, header, samples, varlen, write_xdf

SFREQ = 250.0
NAMES = ("Fz", "Cz", "Pz", "Oz")


def noise(seconds: float, sfreq: float = SFREQ, channels: int = 4, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal((round(seconds * sfreq), channels)) * 20).astype(np.float32)


def eeg(values: np.ndarray, stamps: np.ndarray | None = None, **more) -> XdfStream:
    told = {"labels": NAMES[: values.shape[1]], "unit": "uV", "sfreq": SFREQ, **more}
    stamps = np.arange(len(values)) / SFREQ if stamps is None else stamps
    return XdfStream(told.pop("name", "amp"), told.pop("type", "EEG"), told.pop("sfreq"), stamps, values, **told)


def markers(times, labels, name: str = "task", **more) -> XdfStream:
    told = {"format": "string", "chunk": 1, **more}
    return XdfStream(name, "Markers", 0, np.asarray(times, float), [[label] for label in labels], **told)


def onsets(path: Path, **options) -> np.ndarray:
    return np.array([event.onset for event in load_recording(path, **options).events])


def test_drifting_clocks_move_no_marker(tmp_path: Path) -> None:
    """The amplifier's clock runs 500 ppm slow over 2 minutes: 60 ms, 15 samples; markers come by another clock."""
    values = noise(120, channels=2)
    true = np.arange(len(values)) / SFREQ * (1 + 5e-4)
    local = true * (1 + 1e-4) + 1000
    offsets = [(1000 + t * (1 + 1e-4), t - (1000 + t * (1 + 1e-4))) for t in np.arange(0, 120, 5.0)]
    at = np.array([100, 15_000, 29_000])
    path = write_xdf(tmp_path / "r.xdf", eeg(values, local, offsets=offsets), markers(true[at], "abc"))
    recording = load_recording(path)
    assert np.abs([event.onset * SFREQ for event in recording.events] - at).max() < 1
    assert recording.sfreq == SFREQ
    assert recording.source["timing"]["drift_ppm"] == pytest.approx(-500, abs=20)


def test_stamps_that_come_in_bursts_are_no_gaps(tmp_path: Path) -> None:
    values = noise(40)
    true = np.arange(len(values)) / SFREQ
    arrived = np.ceil(true / 0.048) * 0.048 + np.random.default_rng(1).exponential(0.004, len(true))
    path = write_xdf(tmp_path / "r.xdf", eeg(values, np.maximum.accumulate(arrived)), markers([10.05, 30.05], "ab"))
    recording = load_recording(path)
    assert recording.segments == (0,)
    assert np.abs(onsets(path) - [10.02, 30.02]).max() < 0.02


def test_gap_is_a_segment_and_its_markers_are_left_out(tmp_path: Path) -> None:
    values = noise(30)
    stamps = np.arange(len(values)) / SFREQ
    stamps[4000:] += 2.5
    told = markers([10.0, 17.0, 20.0], ["before", "inside", "after"])
    recording = load_recording(write_xdf(tmp_path / "r.xdf", eeg(values, stamps), told))
    assert recording.segments == (0, 4000)
    assert [(event.label, round(event.onset * SFREQ)) for event in recording.events] == [
        ("before", 2500),
        ("after", round(17.5 * SFREQ)),
    ]
    assert "1 markers of 'task' lie outside" in describe(recording)


def restarted(folder: Path) -> Path:
    """Half-way the amplifier's computer restarts: its clock begins at 0 again, and the measured offsets tell."""
    values = noise(60)
    half = len(values) // 2
    true = np.arange(len(values)) / SFREQ + np.where(np.arange(len(values)) < half, 0, 10.0)
    local = np.where(np.arange(len(values)) < half, true + 500, true - true[half])
    offsets = [(t + 500, -500.0) for t in np.arange(0, 30, 2.0)]
    offsets += [(t - true[half], true[half]) for t in np.arange(40, 70, 2.0)]
    return write_xdf(folder / "r.xdf", eeg(values, local, offsets=offsets), markers([10.0, 50.0], "ab"))


def test_restarted_amplifier_is_a_reset_of_its_clock(tmp_path: Path) -> None:
    path = restarted(tmp_path)
    assert load_recording(path).segments == (0, 7500)
    assert np.abs(onsets(path) * SFREQ - [2500, 7500 + 10 * SFREQ]).max() < 1.5


def as_old_pyxdf_tells(monkeypatch) -> None:
    """Have pyxdf leave out what its versions before 1.17 do not tell (and get wrong)."""
    load = pyxdf.load_xdf

    def load_xdf(*args, **more):
        found, header = load(*args, **more)
        for stream in found:
            stream["info"].pop("clock_segments", None)
        return found, header

    monkeypatch.setattr(pyxdf, "load_xdf", load_xdf)


def test_resets_come_out_the_same_where_pyxdf_does_not_tell_of_them(tmp_path: Path, monkeypatch) -> None:
    path = restarted(tmp_path)
    known = load_recording(path)
    as_old_pyxdf_tells(monkeypatch)
    recording = load_recording(path)
    assert recording.segments == known.segments == (0, 7500)
    assert np.abs(onsets(path) - [event.onset for event in known.events]).max() < 1e-6
    assert recording.source["timing"]["measured_hz"] == pytest.approx(known.source["timing"]["measured_hz"], rel=1e-6)


def test_resets_that_samples_and_offsets_tell_differently_are_refused(tmp_path: Path, monkeypatch) -> None:
    as_old_pyxdf_tells(monkeypatch)
    values = noise(60)
    times = np.arange(len(values)) / SFREQ
    local = np.select([times < 20, times < 40], [times + 500, times + 300], times)
    offsets = [(t + 500, -500.0) for t in np.arange(0, 20, 2.0)] + [(t, 0.0) for t in np.arange(40, 60, 2.0)]
    path = write_xdf(tmp_path / "r.xdf", eeg(values, local, offsets=offsets))
    with pytest.raises(ValueError, match=r"'amp' has 1 resets .* by the measured offsets and 2 by its samples"):
        load_recording(path)


def test_several_eeg_streams_are_listed_and_chosen(tmp_path: Path) -> None:
    first, second = eeg(noise(8)), eeg(noise(8, seed=1), name="cap 2")
    path = write_xdf(tmp_path / "r.xdf", first, second)
    with pytest.raises(ValueError, match=r"2 streams of EEG.*stream='amp' \(--stream\).*cap 2") as caught:
        load_recording(path)
    assert "\n" not in str(caught.value)
    for name in ("cap 2", "CAP 2", "2"):
        assert np.allclose(load_recording(path, stream=name).data, second.values.T * 1e-6)
    with pytest.raises(ValueError, match="no stream of numbers 'cap 3'"):
        load_recording(path, stream="cap 3")


def test_stream_of_another_type_is_asked_for(tmp_path: Path) -> None:
    path = write_xdf(tmp_path / "r.xdf", eeg(noise(8), type="Signal"))
    with pytest.raises(ValueError, match=r"no stream of type EEG has samples.*'amp' \(Signal, 4 x float32, 250 Hz"):
        load_recording(path)
    assert load_recording(path, stream="amp").ch_names == NAMES


def test_rows_that_are_not_eeg_are_known_by_their_type(tmp_path: Path) -> None:
    path = write_xdf(
        tmp_path / "r.xdf", eeg(noise(8), types=["EEG", "EEG", "EEG", "EOG"], labels=["Fz", "Cz", "Pz", "left"])
    )
    recording = load_recording(path)
    assert recording.ch_names == ("Fz", "Cz", "Pz")
    assert recording.source["dropped"] == {"left": "type eog"}


@pytest.mark.parametrize("numbers", ["float32", "double64", "int16", "int32", "int64"])
@pytest.mark.parametrize("deduced", [False, True])
def test_all_kinds_of_numbers_and_stamps(tmp_path: Path, numbers: str, deduced: bool) -> None:
    values = np.rint(noise(8))
    recording = load_recording(write_xdf(tmp_path / "r.xdf", eeg(values, format=numbers, deduced=deduced)))
    assert np.abs(recording.data * 1e6 - values.T).max() < 1e-3


def test_irregular_stream_has_the_rate_its_stamps_tell(tmp_path: Path) -> None:
    recording = load_recording(write_xdf(tmp_path / "r.xdf", eeg(noise(20), sfreq=0)))
    assert recording.sfreq == SFREQ
    assert recording.source["timing"]["stated_by"] == "measured"


def test_several_marker_streams_are_sources_of_events(tmp_path: Path) -> None:
    codes = XdfStream("codes", "Triggers", 0, np.array([4.0, 5.0]), [[7], [8]], format="int32", chunk=1)
    path = write_xdf(tmp_path / "r.xdf", eeg(noise(10)), markers([1.0, 2.0], ["face", "house"]), codes)
    assert [event.label for event in load_recording(path).events] == ["face", "house", "7", "8"]
    chosen = load_recording(path, events=["task@face=1", "codes@8"])
    assert [(event.label, round(event.onset, 6)) for event in chosen.events] == [("1", 1.0), ("8", 5.0)]


def test_cut_off_recording_keeps_what_is_whole(tmp_path: Path) -> None:
    values = noise(30)
    path = write_xdf(tmp_path / "r.xdf", eeg(values), markers([1.0], "a"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    recording = load_recording(path)
    assert 3000 < recording.n_times < 4000
    assert np.allclose(recording.data, values[: recording.n_times].T * 1e-6)
    assert "cut off" in describe(recording)


def test_damage_in_the_middle_costs_what_lies_up_to_the_next_boundary(tmp_path: Path) -> None:
    values = noise(60)
    path = write_xdf(tmp_path / "r.xdf", eeg(values))
    content = bytearray(path.read_bytes())
    at = content.find(BOUNDARY, len(content) // 3) + len(BOUNDARY)
    content[at] = 3  # a length of three bytes is none
    path.write_bytes(content)
    recording = load_recording(path)
    assert f"damaged at byte {at}" in describe(recording)
    assert len(recording.segments) == 2
    lost = len(values) - recording.n_times
    assert 0 < lost <= 10 * 64
    start = recording.segments[1]
    assert np.allclose(recording.data[:, start:], values[start + lost :].T * 1e-6)


def xdf_with(*chunks: bytes) -> bytes:
    return b"XDF:" + chunk(1, b"<info><version>1.0</version></info>") + b"".join(chunks)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda h: h.replace(b"<channel_count>4<", b"<channel_count>999999999<"), "999999999 channels"),
        (lambda h: h.replace(b"<channel_count>4<", b"<channel_count>-1<"), "-1 channels"),
        (lambda h: h.replace(b">250<", b">nan<"), "nan Hz"),
        (lambda h: h.replace(b">250<", b">1e300<"), "1e"),
        (lambda h: h.replace(b"float32", b"complex"), "complex"),
        (lambda h: h.replace(b"<info>", b'<!DOCTYPE a [<!ENTITY b "c">]><info>'), "XML that XDF does not know"),
        (lambda h: h.replace(b"</info>", b"</inf>"), "header of stream 1 is damaged"),
    ],
)
def test_hostile_headers_are_refused(tmp_path: Path, change, said: str) -> None:
    body = change(header(1, eeg(noise(8)))[7:])
    path = tmp_path / "r.xdf"
    path.write_bytes(xdf_with(chunk(2, body)))
    with pytest.raises(ValueError, match=said) as caught:
        load_recording(path)
    assert "\n" not in str(caught.value)


def test_chunk_that_claims_more_samples_than_it_holds_asks_for_no_memory(tmp_path: Path) -> None:
    stream = eeg(noise(8))
    claims = chunk(3, struct.pack("<I", 1) + struct.pack("<BQ", 8, 2**60) + bytes(100))
    path = tmp_path / "r.xdf"
    path.write_bytes(xdf_with(header(1, stream), samples(1, stream, 0, 1500), claims, chunk(5, BOUNDARY)))
    recording = load_recording(path)
    assert recording.n_times == 1500
    assert "its number of samples" in describe(recording)


def test_lengths_are_written_in_1_4_and_8_bytes() -> None:
    assert [varlen(n)[0] for n in (1, 255, 256, 2**32)] == [1, 1, 4, 8]


def test_gzipped_xdf_is_read(tmp_path: Path) -> None:
    import gzip

    path = write_xdf(tmp_path / "r.xdf", eeg(noise(8)))
    for name in ("r.xdfz", "r.xdf.gz"):
        (tmp_path / name).write_bytes(gzip.compress(path.read_bytes()))
        assert load_recording(tmp_path / name).n_times == 2000


def write_nwb(path: Path, *, series: dict | None = None, labels=NAMES, add=None) -> Path:
    from pynwb import NWBHDF5IO, NWBFile
    from pynwb.ecephys import ElectricalSeries

    began = datetime(2024, 1, 2, tzinfo=timezone.utc)
    file = NWBFile(session_description="pictures", identifier="one", session_start_time=began)
    device = file.create_device(name="amplifier")
    group = file.create_electrode_group(name="cap", description="scalp", location="scalp", device=device)
    file.add_electrode_column(name="label", description="place")
    for label in labels:
        file.add_electrode(group=group, location="scalp", label=label)
    for name, told in (series or {"EEG": {}}).items():
        about = {"data": noise(12) * 1e-6, "rate": SFREQ, "electrodes": [0, 1, 2, 3], **told}
        if "timestamps" in about:
            del about["rate"]
        about["electrodes"] = file.create_electrode_table_region(region=about["electrodes"], description="some")
        file.add_acquisition(ElectricalSeries(name=name, **about))
    if add is not None:
        add(file)
    with NWBHDF5IO(path, "w") as writer:
        writer.write(file)
    return path


def test_nwb_names_follow_the_series_own_rows(tmp_path: Path) -> None:
    path = write_nwb(tmp_path / "r.nwb", series={"EEG": {"electrodes": [3, 1, 0, 2]}})
    recording = load_recording(path)
    assert recording.ch_names == ("Oz", "Cz", "Fz", "Pz")
    assert recording.source["units"] == "declared V"


def test_nwb_factors_of_single_channels(tmp_path: Path) -> None:
    counts = np.rint(noise(12) * 100).astype(np.int16)
    factors = {"conversion": 1e-9, "channel_conversion": [10.0, 20.0, 10.0, 10.0]}
    recording = load_recording(write_nwb(tmp_path / "r.nwb", series={"EEG": {"data": counts, **factors}}))
    expected = counts.T * 1e-8 * np.array([[1], [2], [1], [1]])
    assert np.allclose(recording.data, expected, atol=1e-12)


def test_nwb_timestamps_with_a_gap(tmp_path: Path) -> None:
    stamps = 100 + np.arange(3000) / SFREQ
    stamps[1500:] += 3

    def add(file) -> None:
        for start in (102.0, 107.0, 111.0):
            file.add_trial(start_time=start, stop_time=start + 1)

    recording = load_recording(write_nwb(tmp_path / "r.nwb", series={"EEG": {"timestamps": stamps}}, add=add))
    assert recording.sfreq == SFREQ
    assert recording.segments == (0, 1500)
    assert [(event.label, round(event.onset, 3)) for event in recording.events] == [("trials", 2.0), ("trials", 8.0)]


@pytest.mark.filterwarnings("ignore:AnnotationSeries is deprecated")
def test_nwb_annotations_and_tables_are_events(tmp_path: Path) -> None:
    from pynwb.event import EventsTable
    from pynwb.misc import AnnotationSeries

    def add(file) -> None:
        file.add_acquisition(AnnotationSeries(name="notes", data=["blink", "yawn"], timestamps=[1.0, 2.0]))
        file.add_trial_column(name="image", description="what")
        file.add_trial(start_time=3.0, stop_time=4.0, image="cat")
        table = EventsTable(name="buttons", description="pressed")
        table.add_column(name="annotation", description="which")
        table.add_row(timestamp=5.0, annotation="left")
        file.add_events_table(table)

    recording = load_recording(write_nwb(tmp_path / "r.nwb", add=add))
    assert [(event.onset, event.duration, event.label) for event in recording.events] == [
        (1.0, 0.0, "blink"),
        (2.0, 0.0, "yawn"),
        (3.0, 1.0, "cat"),
        (5.0, 0.0, "left"),
    ]
    assert [event.label for event in load_recording(tmp_path / "r.nwb", events="trials@*").events] == ["cat"]


def test_nwb_with_several_series_asks(tmp_path: Path) -> None:
    path = write_nwb(tmp_path / "r.nwb", series={"EEG": {}, "ECoG": {}})
    with pytest.raises(
        ValueError, match=r"several ElectricalSeries.*variable= \(--variable\).*acquisition/ECoG \(3000 x 4\)"
    ):
        load_recording(path)
    assert load_recording(path, variable="EEG").n_channels == 4


def test_nwb_without_eeg_and_hdf5_without_nwb_say_so(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "r.nwb", "w") as file:
        file["x"] = np.zeros((3, 3))
    with pytest.raises(ValueError, match="HDF5, but not NWB"):
        load_recording(tmp_path / "r.nwb")


def test_links_out_of_an_nwb_file_are_not_followed(tmp_path: Path) -> None:
    path = write_nwb(tmp_path / "r.nwb")
    (tmp_path / "other.nwb").write_bytes(path.read_bytes())
    with h5py.File(path, "r+") as file:
        del file["acquisition/EEG"]
        file["acquisition/EEG"] = h5py.ExternalLink("other.nwb", "/acquisition/EEG")
    with pytest.raises(ValueError, match="no ElectricalSeries"):
        load_recording(path)


def test_nwb_that_claims_terabytes_is_refused(tmp_path: Path) -> None:
    path = write_nwb(tmp_path / "r.nwb")
    with h5py.File(path, "r+") as file:
        told = dict(file["acquisition/EEG/data"].attrs)
        del file["acquisition/EEG/data"]
        data = file["acquisition/EEG"].create_dataset("data", (10**11, 4), np.float32, chunks=(1000, 4))
        data.attrs.update(told)
    with pytest.raises(ValueError, match=r"claims 1525878 MiB .* damaged"):
        load_recording(path)
