"""Pictures drawn from EEG by a real host: what acts, what stays as it was, and which window draws which picture."""

import numpy as np
import pytest

from tests.host_a1111.conftest import PROMPTS
from tests.host_a1111.host import png, same, value_of

EEG = {"recording": "noise.safetensors", "encoder": "sd1.safetensors", "which": "0"}
LONG = "red blue ring star "


def test_plain_pictures_before_and_after_are_identical_and_the_eeg_picture_differs(host, plain):
    drawn = host.draw(EEG)
    assert not same(drawn.only, plain)
    assert drawn.only.std() > 0
    assert same(host.draw().only, plain)
    assert same(host.draw(EEG).only, drawn.only)
    assert same(host.draw({**EEG, "enabled": False}).only, plain)


def test_the_prompt_does_not_matter_where_the_eeg_replaces_it(host, plain):
    assert same(host.draw(EEG, prompt="a blue square").only, host.draw(EEG).only)
    assert not same(host.draw(prompt="a blue square").only, plain)


def test_a_batch_of_three_draws_three_windows(host, computed):
    drawn = host.draw({**EEG, "which": "0-2"}, batch_size=3)
    assert len(set(drawn.digests)) == 3
    [expected] = computed({**EEG, "which": "0-2"})
    assert drawn.digests == expected
    for number, pixels in enumerate(drawn.pixels):
        alone = host.draw({**EEG, "which": str(number)}, seed=1 + number)
        assert same(pixels, alone.only, steps=2)  # a batch rounds in another order
        others = [one for other, one in enumerate(drawn.pixels) if other != number]
        assert not any(same(pixels, one, steps=2) for one in others)


def test_windows_go_on_from_iteration_to_iteration_and_begin_again(host):
    drawn = host.draw({**EEG, "which": "0-2"}, batch_size=2, n_iter=2)
    assert drawn.digests[3] == drawn.digests[0]
    assert len(set(drawn.digests[:3])) == 3
    assert same(drawn.pixels[2], host.draw({**EEG, "which": "2"}, seed=3).only, steps=2)
    assert same(drawn.pixels[3], host.draw({**EEG, "which": "0"}, seed=4).only, steps=2)


@pytest.mark.parametrize(
    "request_",
    [
        {"which": "0-2"},
        {"which": "", "average": "per label"},
        {"which": "", "label": "face", "average": "all"},
        {"choose": "times", "times": "1.5, 3"},
        {"recording": "other.safetensors"},
    ],
)
def test_the_embedding_is_what_core_computes(host, computed, request_):
    given = {**EEG, **request_}
    [expected] = computed(given)
    drawn = host.draw(given, n_iter=len(expected), steps=1)
    assert drawn.digests == expected


def second_pass(host) -> dict:
    upscaler = "None" if host.kind == "neo" else "Latent"  # Neo has no upscaler but models' files
    fields = {"enable_hr": True, "hr_scale": 1.5, "denoising_strength": 0.7, "hr_upscaler": upscaler}
    return fields | ({"hr_additional_modules": ["Use same choices"]} if host.kind in ("forge", "neo") else {})


def test_the_second_pass_of_hires_is_steered_too(host):
    fields = second_pass(host)
    without = host.draw(**fields)
    drawn = host.draw(EEG, **fields)
    side = 128 if host.kind == "neo" else 96  # Neo rounds to 64
    assert drawn.only.shape == (side, side, 3)
    assert not same(drawn.only, without.only)
    assert same(host.draw(EEG, prompt="a blue square", **fields).only, drawn.only)
    assert same(host.draw(**fields).only, without.only)


def test_hires_with_a_batch_keeps_each_pictures_window(host):
    fields = second_pass(host)
    drawn = host.draw({**EEG, "which": "0-1"}, batch_size=2, **fields)
    assert same(drawn.pixels[1], host.draw({**EEG, "which": "1"}, seed=2, **fields).only, steps=2)


def test_img2img_is_steered(host, plain):
    fields = {"kind": "img2img", "init_images": [png(plain)], "denoising_strength": 0.8}
    without = host.draw(**fields)
    assert not same(host.draw(EEG, **fields).only, without.only, steps=2)
    assert same(host.draw(**fields).only, without.only, steps=1)  # the autoencoder draws a little noise, unseeded


def test_inpainting_changes_the_mask_alone(host, plain):
    mask = np.zeros((64, 64, 3), np.uint8)
    mask[:, 32:] = 255
    fields = {
        "kind": "img2img", "init_images": [png(plain)], "mask": png(mask), "denoising_strength": 0.9, "mask_blur": 0,
        "inpainting_fill": 1,
    }  # fmt: skip
    without, drawn = host.draw(**fields).only, host.draw(EEG, **fields).only
    assert not same(drawn[:, 32:], without[:, 32:])
    assert same(drawn[:, :32], plain[:, :32])


def test_the_eeg_takes_the_place_of_the_first_part_of_an_and_prompt(host):
    first = host.draw(EEG, prompt="a cat AND a dog :0.5").only
    assert same(host.draw(EEG, prompt="a ring AND a dog :0.5").only, first)
    assert not same(host.draw(EEG, prompt="a cat AND a star :0.5").only, first)
    assert not same(host.draw(prompt="a cat AND a dog :0.5").only, first)
    batch = host.draw({**EEG, "which": "0-1"}, prompt="a cat AND a dog :0.5", batch_size=2)
    assert same(batch.pixels[0], first, steps=2)


def test_without_guidance_the_eeg_acts_alone(host):
    drawn = host.draw(EEG, cfg_scale=1)
    assert not same(drawn.only, host.draw(cfg_scale=1).only)
    assert same(host.draw(EEG, cfg_scale=1, negative_prompt="a blue square").only, drawn.only)


@pytest.mark.parametrize("words", [0, 1, 18, 60])
def test_prompts_of_any_length_are_blended(host, words):
    # An empty prompt, one chunk, and several: the decoded rows are 77 long whatever the prompt is.
    prompt = LONG * words
    drawn = host.draw({**EEG, "mode": "blend", "strength": 0.5}, prompt=prompt, negative_prompt=LONG * (words % 7))
    assert not same(drawn.only, host.draw(prompt=prompt, negative_prompt=LONG * (words % 7)).only)


@pytest.mark.parametrize("negative", [1, 60])
def test_a_long_prompt_is_replaced_whatever_its_words(host, negative):
    drawn = host.draw(EEG, prompt=LONG * 60, negative_prompt=LONG * negative).only
    other = "a blue square and a green hill under the moon " * 25  # of as many chunks
    assert same(host.draw(EEG, prompt=other, negative_prompt=LONG * negative).only, drawn)


@pytest.mark.parametrize("sampler", ["Euler", "Euler a", "DPM++ 2M"])
def test_samplers_draw_from_the_eeg_and_again_the_same(host, sampler):
    drawn = host.draw(EEG, sampler_name=sampler, steps=3).only
    assert not same(drawn, host.draw(sampler_name=sampler, steps=3).only)
    assert same(drawn, host.draw(EEG, sampler_name=sampler, steps=3).only)


@pytest.mark.parametrize("mode", ["blend", "add"])
@pytest.mark.parametrize("prompt", ["a red circle", LONG * 30])
def test_strength_zero_is_the_plain_picture(host, mode, prompt):
    assert same(host.draw({**EEG, "mode": mode, "strength": 0}, prompt=prompt).only, host.draw(prompt=prompt).only)


def test_blend_at_full_strength_is_replace(host):
    assert same(host.draw({**EEG, "mode": "blend"}).only, host.draw(EEG).only)


def test_replace_at_strength_zero_forgets_the_window(host):
    first = host.draw({**EEG, "strength": 0}).only
    assert same(host.draw({**EEG, "strength": 0, "which": "3"}).only, first)


def test_adding_moves_the_prompt_by_the_window(host, plain):
    added = host.draw({**EEG, "mode": "add", "strength": 2}).only
    assert not same(added, plain)
    assert not same(host.draw({**EEG, "mode": "add", "strength": 2}, prompt="a blue square").only, added)


def test_start_and_end_are_the_part_of_the_steps_in_which_it_acts(host, plain):
    four = host.draw(steps=4).only
    whole = host.draw(EEG, steps=4).only
    first, second = (host.draw({**EEG, **part}, steps=4).only for part in ({"end": 0.5}, {"start": 0.5}))
    assert not any(same(part, other) for part in (first, second) for other in (four, whole))
    assert not same(first, second)
    # From 90 % on no step of four begins, so nothing acts.
    assert same(host.draw({**EEG, "start": 0.9}, steps=4).only, four)


def test_the_fallback_lies_between_the_eeg_and_the_prompt(host, plain):
    drawn = host.draw({**EEG, "encoder": "sd1.safetensors", "fallback": True}).only
    assert not same(drawn, plain) or not same(drawn, host.draw(EEG).only)
    assert same(host.draw().only, plain)


def test_the_train_mean_takes_the_negative_prompts_place(host):
    drawn = host.draw({**EEG, "negative": "train mean"}).only
    assert not same(drawn, host.draw(EEG).only)
    assert same(host.draw({**EEG, "negative": "train mean"}, negative_prompt="a blue square").only, drawn)


@pytest.mark.parametrize("init", ["saliency", "latent"])
def test_img2img_starts_from_the_eegs_picture(host, plain, init):
    given = {**EEG, "encoder": f"{init}.safetensors", "init": init}
    fields = {"kind": "img2img", "init_images": [png(plain)], "denoising_strength": 0.5}
    drawn = host.draw(given, **fields).only
    assert not same(drawn, host.draw({**given, "init": "none"}, **fields).only, steps=2)
    # What was sent as the init image does not matter any more.
    assert same(host.draw(given, **fields | {"init_images": [png(255 - plain)]}).only, drawn, steps=1)


@pytest.mark.parametrize("init", ["saliency", "latent"])
def test_txt2img_starts_from_the_eegs_picture(host, plain, init):
    given = {**EEG, "encoder": f"{init}.safetensors", "init": init}
    drawn = host.draw(given, denoising_strength=0.5).only
    assert drawn.shape == plain.shape
    assert not same(drawn, host.draw({**given, "init": "none"}).only)
    assert same(host.draw().only, plain)


def test_txt2img_and_img2img_start_from_the_same_picture(host, plain):
    given = {**EEG, "encoder": "saliency.safetensors", "init": "saliency"}
    kept = {"denoising_strength": 0.5, "steps": 4}
    # Hires draws all of the steps; img2img draws that part of them, unless it is told otherwise.
    fixed = {"override_settings": {"img2img_fix_steps": True}}
    by_img2img = host.draw(given, kind="img2img", init_images=[png(plain)], **kept, **fixed).only
    by_txt2img = host.draw(given, **kept).only
    assert same(by_txt2img, by_img2img, steps=2)


def test_prompts_are_mixed_by_the_hosts_own_text_encoder(host):
    given = {**EEG, "encoder": "prompts.safetensors"}
    drawn = host.draw(given)
    assert not same(drawn.only, host.draw(EEG).only)
    # Both prompts the same: whatever the weights, the mixture is that prompt.
    only = host.draw({**given, "prompts": "a red circle\na red circle"})
    assert same(only.only, host.draw().only, steps=2)
    reworded = host.draw({**given, "prompts": "\n".join(reversed(PROMPTS))})
    assert not same(reworded.only, drawn.only)
    assert value_of(reworded.infotexts[0], "EEG embedding") != value_of(drawn.infotexts[0], "EEG embedding")


@pytest.fixture
def sdxl(host):
    """The host with SDXL loaded, SD 1.5 again afterwards."""
    if host.kind != "a1111":
        pytest.skip("SDXL's random weights are built for AUTOMATIC1111 only; the others would need 7 GB at full size")
    host.choose("random-sdxl.safetensors")
    yield host
    host.choose("random-sd15.safetensors")


def test_sdxl_takes_context_and_pooled_vector(sdxl, computed):
    plain = sdxl.draw().only
    given = {**EEG, "encoder": "sdxl.safetensors", "which": "0-2"}
    drawn = sdxl.draw(given, batch_size=3)
    assert [drawn.digests] == computed(given, family="sdxl")
    assert same(drawn.pixels[1], sdxl.draw({**given, "which": "1"}, seed=2).only, steps=2)
    assert not any(same(one, plain, steps=2) for one in drawn.pixels)
    assert same(sdxl.draw({**given, "mode": "blend", "strength": 0}).only, plain)
    assert not same(sdxl.draw({**given, "negative": "train mean"}).only, drawn.pixels[0])
    assert same(sdxl.draw({**EEG, "encoder": "sdxl.safetensors"}, prompt="a blue square").only, drawn.pixels[0], 2)
    assert same(sdxl.draw().only, plain)


def test_sdxl_mixes_prompts_with_both_text_encoders(sdxl):
    given = {**EEG, "encoder": "prompts.safetensors", "prompts": "a red circle\na red circle"}
    assert same(sdxl.draw(given).only, sdxl.draw().only, steps=2)


def test_sdxl_with_hires_img2img_and_parts(sdxl):
    given = {**EEG, "encoder": "sdxl.safetensors"}
    plain = sdxl.draw().only
    assert not same(sdxl.draw(given, **second_pass(sdxl)).only, sdxl.draw(**second_pass(sdxl)).only)
    for fields in (
        {"prompt": "a cat AND a dog"},
        {"kind": "img2img", "init_images": [png(plain)], "denoising_strength": 0.8},
    ):
        assert not same(sdxl.draw(given, **fields).only, sdxl.draw(**fields).only)
