"""However many windows are asked about, an encoder sees a bounded number at once and says what it says of fewer."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch

from core.conditioning.for_host import answer
from core.conditioning.init_images import init_latents, init_picture, init_pictures
from core.conditioning.nearest_concepts import read_windows
from core.model.decodable import decodable
from core.model.heads import HeadConfig
from core.model.prediction import AT_ONCE, encoder_input, in_batches, outputs_of, predict, tokens_of
from core.preprocessing.selection import selected_eeg, slide
from tests.small_encoders import conditioned, noise_recording, small_encoder
from trainer.training.probes import features

HEADS = (
    HeadConfig("prompts", "prompts", prompts=("a face", "a house")),
    HeadConfig("clip-h.image", "basis", rank=2),
    HeadConfig("saliency", "basis", rank=2, shape=(3, 4, 4)),
    HeadConfig("sd1.latent", "basis", rank=2, shape=(4, 2, 2)),
)
ENTRIES = {
    "answer": answer,
    "init_pictures": init_pictures,
    "init_latents": init_latents,
    "init_picture": lambda encoder, selection: init_picture(encoder, selection, "saliency"),
    "read_windows": read_windows,
    "condition": conditioned,
    "outputs_of": lambda encoder, selection: outputs_of(encoder, encoder_input(selection, encoder)),
    "predict": lambda encoder, selection: predict(encoder, selected_eeg(selection, encoder.preprocessing)),
    "tokens_of": lambda encoder, selection: tokens_of(encoder, selected_eeg(selection, encoder.preprocessing)),
    "features": lambda encoder, selection: features(encoder, selected_eeg(selection, encoder.preprocessing)),
}


@pytest.fixture(scope="module")
def encoder():
    return small_encoder(*HEADS)


@pytest.fixture(scope="module")
def thousands():
    found = slide(noise_recording(seconds=41), 75)
    assert 3000 <= len(found) <= 4096
    return found


@contextmanager
def batches_seen(encoder):
    """The number of windows in each forward pass of the backbone."""
    seen = []
    hook = encoder.backbone.register_forward_pre_hook(lambda module, given: seen.append(len(given[0])))
    try:
        yield seen
    finally:
        hook.remove()


@pytest.mark.parametrize("name", list(ENTRIES))
def test_thousands_of_windows_never_go_through_one_pass(encoder, thousands, name):
    decodable(encoder, thousands)  # asks the network about the recording, once for all answers
    with batches_seen(encoder) as seen:
        ENTRIES[name](encoder, thousands)
    assert max(seen) == AT_ONCE
    assert sum(seen) == len(thousands)


def test_a_window_among_thousands_gets_what_it_gets_alone(encoder, thousands):
    together = answer(encoder, thousands, family="sd2")
    readings = read_windows(encoder, thousands)
    weights = conditioned(encoder, thousands).weights
    for number in (0, AT_ONCE - 1, AT_ONCE, len(thousands) - 1):
        alone = answer(encoder, thousands.only(number), family="sd2")
        assert torch.allclose(together.vision.image_embeds[number], alone.vision.image_embeds[0], atol=1e-5)
        assert torch.allclose(weights[number], conditioned(encoder, thousands.only(number)).weights[0], atol=1e-5)
        (read,) = read_windows(encoder, thousands.only(number))
        assert (readings[number].label, readings[number].onset) == (read.label, read.onset)
        assert [name for name, _ in readings[number].best] == [name for name, _ in read.best]
        assert readings[number].confidence == pytest.approx(read.confidence, abs=1e-5)


def test_smaller_batches_say_the_same_in_the_same_order(encoder, thousands):
    eeg = selected_eeg(thousands.only(*range(300)), encoder.preprocessing)
    whole, parts = predict(encoder, eeg), predict(encoder, eeg, batch=7)
    assert list(whole) == list(encoder.spaces)
    for space in encoder.spaces:
        assert torch.allclose(whole[space], parts[space], atol=1e-5)
    assert torch.allclose(tokens_of(encoder, eeg), tokens_of(encoder, eeg, batch=7), atol=1e-5)


def test_batches_of_any_size_are_cut_to_the_bound_and_none_is_lost(encoder):
    eeg = torch.randn(23, 8, 128)
    with batches_seen(encoder) as seen:
        found = list(in_batches(encoder, [eeg[:13], eeg[13:14], eeg[14:]], encoder, at_once=5))
    assert seen == [5, 5, 3, 1, 5, 4]
    assert torch.allclose(torch.cat([one["prompts"] for one in found]), outputs_of(encoder, eeg)["prompts"], atol=1e-5)


def test_no_windows_have_no_tokens(encoder):
    tokens = tokens_of(encoder, np.zeros((0, 8, 128), np.float32))
    assert tokens.shape == (0, encoder.backbone.n_tokens, encoder.backbone.width)


def test_an_encoder_answers_on_its_device_in_its_type_and_without_dropout(thousands):
    encoder = small_encoder(*HEADS).double().train()
    outputs = outputs_of(encoder, torch.randn(3, 8, 128))
    assert not encoder.training
    parameter = next(encoder.parameters())
    assert {(output.dtype, output.device) for output in outputs.values()} == {(torch.float64, parameter.device)}
    assert not any(output.requires_grad for output in outputs.values())
    assert list(outputs_of(encoder, torch.randn(3, 8, 128), ["saliency"])) == ["saliency"]
    assert read_windows(encoder, thousands.only(0))[0].confidence is not None
