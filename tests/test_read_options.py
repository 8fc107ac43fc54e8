"""What a user says of a file in one line."""

import re

import pytest

from core.loading.load import load_recording
from core.loading.options import NAMES, options_from_text


def test_a_line_says_everything_that_load_recording_takes() -> None:
    told = options_from_text("sfreq=250 Hz; axes=times,channels\nvariable=eeg; events=1=house,2=face; keep=Right AUX")
    assert told == {
        "sfreq": 250.0, "axes": "times,channels", "variable": "eeg", "events": ("1=house", "2=face"),
        "keep": ("Right AUX",),
    }  # fmt: skip
    assert options_from_text(" ; \n") == {}
    assert set(NAMES) <= set(load_recording.__annotations__)


def test_what_an_error_names_can_be_put_in_as_it_stands() -> None:
    assert options_from_text("units='uV'; --sfreq=256") == {"units": "uV", "sfreq": 256.0}


@pytest.mark.parametrize(
    ("text", "channels"),
    [
        ("channels=Fp1, Fp2", ["Fp1", "Fp2"]),
        ("channels=EXG1:Oz, EXG 2:Pz", {"EXG1": "Oz", "EXG 2": "Pz"}),
        ('channels={"X": null, "Y": "Cz"}', {"X": None, "Y": "Cz"}),
    ],
)
def test_channels_are_a_list_pairs_or_json(text: str, channels) -> None:
    assert options_from_text(text) == {"channels": channels}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rate=5", "'rate=5' is no `name=value`; the names are units"),
        ("sfreq", "is no `name=value`"),
        ("sfreq=", "is no `name=value`"),
        ("sfreq=fast", "'fast' is no number of hertz"),
        ("units=V; units=uV", "units is given twice"),
        ("channels={", "is no JSON"),
        ("channels=a:Oz,b", "'b' is no pair"),
        ("montage=/etc/hosts.sfp", "only the name of a montage"),
        ("events=/etc/passwd@*", "only a table beside the recording"),
        ("events=..\\x.csv@1", "only a table beside the recording"),
    ],
)
def test_what_cannot_be_is_one_sentence(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        options_from_text(text)


def test_a_pattern_with_a_slash_is_no_path() -> None:
    assert options_from_text(r"events=Comment/face=face") == {"events": ("Comment/face=face",)}
