"""describe.py: everything that is known of a recording, as text, as JSON and as one page that stands alone."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.formats.toolboxes.native import save_recording
from core.loading.load import load_recording
from core.montage import MONTAGES
from core.recording import Event, Recording
from tests.format_cases import CASES
from tests.html_reader import Reader
from tests.recording_folders import random_labels, recording
from trainer import console
from trainer.describe import DescribeOptions, describe, main
from trainer.quality.recording_facts import event_table, facts_of, facts_text, length_text
from trainer.reports.recording_page import describe_page
from trainer.reports.recording_pictures import _filtered

ROOT = Path(__file__).resolve().parent.parent


def saved(folder: Path, **changes) -> Path:
    one = recording(random_labels(12), seed=1)
    source = {
        "file": "mine.edf", "units": "declared uV", "reference": "as recorded", "montage": "4 of 4 names",
        "timing": {"stated_hz": 128.0, "stated_by": "declared", "measured_hz": 127.9, "lost_samples": 7},
        "dropped": {"COUNTER": "bookkeeping", "Gyro": "motion"}, "repaired": ["TP9: 3 gaps filled"],
        "offsets_uv": {"TP9": 4200.0}, "notes": ["declared otherwise"], **changes,
    }  # fmt: skip
    path = folder / "mine.safetensors"
    save_recording(Recording(one.data, one.sfreq, one.ch_names, events=one.events, source=source), path)
    return path


@pytest.fixture
def undrawn(monkeypatch):
    """Pages whose pictures are not drawn: for what is written beside them."""
    from trainer.reports import recording_pictures as describe_pictures

    for name in ("plot_traces", "plot_psd", "plot_spectrogram", "plot_topomap"):
        monkeypatch.setattr(describe_pictures, name, lambda *a, **k: np.zeros((4, 4, 3), np.uint8))


def page_of(one: Recording) -> Reader:
    return Reader(describe_page(one))


# what is said


def test_text_and_json_say_everything_that_the_loader_knows(tmp_path):
    path = saved(tmp_path)
    text = describe(DescribeOptions(path))
    for said in (
        "4 channels, 18.59 s", "TP9 AF7 AF8 TP10", "128 Hz", "127.900 Hz measured", "7 samples lost", "a x 6, ",
        "b x 6, ", "dropped COUNTER: bookkeeping", "dropped Gyro: motion", "repaired: TP9: 3 gaps filled",
        "note: declared otherwise", "line noise: 50 Hz", "alpha", "4.2e+03 uV were taken off", "sha256: ",
    ):  # fmt: skip
        assert said in text, said
    facts = json.loads(describe(DescribeOptions(path, json=True)))
    assert facts["timing"]["lost_samples"] == 7
    assert facts["channels"][0]["offset_removed_uv"] == 4200.0
    assert facts["channels"][0]["place"] == "10-05 system"
    assert facts["events"]["n"] == len(facts["events"]["list"]) == 12
    assert 8 < facts["channels"][1]["amplitude_uv"] < 12


def test_amplitudes_and_offsets_are_those_of_the_signal():
    rng = np.random.default_rng(0)
    data = 2e-5 * rng.standard_normal((2, 4000)) + np.array([[0.0], [1e-4]])
    first, second = facts_of(Recording(data, 250.0, ("Cz", "weird")))["channels"]
    assert first["amplitude_uv"] == pytest.approx(20, rel=0.1)
    assert abs(first["offset_uv"]) < 2
    assert second["offset_uv"] == pytest.approx(100, abs=2)
    assert (first["place"], second["place"]) == ("10-05 system", "unknown")


def test_events_are_counted_with_their_steps():
    events = [Event(t, 0.5, "a") for t in (1.0, 2.0, 3.5)] + [Event(9.0, 0.0, "b")]
    rows = event_table(events)
    assert rows[0] == {
        "label": "a", "count": 3, "first_s": 1.0, "last_s": 3.5, "step_s": 1.25, "least_step_s": 1.0, "duration_s": 0.5,
    }  # fmt: skip
    assert rows[1]["step_s"] is None


@pytest.mark.parametrize(("seconds", "said"), [(9.5, "9.50 s"), (150, "2 min 30 s"), (3723, "1 h 2 min 3 s")])
def test_lengths_are_readable(seconds, said):
    assert length_text(seconds) == said


# the page


def test_the_page_stands_alone_and_follows_light_dark_and_narrow(tmp_path):
    out = tmp_path / "page.html"
    describe(DescribeOptions(saved(tmp_path), out=out))
    text = out.read_text(encoding="utf-8")
    page = Reader(text)
    assert page.faults == []
    policy = next(
        a["content"] for t, a in page.tags if t == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.tags}
    assert not re.search(r"https?://|url\(|@import", text)
    pictures = [a for tag, a in page.tags if tag in ("img", "source")]
    assert all((a.get("src") or a["srcset"]).startswith("data:image/png;base64,") for a in pictures)
    media = [a["media"] for tag, a in page.tags if tag == "source"]
    assert "(prefers-color-scheme: dark)" in media
    assert "(max-width: 44rem) and (prefers-color-scheme: dark)" in media
    assert all(a.get("alt") for tag, a in page.tags if tag == "img")
    for said in ("Traces", "Events", "Power spectrum", "Band power", "Over time and frequency", "Channels", "COUNTER"):
        assert said in page.words, said
    # traces, spectrum and spectrogram, and five maps
    assert sum(tag == "img" for tag, _ in page.tags) == 8


def test_names_from_a_file_cannot_write_html(undrawn):
    hostile = '<script>alert("x")</script>'
    one = recording(["a"] * 4)
    events = tuple(Event(event.onset, 0.0, hostile) for event in one.events)
    source = {"file": hostile, "notes": [hostile], "dropped": {hostile: hostile}, "units": hostile, hostile: hostile}
    text = describe_page(Recording(one.data, one.sfreq, ("Cz", "Pz", "Oz", hostile), events=events, source=source))
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_simulated_recordings_are_named_as_phantom(undrawn):
    one = recording(["a"] * 6)
    one.source["notes"] = ["phantom: simulated, not brain data: subject 1"]
    text = describe_page(one)
    assert "<title>Phantom: " in text
    assert "Phantom: simulated EEG, not brain data." in text
    assert 'class="tag">phantom' in text
    assert facts_text(facts_of(one)).startswith("PHANTOM: simulated EEG, not brain data")
    assert "Phantom" not in describe_page(recording(["a"] * 6))


def test_what_cannot_be_drawn_says_why():
    rng = np.random.default_rng(0)
    page = page_of(Recording(1e-5 * rng.standard_normal((2, 600)), 100.0, ("left", "right")))
    assert any(word.startswith("Not drawn: a scalp map needs at least three channels") for word in page.words)
    assert "None." in page.words


@pytest.mark.parametrize("n_times", [2, 40])
def test_a_few_samples_are_described_all_the_same(n_times):
    one = Recording(1e-5 * np.random.default_rng(0).standard_normal((3, n_times)), 100.0, ("Cz", "Pz", "Oz"))
    assert f"{n_times} samples at 100 Hz" in facts_text(facts_of(one))
    assert page_of(one).faults == []


def test_epochs_and_gaps_are_told_and_shown(undrawn):
    rng = np.random.default_rng(0)
    events = tuple(Event(i + 0.2, 0.0, "x") for i in range(20))
    one = Recording(
        1e-5 * rng.standard_normal((3, 2000)), 100.0, ("Cz", "Pz", "Oz"), None, events, tuple(range(0, 2000, 100))
    )
    assert "in 20 segments of 1 to 1 s" in facts_text(facts_of(one))
    page = page_of(one)
    assert "segments" in page.words
    assert any(a.get("class") == "gap" for tag, a in page.tags if tag == "svg")


def test_an_hour_of_64_channels_fits_on_a_page():
    rng = np.random.default_rng(0)
    data = np.tile(1e-5 * rng.standard_normal((64, 128 * 60), dtype=np.float32), (1, 60))
    events = tuple(Event(float(i), 0.0, "ab"[i % 2]) for i in range(1, 3600, 2))
    one = Recording(data, 128.0, MONTAGES["10-05-128"][:64], events=events)
    text = describe_page(one)
    assert len(text) < 6_000_000
    assert "48 of 64 channels" in text


def test_mains_that_would_hide_the_traces_are_taken_out_of_them_and_the_page_says_so():
    times = np.arange(20 * 250) / 250
    quiet = 2e-5 * np.random.default_rng(0).standard_normal((2, len(times)))
    hum = Recording(quiet + 5e-4 * np.sin(2 * np.pi * 60 * times), 250.0, ("Fz", "Oz"))
    assert "above 0.5 Hz, without the mains&#x27; 60 Hz, events as lines" in describe_page(hum)
    assert "without the mains" not in describe_page(replace(hum, data=quiet))
    cut, _ = _filtered(hum, 5.0, [60.0])
    middle = slice(1000, 4000)
    assert np.std(cut.data[:, middle] - quiet[:, middle]) < 0.4 * np.std(quiet)


def test_a_real_muse_recording_is_described(shared_data, tmp_path):
    path = sorted((shared_data / "n170_muse").glob("subject1_*"))[0]
    options = ["--events", "1=house", "2=face"]
    command = [sys.executable, str(ROOT / "trainer" / "describe.py"), str(path), *options]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    for said in ("4 channels, 2 min 0 s", "house x 108", "face x 89", "Right AUX", "256.02", "10-05"):
        assert said in done.stdout, said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", CASES)
def test_every_format_is_described(name, tmp_path, undrawn):
    case = CASES[name]
    one = load_recording(case.write(tmp_path, case.truth, ""), **case.options)
    facts = facts_of(one)
    assert f"({case.reader}, recognised " in facts_text(facts)
    assert facts["n_channels"] == len(case.truth.ch_names)
    assert Reader(describe_page(one, facts)).faults == []


# bad input


@pytest.mark.parametrize(
    ("name", "content", "flags", "says"),
    [
        ("absent.edf", None, [], "no such file"),
        ("empty.edf", b"", [], "an empty file"),
        ("text.edf", b"a shopping list\n", [], "text.edf"),
        ("what.xyz", b"\x00\x01\x02 nothing known", [], "Looked for"),
        ("mine", "recording", ["--events", "tree"], "there are"),
        ("mine", "recording", ["--units", "parsec"], "known: V, mV, uV, nV"),
        ("mine", "recording", ["--format", "wav"], "unknown format 'wav'"),
        ("mine", "recording", ["--channels", "a:Oz,b"], "is no pair"),
    ],
)
def test_what_cannot_be_read_is_one_line_and_nothing_written(name, content, flags, says, tmp_path, monkeypatch, capsys):
    path = saved(tmp_path) if content == "recording" else tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    before = sorted(tmp_path.iterdir())
    arguments = ["describe.py", str(path), "--out", str(tmp_path / "page.html"), *flags]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as left:
        console.run(main)
    assert left.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert printed.err.startswith("error: ")
    assert says in printed.err
    assert sorted(tmp_path.iterdir()) == before
