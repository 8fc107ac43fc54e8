"""A real ComfyUI for these tests: $COMFYUI_DIR is its checkout, $COMFYUI_PYTHON the interpreter it runs with."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from core.formats.toolboxes.native import save_recording
from core.model.checkpoint import save_encoder
from core.model.heads import HeadConfig
from core.phantom.scenes import all_scenes, draw
from tests.host_comfyui.browser import CHROMIUM, chromium
from tests.host_comfyui.host import Host, new_base
from tests.small_encoders import noise_recording, small_encoder

HEADS = {
    "sd1": (HeadConfig("sd1.text", "basis", rank=2), HeadConfig("clip-h.image", "basis", rank=2)),
    "sd2": (HeadConfig("sd2.text", "basis", rank=2), HeadConfig("clip-h.image", "basis", rank=2)),
    "sdxl": (HeadConfig("sdxl.text", "basis", rank=2), HeadConfig("clip-g.image", "basis", rank=2)),
    "prompts": (HeadConfig("prompts", "prompts", prompts=("a large red star at the top", "a small blue ring")),),
    "pictures": (
        HeadConfig("sd1.text", "basis", rank=2),
        HeadConfig("saliency", "basis", rank=2, shape=(3, 64, 64)),
        HeadConfig("sd1.latent", "basis", rank=2, shape=(4, 8, 8)),
    ),
}


@pytest.fixture(scope="session")
def comfyui() -> Path:
    """The checkout under test; without it every test here is skipped."""
    if not os.environ.get("COMFYUI_DIR"):
        pytest.skip("set COMFYUI_DIR to a ComfyUI checkout (and COMFYUI_PYTHON) to run the pack in it")
    return Path(os.environ["COMFYUI_DIR"])


@pytest.fixture(scope="session")
def ipadapter() -> Path:
    """The IP-Adapter pack; tests that need it are skipped without it."""
    if not os.environ.get("IPADAPTER_DIR"):
        pytest.skip("set IPADAPTER_DIR to a checkout of ComfyUI_IPAdapter_plus to run the pack beside it")
    return Path(os.environ["IPADAPTER_DIR"])


@pytest.fixture(scope="session")
def host(comfyui, tmp_path_factory):
    """One ComfyUI for the whole session, on a folder of its own with this pack and the test probes in it.

    In its input folder lie two recordings (noise.safetensors, other.safetensors), among its encoders the untrained
    sd1, sd2, sdxl (each with a head for image vectors too), prompts, and pictures (saliency and latent heads).
    """
    torch.set_num_threads(1)
    adapter = [Path(os.environ["IPADAPTER_DIR"])] if os.environ.get("IPADAPTER_DIR") else []
    base = new_base(tmp_path_factory.mktemp("comfyui"), Path(__file__).parent / "probes", *adapter)
    for seed, name in enumerate(("noise", "other")):
        save_recording(noise_recording(seed=seed), base / "input" / f"{name}.safetensors")
    for name, heads in HEADS.items():
        made = small_encoder(*heads)
        if "saliency" in made.spaces:  # pictures of noise would come out of any VAE as something else
            made.head("saliency").set_target(torch.stack([torch.tensor(draw(scene)) for scene in all_scenes()[::20]])
                                             .permute(0, 3, 1, 2).flatten(1) / 255)  # fmt: skip
        save_encoder(made, base / "models" / "eeg_encoders" / f"{name}.safetensors")
    running = Host(base)
    try:
        yield running.start()
    finally:
        running.stop()


@pytest.fixture(scope="session")
def checkpoints(comfyui, host) -> Path:
    """The folder of small random checkpoints of every family, written into the host's models at first use."""
    folder = host.base / "models" / "checkpoints"
    command = [os.environ.get("COMFYUI_PYTHON", sys.executable), str(Path(__file__).parent / "checkpoints.py")]
    made = subprocess.run([*command, str(folder)], cwd=comfyui, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr[-3000:]
    return folder


@pytest.fixture(scope="session")
def browser(comfyui):
    """A Chromium; tests that need one are skipped without it, or without playwright."""
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.is_file():
        pytest.skip(f"no Chromium at {CHROMIUM} (set CHROMIUM to one)")
    with chromium() as running:
        yield running
