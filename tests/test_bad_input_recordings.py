"""What people really feed it: each case is one readable error or a repair that is reported, and nothing is written."""

import gzip
from pathlib import Path

import edfio
import mne
import numpy as np
import pytest

from core.formats.lab.edf import read_header
from core.formats.toolboxes.native import save_recording
from core.loading.load import load_recording
from core.recording import Recording

SFREQ = 128.0
NAMES = ["AF3", "O1", "Oz", "P8"]


def eeg(n_channels: int = 4, seconds: float = 10.0) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((n_channels, round(seconds * SFREQ))) * 2e-5


def fif(path: Path, data: np.ndarray, names: list[str] | None = None, kind: str = "eeg") -> Path:
    info = mne.create_info(names or NAMES, SFREQ, kind)
    mne.io.RawArray(data, info, verbose="ERROR").save(path, fmt="double", verbose="ERROR")
    return path


def edf(path: Path, data_uv: np.ndarray, labels: list[str], unit: str = "uV") -> Path:
    signals = [
        edfio.EdfSignal(row, SFREQ, label=label, physical_dimension=unit, physical_range=(-1000, 1000))
        for row, label in zip(data_uv, labels, strict=True)
    ]
    edfio.Edf(signals).write(path)
    return path


def one_line(caught: pytest.ExceptionInfo) -> str:
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 900
    assert "Traceback" not in message
    return message


@pytest.mark.parametrize(
    "suffix", [".edf", ".rec", ".bdf", ".gdf", ".vhdr", ".set", ".fif", ".csv", ".csv.gz", ".safetensors"]
)
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"This is a letter to my aunt, who asked what I do with these electrodes.\n" * 40,
        b"0       ",
        b"0".ljust(256),
        bytes(range(256)) * 8,
        b"GDF 2.20" + bytes(248),
        b"GDF 1.25" + b"\xff" * 600,
        b"\xffBIOSEMI" + b"9" * 600,
        b"Brain Vision Data Exchange Header File Version 1.0\n[Common Infos]\nDataFile=",
        b"MATLAB 5.0 MAT-file" + bytes(400),
        b"timestamps,TP9,AF7\n1,2\n",
        b"timestamps,TP9\n",
        b"timestamps,TP9\nhello,world\nbye,world\n",
        b"timestamps,TP9\n1,2\n1,3\n",
        gzip.compress(b"timestamps,TP9\n" + b"1,2\n" * 50, mtime=0)[:-12],
        b"\xff\xff\xff\xff\xff\xff\xff\x7f{}",
    ],
)  # fmt: skip
def test_a_file_that_is_not_what_it_is_called_is_one_readable_error(
    tmp_path: Path, suffix: str, content: bytes
) -> None:
    path = tmp_path / f"r{suffix}"
    path.write_bytes(content)
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        load_recording(path)
    assert f"r{suffix}" in one_line(caught)
    assert [p.name for p in tmp_path.iterdir()] == [f"r{suffix}"]


def test_a_text_file_called_edf_says_so(tmp_path: Path) -> None:
    path = tmp_path / "notes.edf"
    path.write_text("my notes, my notes\n" * 100)
    with pytest.raises(ValueError, match=r"notes\.edf: not an EDF.*my notes.*renamed text file"):
        load_recording(path)


def test_missing_empty_folder_and_unknown_suffix(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone\.edf: no such file"):
        load_recording(tmp_path / "gone.edf")
    (tmp_path / "empty.edf").touch()
    with pytest.raises(ValueError, match=r"empty\.edf: an empty file"):
        load_recording(tmp_path / "empty.edf")
    (tmp_path / "folder.edf").mkdir()
    with pytest.raises(ValueError, match="a folder"):
        load_recording(tmp_path / "folder.edf")
    with pytest.raises(FileNotFoundError, match=r"x\.docx: no such file"):
        load_recording(tmp_path / "x.docx")
    (tmp_path / "x.docx").write_bytes(b"PK is not here")
    with pytest.raises(ValueError, match=r"x\.docx: not recognised.*Looked for: EDF \(version 0.*--format: .*edf"):
        load_recording(tmp_path / "x.docx")
    with pytest.raises(ValueError, match=r"unknown format 'edff'; known: .*edf"):
        load_recording(tmp_path / "empty.edf", format="edff")
    with pytest.raises(ValueError, match="units='kg' is not a voltage; known: V, mV, uV, nV"):
        load_recording(tmp_path / "empty.edf", units="kg")


def test_a_recording_without_eeg_channels_lists_what_it_holds(tmp_path: Path) -> None:
    path = edf(tmp_path / "r.edf", eeg(3) * 1e6, ["ECG", "GYRO_X", "BATTERY"])
    with pytest.raises(ValueError, match=r"no EEG channels; it holds ECG \(heart\), GYRO_X \(motion\), BATTERY"):
        load_recording(path)
    path = fif(tmp_path / "r_raw.fif", eeg(1), ["x"], "misc")
    with pytest.raises(ValueError, match=r"no EEG channels; it holds x \(type misc\)"):
        load_recording(path)


@pytest.mark.parametrize(("factor", "likely"), [(1e6, "uV"), (1e3, "mV"), (1e9, "nV")])
def test_units_too_large_name_the_channel_the_value_and_the_option(tmp_path: Path, factor: float, likely: str) -> None:
    path = fif(tmp_path / "r_raw.fif", eeg() * factor)
    expected = rf"channel \w+ varies by .* uV.*likely they are {likely}.*--units {likely}"
    with pytest.raises(ValueError, match=expected) as caught:
        load_recording(path)
    one_line(caught)
    recording = load_recording(path, units=likely)
    np.testing.assert_allclose(recording.data, eeg(), rtol=1e-5)
    assert recording.source["units"] == f"given {likely}"


def test_units_too_small_are_refused_as_well(tmp_path: Path) -> None:
    path = fif(tmp_path / "r_raw.fif", eeg() * 1e-6)
    with pytest.raises(ValueError, match=r"varies by .*none of V, mV, uV, nV makes them EEG"):
        load_recording(path)
    path = edf(tmp_path / "r.edf", eeg() * 2e5, NAMES, "nV")
    with pytest.raises(ValueError, match="--units uV"):
        load_recording(path)
    assert load_recording(path, units="uV").n_channels == 4


def test_raw_counts_are_not_guessed(tmp_path: Path) -> None:
    path = fif(tmp_path / "r_raw.fif", eeg() * 1e14)
    with pytest.raises(ValueError, match="raw counts of the amplifier"):
        load_recording(path)


def test_an_offset_of_millivolts_is_no_amplitude(tmp_path: Path) -> None:
    recording = load_recording(fif(tmp_path / "r_raw.fif", eeg() + 4.2e-3))
    assert recording.n_channels == 4


def test_flat_and_absurd_channels_are_set_aside_and_reported(tmp_path: Path) -> None:
    data = eeg(6)
    data[1] = 0.0
    data[3] = 4.2e-3
    data[4] *= 1e4
    recording = load_recording(fif(tmp_path / "r_raw.fif", data, ["AF3", "O1", "Oz", "P8", "P7", "T7"]))
    assert recording.ch_names == ("AF3", "Oz", "T7")
    assert recording.source["dropped"]["O1"] == recording.source["dropped"]["P8"] == "bad: flat"
    assert recording.source["dropped"]["P7"].startswith("bad: varies by 1.88e+05 uV")


def test_all_channels_flat_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="every channel is flat"):
        load_recording(fif(tmp_path / "r_raw.fif", np.zeros((4, 1280))))


def test_a_channel_mostly_of_nan_is_set_aside(tmp_path: Path) -> None:
    data = eeg()
    data[2, 100:900] = np.nan
    recording = load_recording(fif(tmp_path / "r_raw.fif", data))
    assert recording.ch_names == ("AF3", "O1", "P8")
    assert recording.source["dropped"]["Oz"] == "bad: 62% of its samples are missing (NaN)"
    assert recording.n_times == 1280


def test_short_gaps_are_filled_and_reported(tmp_path: Path) -> None:
    data = eeg()
    data[1, 300:308] = np.nan
    data[1, 700] = np.inf
    recording = load_recording(fif(tmp_path / "r_raw.fif", data))
    assert np.isfinite(recording.data).all()
    np.testing.assert_allclose(recording.data[1, 299:309], np.linspace(data[1, 299], data[1, 308], 10), rtol=1e-4)
    assert recording.source["repaired"] == ["O1: 2 gaps of at most 0.1 s filled by a straight line"]
    assert recording.segments == (0,)


def test_long_gaps_split_the_recording_and_move_what_follows(tmp_path: Path) -> None:
    data = eeg()
    data[:, 400:528] = np.nan
    info = mne.create_info(NAMES, SFREQ, "eeg")
    raw = mne.io.RawArray(data, info, verbose="ERROR")
    raw.set_annotations(mne.Annotations([1.0, 3.5, 6.0], [0, 0, 0], ["a", "in the gap", "b"]), verbose="ERROR")
    raw.save(tmp_path / "r_raw.fif", fmt="double", verbose="ERROR")
    recording = load_recording(tmp_path / "r_raw.fif")
    assert recording.segments == (0, 400)
    assert recording.n_times == 1280 - 128
    np.testing.assert_allclose(recording.data[:, 400], data[:, 528], rtol=1e-5)
    assert [(round(e.onset, 6), e.label) for e in recording.events] == [(1.0, "a"), (5.0, "b")]
    assert "1 gaps, 1 s in all, cut out" in recording.source["repaired"][0]
    assert "1 events inside them are gone" in recording.source["repaired"][0]


def test_nan_everywhere_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no samples are left"):
        load_recording(fif(tmp_path / "r_raw.fif", np.full((4, 1280), np.nan)))


def test_a_header_that_claims_too_much_is_refused_before_memory_is_asked_for(tmp_path: Path) -> None:
    path = edf(tmp_path / "r.edf", eeg() * 1e6, NAMES)
    raw = bytearray(path.read_bytes())
    raw[236:244] = b"99999999"
    path.write_bytes(bytes(raw))
    recording = load_recording(path)  # MNE counts the records that are there, and says so
    assert recording.n_times == 1280
    assert any("record" in note.lower() for note in recording.source["notes"])
    n = read_header(path).samples.size
    at = 256 + (16 + 80 + 8 * 5 + 80) * n
    raw[at : at + 8 * n] = b"99999999" * n
    path.write_bytes(bytes(raw))
    with pytest.raises(ValueError, match="no complete record"):
        load_recording(path)


def test_a_truncated_edf_keeps_its_whole_records(tmp_path: Path) -> None:
    path = edf(tmp_path / "r.edf", eeg() * 1e6, NAMES)
    raw = path.read_bytes()
    path.write_bytes(raw[: -(len(raw) // 3)])
    recording = load_recording(path)
    assert 0 < recording.n_times < 1280
    assert recording.source["notes"]


def test_a_failed_save_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "r.safetensors"
    recording = Recording(eeg().astype(np.float32), SFREQ, tuple(NAMES))
    save_recording(recording, path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="JSON"):
        save_recording(Recording(recording.data, SFREQ, recording.ch_names, source={"x": float("nan")}), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["r.safetensors"]


def test_a_brainvision_header_may_only_name_files_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "r.vhdr"
    (tmp_path.parent / "secret.eeg").write_bytes(bytes(800))
    path.write_text(
        "Brain Vision Data Exchange Header File Version 1.0\n[Common Infos]\nDataFile=../secret.eeg\n"
        "NumberOfChannels=1\nSamplingInterval=4000\n[Binary Infos]\nBinaryFormat=INT_16\n"
        "[Channel Infos]\nCh1=Cz,,1,uV\n"
    )
    with pytest.raises(FileNotFoundError, match=r"r\.vhdr: .*secret\.eeg"):
        load_recording(path)
    (tmp_path.parent / "secret.eeg").unlink()


def test_another_programs_csv_is_named_as_such(shared_data: Path) -> None:
    path = shared_data / "eeg_formats/muse_csv/eeglab_testmusemonitor.csv"
    with pytest.raises(ValueError, match=r"not a muse-lsl CSV.*'TimeStamp', 'Delta_TP9'"):
        load_recording(path, format="muse")
    with pytest.raises(ValueError, match="Mind Monitor's recording interval was not 'Constant'"):
        load_recording(path)
