"""What img2img starts from: the saliency head's picture, or the latent head's latent."""

import numpy as np
import pytest
import torch
from PIL import Image

from core.choices import INITS
from core.conditioning.init_images import (
    as_image,
    check_init,
    departure,
    init_latents,
    init_picture,
    init_pictures,
    of_most,
)
from core.model.heads import HeadConfig
from core.model.spaces import SPACES
from core.preprocessing.selection import select_events, select_times
from tests.small_encoders import conditioned, noise_recording, small_encoder

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
    said = conditioned(encoder, chosen.only(2), space="saliency").picture[0]
    assert isinstance(picture, Image.Image)
    assert (picture.mode, picture.size) == ("RGB", (24, 16))
    wanted = (said.clamp(0, 1) * 255).round().permute(1, 2, 0).numpy()
    assert np.abs(np.asarray(picture).astype(float) - wanted).max() <= 1


def test_the_latent_is_what_the_head_says(encoder, chosen):
    found = init_picture(encoder, chosen.only(1), "latent")
    assert found.shape == (4, 8, 8)
    assert found.dtype == torch.float32
    assert torch.allclose(found, conditioned(encoder, chosen.only(1), space="sd1.latent").picture[0], atol=1e-5)


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


# A batch of them, one for each window


def test_each_window_has_its_own_picture_and_it_is_what_the_head_says(encoder, chosen):
    found = init_pictures(encoder, chosen)
    said = conditioned(encoder, chosen, space="saliency").picture
    assert found.values.shape == (6, 3, 16, 24)
    assert torch.allclose(found.values, said.clamp(0, 1), atol=1e-5)
    assert found.mean.shape == (1, 3, 16, 24)
    assert torch.allclose(found.mask.amax(dim=(1, 2)), torch.ones(6))
    assert torch.allclose(found.mean[0], encoder.head("saliency").target_mean.reshape(3, 16, 24).clamp(0, 1))


@pytest.mark.parametrize("how", ["bicubic", "lanczos", "bilinear", "nearest"])
def test_pictures_have_the_size_of_the_generation_and_stay_pictures(encoder, chosen, how):
    found = init_pictures(encoder, chosen.only(0), width=64, height=48, how=how, strength=2.0)
    assert found.values.shape == (1, 3, 48, 64)
    assert found.mask.shape == (1, 48, 64)
    for tensor in (found.values, found.mask, found.mean):
        assert tensor.min() >= 0
        assert tensor.max() <= 1


def test_no_strength_is_the_train_mean_and_departs_from_it_nowhere(encoder, chosen):
    found = init_pictures(encoder, chosen, strength=0.0)
    assert torch.allclose(found.values, found.mean.expand_as(found.values), atol=1e-6)
    assert found.mask.max() == 0
    assert "window 1; 0.000 from the train mean" in found.report
    assert torch.allclose(init_latents(encoder, chosen, strength=0.0).values, init_latents(encoder, chosen).mean)


def test_the_mask_is_one_where_a_picture_departs_most_and_green_counts_most():
    mean = torch.full((1, 3, 1, 4), 0.5)
    picture = mean.clone()
    picture[0, :, 0, 1] += 0.2
    picture[0, 1, 0, 2] -= 0.2
    picture[0, 2, 0, 3] += 0.2
    found = of_most(departure(torch.cat([picture, mean]), mean))
    assert found[0, 0].tolist() == pytest.approx([0, 1, 0.587, 0.114], abs=1e-5)
    assert found[1].max() == 0


def test_a_grey_saliency_map_becomes_a_picture(chosen):
    encoder = small_encoder(HeadConfig("saliency", "basis", rank=2, shape=(1, 8, 8)))
    found = init_pictures(encoder, chosen.only(0))
    assert found.values.shape == (1, 3, 8, 8)
    assert torch.equal(found.values[:, 0], found.values[:, 2])
    with pytest.raises(ValueError, match="1 or 3 channels; this encoder's saliency head gives 2"):
        init_pictures(small_encoder(HeadConfig("saliency", "basis", rank=2, shape=(2, 8, 8))), chosen)


def test_latents_come_in_whole_cells_of_the_size_asked_for(encoder, chosen):
    own = init_latents(encoder, chosen)
    assert own.values.shape == (6, 4, 8, 8)
    assert own.mask is None
    said = conditioned(encoder, chosen, space="sd1.latent").picture
    assert torch.allclose(own.values, said, atol=1e-5)
    large = init_latents(encoder, chosen, width=516, height=384, how="nearest")
    assert large.values.shape == (6, 4, 48, 64)
    assert "8 x 8" not in large.report
    assert "head: sd1.latent, 64 x 64 pixels, resized to 512 x 384" in large.report
    assert large.values[0].unique().numel() == own.values[0].unique().numel()


@pytest.mark.parametrize(
    ("family", "named"), [("sdxl", "SDXL"), ("sd3", "Stable Diffusion 3"), (None, "another family")]
)
def test_latents_are_refused_for_other_families(encoder, chosen, family, named):
    with pytest.raises(
        ValueError, match=rf"Stable Diffusion 1.x, and the connected model is (of )?{named}.*`saliency`"
    ):
        init_latents(encoder, chosen, family=family)


def test_a_batch_asks_for_its_head_too(chosen):
    for make, space in ((init_pictures, "saliency"), (init_latents, "sd1.latent")):
        with pytest.raises(ValueError, match=f"{space}.*this one has prompts"):
            make(small_encoder(), chosen)
    with pytest.raises(ValueError, match=r"have 4 channels; this encoder's sd1\.latent head gives 16"):
        init_latents(small_encoder(HeadConfig("sd1.latent", "basis", rank=2, shape=(16, 2, 2))), chosen)


def test_more_than_memory_holds_is_refused_before_it_is_made(encoder):
    many = select_times(noise_recording(), list(np.linspace(0.5, 10, 200)))
    with pytest.raises(ValueError, match=r"200 windows at 4096 x 4096 take 40 GB of memory; select fewer windows"):
        init_pictures(encoder, many, width=4096, height=4096)


def test_the_report_says_what_was_decoded_and_how_surely(chosen):
    encoder = small_encoder(SALIENCY)
    found = init_pictures(encoder, chosen)
    assert "head: saliency, 24 x 16 pixels" in found.report
    assert "(guessing: 0.50)" in found.report
    assert 0 < found.confidence < 1
    encoder.confidence = {}
    assert init_pictures(encoder, chosen).confidence == 0
    assert "never calibrated" in init_pictures(encoder, chosen).report
