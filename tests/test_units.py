"""Units: every spelling that a header may hold, what MNE makes of it, and the gate behind them."""

from pathlib import Path

import mne
import numpy as np
import pytest

from core.formats.contract.units import VOLTS, canonical_unit
from core.loading.load import load_recording
from tests.test_formats import volts, write_edf

# as they stand in the wild; MNE scales the first five of these only
SPELLINGS = {
    "uV": "uV", "µV": "uV", "mV": "mV", "V": "V", "uV ": "uV",
    "UV": "uV", "uv": "uV", "Uv": "uV", ".uV": "uV", "uV.": "uV", "[uV]": "uV", "(uV)": "uV", "microV": "uV",
    "MicroVol": "uV", "microvlt": None, "uVolt": "uV", "uVolts": "uV", "uVrms": "uV", "uV/bit": "uV", "uV_DC": "uV",
    "muV": "uV", "mcV": "uV", "mkV": "uV", "10^-6 V": "uV", "1e-6V": "uV", "10*-6V": "uV", "MV": "mV", "mv": "mV",
    "mVolts": "mV", "milliV": "mV", "millivol": "mV", "1e-3 V": "mV", "nV": "nV", "NV": "nV", "nanoV": "nV",
    "v": "V", ".V": "V", "Volt": "V", "volts": "V",
    "": "", "n/a": "", "counts": "", "ADU": "", "?V": "", "100uV": "", "0.1 uV": "",
    "%": None, "C": None, "Ohm": None, "mmHg": None, "uS": None, "m/s^2": None, "g": None, "Hz": None, "bpm": None,
}  # fmt: skip


@pytest.mark.parametrize(("text", "unit"), SPELLINGS.items())
def test_a_spelling_is_its_unit(text: str, unit: str | None) -> None:
    assert canonical_unit(text) == unit


@pytest.mark.parametrize("text", ["мкВ", "мВ", "нВ", "В", "&micro;V", "Âµv", "\x83\xcaV", "\ufffdV"])
def test_other_alphabets_and_broken_encodings(text: str) -> None:
    assert canonical_unit(text) == {"мВ": "mV", "нВ": "nV", "В": "V", "\ufffdV": ""}.get(text, "uV")


@pytest.mark.parametrize("text", [text for text, unit in SPELLINGS.items() if unit and text.isascii()])
def test_edf_in_any_spelling_comes_to_the_same_volts(tmp_path: Path, text: str) -> None:
    factor = VOLTS[SPELLINGS[text] or "V"]
    path = write_edf(tmp_path / "r.edf", [text.strip()] * 4, [factor] * 4)
    recording = load_recording(path)
    assert np.abs(recording.data - volts()).max() < 4e-9
    assert recording.source["units"] == f"declared {SPELLINGS[text]}"


def test_mne_leaves_most_spellings_unscaled(tmp_path: Path) -> None:
    """The reason for all this: if MNE learns them, our own factors go."""
    left = []
    for text, unit in SPELLINGS.items():
        if not unit or unit == "V" or not text.isascii():
            continue
        path = write_edf(tmp_path / "r.edf", [text.strip()] * 4, [VOLTS[unit]] * 4)
        data = mne.io.read_raw_edf(path, verbose="ERROR").get_data()
        if np.abs(data).max() > 1e-3:
            left.append(text)
    assert {"UV", "uv", "nV", ".uV", "microV"} <= set(left)


@pytest.mark.parametrize(
    ("held", "declared"), [("V", "uV"), ("mV", "uV"), ("uV", "mV"), ("uV", "V"), ("V", "mV"), ("nV", "uV")]
)
@pytest.mark.parametrize("level_uv", [4.0, 20.0, 60.0])
def test_numbers_of_another_unit_than_declared_are_refused_at_any_usual_level(
    tmp_path: Path, held: str, declared: str, level_uv: float
) -> None:
    factor = VOLTS[held] * 20.0 / level_uv  # `volts` has 20 uV
    path = write_edf(tmp_path / "r.edf", [declared] * 4, [factor] * 4)
    with pytest.raises(ValueError, match=rf"channel \w+ varies by .* uV .*--units {held}\)") as caught:
        load_recording(path)
    assert "\n" not in str(caught.value)
    recording = load_recording(path, units=held)
    assert recording.source["units"] == f"given {held}"
    assert np.std(recording.data) * 1e6 == pytest.approx(level_uv, rel=0.05)


def test_a_unit_that_the_user_says_stands_where_the_file_could_be_doubted(tmp_path: Path) -> None:
    path = write_edf(tmp_path / "r.edf", ["uV"] * 4, [1e-6 * 400] * 4)  # 0.05 uV
    with pytest.raises(ValueError, match="--units"):
        load_recording(path)
    recording = load_recording(path, units="uV")
    assert any("units right?" in note for note in recording.source["notes"])


def test_a_unit_with_its_letter_lost_is_asked_about(tmp_path: Path) -> None:
    path = write_edf(tmp_path / "r.edf", ["?V"] * 4, [1e-6] * 4)
    with pytest.raises(ValueError, match=r"names no unit.*--units uV"):
        load_recording(path)
    assert load_recording(path, units="uV").n_channels == 4
