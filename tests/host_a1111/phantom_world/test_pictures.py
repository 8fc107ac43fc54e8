"""The phantom's diffusion model as a checkpoint of a real AUTOMATIC1111: pictures that obey captions, and the EEG."""

import numpy as np
import pytest
import torch

from core.files import PHANTOM
from core.phantom.judge import ATTRIBUTES, judge_pictures, load_judge
from core.phantom.scenes import Scene, split_scenes
from core.phantom.session import scenes_from_captions
from tests.host_a1111.phantom_world.checkpoint import NAME, write_phantom
from tests.host_comfyui.recordings import write_edf

SCENES = (
    "a large red star at the top",
    "a small blue ring on the right",
    "a large orange triangle on the left",
    "a small yellow circle at the bottom",
)
DRAWING = {"steps": 20, "cfg_scale": 3, "sampler_name": "DPM++ 2M", "scheduler": "Karras"}


@pytest.fixture(scope="module")
def phantom(host):
    """The webui with the phantom's model in use, and the phantom's EEG of SCENES among its recordings."""
    if host.kind != "a1111":
        pytest.skip(f"{host.kind} takes no yaml: it builds a model's parts at Stable Diffusion's own sizes")
    written = write_phantom(host.data / "models" / "Stable-diffusion")
    recording = host.data / "eeg_recordings" / "phantom.edf"
    write_edf(list(SCENES), recording, "epoc-14")
    host.call("/sdapi/v1/refresh-checkpoints", {})
    host.choose(NAME)
    yield host
    host.choose("random-sd15.safetensors")  # the other tests draw with that one, and count what lies there
    for file in (written, written.with_suffix(".yaml"), recording):
        file.unlink()
    host.call("/sdapi/v1/refresh-checkpoints", {})


def judged(pictures: list[np.ndarray], scenes: list[Scene]) -> torch.Tensor:
    """Which attributes (n, 4) the phantom's judge finds as the scenes have them."""
    batch = torch.stack([torch.tensor(one) for one in pictures]).permute(0, 3, 1, 2) / 255
    found = judge_pictures(load_judge(PHANTOM), batch)
    return torch.stack([found[name] for name in ATTRIBUTES], dim=1) == torch.tensor([scene.codes for scene in scenes])


def test_the_judge_finds_what_the_captions_say(phantom):
    scenes = split_scenes()["test"][:10]
    drawn = [phantom.draw(prompt=scene.caption, seed=number, **DRAWING).only for number, scene in enumerate(scenes)]
    right = judged(drawn, scenes).all(dim=1)
    assert right.sum() >= 9, [scene.caption for scene, good in zip(scenes, right, strict=True) if not good]


def test_pictures_from_the_eeg_show_what_was_seen_whatever_the_prompt_says(phantom):
    eeg = {"recording": "phantom.edf", "encoder": "phantom-epoc14.safetensors", "average": "per label"}
    drawn = phantom.draw(eeg, prompt="a large black cross at the top right", batch_size=len(SCENES), **DRAWING)
    seen = scenes_from_captions("\n".join(SCENES))
    assert judged(drawn.pixels, seen)[:, :2].all(), [scene.caption for scene in seen]  # shape and colour
