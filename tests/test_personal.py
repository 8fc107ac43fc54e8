"""Encoders fitted to one labelled recording: their score is honest, and what makes it worthless is said first."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from core.conditioning.for_host import answer
from core.fitting.captions import parse_captions
from core.fitting.labelled_windows import contiguous_folds, labelled_windows
from core.fitting.personal_encoder import fit_personal_encoder
from core.loading.load import load_recording
from core.model.checkpoint import load_encoder, save_encoder
from core.model.prediction import encoder_input
from core.phantom.brain import simulate_recording
from core.phantom.brain_config import BrainConfig
from core.phantom.scenes import all_scenes
from core.preprocessing.selection import select_events
from core.recording import Event
from core.scoring.retrieval import similarities
from tests.small_encoders import noise_recording

SCENES = [all_scenes()[i] for i in (0, 217, 431, 700)]


def sitting(n: int = 160, snr: float = 0.6, n_scenes: int = 2, seed: int = 0, blocked: bool = False):
    order = np.random.default_rng([seed, 5]).integers(0, n_scenes, n)
    if blocked:
        order = np.sort(order)
    return simulate_recording([SCENES[i] for i in order], BrainConfig(snr=snr), seed)


@pytest.mark.parametrize("architecture", ["tangent", "linear"])
def test_what_was_seen_is_decoded_from_stretches_left_out(architecture):
    found = fit_personal_encoder(sitting(), architecture=architecture)
    assert found.accuracy > 0.7
    assert found.figures["p_value"] < 0.01
    assert abs(found.figures["shuffled"] - 0.5) < 0.05
    assert "NOT BETTER" not in found.report


def test_without_a_trace_of_the_scenes_the_report_says_so_first():
    found = fit_personal_encoder(sitting(snr=0.0))
    assert found.accuracy < 0.62
    assert found.report.splitlines()[2].startswith("NOT BETTER THAN CHANCE")


def test_labels_shown_in_blocks_are_a_warning():
    report = fit_personal_encoder(sitting(blocked=True)).report
    assert report.splitlines()[2].startswith("LABELS WERE SHOWN IN BLOCKS (1 changes in 160 events)")


def test_the_score_of_training_is_that_of_a_new_sitting():
    found = fit_personal_encoder(sitting(240))
    fresh = sitting(120, seed=9)
    head = found.encoder.head("prompts")
    with torch.inference_mode():
        best = found.encoder(encoder_input(select_events(fresh), found.encoder))["prompts"].argmax(1)
    right = np.mean([head.config.prompts[i] == event.label for i, event in zip(best, fresh.events, strict=True)])
    assert abs(right - found.accuracy) < 0.12


def test_text_states_of_the_captions_are_decoded_and_found_again():
    states = torch.randn(len(SCENES), 77, 768, generator=torch.Generator().manual_seed(0))
    known = {scene.id: row for row, scene in enumerate(SCENES)}
    asked = []

    def encode(prompts):
        asked.extend(prompts)
        return torch.stack([states[known[prompt]] for prompt in prompts]), None

    recording = sitting(200, n_scenes=4)
    found = fit_personal_encoder(recording, architecture="linear", text_states=True, encode_prompts=encode)
    assert found.encoder.spaces == ("sd1.text", "prompts")
    assert sorted(asked) == sorted(known)
    decoded = answer(found.encoder, select_events(recording, average="per label"), family="sd1")
    assert decoded.text.space == "sd1.text"
    order = [known[label] for label in select_events(recording, average="per label").labels]
    alike = similarities(decoded.text.context.flatten(1), states.flatten(1), states.flatten(1).mean(0))
    assert alike.argmax(1).tolist() == order


@pytest.mark.parametrize("architecture", ["tangent", "linear"])
def test_labels_of_one_caption_count_as_one(architecture):
    recording = sitting(120, n_scenes=3)
    first, second, third = (scene.id for scene in SCENES[:3])
    words = {first: "a thing", second: "a thing", third: "another"}
    encode = {"text_states": True, "encode_prompts": lambda prompts: (torch.ones(len(prompts), 77, 768), None)}
    found = fit_personal_encoder(recording, words, architecture=architecture)
    assert found.encoder.head("prompts").config.prompts == ("a thing", "another")
    assert "of 2 labels" in found.report
    for more in ({}, encode):
        with pytest.raises(ValueError, match=r"have one caption, 'the same': there is nothing to tell apart"):
            fit_personal_encoder(recording, dict.fromkeys(words, "the same"), architecture=architecture, **more)
    with pytest.raises(ValueError, match=r"no event is labelled 'cat'; this recording's events: '"):
        fit_personal_encoder(recording, {first: "a thing", "cat": "a thing"}, architecture=architecture)


def test_no_baseline_is_taken_off_after_a_high_pass():
    chosen = {"tmin": -0.1, "tmax": 0.8, "h_freq": 30.0, "architecture": "linear"}
    recording = sitting(40)
    assert labelled_windows(recording, {}, l_freq=1.0, **chosen).config.baseline is None
    assert labelled_windows(recording, {}, l_freq=None, **chosen).config.baseline == (-0.1, 0.0)


def test_the_encoder_survives_its_file(tmp_path):
    found = fit_personal_encoder(sitting(80), name="for tests")
    save_encoder(found.encoder, tmp_path / "mine.safetensors")
    loaded = load_encoder(tmp_path / "mine.safetensors")
    assert loaded.card["metrics"]["cross-validated"] in found.report
    assert loaded.card["simulated"] is True
    chosen = select_events(sitting(20, seed=3))
    with torch.inference_mode():
        before, after = (e(encoder_input(chosen, found.encoder))["prompts"] for e in (found.encoder, loaded))
    assert torch.equal(before, after)


def test_folds_are_stretches_of_time():
    fold = contiguous_folds(103)
    assert (np.diff(fold) >= 0).all()
    assert set(np.bincount(fold)) <= {20, 21}


def test_captions_are_read_line_by_line():
    assert parse_captions("1 = a house\n\n 2=a face = me") == {"1": "a house", "2": "a face = me"}
    with pytest.raises(ValueError, match=r"cannot read the line 'a face'"):
        parse_captions("1 = a house\na face")
    with pytest.raises(ValueError, match="two captions"):
        parse_captions("1 = a\n1 = b")


def test_too_few_labels_or_events_list_what_there_is():
    recording = noise_recording()
    with pytest.raises(ValueError, match=r"6 usable events are too few.*'face' x 3"):
        fit_personal_encoder(recording)
    with pytest.raises(ValueError, match=r"no event is labelled 'cat'.*'house' x 3"):
        fit_personal_encoder(recording, {"cat": "a cat", "face": "a face"})
    one = replace(recording, events=tuple(Event(1.0 + i, 0.1, "face") for i in range(9)))
    with pytest.raises(ValueError, match="2 to 1000 labels"):
        fit_personal_encoder(one)


def test_text_states_need_a_text_encoder_of_a_family_that_has_them():
    with pytest.raises(ValueError, match="connect its CLIP"):
        fit_personal_encoder(sitting(40), text_states=True)
    with pytest.raises(ValueError, match=r"256 x 4096.*sd1\.text 77 x 768"):
        fit_personal_encoder(
            sitting(40), text_states=True, encode_prompts=lambda prompts: (torch.zeros(len(prompts), 256, 4096), None)
        )


def test_faces_and_houses_of_a_real_recording_are_told_apart(shared_data):
    recording = load_recording(shared_data / "n170_muse" / "subject1_session1_data_2017-09-13-15.32.50.csv.gz")
    found = fit_personal_encoder(recording, {"1": "a house", "2": "a face"}, l_freq=2.0)
    assert found.figures["roc_auc"] > 0.58
    assert found.figures["p_value"] < 0.02


@pytest.mark.parametrize("rows", [20, 24])
def test_labels_in_a_few_long_blocks_are_fitted_and_called_so(rows: int) -> None:
    recording = noise_recording(seconds=130.0)
    events = tuple(Event(1.0 + i, 0.0, "ab"[(i // rows) % 2]) for i in range(120))
    found = fit_personal_encoder(replace(recording, events=events), architecture="tangent")
    assert "LABELS WERE SHOWN IN BLOCKS" in found.report


def test_a_label_that_stands_at_one_end_only_is_refused_in_words() -> None:
    recording = noise_recording(seconds=130.0)
    events = tuple(Event(1.0 + i, 0.0, "ab"[i >= 100]) for i in range(120))
    with pytest.raises(ValueError, match="all events 'b' lie in one fifth of the recording"):
        fit_personal_encoder(replace(recording, events=events), architecture="tangent")
