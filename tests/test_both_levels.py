"""Both levels together: which pixel level there is, where img2img starts, what is drawn."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from core.conditioning.diffusers_pipeline import generate, load_pipeline
from core.model.checkpoint import save_encoder
from core.model.heads import HeadConfig
from core.phantom.judge import judge_pictures, load_judge
from core.phantom.scenes import PLACES, draw, split_scenes
from tests.small_encoders import noise_recording, small_encoder
from tests.small_models import small_sd1
from trainer.drawing.two_levels import (
    Levels,
    as_start,
    decode_levels,
    draw_levels,
    empty_prompt,
    init_of,
    picture_size,
    text_space,
)
from trainer.evaluation.picture_classifiers import PHANTOM
from trainer.generate import GenerateOptions, generate_pictures

TEXT = HeadConfig("sd1.text", "basis", rank=3)
SALIENCY = HeadConfig("saliency", "basis", shape=(3, 64, 64), rank=3)
LATENT = HeadConfig("sd1.latent", "basis", shape=(4, 8, 8), rank=3)


@pytest.fixture(scope="module")
def phantom():
    return load_pipeline(PHANTOM)


def outputs_of(encoder, n=3):
    with torch.inference_mode():
        return encoder(torch.randn(n, 8, 128, generator=torch.Generator().manual_seed(1)))


def scenes_and_pictures(n):
    scenes = split_scenes()["test"][:n]
    return scenes, torch.from_numpy(np.stack([draw(s) for s in scenes])).permute(0, 3, 1, 2).float() / 255


def test_the_pixel_level_is_the_first_the_encoder_has():
    assert init_of(small_encoder(TEXT, LATENT, SALIENCY), "auto") == "saliency"
    assert init_of(small_encoder(TEXT, LATENT), "auto") == "latent"
    assert init_of(small_encoder(TEXT), "auto") == "none"
    assert init_of(small_encoder(TEXT, SALIENCY), "none") == "none"


def test_a_pixel_level_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="'saliency' head"):
        init_of(small_encoder(TEXT), "saliency")
    with pytest.raises(ValueError, match="known: auto, saliency, latent, none"):
        init_of(small_encoder(TEXT), "sketch")


def test_the_sample_level_is_the_first_text_head_wherever_it_stands():
    assert text_space(small_encoder(SALIENCY, TEXT)) == "sd1.text"
    assert text_space(small_encoder(SALIENCY)) is None


def test_a_saliency_picture_starts_at_the_models_size(phantom):
    assert picture_size(phantom) == (64, 64)
    start = as_start(phantom, "saliency", torch.rand(2, 3, 128, 128))
    assert start.shape == (2, 3, 64, 64)
    assert as_start(phantom, "saliency", torch.rand(2, 3, 64, 64), (96, 32)).shape == (2, 3, 32, 96)


def test_a_latent_starts_as_the_picture_its_autoencoder_makes_of_it(phantom):
    _, pictures = scenes_and_pictures(3)
    with torch.no_grad():
        latents = phantom.vae.encode(pictures * 2 - 1).latent_dist.mean * phantom.vae.config.scaling_factor
    assert (as_start(phantom, "latent", latents) - pictures).square().mean() < 1e-3


def test_both_levels_are_decoded_with_the_mean_of_each(phantom):
    encoder = small_encoder(TEXT, SALIENCY)
    levels = decode_levels(encoder, outputs_of(encoder), phantom)
    assert levels.text.context.shape == (3, 77, 768)
    assert levels.start.shape == (3, 3, 64, 64)
    assert levels.mean_start.shape == (1, 3, 64, 64)
    mean = encoder.head("saliency").target_mean.reshape(1, 3, 64, 64).clamp(0, 1)
    torch.testing.assert_close(levels.mean_start, mean)


def test_an_encoder_without_a_text_head_draws_under_the_empty_prompt(phantom):
    encoder = small_encoder(SALIENCY)
    levels = decode_levels(encoder, outputs_of(encoder), phantom)
    torch.testing.assert_close(levels.text.context, empty_prompt(phantom, 3).context)


def test_without_a_pixel_level_the_text_alone_is_drawn_as_before(phantom):
    encoder = small_encoder(TEXT, SALIENCY)
    levels = decode_levels(encoder, outputs_of(encoder, 1), phantom, init="none")
    assert levels.start is None
    alone = generate(phantom, levels.text, steps=3, guidance=3.0)
    assert torch.equal(draw_levels(phantom, levels, steps=3), alone)


def test_little_redrawing_keeps_the_start_and_more_moves_away_from_it(phantom):
    _, pictures = scenes_and_pictures(4)
    levels = Levels(empty_prompt(phantom, 4), pictures)
    near, far = (draw_levels(phantom, levels, denoise=share, steps=10) for share in (0.1, 0.9))
    assert (near - pictures).square().mean() < 0.005
    assert (far - pictures).square().mean() > 3 * (near - pictures).square().mean()


def test_the_start_tells_the_place_that_the_caption_does_not(phantom):
    """The point of the pixel level, with true saliency: grey but for a blurred patch, and a prompt without place."""
    from core.conditioning.conditioning import Conditioning
    from core.conditioning.diffusers_pipeline import prompt_encoder

    scenes, pictures = scenes_and_pictures(24)
    blurred = torch.nn.functional.avg_pool2d(pictures, 9, stride=1, padding=4, count_include_pad=False)
    context, pooled = prompt_encoder(phantom)([f"a {scene.class_name}" for scene in scenes])
    text = Conditioning("sd1.text", context=context, pooled=pooled)
    judge, place = load_judge(PHANTOM), np.array([list(PLACES).index(scene.place) for scene in scenes])
    found = {}
    for name, levels in (("both", Levels(text, blurred)), ("text", Levels(text))):
        judged = judge_pictures(judge, draw_levels(phantom, levels, denoise=0.7, steps=10))
        found[name] = (judged["place"].numpy() == place).mean()
    assert found["both"] > 0.8
    assert found["text"] < 0.4


@pytest.mark.parametrize("denoise", [0.0, 1.2, 0.01])
def test_a_share_that_redraws_nothing_or_too_much_is_refused(phantom, denoise):
    with pytest.raises(ValueError, match="--denoise"):
        draw_levels(phantom, Levels(empty_prompt(phantom, 1), torch.rand(1, 3, 64, 64)), denoise=denoise, steps=5)


def test_the_command_starts_from_the_encoders_own_picture(tmp_path):
    model = small_sd1(tmp_path)
    encoder = small_encoder(TEXT, SALIENCY)
    save_encoder(encoder, tmp_path / "e.safetensors")
    from core.formats.toolboxes.native import save_recording

    save_recording(noise_recording(), tmp_path / "r.safetensors")
    options = GenerateOptions(tmp_path / "r.safetensors", tmp_path / "e.safetensors", str(model),
                              out=tmp_path / "out", index=(0, 1), steps=4, init="saliency", strength=0.5)  # fmt: skip
    from PIL import Image

    with_start = [np.asarray(Image.open(path)) for path in generate_pictures(options)]
    alone = [np.asarray(Image.open(path)) for path in generate_pictures(replace(options, init="none"))]
    assert len(with_start) == 2
    assert with_start[0].shape == alone[0].shape
    assert any((a != b).any() for a, b in zip(with_start, alone, strict=True))
    with pytest.raises(ValueError, match="two pictures to start from"):
        replace(options, init_image=tmp_path / "x.png")
