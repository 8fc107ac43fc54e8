"""What channels are called and where they are: the user's maps, named montages, spellings, duplicates, offsets."""

import json
from pathlib import Path

import edfio
import mne
import numpy as np
import pytest

from core.formats.contract.signals import Signals
from core.loading.judgement.channel_names import channels_asked
from core.loading.judgement.dc_offsets import put_back
from core.loading.judgement.electrode_positions import in_metres
from core.loading.load import load_recording
from core.montage import MONTAGES, standard_positions
from core.recording import Recording, describe
from tests.test_formats import edf_signal, volts

N = 8 * 128


def edf(path: Path, names: list[str], *, offsets_uv: tuple[float, ...] = (), extra=()) -> Path:
    data = volts(len(names)) * 1e6
    for row, offset in zip(data, offsets_uv, strict=False):
        row += offset
    edfio.Edf([*(edf_signal(row, name) for row, name in zip(data, names, strict=True)), *extra]).write(path)
    return path


ANONYMOUS = [f"EXG Channel {i}" for i in range(8)]


@pytest.fixture
def anonymous(tmp_path: Path) -> Path:
    return edf(tmp_path / "r.edf", ANONYMOUS)


def test_names_that_tell_no_place_stay_and_the_note_says_what_would_help(anonymous: Path) -> None:
    recording = load_recording(anonymous)
    assert recording.ch_names == tuple(ANONYMOUS)
    (note,) = [note for note in recording.source["notes"] if "no name tells a place" in note]
    assert "--channels map.json" in note
    assert "openbci-8, unicorn-8" in note


def test_a_named_montage_gives_its_names_in_order(anonymous: Path) -> None:
    recording = load_recording(anonymous, montage="openbci-8")
    assert recording.ch_names == MONTAGES["openbci-8"]
    np.testing.assert_array_equal(recording.data, load_recording(anonymous).data)
    assert recording.source["montage"].startswith("openbci-8 (asked for): 8 names in its order")
    assert "8 of 8 names are places" in recording.source["montage"]
    assert any("are called as openbci-8 orders them" in note for note in recording.source["notes"])


def test_a_montage_of_another_size_is_refused_with_both_sides(anonymous: Path) -> None:
    with pytest.raises(
        ValueError, match=r"has 16 places \(Fp1, .*the file has 8 EEG channels: EXG .*--channels"
    ) as caught:
        load_recording(anonymous, montage="openbci-16")
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=r"no montage 'openbci'.*known: epoc-14.*openbci-8.*standard_1020.*\.elc"):
        load_recording(anonymous, montage="openbci")


def test_a_montage_never_renames_channels_that_have_places(tmp_path: Path) -> None:
    path = edf(tmp_path / "r.edf", ["Fp1", "Fp2", "C3", "C4", "P7", "P8", "O1", "O2"])
    assert load_recording(path, montage="openbci-8").ch_names == MONTAGES["openbci-8"]
    with pytest.raises(ValueError, match=r"montage='unicorn-8'.*Say which is which"):
        load_recording(path, montage="unicorn-8")


def test_mnes_montages_give_places_to_the_names_they_know(tmp_path: Path) -> None:
    path = edf(tmp_path / "r.edf", ["E1", "E2", "e17", "E128", "E200"])
    recording = load_recording(path, montage="GSN-HydroCel-128")
    positions = recording.ch_positions
    assert positions is not None
    assert np.isfinite(positions).all(axis=1).tolist() == [True, True, True, True, False]
    assert np.linalg.norm(positions[:4], axis=1).max() < 0.2
    assert "places of 4 of 5 channels" in recording.source["montage"]


@pytest.mark.parametrize("montage", ["standard_1020", "Standard_1005", "biosemi64"])
def test_mnes_montages_are_known_in_any_version_and_case(tmp_path: Path, montage: str) -> None:
    path = edf(tmp_path / "r.edf", ["Cz", "Pz", "Oz"])
    recording = load_recording(path, montage=montage)
    assert recording.ch_positions is not None
    assert np.linalg.norm(recording.ch_positions - standard_positions(recording.ch_names), axis=1).max() < 0.04
    assert recording.ch_names == ("Cz", "Pz", "Oz")


def test_biosemis_numbers_are_no_earlobes(tmp_path: Path) -> None:
    names = ["A1", "A2", "A3", "B1"]
    recording = load_recording(edf(tmp_path / "r.edf", names))
    assert recording.ch_names == ("A1 (number)", "A2 (number)", "A3", "B1")
    assert any("not the earlobes" in note for note in recording.source["notes"])
    placed = load_recording(tmp_path / "r.edf", montage="biosemi128")
    assert placed.ch_names == ("A1 (biosemi128)", "A2 (biosemi128)", "A3", "B1")
    assert placed.ch_positions is not None
    # BioSemi's A1 is the vertex
    assert np.linalg.norm(placed.ch_positions[0] - standard_positions(["Cz"])[0]) < 0.03
    assert load_recording(edf(tmp_path / "e.edf", ["A1", "A2", "Cz"])).ch_names == ("A1", "A2", "Cz")


def test_64_numbers_become_biosemis_64_places(tmp_path: Path) -> None:
    names = [f"{bank}{i}" for bank in "AB" for i in range(1, 33)]
    path = edf(tmp_path / "r.edf", names)
    expected = mne.channels.make_standard_montage("biosemi64").ch_names
    with pytest.raises(ValueError, match="Say which is which"):
        load_recording(path, montage="biosemi64")  # A1 and A2 could be the earlobes
    assert load_recording(path, channels=list(expected)).ch_names == tuple(expected)


def test_positions_come_from_a_file_of_them(tmp_path: Path) -> None:
    lines = ["FidNz 0 9 0", "FidT9 -7 0 0", "FidT10 7 0 0", "X1 0 0 11", "X2 3 0 10", "X3 -3 0 10"]
    (tmp_path / "cap.sfp").write_text("\n".join(lines) + "\n")
    recording = load_recording(edf(tmp_path / "r.edf", ["X1", "X2", "X3"]), montage="cap.sfp")
    assert recording.ch_positions is not None
    np.testing.assert_allclose(recording.ch_positions[0][:2], [0, 0], atol=0.02)
    with pytest.raises(FileNotFoundError, match=r"gone\.sfp: no such file of positions"):
        load_recording(tmp_path / "r.edf", montage="gone.sfp")
    (tmp_path / "bad.sfp").write_text("not positions\n")
    with pytest.raises(ValueError, match=r"bad\.sfp: cannot be read as positions"):
        load_recording(tmp_path / "r.edf", montage="bad.sfp")


@pytest.mark.parametrize(
    ("factor", "note"), [(1.0, ""), (100.0, "in cm"), (1000.0, "in mm"), (1 / 0.095, "on a unit sphere")]
)
def test_positions_come_to_metres_whatever_they_were_in(factor: float, note: str) -> None:
    names = list(MONTAGES["10-20-32"])
    what = placed(names, standard_positions(names) * factor)
    found = in_metres(what).positions
    assert found is not None
    radii, known = np.linalg.norm(found, axis=1), np.linalg.norm(standard_positions(names), axis=1)
    np.testing.assert_allclose(radii / np.median(radii), known / np.median(known), rtol=1e-6)
    assert 0.08 < np.median(radii) < 0.15
    assert [note in said for said in what.notes] == [True] * bool(note)


def test_positions_that_cannot_be_a_heads_or_contradict_the_names_are_told_of() -> None:
    names = list(MONTAGES["10-20-32"])
    what = placed(names, standard_positions(names) * 1e-5)
    assert in_metres(what).positions is None
    assert "in no unit that makes it a head" in what.notes[0]
    turned = placed(names, standard_positions(names)[:, [1, 0, 2]] * [-1, 1, 1])
    assert in_metres(turned).positions is not None
    assert "degrees (median) from where the channels' names are" in turned.notes[0]
    for broken in (np.nan, np.inf, 0.0, 1e308):
        assert in_metres(placed(names, np.full((32, 3), broken))).positions is None


def placed(names: list[str], positions: np.ndarray) -> Signals:
    kinds: list[str | None] = ["uV"] * len(names)
    return Signals(np.zeros((len(names), 10)), 128.0, names, ["eeg"] * len(names), kinds, positions=positions)


def test_a_map_renames_and_leaves_out(anonymous: Path, tmp_path: Path) -> None:
    asked = {"EXG Channel 0": "oz", "exg channel 1": "PO7", "EXG Channel 7": None}
    (tmp_path / "map.json").write_text(json.dumps(asked))
    for channels in (asked, tmp_path / "map.json", str(tmp_path / "map.json")):
        recording = load_recording(anonymous, channels=channels)
        assert recording.ch_names == ("Oz", "PO7", *ANONYMOUS[2:7])
        assert recording.source["dropped"] == {"EXG Channel 7": "left out by the map of channels"}
    np.testing.assert_array_equal(recording.data, load_recording(anonymous).data[:7])


def test_what_a_map_names_is_eeg_whatever_it_was_called(tmp_path: Path) -> None:
    path = edf(tmp_path / "r.edf", ["ECG", "Cz"])
    assert load_recording(path).ch_names == ("Cz",)
    assert load_recording(path, channels={"ECG": "Pz"}).ch_names == ("Pz", "Cz")


def test_a_map_means_channels_in_any_spelling_of_their_place(tmp_path: Path) -> None:
    path = edf(tmp_path / "r.edf", ["EEG T3-REF", "Cz"])
    assert load_recording(path, channels={"T7": "FT7"}).ch_names == ("FT7", "Cz")


def test_a_list_names_the_eeg_channels_in_order(anonymous: Path) -> None:
    names = ["O1", "O2", "Oz", "POz", "PO3", "PO4", "PO7", "PO8"]
    assert load_recording(anonymous, channels=names).ch_names == tuple(names)
    with pytest.raises(ValueError, match=r"lists 2 names \(2 different\), the file has 8 EEG channels: EXG"):
        load_recording(anonymous, channels=["O1", "O2"])
    with pytest.raises(ValueError, match=r"lists 8 names \(7 different\)"):
        load_recording(anonymous, channels=[*names[:7], "O1"])


@pytest.mark.parametrize(
    ("channels", "message"),
    [
        ({"nope": "Cz"}, r"r\.edf: no channel 'nope' to rename \(--channels\); it has EXG Channel 0, "),
        ({"EXG Channel 0": "Cz", "EXG Channel 1": "Cz"}, "two channels would be called Cz"),
        ({"EXG Channel 0": "EXG Channel 3"}, "two channels would be called EXG Channel 3"),
        ({"EXG Channel 0": 3}, r"must map names to places.*got .*3"),
        ({"EXG Channel 0": " "}, "must map names to places"),
        ({}, "got nothing"),
        (["Cz", None], "must map names to places"),
        ("gone.json", r"gone\.json: no such file \(channels=, --channels"),
    ],
)
def test_a_map_that_cannot_be_meant_says_why(anonymous: Path, channels, message: str) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=message) as caught:
        load_recording(anonymous, channels=channels)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "3", '"Cz"', "\x00", '{"a": {"b": 1}}', "null2"])
def test_a_file_that_is_no_map_says_why(tmp_path: Path, text: str) -> None:
    (tmp_path / "map.json").write_text(text)
    with pytest.raises(ValueError, match=r"map\.json"):
        channels_asked(tmp_path / "map.json")


def test_duplicates_keep_the_files_name_and_say_so(tmp_path: Path) -> None:
    recording = load_recording(edf(tmp_path / "r.edf", ["T3", "T7", "EEG Cz-REF", "CZ"]))
    assert recording.ch_names[0] == "T7"
    assert recording.ch_names[2:] == ("Cz", "CZ")
    assert len(set(recording.ch_names)) == 4
    assert sum("same place" in note for note in recording.source["notes"]) == 2


def test_offsets_are_taken_off_and_reported(tmp_path: Path) -> None:
    path = edf(tmp_path / "r.edf", ["AF3", "O1", "Oz", "P8"], offsets_uv=(4200.0, -60_000.0, 150.0, 0.0))
    recording = load_recording(path)
    offsets = recording.source["offsets_uv"]
    assert set(offsets) == {"AF3", "O1"}
    assert offsets["AF3"] == pytest.approx(4200, abs=3)
    assert offsets["O1"] == pytest.approx(-60_000, abs=5)
    assert np.abs(np.median(recording.data[:2], axis=1)).max() < 1e-6
    assert np.median(recording.data[2]) == pytest.approx(150e-6, abs=3e-6)
    assert f"offsets taken off, in uV: AF3 {offsets['AF3']:.4g}, O1 -6e+04" in describe(recording)
    # and what is left is the signal
    seen = recording.data - np.median(recording.data - volts(), axis=1, keepdims=True)
    assert np.abs(seen - volts()).max() < 2e-6


def test_an_offset_in_a_gap_of_a_long_recording_is_found(tmp_path: Path) -> None:
    info = mne.create_info(["Cz", "Oz"], 128, "eeg")
    data = volts(2, seconds=600) + 4.2e-3
    data[:, 1000:9000] = np.nan
    mne.io.RawArray(data, info, verbose="ERROR").save(tmp_path / "r_raw.fif", verbose="ERROR")
    recording = load_recording(tmp_path / "r_raw.fif")
    assert recording.source["offsets_uv"] == pytest.approx({"Cz": 4200, "Oz": 4200}, abs=5)
    assert np.abs(np.median(recording.data, axis=1)).max() < 2e-6


def test_describe_tells_timing_offsets_and_how_the_format_was_known(tmp_path: Path) -> None:
    path = edf(tmp_path / "r.edf", ["AF3", "O1"], offsets_uv=(4200.0,))
    text = describe(load_recording(path))
    assert "r.edf (edf, recognised by its content)" in text
    assert "timing: 128 Hz as the file declares" in text
    recording = Recording(
        np.zeros((1, 10), np.float32),
        256.0,
        ("Cz",),
        source={
            "timing": {
                "stated_hz": 256.0, "stated_by": "documented", "measured_hz": 256.0281, "effective_hz": 250.1,
                "drift_ppm": 110, "gaps": 2, "gap_s": 3.5, "lost_samples": 896,
            }
        },
    )  # fmt: skip
    assert (
        "timing: 256 Hz as the maker documents; 256.028 Hz by the timestamps (drift +110 ppm); 250.1 samples a second "
        "arrived; 896 samples lost, 2 gaps of 3.5 s in all"
    ) in describe(recording)


def test_our_own_form_takes_names_and_places_too_but_no_unit_or_rate(anonymous: Path, tmp_path: Path) -> None:
    from core.formats.toolboxes.native import save_recording

    saved = tmp_path / "r.safetensors"
    save_recording(load_recording(anonymous), saved)
    assert load_recording(saved).ch_names == tuple(ANONYMOUS)
    recording = load_recording(saved, montage="openbci-8")
    assert recording.ch_names == MONTAGES["openbci-8"]
    assert recording.source["units"] == "declared uV"
    assert load_recording(saved, channels={"EXG Channel 0": "Oz", "EXG Channel 1": None}).ch_names[:2] == (
        "Oz",
        "EXG Channel 2",
    )
    with pytest.raises(ValueError, match=r"leave units= \(--units\), sfreq= \(--sfreq\) out"):
        load_recording(saved, units="uV", sfreq=100)


def test_offsets_can_be_put_back(tmp_path: Path) -> None:
    path = edf(tmp_path / "r.edf", ["AF3", "O1"], offsets_uv=(4200.0,))
    recording = load_recording(path)
    whole = put_back(recording)
    added = (whole.data - recording.data).mean(axis=1) * 1e6
    np.testing.assert_allclose(added, [recording.source["offsets_uv"]["AF3"], 0], atol=0.01)
    assert whole.source["offsets_uv"] == {}
    assert put_back(whole).data.tolist() == whole.data.tolist()


def test_what_clinics_record_beside_eeg_is_known_by_its_name(tmp_path: Path) -> None:
    others = {
        "eye movement": ["EEG LOC-REF", "ROC", "E1-M2", "EOG horizontal"],
        "muscle": ["CHIN1-CHIN2", "LEG/L", "EMG submental"],
        "heart": ["EKG1-REF", "ECG1-ECG2"],
        "not EEG": ["PHOTIC-REF", "POL DC01", "POL $A1", "SAO2", "PR", "VNS", "Resp oro-nasal", "CPAP"],
        "not EEG but made of it": ["IBI", "BURSTS", "SUPPR"],
        "triggers": ["Event marker"],
        "a row without a name": ["-"],
    }
    eeg = ["EEG FP1-REF", "C4-M1", "O1:A2", "E2", "EEG 31-REF", "Fpz-Cz"]
    recording = load_recording(edf(tmp_path / "r.edf", [*eeg, *(name for names in others.values() for name in names)]))
    assert recording.ch_names == ("Fp1", "C4", "O1", "E2", "EEG 31-REF", "Fpz-Cz")
    assert recording.source["dropped"] == {name: reason for reason, names in others.items() for name in names}
    assert "EEG LOC-REF" in load_recording(tmp_path / "r.edf", keep=["EEG LOC-REF"]).ch_names
