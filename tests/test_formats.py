"""Every reader on files written by other people's libraries: samples, volts, events, what is dropped and why."""

import gzip
import struct
from pathlib import Path

import edfio
import eeglabio
import mne
import numpy as np
import pybv
import pytest

from core.formats.contract.units import canonical_unit
from core.formats.lab.edf import read_channels
from core.loading.load import load_recording
from core.loading.readers import READERS
from core.recording import Recording

SFREQ = 128
NAMES = ["AF3", "O1", "Oz", "P8"]


def volts(n_channels: int = 4, seconds: float = 8.0, sfreq: float = SFREQ, seed: int = 0) -> np.ndarray:
    """EEG-like noise of about 20 uV."""
    return np.random.default_rng(seed).standard_normal((n_channels, round(seconds * sfreq))) * 2e-5


def edf_signal(values: np.ndarray, label: str, unit: str = "uV", sfreq: float = SFREQ) -> edfio.EdfSignal:
    span = float(np.abs(values).max()) or 1.0
    # EDF's fields hold eight characters, so a range must be short to be exact
    span = float(f"{span * 1.1:.3g}")
    return edfio.EdfSignal(values, sfreq, label=label, physical_dimension=unit, physical_range=(-span, span))


def write_edf(
    path: Path, units: list[str], factors: list[float], labels: list[str] | None = None, extra=(), **kw
) -> Path:
    data = volts(len(units))
    signals = [
        edf_signal(row / factor, label, unit)
        for row, factor, label, unit in zip(data, factors, labels or NAMES, units, strict=True)
    ]
    edfio.Edf([*signals, *extra], **kw).write(path)
    return path


def close(recording: Recording, data: np.ndarray, steps: float = 1.0) -> None:
    """Equal to within the quantisation of 16 bits."""
    assert recording.data.shape == data.shape
    assert np.abs(recording.data - data).max() < steps * 2.4 * np.abs(data).max() / 65535


def test_every_reader_has_a_name_suffixes_and_a_line_about_it() -> None:
    assert {"edf", "bdf", "gdf", "brainvision", "eeglab", "fif", "muse", "native"} <= set(READERS)
    for name, reader in READERS.items():
        assert (reader.name, bool(reader.description)) == (name, True)
        assert all(suffix.startswith(".") for suffix in reader.suffixes)


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("uV", "uV"), ("UV", "uV"), ("uv", "uV"), (".uV", "uV"), ("µV", "uV"), ("μV", "uV"), ("Âµv", "uV"),
        ("microV", "uV"), ("microvol", "uV"), ("MicroVolts", "uV"), ("mV", "mV"), ("MV", "mV"), ("millivolt", "mV"),
        ("nV", "nV"), ("NV", "nV"), ("V", "V"), (".V", "V"), ("v", "V"), ("Volts", "V"), ("[uV]", "uV"),
        ("uV      ", "uV"),
        ("", ""), ("n/a", ""), ("counts", ""), ("ADC", ""), ("%", None), ("C", None), ("Ohm", None), ("mmHg", None),
    ],
)  # fmt: skip
def test_units_are_understood_in_any_spelling(text: str, unit: str | None) -> None:
    assert canonical_unit(text) == unit


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("uV", 1e-6), ("UV", 1e-6), ("uv", 1e-6), (".uV", 1e-6), ("microV", 1e-6), ("Uv", 1e-6), ("mV", 1e-3),
     ("MV", 1e-3),
     ("V", 1.0), (".V", 1.0), ("nV", 1e-9), ("NV", 1e-9)],
)  # fmt: skip
def test_edf_units_that_mne_leaves_unscaled_come_to_volts(tmp_path: Path, unit: str, factor: float) -> None:
    recording = load_recording(write_edf(tmp_path / "r.edf", [unit] * 4, [factor] * 4))
    close(recording, volts(), steps=1.5)
    assert recording.source["units"] == f"declared {canonical_unit(unit)}"
    assert recording.ch_names == tuple(NAMES)
    assert recording.sfreq == SFREQ


def test_edf_units_may_differ_between_channels(tmp_path: Path) -> None:
    path = write_edf(tmp_path / "r.edf", ["uV", "mV", "UV", "nV"], [1e-6, 1e-3, 1e-6, 1e-9])
    recording = load_recording(path)
    close(recording, volts(), steps=1.5)
    assert recording.source["units"].startswith("declared uV")


def test_greek_mu_in_edf_header_bytes_is_understood(tmp_path: Path) -> None:
    path = write_edf(tmp_path / "r.edf", ["uV"] * 4, [1e-6] * 4)
    for mu in (b"\xb5V", b"\xc2\xb5V", b"\x83\xcaV"):
        raw = path.read_bytes()
        changed = raw.replace(b"uV".ljust(8), mu.ljust(8))
        assert changed != raw
        other = tmp_path / "mu.edf"
        other.write_bytes(changed)
        close(load_recording(other), volts(), steps=1.5)


def test_edf_without_units_asks_and_obeys(tmp_path: Path) -> None:
    path = write_edf(tmp_path / "r.edf", [""] * 4, [1e-6] * 4)
    with pytest.raises(ValueError, match=r"r\.edf.*channel \w+ varies by .*names no unit.*--units uV"):
        load_recording(path)
    recording = load_recording(path, units="uV")
    close(recording, volts(), steps=1.5)
    assert recording.source["units"] == "given uV"
    in_volts = write_edf(tmp_path / "v.edf", [""] * 4, [1.0] * 4)
    recording = load_recording(in_volts)
    assert recording.source["units"] == "inferred V"
    assert any("names no unit" in note for note in recording.source["notes"])


def test_given_units_override_what_the_file_declares(tmp_path: Path) -> None:
    path = write_edf(tmp_path / "r.edf", ["mV"] * 4, [1e-6] * 4)
    with pytest.raises(ValueError, match="--units uV"):
        load_recording(path)
    close(load_recording(path, units="µV"), volts(), steps=1.5)


def test_emotiv_edf_keeps_the_electrodes_and_its_clock_can_be_read(tmp_path: Path) -> None:
    n = 8 * SFREQ
    clock = np.arange(n) / SFREQ
    marker = np.zeros(n)
    marker[[200, 500]] = [1, 2]
    ramp = np.arange(n, dtype=float) % 128
    extra = [
        edf_signal(np.floor(clock) + 100, "TIME_STAMP_s", "s"),
        edf_signal(clock % 1 * 1000, "TIME_STAMP_ms", "ms"),
        edf_signal(ramp, "COUNTER", ""),
        edf_signal(np.zeros(n) + 1e-9 * ramp, "INTERPOLATED", ""),
        edf_signal(ramp, "CQ_AF3", ""),
        edf_signal(ramp, "EQ_O1", ""),
        edf_signal(ramp, "BATTERY", ""),
        edf_signal(ramp, "GYRO_X", ""),
        edf_signal(marker, "MARKER_HARDWARE", ""),
    ]
    path = write_edf(tmp_path / "r.edf", ["uV"] * 4, [1e-6] * 4, extra=extra)
    recording = load_recording(path)
    close(recording, volts(), steps=1.5)
    assert set(recording.source["dropped"]) == {signal.label for signal in extra}
    assert recording.source["dropped"]["CQ_AF3"] == "signal quality"
    assert recording.source["dropped"]["GYRO_X"] == "motion"
    assert [(round(e.onset * SFREQ), e.label) for e in recording.events] == [(200, "1"), (500, "2")]

    found = read_channels(path, ["TIME_STAMP_s", "TIME_STAMP_ms"])
    np.testing.assert_allclose(found["TIME_STAMP_s"], np.floor(clock) + 100, atol=0.01)
    np.testing.assert_allclose(found["TIME_STAMP_ms"], clock % 1 * 1000, atol=0.05)
    with pytest.raises(ValueError, match=r"no signal \['NOPE'\].*TIME_STAMP_s"):
        read_channels(path, ["NOPE"])


def test_read_channels_agrees_with_mne_in_edf_and_bdf(tmp_path: Path, shared_data: Path) -> None:
    for name in ("edf/eeglab_test.edf", "bdf/mne_test_bdf_stim_channel.bdf"):
        path = shared_data / "eeg_formats" / name
        raw = mne.io.read_raw(path, verbose="ERROR")
        label = raw.ch_names[2]
        ours = read_channels(path, [label])[label]
        np.testing.assert_allclose(ours * 1e-6, raw.get_data([label])[0], rtol=1e-9, atol=1e-15)


def test_edf_annotations_become_events_and_types_by_name_are_dropped(tmp_path: Path) -> None:
    labels = ["EEG FP1-REF", "EOG left", "EEG T3-REF", "ECG"]
    path = write_edf(
        tmp_path / "r.edf",
        ["uV"] * 4,
        [1e-6] * 4,
        labels,
        annotations=[edfio.EdfAnnotation(1.5, None, "face"), edfio.EdfAnnotation(3.0, 0.25, "house")],
    )
    recording = load_recording(path)
    assert recording.ch_names == ("Fp1", "T7")
    assert [(e.onset, e.duration, e.label) for e in recording.events] == [(1.5, 0.0, "face"), (3.0, 0.25, "house")]
    assert recording.source["dropped"] == {"EOG left": "eye movement", "ECG": "heart"}
    kept = load_recording(path, keep=["ECG"])
    assert kept.ch_names == ("Fp1", "T7", "ECG")
    with pytest.raises(ValueError, match=r"no channel \['nope'\] to keep"):
        load_recording(path, keep=["nope"])


def test_rec_files_and_edf_bytes_under_another_name_are_read_by_what_they_hold(tmp_path: Path) -> None:
    for name in ("r.rec", "r.bdf"):
        close(load_recording(write_edf(tmp_path / name, ["uV"] * 4, [1e-6] * 4)), volts(), steps=1.5)


def test_edf_rates_that_differ_are_noted(tmp_path: Path) -> None:
    slow = edf_signal(np.arange(64.0), "Temp", "C", sfreq=8)
    recording = load_recording(write_edf(tmp_path / "r.edf", ["uV"] * 4, [1e-6] * 4, extra=[slow]))
    assert any("rates differ" in note for note in recording.source["notes"])


def test_events_come_from_where_they_are_asked_for(tmp_path: Path) -> None:
    marker = np.zeros(8 * SFREQ)
    marker[100:110] = 3
    path = write_edf(
        tmp_path / "r.edf",
        ["uV"] * 4,
        [1e-6] * 4,
        extra=[edf_signal(marker, "MARKER", "")],
        annotations=[edfio.EdfAnnotation(1.5, None, "face")],
    )
    assert [e.label for e in load_recording(path).events] == ["3", "face"]
    assert [e.label for e in load_recording(path, events="annotations").events] == ["face"]
    assert [e.label for e in load_recording(path, events=["MARKER"]).events] == ["3"]
    with pytest.raises(ValueError, match=r"labelled 'STATUS'; there are face x 1, 3 x 1.*source: annotations, MARKER"):
        load_recording(path, events="STATUS")


def write_gdf(path: Path, data: np.ndarray, units: list[str], version: float, events: list[tuple[int, int]]) -> Path:
    """A minimal GDF file of float64 samples, as its specification lays it out; one record a second."""
    n, n_times = data.shape
    old = version < 1.9
    fixed = f"GDF {version:.2f}".encode().ljust(8)
    if old:
        fixed += b"X X".ljust(80) + b"".ljust(80) + b"2020010112000000"
        fixed += struct.pack("<q", 256 * (n + 1)) + bytes(24) + bytes(20)
        fixed += struct.pack("<qIII", n_times // SFREQ, 1, 1, n)
    else:
        fixed += b"X X".ljust(66) + bytes(10) + bytes(4) + bytes(64) + bytes(16)
        fixed = fixed.ljust(184, b"\0") + struct.pack("<H", n + 1)
        fixed = fixed.ljust(236, b"\0") + struct.pack("<q", n_times // SFREQ) + struct.pack("<II", 1, 1)
        fixed = fixed[:244] + struct.pack("<II", 1, 1) + struct.pack("<HH", n, 0)
    assert len(fixed) == 256
    heads = b"".join(name.encode().ljust(16) for name in NAMES[:n]) + bytes(80 * n)
    codes = {"uV": 4275, "mV": 4274, "nV": 4276, "V": 4256, "": 0}
    if old:
        heads += b"".join(unit.encode().ljust(8) for unit in units)
    else:
        heads += bytes(6 * n) + b"".join(struct.pack("<H", codes[unit]) for unit in units)
    heads += struct.pack(f"<{n}d", *[-1.0] * n) + struct.pack(f"<{n}d", *[1.0] * n)
    if old:
        heads += struct.pack(f"<{n}q", *[-1] * n) + struct.pack(f"<{n}q", *[1] * n) + b" " * (80 * n)
    else:
        heads += struct.pack(f"<{n}d", *[-1.0] * n) + struct.pack(f"<{n}d", *[1.0] * n) + bytes(68 * n)
        heads += struct.pack(f"<{n}f", *[0.0] * n) * 3
    heads += struct.pack(f"<{n}i", *[SFREQ] * n) + struct.pack(f"<{n}i", *[17] * n)
    heads = heads.ljust(256 * n, b"\0")
    body = data.reshape(n, -1, SFREQ).transpose(1, 0, 2).astype("<f8").tobytes()
    if old:
        table = struct.pack("<B", 1) + bytes(3) + struct.pack("<I", len(events))
    else:
        table = struct.pack("<B", 1) + len(events).to_bytes(3, "little") + struct.pack("<f", SFREQ)
    table += b"".join(struct.pack("<I", at + 1) for at, _ in events)
    table += b"".join(struct.pack("<H", code) for _, code in events)
    path.write_bytes(fixed + heads + body + table)
    return path


@pytest.mark.parametrize("version", [1.25, 2.2])
@pytest.mark.parametrize(("unit", "factor"), [("uV", 1e-6), ("mV", 1e-3), ("nV", 1e-9)])
def test_gdf_comes_to_volts_with_its_events(tmp_path: Path, version: float, unit: str, factor: float) -> None:
    path = write_gdf(tmp_path / "r.gdf", volts() / factor, [unit] * 4, version, [(100, 769), (400, 770)])
    recording = load_recording(path)
    np.testing.assert_allclose(recording.data, volts(), rtol=1e-5, atol=1e-12)
    assert recording.source["units"] == f"declared {unit}"
    assert [(round(e.onset * SFREQ), e.label) for e in recording.events] == [(100, "769"), (400, "770")]


def test_brainvision_comes_to_volts_with_markers_and_names_its_companions(tmp_path: Path) -> None:
    events = [{"onset": 256, "duration": 1, "description": 7, "type": "Stimulus"}]
    pybv.write_brainvision(
        data=volts(), sfreq=SFREQ, ch_names=NAMES, fname_base="r", folder_out=tmp_path, events=events
    )
    recording = load_recording(tmp_path / "r.vhdr")
    np.testing.assert_allclose(recording.data, volts(), rtol=1e-4, atol=1e-9)
    assert recording.source["units"] == "declared uV"
    assert [(e.onset, e.label) for e in recording.events] == [(2.0, "Stimulus/S  7")]
    assert set(recording.source["companions"]) == {"r.eeg", "r.vmrk"}

    # the only file that can be it is taken, and said to be; nothing that can be it is an error
    (tmp_path / "r.eeg").rename(tmp_path / "renamed.eeg")
    assert any("renamed.eeg was read" in note for note in load_recording(tmp_path / "r.vhdr").source["notes"])
    (tmp_path / "renamed.eeg").unlink()
    with pytest.raises(FileNotFoundError, match=r"r\.vhdr: .*r\.eeg"):
        load_recording(tmp_path / "r.vhdr")


def test_eeglab_continuous_comes_to_volts_with_its_events(tmp_path: Path) -> None:
    annotations = ("face", "boundary"), np.array([1.0, 4.0]), np.array([0.0, 0.0])
    eeglabio.raw.export_set(
        str(tmp_path / "r.set"), volts(), SFREQ, NAMES, annotations=[np.array(annotations[0]), *annotations[1:]]
    )
    recording = load_recording(tmp_path / "r.set")
    np.testing.assert_allclose(recording.data, volts(), rtol=1e-4, atol=1e-9)
    assert recording.source["units"] == "assumed uV (EEGLAB writes no unit and means uV)"
    assert [(e.onset, e.label) for e in recording.events] == [(1.0, "face")]
    assert recording.segments == (0, 4 * SFREQ)


def test_eeglab_epochs_become_segments_with_one_event_each(tmp_path: Path) -> None:
    info = mne.create_info(NAMES, SFREQ, "eeg")
    data = volts(seconds=10).reshape(4, 10, SFREQ).transpose(1, 0, 2)
    events = np.c_[np.arange(10) * SFREQ, np.zeros(10, int), np.arange(10) % 2 + 1]
    epochs = mne.EpochsArray(data, info, events, tmin=-0.25, event_id={"face": 1, "house": 2}, verbose="ERROR")
    epochs.export(tmp_path / "e.set", verbose="ERROR")
    recording = load_recording(tmp_path / "e.set")
    check_epochs(recording, data)


def check_epochs(recording: Recording, data: np.ndarray) -> None:
    np.testing.assert_allclose(recording.data.reshape(4, 10, SFREQ), data.transpose(1, 0, 2), rtol=1e-4, atol=1e-9)
    assert recording.segments == tuple(range(0, 10 * SFREQ, SFREQ))
    assert [e.label for e in recording.events] == ["face", "house"] * 5
    np.testing.assert_allclose([e.onset for e in recording.events], np.arange(10) + 0.25)


def test_fif_raw_and_epochs(tmp_path: Path) -> None:
    info = mne.create_info([*NAMES, "EOG 061", "STI 014"], SFREQ, ["eeg"] * 4 + ["eog", "stim"])
    stim = np.zeros((1, 8 * SFREQ))
    stim[0, 300:310] = 5
    raw = mne.io.RawArray(np.concatenate([volts(5), stim]), info, first_samp=1000, verbose="ERROR")
    raw.set_annotations(mne.Annotations([1.0], [0.5], ["blink"], orig_time=None), verbose="ERROR")
    raw.save(tmp_path / "r_raw.fif", verbose="ERROR")
    recording = load_recording(tmp_path / "r_raw.fif")
    np.testing.assert_allclose(recording.data, volts(5)[:4], rtol=1e-5, atol=1e-12)
    assert recording.source["units"] == "declared V"
    assert recording.source["dropped"] == {"EOG 061": "type eog", "STI 014": "triggers"}
    found = [(round(e.onset, 6), round(e.duration, 6), e.label) for e in recording.events]
    assert found == [(1.0, 0.5, "blink"), (300 / SFREQ, 0.0, "5")]

    data = volts(seconds=10).reshape(4, 10, SFREQ).transpose(1, 0, 2)
    events = np.c_[np.arange(10) * SFREQ, np.zeros(10, int), np.arange(10) % 2 + 1]
    epochs = mne.EpochsArray(
        data,
        mne.create_info(NAMES, SFREQ, "eeg"),
        events,
        tmin=-0.25,
        event_id={"face": 1, "house": 2},
        verbose="ERROR",
    )
    epochs.save(tmp_path / "e-epo.fif", verbose="ERROR")
    check_epochs(load_recording(tmp_path / "e-epo.fif"), data)
    # a name without -epo is read as what it holds
    (tmp_path / "e-epo.fif").rename(tmp_path / "other.fif")
    check_epochs(load_recording(tmp_path / "other.fif"), data)


def write_muse(path: Path, data_uv: np.ndarray, stamps: np.ndarray, marker: np.ndarray) -> Path:
    rows = ["timestamps,TP9,AF7,AF8,TP10,Right AUX,Marker0"]
    rows += [
        f"{t:.3f}," + ",".join(f"{v:.3f}" for v in values) + f",{m:d}"
        for t, values, m in zip(stamps, data_uv.T, marker, strict=True)
    ]
    text = "\n".join(rows) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.mark.parametrize("name", ["r.csv", "r.csv.gz"])
def test_muse_csv_in_both_forms(tmp_path: Path, name: str) -> None:
    n = 2048
    data_uv = volts(5, sfreq=256) * 1e6
    marker = np.zeros(n, int)
    marker[[100, 101, 700]] = [1, 1, 2]
    # milliseconds, as muse-lsl rounds them: their median interval says 250 Hz
    recording = load_recording(write_muse(tmp_path / name, data_uv, 5000 + np.arange(n) / 256, marker))
    np.testing.assert_allclose(recording.data, data_uv[:4] * 1e-6, atol=1e-9)
    assert recording.sfreq == 256.0
    assert recording.ch_names == ("TP9", "AF7", "AF8", "TP10")
    assert [(round(e.onset * 256), e.label) for e in recording.events] == [(100, "1"), (101, "1"), (700, "2")]
    assert recording.source["dropped"] == {"Right AUX": "auxiliary input", "Marker0": "triggers"}
    assert recording.source["timing"]["stated_by"] == "documented"
    assert "Right AUX" in load_recording(tmp_path / name, keep=["Right AUX"]).ch_names


def test_muse_gap_in_the_timestamps_starts_a_segment(tmp_path: Path) -> None:
    n = 2048
    stamps = np.arange(n) / 256 + np.where(np.arange(n) >= 1200, 3.0, 0.0)
    recording = load_recording(write_muse(tmp_path / "r.csv", volts(5, sfreq=256) * 1e6, stamps, np.zeros(n, int)))
    assert recording.segments == (0, 1200)
    assert recording.sfreq == 256.0


def test_muse_at_another_rate_is_reported(tmp_path: Path) -> None:
    n = 2048
    recording = load_recording(
        write_muse(tmp_path / "r.csv", volts(5, sfreq=256) * 1e6, np.arange(n) / 220, np.zeros(n, int))
    )
    assert recording.sfreq == pytest.approx(220, rel=1e-3)
    assert any("not the 256 Hz that the maker documents" in note for note in recording.source["notes"])
    assert recording.source["timing"]["stated_by"] == "measured"


def test_muse_blank_cells_are_gaps_and_not_errors(tmp_path: Path) -> None:
    path = write_muse(tmp_path / "r.csv", volts(5, sfreq=256) * 1e6, np.arange(2048) / 256, np.zeros(2048, int))
    lines = path.read_text().splitlines()
    cells = lines[500].split(",")
    lines[500] = ",".join([cells[0], "", *cells[2:]])
    path.write_text("\n".join(lines) + "\n")
    recording = load_recording(path)
    assert np.isfinite(recording.data).all()
    assert recording.source["repaired"] == ["TP9: 1 gaps of at most 0.1 s filled by a straight line"]
