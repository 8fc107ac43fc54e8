"""The EEG tab's training and its phantom: encoders fitted for real from simulated recordings; no browser."""

from dataclasses import replace

import numpy as np
import pytest

from core.formats.toolboxes.native import save_recording
from core.model.checkpoint import load_encoder
from core.phantom import session
from tests.small_encoders import noise_recording
from tests.webui_standin import extension
from tests.webui_tab import RING, SAME, STAR, asked, last, panel, refused, simulated, sitting, unchanged

# Training


def training(
    sources, reference, captions="", architecture="tangent", targets="prompts", name="mine", encode=None, **more
):
    begin, end = more.get("begin", -0.1), more.get("end", 0.8)
    values = (reference, SAME, "", captions, architecture, targets, begin, end, 1.0, 30.0, name)
    return panel("training").train(sources, lambda: encode, "", values)


def test_an_encoder_is_fitted_scored_saved_and_chosen(sources, folders):
    reference = sitting(sources)
    status, captions = panel("training").labels_as_captions(sources, reference, SAME, "")
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
    jobs = extension("tab.jobs")
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
    status, _ = panel("training").labels_as_captions(sources, "rest.safetensors", SAME, "")
    assert "no labelled events" in refused(status)


# Phantom


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
