"""The phantom's diffusion model in the real host: the same numbers as in diffusers, pictures that obey captions."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from core.conditioning.diffusers_pipeline import load_pipeline, prompt_encoder
from core.phantom.judge import ATTRIBUTES, judge_pictures, load_judge
from core.phantom.scenes import split_scenes
from tests.host_comfyui.graphs import node
from tests.host_comfyui.host import ROOT, images, pixels, succeeded

WORLD = ROOT / "assets" / "phantom"
CAPTIONS = ["a large red star at the top left", "a small white ring on the right", "a cyan cross", ""]


@pytest.fixture(scope="module")
def in_host(comfyui, tmp_path_factory) -> dict[str, torch.Tensor]:
    """What the host's classes make of random inputs."""
    out = tmp_path_factory.mktemp("world") / "found.safetensors"
    command = [os.environ.get("COMFYUI_PYTHON", sys.executable), str(Path(__file__).parent / "run_phantom_world.py")]
    made = subprocess.run([*command, str(out), json.dumps(CAPTIONS)], cwd=comfyui, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr[-3000:]
    assert "issing" not in made.stderr, made.stderr[-3000:]  # the host warns of weights that found no place
    return load_file(out)


@pytest.fixture(scope="module")
def pipeline():
    torch.set_num_threads(1)
    return load_pipeline(WORLD)


@torch.inference_mode()
def test_text_states_equal_the_text_encoders(in_host, pipeline):
    context, _ = prompt_encoder(pipeline)(CAPTIONS)
    torch.testing.assert_close(in_host["context"], context, atol=1e-4, rtol=0)


@torch.inference_mode()
def test_the_denoiser_equals_diffusers(in_host, pipeline):
    context = in_host["context"]
    expected = pipeline.unet(in_host["noisy"], in_host["timestep"], encoder_hidden_states=context).sample
    torch.testing.assert_close(in_host["denoised"], expected, atol=1e-4, rtol=0)


@torch.inference_mode()
def test_the_autoencoder_equals_diffusers_both_ways(in_host, pipeline):
    pictures = pipeline.vae.decode(in_host["latents"]).sample.add(1).div(2).clamp(0, 1)
    torch.testing.assert_close(in_host["pictures"], pictures, atol=1e-4, rtol=0)
    latents = pipeline.vae.encode(in_host["pictures"] * 2 - 1).latent_dist.mean
    torch.testing.assert_close(in_host["encoded"], latents, atol=1e-4, rtol=0)


def test_the_noise_schedule_equals_diffusers(in_host, pipeline):
    alphas = pipeline.scheduler.alphas_cumprod
    torch.testing.assert_close(in_host["sigmas"], ((1 - alphas) / alphas).sqrt(), atol=0, rtol=1e-4)


@pytest.mark.parametrize(("sampler", "scheduler", "cfg"), [("euler", "normal", 3.0), ("dpmpp_2m", "karras", 5.0)])
def test_the_judge_finds_what_the_captions_say(host, sampler, scheduler, cfg):
    scenes = split_scenes()["test"][:20]
    graph = {
        "world": node("SDEEG_LoadPhantomWorld"),
        "nothing": node("CLIPTextEncode", clip=["world", 1], text=""),
        "latent": node("EmptyLatentImage", width=64, height=64, batch_size=1),
    }
    for number, scene in enumerate(scenes):
        graph[f"words {number}"] = node("CLIPTextEncode", clip=["world", 1], text=scene.caption)
        graph[f"sampler {number}"] = node(
            "KSampler", model=["world", 0], positive=[f"words {number}", 0], negative=["nothing", 0],
            latent_image=["latent", 0], seed=number, steps=20, cfg=cfg, sampler_name=sampler, scheduler=scheduler,
            denoise=1.0,
        )  # fmt: skip
        graph[f"pixels {number}"] = node("VAEDecode", samples=[f"sampler {number}", 0], vae=["world", 2])
        graph[f"image {number}"] = node("PreviewImage", images=[f"pixels {number}", 0])
    entry = succeeded(host.run(graph))
    drawn = [pixels(host, entry["outputs"][f"image {number}"]["images"][0]) for number in range(len(scenes))]
    assert len(images(entry)) == len(scenes)
    found = judge_pictures(
        load_judge(WORLD), torch.stack([torch.tensor(one) for one in drawn]).permute(0, 3, 1, 2) / 255
    )
    judged = torch.stack([found[name] for name in ATTRIBUTES], dim=1)
    right = (judged == torch.tensor([scene.codes for scene in scenes])).all(dim=1)
    assert right.sum() >= 18, [scene.caption for scene, good in zip(scenes, right, strict=True) if not good]
