"""A request is the same however it came: by position, as a mapping, or with the recording in base64 first."""

import base64
import itertools

import pytest

from core.formats.toolboxes.native import save_recording
from core.preprocessing.selection import parse_times
from tests.small_encoders import noise_recording
from tests.webui_standin import extension

request, recordings = extension("generation.request"), extension("folders.recordings")
EegRequest, from_args, from_mapping = request.EegRequest, request.from_args, request.from_mapping
FULL = {
    "recording": "a.edf", "encoder": "e.safetensors", "choose": "times", "label": "face", "which": "0, 2",
    "average": "all", "times": "1.5", "mode": "add", "strength": 1.5, "start": 0.1, "end": 0.9, "fallback": True,
    "negative": "train mean", "init": "latent", "prompts": "a\nb", "units": "mV", "reading": "sfreq=250",
}  # fmt: skip


@pytest.fixture
def shelf(tmp_path):
    return recordings.Shelf(tmp_path / "kept", (tmp_path / "allowed",))


@pytest.fixture(scope="module")
def content(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("made") / "noise.safetensors"
    save_recording(noise_recording(), path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def in_base64(content) -> str:
    return base64.b64encode(content).decode()


def test_every_field_is_taken_by_position_and_by_name(shelf):
    assert tuple(FULL) == request.FIELDS
    by_name = EegRequest(**FULL)
    assert from_args([True, *FULL.values()], shelf) == by_name
    assert from_args([FULL], shelf) == from_args([{"enabled": True, **FULL}], shelf) == by_name
    assert from_args([FULL, *FULL.values()], shelf) == by_name


def test_what_is_missing_at_the_end_has_its_default(shelf):
    for n in range(len(FULL) + 1):
        given = dict(itertools.islice(FULL.items(), n))
        assert from_args([True, *given.values()], shelf) == EegRequest(**given)
        assert from_args([given], shelf) == EegRequest(**given)


def test_none_stands_for_the_default(shelf):
    assert from_args([True, *[None] * len(FULL)], shelf) == EegRequest()
    assert from_mapping(dict.fromkeys(FULL), shelf) == EegRequest()


@pytest.mark.parametrize("off", [(), (False,), ("false",), ("",), (None,), (0,), ({"enabled": False, "x": 1},)])
def test_without_being_switched_on_nothing_is_asked(shelf, off):
    assert from_args(off, shelf) is None
    assert not off or isinstance(off[0], dict) or from_args([*off, *FULL.values()], shelf) is None


@pytest.mark.parametrize("on", [True, "true", "True", " TRUE ", 1, 1.0])
def test_switched_on_is_said_in_many_ways(shelf, on):
    assert from_args([on, "a.edf"], shelf) == EegRequest("a.edf")


def test_base64_may_come_first_and_the_other_fields_keep_their_places(shelf, in_base64):
    values = list(FULL.values())
    found = from_args([in_base64, "ignored.edf", *values[1:]], shelf)
    assert found == EegRequest(**{**FULL, "recording": found.recording})
    assert shelf.load(found.recording).n_channels == 8
    assert from_args([found.recording], shelf).recording == found.recording


@pytest.mark.parametrize("how", ["plain", "data url", "mapping", "list", "wrapped lines"])
def test_a_recording_is_taken_as_data_in_any_form(shelf, in_base64, how):
    lines = "\n".join(in_base64[i : i + 76] for i in range(0, len(in_base64), 76))
    data = {
        "plain": in_base64,
        "data url": f"data:application/octet-stream;base64,{in_base64}",
        "mapping": {"name": "noise.safetensors", "data": in_base64},
        "list": [{"name": "noise.safetensors", "data": in_base64}],
        "wrapped lines": lines,
    }[how]
    found = from_args([{"recording": data}], shelf).recording
    assert found.startswith("sha256:")
    assert shelf.load(found).duration == 12.0


@pytest.mark.parametrize("reference", ["sha256:0123456789", "session one.edf", "/data/" + "x" * 90 + ".edf", "a/b/c"])
def test_a_reference_stays_as_it_is(shelf, reference):
    assert from_mapping({"recording": reference}, shelf).recording == reference


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("strength", "much", "EEG strength: a number is needed, not 'much'"),
        ("strength", True, "EEG strength: a number is needed, not True"),
        ("strength", float("nan"), "EEG strength: a number is needed, not nan"),
        ("start", float("inf"), "EEG start: a number is needed, not inf"),
        ("end", [1], "EEG end: a number is needed"),
        pytest.param("strength", 10**400, "EEG strength: a number is needed", id="huge"),
        ("strength", -0.01, "lies between 0 and 2"),
        ("strength", 2.01, "lies between 0 and 2"),
        ("start", -0.1, "0 <= start < end <= 1 is needed"),
        ("end", 1.1, "0 <= start < end <= 1 is needed"),
        ("end", 0, "0 <= start < end <= 1 is needed"),
        ("fallback", "perhaps", "EEG fallback: true or false is needed"),
        ("fallback", 2, "EEG fallback: true or false is needed"),
        ("fallback", [], "EEG fallback: true or false is needed"),
        ("mode", "mix", "EEG mode: 'mix' is not known; allowed: replace, blend, add"),
        ("choose", "Events", "EEG choose: 'Events' is not known; allowed: events, times"),
        ("average", "", "EEG average: '' is not known; allowed: none, per label, all"),
        ("units", "volts", "EEG units: 'volts' is not known"),
        ("init", "picture", "EEG init: 'picture' is not known"),
        ("negative", "mean", "EEG negative: 'mean' is not known"),
        ("label", ["face"], r'EEG label: a text is needed, not \["face"\]'),
        ("label", {"a": 1}, "EEG label: a text is needed"),
        ("which", True, "EEG which: a text is needed, not true"),
        pytest.param("prompts", "x" * 20_001, "EEG prompts: 20001 letters are too many; at most 20000", id="long"),
        ("recording", 5, "EEG recording: send a reference, base64, or"),
        ("recording", [], "EEG recording: send a reference"),
        ("recording", {}, "EEG recording: each file is"),
        ("recording", {"name": "a.edf"}, "EEG recording: each file is"),
        ("recording", [{"name": 1, "data": "x"}], "EEG recording: each file is"),
        ("recording", ["a.edf"], "EEG recording: send a reference"),
        ("recording", {"name": "../..", "data": "AAAA"}, "is no name of a file"),
        ("recording", {"name": "a.edf", "data": ""}, "the recording is empty"),
        ("recording", {"name": "a.edf", "data": "ä"}, "is no base64"),
    ],
)
def test_a_wrong_field_is_named_with_what_is_allowed(shelf, field, value, words):
    for args in ([{field: value}], [True, *({**EegRequest().__dict__, field: value}.values())]):
        with pytest.raises(ValueError, match=words):
            from_args(args, shelf)


def test_unknown_fields_are_named_whatever_their_type(shelf):
    with pytest.raises(ValueError, match=r"there is no field 5, colour; the fields are recording, encoder, .*units"):
        from_mapping({"colour": 1, 5: 2, "label": "face"}, shelf)


def test_numbers_that_come_as_text_and_texts_that_come_as_numbers_are_taken(shelf):
    found = from_mapping({"strength": "0.5", "start": "0", "which": 3, "times": 2.0, "fallback": "true"}, shelf)
    assert (found.strength, found.start, found.which, found.times) == (0.5, 0.0, "3", "2")
    assert found.fallback is True


@pytest.mark.parametrize("time", [1234.5678, 100000.125, 1e-4, 86399.999, 3, 1e6, 10**7 + 1])
def test_a_time_that_comes_as_a_number_is_the_same_time(shelf, time):
    assert parse_times(from_mapping({"times": time}, shelf).times) == [time]


def test_a_blend_goes_no_further_than_the_eeg(shelf):
    assert from_mapping({"mode": "add", "strength": 1.5}, shelf).strength == 1.5
    with pytest.raises(ValueError, match="strength of 'blend' lies between 0 and 1"):
        from_mapping({"mode": "blend", "strength": 1.5}, shelf)


def test_changes_are_checked_like_the_request_itself():
    first = EegRequest(**FULL)
    assert request.changed(first, {}) == first
    assert request.changed(first, {"strength": "0.5"}).strength == 0.5
    with pytest.raises(ValueError, match="EEG mode: 'x' is not known"):
        request.changed(first, {"mode": "x"})


def test_a_unit_is_the_files_own_unless_said():
    assert request.unit_of("from the file") is None
    assert request.unit_of("uV") == "uV"
