"""The EEG tab's recording, decoding and library, and the whole; real files and encoders, no browser."""

import asyncio
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from core.formats.toolboxes.native import save_recording
from core.loading.load import load_recording
from core.model.checkpoint import save_encoder
from core.model.heads import HeadConfig
from core.recording import Event
from tests.host_comfyui.recordings import write_edf
from tests.small_encoders import noise_recording, small_encoder
from tests.webui_standin import ROOT, extension
from tests.webui_tab import PHANTOM, RING, SAME, STAR, asked, grey, last, panel, refused, sitting, unchanged

# Recording


def test_an_uploaded_edf_is_kept_read_and_described(sources, folders):
    write_edf([STAR, RING], folders.uploads / "mine.edf", "epoc-14")
    upload = [str(folders.uploads / "mine.edf")]
    if extension("gradio_versions").major() < 4:
        upload = [SimpleNamespace(name=upload[0], orig_name="mine.edf")]
    status, (reference, label) = last(panel("recording").keep(sources.shelf, "", upload, SAME, "", ""))
    assert "mine.edf" in status
    assert "14 channels at 128 Hz" in status
    assert reference.startswith("sha256:")
    assert label["choices"] == ["", STAR, RING]
    assert sources.shelf.load(reference).n_channels == 14


def test_a_chosen_label_stays_only_while_the_recording_has_it(sources, folders):
    save_recording(noise_recording(), folders.recordings / "noise.safetensors")
    open_recording = panel("recording").open_recording
    for chosen, kept in (("face", "face"), ("cat", "")):
        _, (_, label) = last(open_recording(sources.shelf, "", "noise.safetensors", SAME, "", chosen))
        assert label["value"] == kept


def test_no_name_clears_what_was_said(sources):
    status, (_, label) = last(panel("recording").open_recording(sources.shelf, "", "  ", SAME, "", ""))
    assert status == ""
    assert label["choices"] == [""]


def test_files_that_cannot_be_opened_say_why(sources, folders, tmp_path):
    recording = panel("recording")
    (folders.uploads / "broken.edf").write_bytes(b"0       not really")
    status, outputs = last(recording.keep(sources.shelf, "", [str(folders.uploads / "broken.edf")], SAME, "", ""))
    assert "broken.edf" in refused(status)
    assert str(tmp_path) not in status
    assert unchanged(outputs)
    (tmp_path / "secret.edf").write_bytes(b"0       secret")
    for status, _ in (
        last(recording.keep(sources.shelf, "", [str(tmp_path / "secret.edf")], SAME, "", "")),
        last(recording.open_recording(sources.shelf, "", "../secret.edf", SAME, "", "")),
        last(recording.open_recording(sources.shelf, "", "/etc/passwd", SAME, "", "")),
        last(recording.open_recording(sources.shelf, "", "nowhere.edf", SAME, "", "")),
        last(recording.open_recording(sources.shelf, "", "sha256:0123456789", SAME, "", "")),
    ):
        assert "Traceback" not in refused(status)


def test_units_that_a_user_names_are_taken(sources, folders):
    lines = ["timestamps,TP9,AF7,AF8,TP10"]
    rng = np.random.default_rng(0)
    for number, row in enumerate(10 * rng.standard_normal((2560, 4))):
        lines.append(",".join([f"{1000 + number / 256:.5f}", *(f"{value:.3f}" for value in row)]))
    (folders.recordings / "muse.csv").write_text("\n".join(lines))
    status, _ = last(panel("recording").open_recording(sources.shelf, "", "muse.csv", "uV", "", ""))
    assert "uV" in status
    status, _ = last(panel("recording").open_recording(sources.shelf, "", "muse.csv", "V", "", ""))
    refused(status)


def test_one_button_gives_a_sitting_the_encoder_for_it_and_averages(sources):
    status, (reference, label, average, encoder) = last(panel("recording").short_sitting(sources, ""))
    assert "Simulated (phantom): no brain data" in status
    assert "48" in status
    assert len(label["choices"]) == 5
    assert average == "per label"
    assert encoder["value"] == PHANTOM
    assert sources.shelf.load(reference).source["notes"]


def test_a_simulated_recording_opened_again_is_still_called_simulated(sources):
    reference = sitting(sources)
    status, _ = last(panel("recording").open_recording(sources.shelf, "", reference, SAME, "", ""))
    assert "no brain data" in status


# Decoding


def test_what_was_shown_is_nearest_with_its_confidence(sources):
    status, (table, report) = last(panel("decode").decode(sources, "", asked(sitting(sources))))
    assert "4 windows of 48 moments" in status
    assert "simulated" in status
    rows = re.findall(r"<tr><td>.*?</tr>", table)
    assert len(rows) == 4
    assert re.search(rf"<ol><li><b>0\.\d\d</b> {STAR}</li>", rows[0])
    assert "mean of 12" in rows[0]
    assert all(re.search(r'<meter min="0" max="1" value="0\.[89]', row) for row in rows)
    assert "guessing: 0.02" in table
    assert "head: sd1.text" in report


def test_an_encoder_of_prompts_answers_with_weights(sources, folders):
    save_recording(noise_recording(), folders.recordings / "noise.safetensors")
    values = asked("noise.safetensors", "words.safetensors", which="0", average="none")
    _, (table, _) = last(panel("decode").decode(sources, "", values))
    assert "by weight" in table
    shares = [float(share) for share in re.findall(r"<li><b>([\d.]+)</b> a (?:face|house)", table)]
    assert len(shares) == 2
    assert sum(shares) == pytest.approx(1, abs=0.011)


def test_an_encoder_that_was_never_calibrated_says_so(sources, folders):
    save_recording(noise_recording(), folders.recordings / "noise.safetensors")
    values = asked("noise.safetensors", "timid.safetensors", "times", times="1.5, 3")
    status, (table, _) = last(panel("decode").decode(sources, "", values))
    assert "2 windows" in status
    assert table.count("never calibrated") == 2
    assert "<td>1</td><td><small>1.5 s</small></td>" in table


def test_what_stands_in_a_file_is_never_html(sources, folders):
    hostile = "<img src=x onerror=alert(1)>"
    recording = noise_recording()
    recording = replace(recording, events=tuple(Event(1.0 + i, 0.1, hostile) for i in range(3)))
    save_recording(recording, folders.recordings / "noise.safetensors")
    encoder = small_encoder(HeadConfig("prompts", "prompts", prompts=(hostile, hostile)))
    encoder.card = {"name": hostile, "summary": hostile, "metrics": {hostile: hostile}}
    save_encoder(encoder, folders.encoders / "hostile.safetensors")
    status, _ = last(panel("recording").open_recording(sources.shelf, "", "noise.safetensors", SAME, "", ""))
    _, (table, _) = last(panel("decode").decode(sources, "", asked("noise.safetensors", "hostile.safetensors")))
    listed = panel("library").cards_table(sources.library)
    for text, count in ((status, 1), (table, 3), (listed, 4)):  # the table's window and both of its concepts
        assert text.count("&lt;img") == count
        assert "<img" not in text


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"reference": ""}, "no recording chosen"),
        ({"encoder": ""}, "no EEG encoder chosen"),
        ({"encoder": "gone.safetensors"}, "no EEG encoder called"),
        ({"label": "a cat"}, "no event is labelled"),
        ({"which": "7, x"}, "no number of an event"),
        ({"which": "400"}, "no event 400"),
        ({"choose": "times"}, "no times given"),
        ({"choose": "times", "times": "900"}, "outside the recording"),
        ({"choose": "dreams"}, "is not known"),
        ({"encoder": "n170-subject1.safetensors"}, "TP9"),
    ],
)
def test_what_cannot_be_decoded_is_said_in_the_status(sources, changes, sentence):
    reference = changes.pop("reference", None)
    values = asked(sitting(sources) if reference is None else reference, **changes)
    status, outputs = last(panel("decode").decode(sources, "", values))
    assert sentence in refused(status)
    assert unchanged(outputs)


# Library


def test_every_encoder_stands_in_the_list_and_the_broken_one_says_what_is_wrong(sources, folders, tmp_path):
    (folders.encoders / "broken.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    listed = panel("library").cards_table(sources.library)
    for name in sources.library.names():
        assert name in listed
    assert 'role="alert"' in listed
    assert str(tmp_path) not in listed
    assert listed.count("simulated</span>") == 2
    assert "simulated by sd-eeg itself, not brain data" in listed
    card = panel("library").card_of(sources.library, PHANTOM)
    assert "PHANTOM: trained on simulated EEG, not on brain data" in card
    refused(panel("library").card_of(sources.library, "broken.safetensors"))
    assert panel("library").card_of(sources.library, "") == ""


# The whole


def build(place):
    """Build the tab inside a running loop: outside of one gradio opens some that it never closes."""

    async def inside():
        return extension("tab.tab").build_tab(place)

    return asyncio.run(inside())


@pytest.fixture(params=["in a host", "on its own"])
def tab(request, sources):
    tab = extension("tab.tab")
    sent = []

    def send(button, name, text):
        sent.append(name)
        button.click(lambda given: None, [text], [], show_progress=False)

    if request.param == "in a host":
        place = tab.Place(sources, lambda: None, send, None)
    else:
        place = tab.Place(sources, lambda: None, None, grey, "tests")
    built = build(place)
    assert sent == (["txt2img", "img2img"] if request.param == "in a host" else [])
    return built


def test_the_tab_is_built_with_an_id_of_its_own_for_every_part(tab):
    ids = [block.elem_id for block in tab.blocks.values() if getattr(block, "elem_id", None)]
    assert len(ids) == len(set(ids))
    assert all(name.startswith("sd_eeg_tab") for name in ids)


def test_building_reads_no_encoder_and_no_recording(sources, folders, monkeypatch):
    def never(*_args, **_kwargs):
        raise AssertionError("read while the host starts")

    monkeypatch.setattr(type(sources.library), "load", never)
    monkeypatch.setattr(type(sources.library), "cards", never)
    monkeypatch.setattr(type(sources.shelf), "names", never)
    build(extension("tab.tab").Place(sources, lambda: None, lambda *_: None, None))


def test_the_style_sheet_knows_the_classes_that_are_used():
    css = (ROOT / "style.css").read_text()
    used = set()
    for path in (ROOT / "webui_extension").rglob("*.py"):
        used |= set(re.findall(r"\bsd-eeg-[a-z]+\b", path.read_text()))
    used -= {"sd-eeg-recordings"}  # a folder
    assert used <= set(re.findall(r"\.(sd-eeg-[a-z]+)", css))


def test_a_native_file_keeps_what_was_simulated(sources):
    path = sources.shelf.find(sitting(sources))
    assert any("simulated" in note for note in load_recording(path).source["notes"])
