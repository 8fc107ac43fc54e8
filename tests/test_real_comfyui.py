"""The pack in a real ComfyUI: COMFYUI_DIR is its checkout, COMFYUI_PYTHON the interpreter it runs with."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from core.checkpoint import save_encoder
from core.formats.native import save_recording
from core.heads import HeadConfig
from tests.small_encoders import noise_recording, small_encoder

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_S = 180


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Host:
    """A running ComfyUI: its address and its log so far."""

    def __init__(self, port: int, log: Path):
        self.address, self.log = f"http://127.0.0.1:{port}", log

    def get(self, path: str):
        with urllib.request.urlopen(self.address + path, timeout=20) as reply:
            return json.load(reply)

    def run(self, prompt: dict) -> dict:
        """Queue a prompt and return its history once it has ended."""
        body = json.dumps({"prompt": prompt}).encode()
        request = urllib.request.Request(self.address + "/prompt", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as reply:
            queued = json.load(reply)["prompt_id"]
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            if entry := self.get(f"/history/{queued}").get(queued):
                return entry
            time.sleep(0.2)
        raise TimeoutError(self.log.read_text())


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """ComfyUI on a folder of its own that holds the pack, a recording and an untrained encoder."""
    if not os.environ.get("COMFYUI_DIR"):
        pytest.skip("set COMFYUI_DIR to a ComfyUI checkout (and COMFYUI_PYTHON) to run the pack in it")
    base = tmp_path_factory.mktemp("comfyui")
    for folder in ("custom_nodes", "input", "models/eeg_encoders", "output", "temp", "user"):
        (base / folder).mkdir(parents=True)
    (base / "custom_nodes" / "sd-eeg").symlink_to(ROOT, target_is_directory=True)
    save_recording(noise_recording(), base / "input" / "noise.safetensors")
    save_encoder(
        small_encoder(HeadConfig("sd1.text", "basis", rank=2)), base / "models" / "eeg_encoders" / "text.safetensors"
    )
    port, log = free_port(), base / "log.txt"
    command = [os.environ.get("COMFYUI_PYTHON", sys.executable), "main.py", "--cpu", "--listen", "127.0.0.1"]
    command += ["--port", str(port), "--disable-auto-launch", "--disable-api-nodes", "--base-directory", str(base)]
    command += ["--database-url", f"sqlite:///{base / 'comfyui.db'}"]
    with log.open("w") as out:
        process = subprocess.Popen(command, cwd=os.environ["COMFYUI_DIR"], stdout=out, stderr=subprocess.STDOUT)
        try:
            running, end = Host(port, log), time.monotonic() + PATIENCE_S
            while True:
                try:
                    running.get("/system_stats")
                    break
                except (urllib.error.URLError, ConnectionError, TimeoutError):
                    assert process.poll() is None, log.read_text()
                    assert time.monotonic() < end, log.read_text()
                    time.sleep(0.3)
            yield running
        finally:
            process.terminate()
            process.wait(30)


def test_the_pack_costs_the_start_nothing(host):
    assert re.search(r"^.*\b0\.[01] seconds: .*sd-eeg$", host.log.read_text(), re.MULTILINE), host.log.read_text()


def test_the_host_lists_the_nodes(host):
    listed = host.get("/object_info")
    ours = {name for name in listed if name.startswith("SDEEG_")}
    assert ours == {"SDEEG_LoadRecording", "SDEEG_LoadEncoder", "SDEEG_Encode"}
    assert listed["SDEEG_LoadRecording"]["input"]["required"]["file"][1]["options"] == ["noise.safetensors"]
    # the pack's own encoders may stand beside the user's
    assert "text.safetensors" in listed["SDEEG_LoadEncoder"]["input"]["required"]["encoder"][1]["options"]


def graph(**encode) -> dict:
    return {
        "1": {"class_type": "SDEEG_LoadRecording", "inputs": {"file": "noise.safetensors"}},
        "2": {"class_type": "SDEEG_LoadEncoder", "inputs": {"encoder": "text.safetensors"}},
        "3": {
            "class_type": "SDEEG_Encode",
            "inputs": {
                "encoder": ["2", 0],
                "recording": ["1", 0],
                "event": "face",
                "index": -1,
                "strength": 1.0,
                **encode,
            },
        },
        "4": {"class_type": "ConditioningZeroOut", "inputs": {"conditioning": ["3", 0]}},
        "5": {"class_type": "PreviewAny", "inputs": {"source": ["4", 0]}},
        "6": {"class_type": "PreviewAny", "inputs": {"source": ["3", 2]}},
    }


def test_a_graph_decodes_a_recording(host):
    entry = host.run(graph())
    assert entry["status"]["status_str"] == "success", entry["status"]
    assert "window 1" in entry["outputs"]["6"]["text"][0]


def test_bad_input_reaches_the_user_as_one_readable_line(host):
    entry = host.run(graph(event="nosuch"))
    assert entry["status"]["status_str"] == "error"
    [failure] = [body for kind, body in entry["status"]["messages"] if kind == "execution_error"]
    assert "nosuch" in failure["exception_message"]
    assert "face" in failure["exception_message"]


def test_a_name_that_leads_out_of_the_input_folder_is_refused(host):
    prompt = graph()
    prompt["1"]["inputs"]["file"] = "../log.txt"
    with pytest.raises(urllib.error.HTTPError, match="400"):
        host.run(prompt)
