"""What img2img starts from: the saliency head's picture, or the latent head's latent."""

import numpy as np
import pytest
import torch
from PIL import Image

from core.conditioning import decode
from core.heads import HeadConfig
from core.init_images import INITS, as_image, check_init, init_picture
from core.selection import select_events
from core.spaces import SPACES
from tests.small_encoders import noise_recording, small_encoder

SALIENCY = HeadConfig("saliency", "basis", rank=2, shape=(3, 16, 24))
LATENT = HeadConfig("sd1.latent", "basis", rank=2, shape=(4, 8, 8))


@pytest.fixture(scope="module")
def encoder():
    return small_encoder(HeadConfig("sd1.text", "basis", rank=2), SALIENCY, LATENT)


@pytest.fixture(scope="module")
def chosen():
    return select_events(noise_recording())


def test_every_init_is_a_space_that_is_known():
    assert set(INITS.values()) <= set(SPACES)


def test_the_saliency_picture_is_what_the_head_says(encoder, chosen):
    picture = init_picture(encoder, chosen.only(2), "saliency")
    said = decode(encoder, noise_recording(), space="saliency", index=2).picture[0]
    assert isinstance(picture, Image.Image)
    assert (picture.mode, picture.size) == ("RGB", (24, 16))
    wanted = (said.clamp(0, 1) * 255).round().permute(1, 2, 0).numpy()
    assert np.abs(np.asarray(picture).astype(float) - wanted).max() <= 1


def test_the_latent_is_what_the_head_says(encoder, chosen):
    found = init_picture(encoder, chosen.only(1), "latent")
    assert found.shape == (4, 8, 8)
    assert found.dtype == torch.float32
    assert torch.allclose(found, decode(encoder, noise_recording(), space="sd1.latent", index=1).picture[0], atol=1e-5)


def test_several_windows_are_taken_as_one(encoder, chosen):
    each = [init_picture(encoder, one, "latent") for one in chosen.one_by_one()]
    assert torch.allclose(init_picture(encoder, chosen, "latent"), torch.stack(each).mean(0), atol=1e-5)


def test_windows_give_pictures_of_their_own(encoder, chosen):
    pictures = {init_picture(encoder, one, "saliency").tobytes() for one in chosen.one_by_one()}
    assert len(pictures) == len(chosen)


@pytest.mark.parametrize("init", list(INITS))
def test_an_encoder_without_the_head_says_what_it_has(init, chosen):
    with pytest.raises(ValueError, match=f"an init image from the {init} needs .*{INITS[init]}.*this one has prompts"):
        init_picture(small_encoder(), chosen, init)


def test_an_unknown_init_lists_the_known_ones(encoder):
    with pytest.raises(ValueError, match="no init image called 'none'; known: saliency, latent"):
        check_init(encoder, "none")


def test_numbers_outside_of_a_picture_are_cut_off():
    picture = torch.tensor([-1.0, 0.0, 0.5, 1.0, 7.0]).reshape(1, 1, 5).expand(3, -1, -1)
    assert np.asarray(as_image(picture))[0, :, 0].tolist() == [0, 0, 128, 255, 255]
