"""The one grammar of events over all the places that events come from."""

import re
from pathlib import Path

import mne
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from core.formats.contract.event_table import read_event_table
from core.formats.contract.signals import Signals
from core.loading.judgement.event_items import parse_event_item
from core.loading.judgement.events import events_of
from core.loading.load import load_recording
from core.recording import Event

SFREQ = 100.0


def signals(
    marks: tuple[tuple[float, str], ...] = ((1.0, "1"), (2.0, "2"), (3.0, "face/old"), (4.0, "face/new")), **more
) -> Signals:
    """Ten seconds of two EEG rows, a trigger row STATUS (code 7 at 5 s, 8 at 6 s) and annotations."""
    data = np.zeros((3, 1000))
    data[:2] = np.random.default_rng(0).standard_normal((2, 1000)) * 2e-5
    data[2, 500:510], data[2, 600:610] = 7, 8
    return Signals(
        data=data,
        sfreq=SFREQ,
        ch_names=["Cz", "A1", "STATUS"],
        ch_types=["eeg", "eeg", "stim"],
        units=["uV", "uV", None],
        events=[Event(onset, 0.0, label) for onset, label in marks],
        **more,
    )


def told(found: list[Event]) -> list[tuple[float, str]]:
    return [(event.onset, event.label) for event in found]


def test_without_items_every_source_of_the_file_is_taken_in_order() -> None:
    what = signals(marker_events={"buttons": [Event(2.5, 0.0, "press")]})
    assert told(events_of(what)) == [
        (1.0, "1"), (2.0, "2"), (2.5, "press"), (3.0, "face/old"), (4.0, "face/new"), (5.0, "7"), (6.0, "8"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("items", "labels"),
    [
        (["1"], ["1"]),
        (["2", "1"], ["1", "2"]),
        (["1=house"], ["house"]),
        (["1=house", "2=face"], ["house", "face"]),
        (["face/.*"], ["face/old", "face/new"]),
        (["face/.*=face"], ["face", "face"]),
        ([r"face/(\w+)=\1"], ["old", "new"]),
        (["1=one", "*"], ["one", "2", "face/old", "face/new", "7", "8"]),
        (["annotations@*"], ["1", "2", "face/old", "face/new"]),
        (["annotations@1=house"], ["house"]),
        (["annotations"], ["1", "2", "face/old", "face/new"]),
        (["STATUS@*"], ["7", "8"]),
        (["STATUS"], ["7", "8"]),
        (["status@7=house"], ["house"]),
        (["STATUS@7=house", "annotations@2=face"], ["face", "house"]),
        (["*@7"], ["7"]),
        (["[12]"], ["1", "2"]),
    ],
)
def test_items_choose_and_rename(items: list[str], labels: list[str]) -> None:
    assert [event.label for event in events_of(signals(), items)] == labels


def test_an_event_that_two_items_mean_is_taken_once_as_the_first_says() -> None:
    assert [e.label for e in events_of(signals(), ["1=house", "1=other", "annotations@1"])] == ["house"]


def test_marks_of_the_grammar_in_labels_are_written_with_a_backslash() -> None:
    what = signals(((1.0, "a@b"), (2.0, "x=1"), (3.0, "S(1)"), (4.0, "Stimulus/S  7")))
    assert told(events_of(what, [r"a\@b=mail"])) == [(1.0, "mail")]
    assert told(events_of(what, [r"x\=1=x"])) == [(2.0, "x")]
    # a label as it stands goes before a regular expression, and runs of blanks count as one
    assert told(events_of(what, ["S(1)"])) == [(3.0, "S(1)")]
    assert told(events_of(what, ["Stimulus/S 7"])) == [(4.0, "Stimulus/S  7")]
    assert parse_event_item(r"dev\@home@1=a\=b").source == "dev@home"
    assert parse_event_item(r"dev\@home@1=a\=b").label == "a=b"


@pytest.mark.parametrize("text", ["", "  ", "@1", "STATUS@", "1=", "=house", "a@b@c", "a=b=c", "a=b@c"])
def test_what_is_not_the_grammar_shows_it(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not \[source@\]pattern\[=label\].*Examples: face, 1=house"):
        events_of(signals(), [text])


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (
            "house",
            r"no event in the file is labelled 'house'; there are 1 x 1, 2 x 1.*nor is it a source: annotations, S",
        ),
        ("STATUS@9", r"no event in STATUS is labelled '9'; there are 7 x 1, 8 x 1"),
        ("TRIG@1", r"no source 'TRIG' of events. There are annotations, the file's rows \(Cz, A1, STATUS\) and tables"),
        ("face*", r"regular expression: write 'face\.\*'"),
        ("face(", r"not valid either"),
        ("Cz@*", r"Cz holds no codes of events: it changes"),
        ("gone.csv@*", r"gone\.csv: no such table of events"),
    ],
)
def test_what_means_no_event_lists_what_there_is(item: str, message: str) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        events_of(signals(), [item])


def test_a_label_that_is_a_trigger_row_too_is_asked_about() -> None:
    what = signals(((1.0, "STATUS"), (2.0, "A1")))
    with pytest.raises(ValueError, match=r"a label as well as a source of events: say STATUS@\*"):
        events_of(what, ["STATUS"])
    assert told(events_of(what, ["annotations@STATUS"])) == [(1.0, "STATUS")]
    # an EEG row's name is no source by itself
    assert told(events_of(what, ["A1"])) == [(2.0, "A1")]


def test_a_table_that_belongs_to_the_recording_goes_before_its_annotations() -> None:
    what = signals(sidecar_events={"r_events.tsv": [Event(1.5, 0.0, "go")]})
    assert told(events_of(what)) == [(1.5, "go")]
    assert "events are those of r_events.tsv, which go before annotations, STATUS" in what.notes[0]
    assert told(events_of(what, ["annotations@1"])) == [(1.0, "1")]
    assert told(events_of(what, ["r_events.tsv@go=GO"])) == [(1.5, "GO")]


def test_what_two_sources_tell_alike_counts_once() -> None:
    what = signals(((5.0, "7"), (5.5, "x")))
    assert told(events_of(what)) == [(5.0, "7"), (5.5, "x"), (6.0, "8")]
    assert "1 events of STATUS are told by another source too: taken once" in what.notes


def test_events_outside_the_recording_are_left_out_and_counted() -> None:
    what = signals(((float("nan"), "1"), (2.0, "2"), (-3.0, "3"), (1e9, "4"), (9.99, "5"), (float("inf"), "6")))
    what.events[1] = Event(2.0, float("nan"), "2")
    assert events_of(what, ["annotations"]) == [Event(2.0, 0.0, "2"), Event(9.99, 0.0, "5")]
    assert "4 events outside the recording were left out" in what.notes


def test_marker_rows_hold_an_event_a_sample_and_may_rest_at_any_code() -> None:
    what = signals(())
    what.ch_types[2] = "marker"
    assert len(events_of(what)) == 20
    what = signals(())
    what.data[2] += 256  # rests at 256
    assert told(events_of(what)) == [(5.0, "263"), (6.0, "264")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("onset,label\n1.5,a\n2.5,b\n", [(1.5, "a"), (2.5, "b")]),
        ("onset\tduration\ttrial_type\tvalue\n1.5\t0.2\tgo\t3\n2.5\tn/a\tn/a\t4\n", [(1.5, "go"), (2.5, "4")]),
        ("onset;label\n1,5;a\n2,5;b\n", [(1.5, "a"), (2.5, "b")]),
        ("sample,value\n150,1\n250,2\n", [(1.5, "1"), (2.5, "2")]),
        ("onset_ms,condition\n1500,a\n", [(1.5, "a")]),
        ("\ufeffOnset, Image\n1.5, cat.png\n99,late.png\nn/a,never.png\n", [(1.5, "cat.png")]),
        ("recording,onset,label\nr,1.5,a\nother,2.5,b\nr.edf,3.5,c\n", [(1.5, "a"), (3.5, "c")]),
    ],
)
def test_tables_of_events_in_their_usual_spellings(tmp_path: Path, text: str, expected: list) -> None:
    (tmp_path / "shown.csv").write_text(text)
    what = signals()
    assert told(events_of(what, ["shown.csv@*"], tmp_path / "r.edf")) == expected
    assert any("shown.csv" in note for note in what.notes)
    assert what.companions == (tmp_path / "shown.csv",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("label\na\n", "no column of times: it has label, known are onset"),
        ("onset,colour\n1,red\n", "no column of labels"),
        ("onset,label\n", "no row has both a time"),
        ("", "an empty table"),
        (
            "onset,label\n1500,a\n60000,b\n",
            r"none of its 2 events lies in the recording: onset runs from 1500 to 60000",
        ),
        ("timestamp,label\n1500,a\n", "the recording has no timestamps"),
        ("onset,label\n1,2,3\n", "row 2 has 3 cells where the header names 2"),
        ("recording,onset,label\nx,1,a\n", r"no row for r\.edf has both"),
    ],
)
def test_a_table_that_tells_no_events_says_why(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "shown.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_event_table(tmp_path / "shown.csv", signals(), "r.edf")


def test_a_table_on_the_recordings_clock_allows_for_gaps(tmp_path: Path) -> None:
    what = signals()
    stamps = 1.7e9 + np.arange(1000) / SFREQ
    stamps[400:] += 2.0  # two seconds are missing after sample 400
    what.stamps = stamps
    (tmp_path / "shown.csv").write_text("timestamp,label\n1700000001.5,a\n1700000007,b\n")
    assert told(read_event_table(tmp_path / "shown.csv", what)) == [
        (pytest.approx(1.5, abs=0.011), "a"),
        (pytest.approx(5.0, abs=0.011), "b"),
    ]
    (tmp_path / "shown.csv").write_text("onset,label\n1.5,a\n7,b\n")
    assert [e.onset for e in read_event_table(tmp_path / "shown.csv", what)] == pytest.approx([1.5, 5.0], abs=0.011)


@settings(deadline=None, max_examples=200)
@given(st.text(st.characters(exclude_characters="\\", exclude_categories=["Cs"]), min_size=1, max_size=30))
def test_any_label_can_be_named(label: str) -> None:
    assume(label.strip() and label.strip() != "*" and label != "annotations" and label != "STATUS")
    item = re.sub("([@=])", r"\\\1", label)
    what = signals(((1.0, label), (2.0, "other label")))
    assert (1.0, label) in told(events_of(what, [item]))
    assert (1.0, "new") in told(events_of(what, [f"annotations@{item}=new"]))


def test_items_hold_for_our_own_form_and_for_any_reader(tmp_path: Path) -> None:
    info = mne.create_info(["Cz", "Oz"], SFREQ, "eeg")
    raw = mne.io.RawArray(np.random.default_rng(0).standard_normal((2, 1000)) * 2e-5, info, verbose="ERROR")
    raw.set_annotations(mne.Annotations([1.0, 2.0], [0, 0], ["1", "2"]), verbose="ERROR")
    raw.save(tmp_path / "r_raw.fif", verbose="ERROR")
    recording = load_recording(tmp_path / "r_raw.fif", events=["1=house", "2=face"])
    assert [(round(e.onset, 3), e.label) for e in recording.events] == [(1.0, "house"), (2.0, "face")]

    from core.formats.toolboxes.native import save_recording

    save_recording(recording, tmp_path / "r.safetensors")
    assert [e.label for e in load_recording(tmp_path / "r.safetensors").events] == ["house", "face"]
    assert [e.label for e in load_recording(tmp_path / "r.safetensors", events="house=h").events] == ["h"]
