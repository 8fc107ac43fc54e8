"""Which heads a model can use, and the sentences where it cannot."""

import pytest
import torch

from core.choices import FAMILIES
from core.conditioning.for_host import EMBEDS, VISION, answer, image_head, text_head
from core.model.decodable import decodable
from core.model.heads import HeadConfig
from core.model.spaces import SPACES
from core.preprocessing.selection import select_events, slide
from tests.small_encoders import conditioned, noise_recording, small_encoder


def head(space: str) -> HeadConfig:
    if space == "prompts":
        return HeadConfig("prompts", "prompts", prompts=("a face", "a house"))
    return HeadConfig(space, "basis", rank=2)


@pytest.mark.parametrize(
    ("spaces", "family", "has_text_encoder", "chosen"),
    [
        (("sd1.text",), "sd1", False, "sd1.text"),
        (("sd1.text",), None, False, "sd1.text"),
        (("sd1.text", "sdxl.text"), "sdxl", False, "sdxl.text"),
        (("sd1.text", "prompts"), "sdxl", True, "prompts"),
        (("sd1.text", "prompts"), "sd1", True, "sd1.text"),
        (("prompts", "sd1.text"), "sd1", True, "prompts"),
        (("prompts", "sd1.text"), "sd1", False, "sd1.text"),
        (("prompts",), "flux", True, "prompts"),
        (("sd1.text",), "sdxl", True, None),
        (("prompts",), "sd3", False, None),
        (("clip-h.image",), "sd1", True, None),
    ],
)
def test_the_first_head_that_fits_is_taken(spaces, family, has_text_encoder, chosen):
    found, why = text_head(spaces, family, has_text_encoder)
    assert found == chosen
    assert bool(why) == (chosen is None)


def test_every_family_has_a_head_that_fits_it():
    for family in FAMILIES:
        assert text_head(("prompts",), family, True) == ("prompts", "")


def test_image_heads_follow_what_the_family_was_trained_with():
    spaces = ("clip-l.image", "clip-h.image", "clip-g.image")
    assert image_head(spaces, VISION["sd2"], "sd2", "x")[0] == "clip-h.image"
    assert image_head(spaces, VISION["sdxl"], "sdxl", "x")[0] == "clip-g.image"
    assert image_head(spaces, (), "sd1", "x")[0] == "clip-l.image"
    assert image_head(("clip-g.image",), EMBEDS, None, "x")[0] == "clip-g.image"
    assert image_head(("dino.image",), (), None, "a CLIP vision output")[0] is None
    assert set(VISION) <= set(FAMILIES)
    assert set(EMBEDS) <= set(SPACES)


def test_an_answer_is_what_condition_says():
    encoder, recording = small_encoder(head("sd1.text")), noise_recording()
    ours = answer(encoder, select_events(recording, "face", average="all"))
    theirs = conditioned(encoder, select_events(recording, "face").averaged("mean"))
    assert torch.equal(ours.text.context, theirs.context)
    assert ours.confidence == pytest.approx(theirs.confidence.mean().item())


def test_one_call_serves_text_and_images_from_their_own_heads():
    encoder = small_encoder(head("sd1.text"), head("clip-h.image"), head("clip-g.image"))
    found = answer(encoder, select_events(noise_recording()), family="sd1")
    assert found.text.context.shape == (6, 77, 768)
    assert found.vision.image_embeds.shape == (6, 1024)
    assert found.embeds.image_embeds.shape == (6, 1024)
    assert found.embeds.negative.image_embeds.shape == (1, 1024)


def test_a_window_alone_answers_as_it_does_in_a_batch():
    encoder, chosen = small_encoder(head("sd1.text")), select_events(noise_recording())
    together = answer(encoder, chosen).text.context
    for row, one in enumerate(chosen.one_by_one()):
        assert torch.allclose(answer(encoder, one).text.context[0], together[row], atol=1e-6)


def test_an_encoder_that_was_never_calibrated_is_not_sure():
    encoder = small_encoder(head("sd1.text"))
    encoder.confidence = {}
    found = answer(encoder, select_events(noise_recording()))
    assert found.confidence == 0.0
    assert "never calibrated" in found.report


def test_the_report_names_channels_that_were_made_up():
    found = answer(small_encoder(head("sd1.text")), select_events(noise_recording(n_channels=6)))
    assert "interpolated channels: F8, AF4" in found.report
    assert "6 windows of 6 moments, 0 to 1 s about each" in found.report


def test_a_recording_whose_channels_do_not_match_lists_both():
    recording = noise_recording(n_channels=2)
    with pytest.raises(ValueError, match=r"2 of the 8 channels.*Missing: T7"):
        answer(small_encoder(head("sd1.text")), select_events(recording))


def test_more_windows_than_pictures_can_be_made_of_are_refused():
    recording = noise_recording(seconds=60.0)
    with pytest.raises(ValueError, match="select at most 4096"):
        answer(small_encoder(head("sd1.text")), slide(recording, 100.0))


def test_an_unknown_family_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"no model family 'sd9'.*sdxl-refiner"):
        answer(small_encoder(), select_events(noise_recording()), family="sd9")


def test_the_network_runs_once_however_many_heads_are_asked():
    encoder, runs = small_encoder(head("sd1.text"), head("clip-h.image"), head("clip-g.image")), []
    selection = select_events(noise_recording())
    decodable(encoder, selection)  # asks the network about the recording, once for all answers
    encoder.backbone.register_forward_hook(lambda *_: runs.append(1))
    found = answer(encoder, selection, family="sdxl")
    assert found.vision.space != found.embeds.space
    assert len(runs) == 1
