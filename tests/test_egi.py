"""EGI's simple binary files and .mff folders: units of the converter, tracks of events, pauses, missing parts."""

import datetime
import struct
from pathlib import Path

import mffpy
import mne
import numpy as np
import pytest

from core.loading.load import load_recording
from tests.format_cases import CASES
from tests.format_cases.lab import write_egi_raw, write_mff

RAW = CASES["EGI simple binary"].truth
MFF = CASES["EGI .mff"].truth


def test_numbers_of_the_converter_are_microvolts_by_its_range(tmp_path: Path) -> None:
    span, bits = 5000, 16
    counts = np.rint(RAW.data * 1e6 / (span / 2**bits)).astype(">i2")
    head = struct.pack(">i6hi5hih", 2, 2020, 11, 21, 12, 0, 0, 0, 250, 4, 1, bits, span, counts.shape[1], 0)
    (tmp_path / "r.raw").write_bytes(head + counts.T.tobytes())
    recording = load_recording(tmp_path / "r.raw")
    assert recording.source["units"] == "declared uV"
    np.testing.assert_allclose(recording.data, RAW.data, atol=5e-8)


def test_a_pulse_of_several_samples_is_one_event(tmp_path: Path) -> None:
    track = np.zeros((1, 4000))
    track[0, 500:520] = 1
    track[0, 900:903] = 1
    head = struct.pack(">i6hi5hih", 4, 2020, 11, 21, 12, 0, 0, 0, 250, 4, 1, 0, 0, 4000, 1) + b"DIN1"
    (tmp_path / "r.raw").write_bytes(head + np.vstack([RAW.data * 1e6, track]).T.astype(">f4").tobytes())
    recording = load_recording(tmp_path / "r.raw")
    assert [(event.onset, event.label) for event in recording.events] == [(2.0, "DIN1"), (3.6, "DIN1")]
    assert recording.source["dropped"] == {"DIN1": "triggers"}


def test_a_cut_file_is_read_so_far_and_a_segmented_one_refused(tmp_path: Path) -> None:
    path = write_egi_raw(tmp_path, RAW, "")
    raw = path.read_bytes()
    path.write_bytes(raw[: 36 + 8 + 24 * 1000 + 5])
    recording = load_recording(path)
    np.testing.assert_allclose(recording.data, RAW.data[:, :1000], atol=1e-9)
    assert any("3000 of its 4000 samples, 12 s are missing" in note for note in recording.source["notes"])
    path.write_bytes(struct.pack(">i", 5) + raw[4:])
    with pytest.raises(
        ValueError, match=r"a segmented EGI file \(version 5\): export the recording as a continuous one"
    ):
        load_recording(path)


def test_simple_binary_is_known_by_its_content(tmp_path: Path) -> None:
    path = write_egi_raw(tmp_path, RAW, "").rename(tmp_path / "r.bin")
    recording = load_recording(path)
    assert (recording.source["format"], len(recording.events)) == ("egi", len(RAW.events))


def two_stretches(path: Path, categories: bool = False) -> Path:
    begun = datetime.datetime(2020, 11, 21, 12, tzinfo=datetime.timezone.utc)
    writer = mffpy.Writer(str(path))
    writer.addxml("fileInfo", recordTime=begun)
    writer.add_coordinates_and_sensor_layout("HydroCel GSN 32 1.0")
    signal = mffpy.bin_writer.BinWriter(250)
    data = (MFF.data * 1e6).astype(np.float32)
    signal.add_block(data[:, :1000])
    signal.add_block(data[:, 1000:], offset_us=2_000_000)
    writer.addbin(signal)
    events = [
        {"beginTime": begun + datetime.timedelta(seconds=at), "duration": 1000, "code": "DIN1"} for at in (1.0, 8.0)
    ]
    writer.addxml("eventTrack", filename="Events_ours.xml", name="ours", trackType="EVNT", events=events)
    if categories:
        segment = {
            "status": "unedited",
            "evtEnd": 0,
            "channelStatus": [{"signalBin": 1, "exclusion": "badChannels", "channels": []}],
        }
        one = [{**segment, "beginTime": 0, "endTime": 4_000_000, "evtBegin": 500_000}]
        two = [{**segment, "beginTime": 6_000_000, "endTime": 18_000_000, "evtBegin": 6_500_000}]
        writer.addxml("categories", categories={"face": one, "house": two})
    writer.write()
    return path


def test_a_pause_is_cut_out_and_the_events_after_it_stay_on_their_samples(tmp_path: Path) -> None:
    recording = load_recording(two_stretches(tmp_path / "r.mff"))
    assert recording.segments == (0, 1000)
    np.testing.assert_allclose(recording.data, MFF.data, atol=1e-9)
    # the second event was 8 s after the start, of which 2 s were not recorded
    assert [(event.onset, event.label) for event in recording.events] == [(1.0, "DIN1"), (6.0, "DIN1")]


def test_segments_that_netstation_named_are_events(tmp_path: Path) -> None:
    path = two_stretches(tmp_path / "r.mff", categories=True)
    found = load_recording(path, events="categories@*").events
    assert [(event.onset, event.label) for event in found] == [(0.5, "face"), (4.5, "house")]


def test_a_folder_under_another_name_and_its_signal_file_are_known_by_what_is_there(tmp_path: Path) -> None:
    path = write_mff(tmp_path, MFF, "").rename(tmp_path / "monday")
    for given in (path, path / "signal1.bin"):
        recording = load_recording(given)
        assert recording.source["format"] == "mff"
        np.testing.assert_allclose(recording.data, MFF.data, atol=1e-9)


def test_a_folder_that_lacks_a_file_says_which(tmp_path: Path) -> None:
    path = write_mff(tmp_path, MFF, "")
    (path / "epochs.xml").unlink()
    with pytest.raises(FileNotFoundError, match=r"r\.mff: without its epochs\.xml"):
        load_recording(path)


def test_a_whole_part_of_a_cut_folder_is_read(tmp_path: Path) -> None:
    path = two_stretches(tmp_path / "r.mff")
    samples = path / "signal1.bin"
    samples.write_bytes(samples.read_bytes()[:-8])
    recording = load_recording(path)
    np.testing.assert_allclose(recording.data, MFF.data[:, :1000], atol=1e-9)
    assert any("3000 of its 4000 samples, 12 s are missing" in note for note in recording.source["notes"])


def test_names_places_and_events_are_those_that_mne_finds(tmp_path: Path) -> None:
    path = write_mff(tmp_path, MFF, "")
    raw = mne.io.read_raw_egi(path, verbose="ERROR").pick("eeg")
    recording = load_recording(path)
    assert list(recording.ch_names) == raw.ch_names
    theirs = np.array([channel["loc"][:3] for channel in raw.info["chs"]])
    assert recording.ch_positions is not None
    np.testing.assert_allclose(recording.ch_positions, theirs, atol=1e-6)
    np.testing.assert_allclose([event.onset for event in recording.events], raw.annotations.onset, atol=1e-6)


def test_gains_of_the_calibration_are_applied(tmp_path: Path) -> None:
    path = write_mff(tmp_path, MFF, "")
    info = path / "info1.xml"
    gains = (
        "<calibration><beginTime>0</beginTime><type>GCAL</type><channels><ch n='2'>0.5</ch></channels></calibration>"
    )
    info.write_text(info.read_text().replace("<calibrations />", f"<calibrations>{gains}</calibrations>"))
    recording = load_recording(path)
    np.testing.assert_allclose(recording.data[1], MFF.data[1] / 2, atol=1e-9)
    np.testing.assert_allclose(recording.data[2], MFF.data[2], atol=1e-9)


SECOND = "<epoch><beginTime>1</beginTime><endTime>9</endTime>{}</epoch>"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("<beginTime>0<", "<beginTime>x<", "epochs.xml is damaged"),
        ("<lastBlock>1<", "<lastBlock>0<", "epochs.xml is damaged"),
        ("</epoch>", f"</epoch>{SECOND.format('')}", "epochs.xml is damaged"),
        (
            "</epoch>",
            f"</epoch>{SECOND.format('<firstBlock>1</firstBlock><lastBlock>9</lastBlock>')}",
            "block 1 belongs to two epochs",
        ),
        ("</epochs>", "", "epochs.xml is damaged"),
    ],
)
def test_what_its_epochs_claim_is_checked_before_it_is_believed(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = write_mff(tmp_path, MFF, "")
    epochs = (path / "epochs.xml").read_text()
    assert old in epochs
    (path / "epochs.xml").write_text(epochs.replace(old, new))
    with pytest.raises(ValueError, match=rf"r\.mff: .*{said}"):
        load_recording(path)


def test_epochs_that_last_longer_than_their_samples_doubt_the_rate_and_are_not_called_cut_off(tmp_path: Path) -> None:
    path = write_mff(tmp_path, MFF, "rate")
    with pytest.raises(ValueError, match=r"declares 250 Hz, but its epochs\.xml tells 244\.1\d Hz"):
        load_recording(path)
    assert not any("cut off" in note for note in load_recording(path, sfreq=250).source["notes"])
