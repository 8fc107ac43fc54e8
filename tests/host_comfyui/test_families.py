"""Every model family samples from EEG, and what reaches the sampler is what core computes, bit for bit."""

import numpy as np
import pytest
import torch

from core.conditioning.conditioning import mix_prompts
from tests.host_comfyui.conftest import HEADS
from tests.host_comfyui.graphs import at_sampler, checkpoint, computed, eeg_graph, encode, node, sample, save, saved
from tests.host_comfyui.host import Host, failure, images, pixels, succeeded

pytestmark = pytest.mark.usefixtures("checkpoints")
PROMPTS = HEADS["prompts"][0].prompts


def from_eeg(model: str, encoder: str, **inputs) -> dict:
    graph = checkpoint(eeg_graph(encoder=f"{encoder}.safetensors"), model, probe=model)
    return encode(graph, model=["checkpoint", 0], **inputs)


def picture(host: Host, graph: dict) -> np.ndarray:
    [only] = images(succeeded(host.run(graph)))
    return pixels(host, only)


@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl"])
def test_conditioning_at_the_sampler_is_what_core_computes(host, family):
    assert picture(host, sample(from_eeg(family, family))).std() > 0
    positive, negative = at_sampler(host, family)
    found = computed(host, f"{family}.safetensors", family=family)
    assert torch.equal(positive["c_crossattn"], found.text.context)
    assert torch.equal(negative["c_crossattn"], found.text.negative.context)


def test_sdxl_is_given_the_pooled_vector_and_the_sizes(host):
    graph = from_eeg("sdxl", "sdxl", width=832, height=1216)
    succeeded(host.run(save(sample(graph), "positive", ("encode", 0))))
    found, given = computed(host, "sdxl.safetensors", family="sdxl"), saved(host, "positive")
    assert torch.equal(given["0.1.pooled_output"], found.text.pooled)
    sizes = {name: given[f"0.1.{name}"].item() for name in ("width", "height", "target_width", "target_height")}
    assert sizes == {"width": 832, "height": 1216, "target_width": 832, "target_height": 1216}
    assert given["0.1.crop_w"].item() == given["0.1.crop_h"].item() == 0


def test_the_pooled_vector_reaches_sdxl(host):
    succeeded(host.run(sample(from_eeg("sdxl", "sdxl", strength=0.5))))
    positive, negative = at_sampler(host, "sdxl")
    found = computed(host, "sdxl.safetensors", family="sdxl", strength=0.5)
    assert torch.equal(positive["y"][:, :1280], found.text.pooled)
    assert torch.equal(negative["y"][:, :1280], found.text.negative.pooled)


def through_vision(graph: dict, strength: float) -> dict:
    graph["unclip"] = node(
        "unCLIPConditioning", conditioning=["encode", 0], clip_vision_output=["encode", 2], strength=strength,
        noise_augmentation=0.0,
    )  # fmt: skip
    return sample(save(graph, "vision", ("encode", 2)), positive=("unclip", 0))


@pytest.mark.parametrize(("model", "family"), [("sd2-unclip", "sd2"), ("sdxl", "sdxl")])
def test_a_clip_vision_output_steers_unclip_and_sdxl(host, model, family):
    drawn = picture(host, through_vision(from_eeg(model, family), 1.0))
    found = computed(host, f"{family}.safetensors", family=family)
    assert torch.equal(saved(host, "vision")["image_embeds"], found.vision.image_embeds)
    with_image, _ = at_sampler(host, model)
    assert (drawn != picture(host, through_vision(from_eeg(model, family), 0.0))).any()
    without, _ = at_sampler(host, model)
    assert not torch.equal(with_image["y"], without["y"])
    if model == "sdxl":  # the image's vector stands where the pooled text does; the host adds a little noise to it
        torch.testing.assert_close(with_image["y"][:, :1280], found.vision.image_embeds, atol=0.05, rtol=0)


def test_embeds_are_what_core_computes(host):
    graph = from_eeg("sd1", "sd1")
    succeeded(host.run(save(save(graph, "embeds", ("encode", 3)), "negative", ("encode", 6))))
    found = computed(host, "sd1.safetensors", family="sd1")
    assert torch.equal(saved(host, "embeds")["value"], found.embeds.image_embeds)
    assert torch.equal(saved(host, "negative")["value"], found.embeds.negative.image_embeds)


def mixed_in_the_host(host: Host, graph: dict, clip: list) -> None:
    """Sample the mixture and check it against core's mixture of what the host says of each prompt by itself."""
    for number, prompt in enumerate(PROMPTS):
        graph[f"prompt {number}"] = node("CLIPTextEncode", clip=clip, text=prompt)
        save(graph, f"prompt-{number}", (f"prompt {number}", 0))
    assert picture(host, graph).std() > 0
    said = [saved(host, f"prompt-{number}") for number in range(len(PROMPTS))]
    context = torch.cat([one["0.0"] for one in said])
    pooled = torch.cat([one["0.1.pooled_output"] for one in said])
    weights = computed(host, "prompts.safetensors", encode_prompts=lambda _: (context, pooled)).text.weights
    expected, expected_pooled = mix_prompts(weights, context, pooled)
    positive, _ = at_sampler(host, graph["model"]["inputs"]["name"])
    assert torch.equal(positive["c_crossattn"][:, : expected.shape[1]], expected)
    if "y" in positive:
        assert torch.equal(positive["y"][:, : expected_pooled.shape[1]], expected_pooled)


def test_prompts_are_mixed_by_the_text_encoder_in_the_checkpoint(host):
    graph = from_eeg("sd1-text", "prompts", clip=["checkpoint", 1])
    mixed_in_the_host(host, sample(graph), ["checkpoint", 1])


@pytest.mark.parametrize("family", ["sdxl", "sd3", "flux"])
def test_prompts_are_mixed_for_every_family(host, family):
    graph = from_eeg(family, "prompts", clip=["text", 0])
    graph["text"] = node("ProbeText", family=family)
    mixed_in_the_host(host, sample(graph, wide=family != "sdxl"), ["text", 0])


@pytest.mark.parametrize(
    ("model", "encoder", "words"),
    [
        ("sdxl", "sd1", ["77 x 768", "Stable Diffusion 1.x", "2048", "SDXL", "prompts"]),
        ("sd1", "sd2", ["77 x 1024", "768", "prompts"]),
    ],
)
def test_a_wrong_family_is_said_before_sampling_with_both_shapes(host, model, encoder, words):
    entry = host.run(sample(from_eeg(model, encoder)))
    said = failure(entry)
    assert all(word in said for word in words), said
    [body] = [body for kind, body in entry["status"]["messages"] if kind == "execution_error"]
    assert body["node_type"] == "SDEEG_Encode"


def test_a_prompts_head_without_a_text_encoder_says_what_to_connect(host):
    said = failure(host.run(sample(from_eeg("sd1", "prompts"))))
    assert "CLIP" in said
    assert "connect" in said


def test_an_encoder_without_image_vectors_says_so(host):
    for output in (2, 3, 6):
        said = failure(host.run(save(from_eeg("sd1", "prompts"), "nothing", ("encode", output))))
        assert "image vector" in said or "clip-h.image" in said
        assert "prompts" in said
