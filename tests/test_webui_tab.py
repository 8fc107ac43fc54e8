"""The EEG tab's functions on real files and encoders, under the gradio that is installed; no browser."""

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from core.checkpoint import load_encoder
from core.formats.native import save_recording
from core.personal import ARCHITECTURES
from core.phantom import session
from core.phantom.brain import BrainConfig
from core.plots import KINDS
from core.recording import Event, load_recording
from tests.host_comfyui.recordings import write_edf
from tests.small_encoders import noise_recording
from tests.webui_standin import extension, write_encoders

PHANTOM = "phantom-epoc14.safetensors"
STAR, RING = "a large red star at the top left", "a small blue ring on the right"
SAME = "from the file"


def panel(name):
    return extension(f"tab_{name}")


@pytest.fixture
def sources(tmp_path):
    """The sources of a tab: uploads, an allowed folder, encoders of tests and the shipped ones."""
    library, recordings, fields = extension("library"), extension("recordings"), extension("fields")
    folders = [tmp_path / name for name in ("kept", "recordings", "uploads", "encoders")]
    for folder in folders:
        folder.mkdir()
    kept, allowed, uploads, encoders = folders
    write_encoders(encoders, "words", "text", "timid")
    shelf = recordings.Shelf(kept, (allowed,), (uploads,))
    return fields.Sources(shelf, library.Library((encoders, library.SHIPPED_ENCODERS)))


@pytest.fixture
def folders(tmp_path):
    return SimpleNamespace(**{path.name: path for path in tmp_path.iterdir() if path.is_dir()})


def last(events):
    """What an event leaves on the page: the status and the outputs after the job's id and the Cancel button."""
    *_, (status, job, cancel, *outputs) = events
    assert job == ""
    assert cancel["interactive"] is False
    return status, outputs


def refused(status):
    assert status.startswith('<div class="sd-eeg-alert" role="alert">'), status
    return status


def unchanged(outputs):
    return all(isinstance(one, dict) and not {"value", "choices", "visible"} & set(one) for one in outputs)


def sitting(sources):
    """The reference of the short sitting that the first button simulates."""
    _, (reference, *_) = last(panel("recording").short_sitting(sources, ""))
    return reference


def asked(reference, encoder=PHANTOM, choose="events", label="", which="", average="per label", times=""):
    return (reference, SAME, encoder, choose, label, which, average, times)


# Recording


def test_an_uploaded_edf_is_kept_read_and_described(sources, folders):
    write_edf([STAR, RING], folders.uploads / "mine.edf", "epoc-14")
    upload = [str(folders.uploads / "mine.edf")]
    if extension("gradio_versions").major() < 4:
        upload = [SimpleNamespace(name=upload[0], orig_name="mine.edf")]
    status, (reference, label) = last(panel("recording").keep(sources.shelf, "", upload, SAME, ""))
    assert "mine.edf" in status
    assert "14 channels at 128 Hz" in status
    assert reference.startswith("sha256:")
    assert label["choices"] == ["", STAR, RING]
    assert sources.shelf.load(reference).n_channels == 14


def test_a_chosen_label_stays_only_while_the_recording_has_it(sources, folders):
    save_recording(noise_recording(), folders.recordings / "noise.safetensors")
    open_recording = panel("recording").open_recording
    for chosen, kept in (("face", "face"), ("cat", "")):
        _, (_, label) = last(open_recording(sources.shelf, "", "noise.safetensors", SAME, chosen))
        assert label["value"] == kept


def test_no_name_clears_what_was_said(sources):
    status, (_, label) = last(panel("recording").open_recording(sources.shelf, "", "  ", SAME, ""))
    assert status == ""
    assert label["choices"] == [""]


def test_files_that_cannot_be_opened_say_why(sources, folders, tmp_path):
    recording = panel("recording")
    (folders.uploads / "broken.edf").write_bytes(b"0       not really")
    status, outputs = last(recording.keep(sources.shelf, "", [str(folders.uploads / "broken.edf")], SAME, ""))
    assert "broken.edf" in refused(status)
    assert str(tmp_path) not in status
    assert unchanged(outputs)
    (tmp_path / "secret.edf").write_bytes(b"0       secret")
    for status, _ in (
        last(recording.keep(sources.shelf, "", [str(tmp_path / "secret.edf")], SAME, "")),
        last(recording.open_recording(sources.shelf, "", "../secret.edf", SAME, "")),
        last(recording.open_recording(sources.shelf, "", "/etc/passwd", SAME, "")),
        last(recording.open_recording(sources.shelf, "", "nowhere.edf", SAME, "")),
        last(recording.open_recording(sources.shelf, "", "sha256:0123456789", SAME, "")),
    ):
        assert "Traceback" not in refused(status)


def test_units_that_a_user_names_are_taken(sources, folders):
    lines = ["timestamps,TP9,AF7,AF8,TP10"]
    rng = np.random.default_rng(0)
    for number, row in enumerate(10 * rng.standard_normal((2560, 4))):
        lines.append(",".join([f"{1000 + number / 256:.5f}", *(f"{value:.3f}" for value in row)]))
    (folders.recordings / "muse.csv").write_text("\n".join(lines))
    status, _ = last(panel("recording").open_recording(sources.shelf, "", "muse.csv", "uV", ""))
    assert "uV" in status
    status, _ = last(panel("recording").open_recording(sources.shelf, "", "muse.csv", "V", ""))
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
    status, _ = last(panel("recording").open_recording(sources.shelf, "", reference, SAME, ""))
    assert "no brain data" in status


# Decoding


def test_what_was_shown_is_nearest_with_its_confidence(sources):
    status, (table, report) = last(panel("decode").decode(sources, "", asked(sitting(sources))))
    assert "4 windows of 48 moments" in status
    assert "simulated" in status
    rows = re.findall(r"<tr><td>.*?</tr>", table)
    assert len(rows) == 4
    assert f"<li><b>0.73</b> {STAR}" in rows[0] or re.search(rf"<li><b>0\.\d\d</b> {STAR}</li>", rows[0])
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
    label = "<img src=x onerror=alert(1)>"
    recording = noise_recording()
    recording = replace(recording, events=tuple(Event(1.0 + i, 0.1, label) for i in range(3)))
    save_recording(recording, folders.recordings / "noise.safetensors")
    status, _ = last(panel("recording").open_recording(sources.shelf, "", "noise.safetensors", SAME, ""))
    _, (table, _) = last(panel("decode").decode(sources, "", asked("noise.safetensors", "words.safetensors")))
    for text in (status, table):
        assert "&lt;img" in text
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


# Plots


def plotted(sources, values, kind, of, channels="", begin=0.0, end=1.0, **numbers):
    plots = panel("plots")
    options = [numbers.get(option, value) for choices in plots.OPTIONS.values() for option, value, _ in choices]
    return last(plots.plot_eeg(sources, "", (*values, kind, plots.OF[of], channels, begin, end, *options, True)))


def test_the_options_of_plots_and_training_are_those_of_core():
    options = {
        kind: {option: value for option, value, _ in choices} for kind, choices in panel("plots").OPTIONS.items()
    }
    assert options == KINDS
    assert panel("training").ARCHITECTURES == ARCHITECTURES
    for montage in panel("phantom").MONTAGES:
        BrainConfig(montage=montage)


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_recording_and_the_picked_windows_are_drawn(sources, kind):
    values = asked(sitting(sources))
    for of, count in ((0, 1), (1, 4)):
        status, [gallery] = plotted(sources, values, kind, of, channels="O1, O2, P7, P8, F3")
        assert status == ""
        assert len(gallery["value"]) == count
        assert all(picture.dtype == np.uint8 and picture.ndim == 3 for picture in gallery["value"])


def test_what_cannot_be_drawn_is_said(sources):
    values = asked(sitting(sources))
    assert "O9" in refused(plotted(sources, values, "traces", 0, channels="O9")[0])
    assert "duration: a number is needed" in refused(plotted(sources, values, "traces", 0, duration=None)[0])
    assert "window to" in refused(plotted(sources, values, "spectrum", 1, end=None)[0])
    assert "end after it starts" in refused(plotted(sources, values, "spectrum", 1, begin=2.0)[0])
    assert "no recording chosen" in refused(plotted(sources, asked(""), "traces", 0)[0])


# Training


def training(
    sources, reference, captions="", architecture="tangent", targets="prompts", name="mine", encode=None, **more
):
    begin, end = more.get("begin", -0.1), more.get("end", 0.8)
    values = (reference, SAME, captions, architecture, targets, begin, end, 1.0, 30.0, name)
    return panel("training").train(sources, lambda: encode, "", values)


def test_an_encoder_is_fitted_scored_saved_and_chosen(sources, folders):
    reference = sitting(sources)
    status, captions = panel("training").labels_as_captions(sources, reference, SAME)
    assert status == ""
    assert captions.splitlines()[1] == f"{STAR} = {STAR}"
    status, (listed, chosen, card) = last(training(sources, reference, captions))
    assert "accuracy of single events" in status
    assert "chance 0.250" in status
    assert "saved as mine.safetensors" in status
    assert chosen["value"] == "mine.safetensors"
    assert "mine.safetensors" in card["choices"]
    assert "mine.safetensors" in listed
    assert load_encoder(folders.encoders / "mine.safetensors").card["simulated"] is True
    _, (table, _) = last(panel("decode").decode(sources, "", asked(reference, "mine.safetensors")))
    assert "by weight" in table
    status, (_, chosen, _) = last(training(sources, reference, captions))
    assert chosen["value"] == "mine-2.safetensors"


def test_a_cancelled_training_leaves_no_file(sources, folders, monkeypatch):
    before = sorted(folders.encoders.iterdir())
    jobs = extension("jobs")
    monkeypatch.setattr(jobs, "POLL_S", 0.001)
    events = training(sources, sitting(sources))
    _, job_id, *_ = next(events)
    jobs.cancel(job_id)
    status, outputs = last(events)
    assert "Cancelled" in status
    assert unchanged(outputs)
    assert sorted(folders.encoders.iterdir()) == before


def test_text_states_are_learnt_where_there_is_a_text_encoder(sources, folders):
    import torch

    states = torch.randn(4, 77, 768, generator=torch.Generator().manual_seed(0))
    known = {}

    def encode(prompts):
        return torch.stack([states[known.setdefault(prompt, len(known))] for prompt in prompts]), None

    reference = sitting(sources)
    status, _ = last(
        training(sources, reference, architecture="linear", targets="prompts + text states", encode=encode)
    )
    assert "saved as" in status
    assert load_encoder(folders.encoders / "mine.safetensors").spaces == ("sd1.text", "prompts")
    status, _ = last(training(sources, reference, targets="prompts + text states"))
    assert "text encoder" in refused(status)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"captions": "no equals sign"}, "label = what it means"),
        ({"captions": "a cat = a cat"}, "no event is labelled"),
        ({"name": "../mine"}, "is no file name"),
        ({"name": ""}, "is no file name"),
        ({"begin": None}, "window from: a number is needed"),
        ({"begin": 3.0}, "tmin"),
        ({"architecture": "transformer"}, "no architecture"),
    ],
)
def test_what_cannot_be_learnt_is_said_in_the_status(sources, folders, changes, sentence):
    before = sorted(folders.encoders.iterdir())
    status, outputs = last(training(sources, sitting(sources), **changes))
    assert sentence in refused(status)
    assert unchanged(outputs)
    assert sorted(folders.encoders.iterdir()) == before


def test_a_recording_without_labels_has_none_to_fill_in(sources, folders):
    save_recording(replace(noise_recording(), events=()), folders.recordings / "rest.safetensors")
    status, _ = panel("training").labels_as_captions(sources, "rest.safetensors", SAME)
    assert "no labelled events" in refused(status)


# Library


def test_every_encoder_stands_in_the_list_and_the_broken_one_says_what_is_wrong(sources, folders, tmp_path):
    (folders.encoders / "broken.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    listed = panel("library").cards_table(sources.library)
    for name in sources.library.names():
        assert name in listed
    assert 'role="alert"' in listed
    assert str(tmp_path) not in listed
    assert listed.count("simulated</span>") == 1
    card = panel("library").card_of(sources.library, PHANTOM)
    assert "PHANTOM: trained on simulated EEG, not on brain data" in card
    refused(panel("library").card_of(sources.library, "broken.safetensors"))
    assert panel("library").card_of(sources.library, "") == ""


# Phantom


def simulated(
    sources, kind="captions", captions=STAR, count=2, repeats=2, montage="muse-4", snr=0.5, subject=3, seed=1
):
    return last(panel("phantom").simulate(sources, "", (kind, captions, count, repeats, montage, snr, subject, seed)))


def test_scenes_are_shown_and_become_the_tabs_recording(sources):
    status, (truth, reference, description, label, average) = simulated(sources, captions=f"{STAR}\n{RING}")
    assert "4 presentations of 2 scenes" in status
    assert [caption for _, caption in truth] == [f"{STAR}, simulated", f"{RING}, simulated"]
    assert "no brain data" in description
    assert label["choices"] == ["", STAR, RING]
    assert average == "per label"
    recording = sources.shelf.load(reference)
    expected = session.show(session.scenes_from_captions(f"{STAR}\n{RING}"), repeats=2, montage="muse-4", snr=0.5,
                            subject=3, seed=1).recording  # fmt: skip
    assert np.array_equal(recording.data, expected.data)


def test_many_scenes_to_train_on_show_the_first_of_their_pictures(sources):
    status, (truth, *_) = simulated(sources, kind="many, to train on", count=70, repeats=1)
    assert "70 scenes" in status
    assert "10 scenes are not pictured" in status
    assert len(truth) == 60


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"captions": "a purple cow"}, "no scene of the phantom"),
        ({"captions": ""}, "no caption given"),
        ({"repeats": None}, "repeats: a number is needed"),
        ({"montage": "hat-3"}, "epoc-14"),
        ({"snr": -1.0}, "snr"),
        ({"subject": -1}, "subject"),
        ({"seed": -1}, "seed"),
    ],
)
def test_what_cannot_be_simulated_is_said_in_the_status(sources, changes, sentence):
    status, outputs = simulated(sources, **changes)
    assert sentence in refused(status)
    assert unchanged(outputs)


# Sending and drawing


def test_what_is_sent_to_the_host_names_recording_windows_and_encoder_only(sources):
    import json

    reference = sitting(sources)
    status, text = panel("draw").checked_request(sources, asked(reference))
    assert status == ""
    assert json.loads(text) == {
        "recording": reference, "units": SAME, "encoder": PHANTOM, "choose": "events", "label": "", "which": "",
        "average": "per label", "times": "",
    }  # fmt: skip
    assert extension("request").from_mapping(json.loads(text), sources.shelf).recording == reference


def test_what_cannot_be_sent_is_said_and_nothing_is_sent(sources):
    for values in (asked(""), asked(sitting(sources), "gone.safetensors")):
        status, text = panel("draw").checked_request(sources, values)
        refused(status)
        assert text == ""


def drawn(sources, values, draw, steering=("replace", 1.0, False, "prompt", ""), settings=("", 5, 3.0, 7)):
    return last(panel("draw").draw_windows(sources, draw, "", (*values, *steering, *settings)))


def grey(request, settings, job):
    from PIL import Image

    job(1, 2)
    return [Image.new("RGB", (64, 64), (settings.seed, settings.seed, settings.seed))] * 4


def test_pictures_come_with_their_windows_and_the_simulated_truth(sources):
    status, (pictures, truth, beside) = drawn(sources, asked(sitting(sources)), grey)
    assert "4 drawn" in status
    assert pictures[0][1] == f"1: {STAR}"
    assert pictures[0][0].getpixel((0, 0)) == (7, 7, 7)
    assert len(truth) == 4
    assert all(caption.endswith(", simulated") for _, caption in truth)
    assert beside["visible"] is True


def test_a_recorded_file_has_no_truth_whatever_its_labels_say(sources, folders):
    write_edf([STAR, RING], folders.recordings / "mine.edf", "epoc-14")
    _, (_, truth, beside) = drawn(sources, asked("mine.edf"), lambda *given: grey(*given)[:2])
    assert truth == []
    assert beside["visible"] is False


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"settings": ("", None, 3.0, 0)}, "steps: a number is needed"),
        ({"settings": ("", 0, 3.0, 0)}, "steps: 1 to 200"),
        ({"settings": ("", 10, 3.0, -1)}, "seed: 0 to"),
        ({"steering": ("blend", 1.5, False, "prompt", "")}, "between 0 and 1"),
        ({"steering": ("melt", 1.0, False, "prompt", "")}, "melt"),
        ({"average": "none"}, None),
        ({"which": "0-80", "average": "none"}, None),
    ],
)
def test_what_cannot_be_drawn_here_is_said_before_anything_is_drawn(sources, more, sentence):
    calls = []
    windows = {name: more.pop(name) for name in ("which", "average") if name in more}
    reference = sitting(sources)
    if windows:
        _, (_, reference, *_) = simulated(sources, kind="many, to train on", count=70, repeats=1, montage="epoc-14")
        sentence = "windows would be as many pictures; choose at most 64"
    status, outputs = drawn(sources, asked(reference, **windows), lambda *given: calls.append(given), **more)
    assert sentence in refused(status)
    assert unchanged(outputs)
    assert not calls


# The whole


@pytest.fixture(params=["in a host", "on its own"])
def tab(request, sources):
    tab = extension("tab")
    sent = []

    def send(button, name, text):
        sent.append(name)
        button.click(lambda given: None, [text], [], show_progress=False)

    if request.param == "in a host":
        place = tab.Place(sources, lambda: None, send, None)
    else:
        place = tab.Place(sources, lambda: None, None, grey, "tests")
    built = tab.build_tab(place)
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
    extension("tab").build_tab(extension("tab").Place(sources, lambda: None, lambda *_: None, None))


def test_the_style_sheet_knows_the_classes_that_are_used():
    root = Path(extension("tab").__file__).resolve().parent.parent
    css = (root / "style.css").read_text()
    used = set()
    for path in (root / "webui_extension").glob("*.py"):
        used |= set(re.findall(r"\bsd-eeg-[a-z]+\b", path.read_text()))
    used -= {"sd-eeg-recordings"}  # a folder
    assert used <= set(re.findall(r"\.(sd-eeg-[a-z]+)", css))


def test_a_native_file_keeps_what_was_simulated(sources):
    path = sources.shelf.find(sitting(sources))
    assert any("simulated" in note for note in load_recording(path).source["notes"])
