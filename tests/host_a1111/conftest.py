"""Real webuis for these tests: $A1111_DIR, $FORGE_DIR, $NEO_DIR and $REFORGE_DIR are checkouts, each one's _PYTHON the
interpreter it runs with.
"""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from core.formats.toolboxes.native import save_recording
from core.model.checkpoint import save_encoder
from core.model.heads import HeadConfig
from tests.host_a1111.checkpoints import CHECKPOINTS
from tests.host_a1111.host import ROOT, Host, checkouts, new_data
from tests.small_encoders import noise_recording, small_encoder

TEXT = HeadConfig("sd1.text", "basis", rank=2)
PROMPTS = ("a large red star at the top", "a small blue ring")
HEADS = {
    "sd1": (TEXT,),
    "sdxl": (HeadConfig("sdxl.text", "basis", rank=2),),
    "prompts": (HeadConfig("prompts", "prompts", prompts=PROMPTS),),
    "saliency": (TEXT, HeadConfig("saliency", "basis", shape=(3, 16, 16), rank=2)),
    "latent": (TEXT, HeadConfig("sd1.latent", "basis", shape=(4, 8, 8), rank=2)),
}
# Two of another extension's packages that would be found in place of ours, were ours imported by such names.
DECOY = """
import pathlib, sys
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
import core, trainer
assert core.OWNER == trainer.OWNER == "decoy"
print("the decoy owns core", flush=True)
"""


@pytest.fixture(scope="session", params=checkouts() or [None], ids=lambda one: one.kind if one else "none")
def checkout(request):
    """One host that the environment names after the other; without any, every test here is skipped."""
    if request.param is None:
        pytest.skip("set A1111_DIR (and A1111_PYTHON), FORGE_DIR, NEO_DIR or REFORGE_DIR to run the extension in one")
    return request.param


@pytest.fixture(scope="session")
def host(checkout, tmp_path_factory):
    """One webui for the whole session, on a data directory of its own, beside an extension that owns a `core`.

    In its recordings' folder lie noise.safetensors and other.safetensors, among its encoders the untrained HEADS, and
    its checkpoints are of random weights: random-sd15, on AUTOMATIC1111 random-sdxl too.
    """
    torch.set_num_threads(1)
    data = new_data(tmp_path_factory.mktemp(checkout.kind), checkout.kind)
    for seed, name in enumerate(("noise", "other")):
        save_recording(noise_recording(seed=seed), data / "eeg_recordings" / f"{name}.safetensors")
    for name, heads in HEADS.items():
        save_encoder(small_encoder(*heads), data / "models" / "eeg_encoders" / f"{name}.safetensors")
    decoy = data / "extensions" / "a-decoy"
    for package in ("core", "trainer"):
        (decoy / package).mkdir(parents=True)
        (decoy / package / "__init__.py").write_text('OWNER = "decoy"\n')
    (decoy / "scripts").mkdir()
    (decoy / "scripts" / "decoy.py").write_text(DECOY)
    for make in CHECKPOINTS[checkout.kind]:
        make(data / "models" / "Stable-diffusion")
    running = Host(checkout, data)
    try:
        yield running.start()
    finally:
        running.stop()


@pytest.fixture(scope="session")
def odd(host, tmp_path_factory):
    """A second webui, with a password, whose Python has no mne."""
    data = new_data(tmp_path_factory.mktemp(f"odd-{host.kind}"), host.kind)
    for file in (host.data / "models/Stable-diffusion").iterdir():
        (data / "models/Stable-diffusion" / file.name).symlink_to(file)
    shutil.copy(host.data / "eeg_recordings" / "noise.safetensors", data / "eeg_recordings")
    for name in HEADS:
        shutil.copy(host.encoders / f"{name}.safetensors", data / "models" / "eeg_encoders")
    (data / "eeg_recordings" / "needs-mne.fif").write_bytes(b"\x00" * 64)
    hidden = data / "hidden" / "mne"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'mne'\", name='mne')\n")
    running = Host(host.checkout, data, env={"PYTHONPATH": str(hidden.parent)}, auth="user:pass")
    try:
        yield running.start()
    finally:
        running.stop()


@pytest.fixture(scope="session")
def plain(host):
    """What the host draws without EEG, before anything else was drawn."""
    return host.draw().only


@pytest.fixture(scope="session")
def computed(host, tmp_path_factory):
    """A function from requests to what core by itself computes for SD 1.x: each window's digest, of every request.

    It runs in the host's interpreter, whose torch and scipy round as the host does, but without the host.
    """

    def compute(*requests: dict, family: str = "sd1") -> list[list[str]]:
        script = Path(__file__).with_name("core_digests.py")
        folders = {"recordings": str(host.data / "eeg_recordings"), "encoders": str(host.encoders)}
        given = json.dumps({"family": family, "requests": requests, **folders})
        done = subprocess.run(
            [host.checkout.python, str(script), str(ROOT)], input=given, capture_output=True, text=True,
            env={**host.environment(), "PYTHONPATH": ""}, cwd=tmp_path_factory.mktemp("core"),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1])

    return compute
