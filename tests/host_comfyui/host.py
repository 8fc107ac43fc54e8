"""A real ComfyUI as a child process: started on a folder of its own, spoken to over HTTP."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 300
FOLDERS = ("custom_nodes", "input", "models/eeg_encoders", "models/checkpoints", "output", "temp", "user")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def new_base(base: Path, *packs: Path) -> Path:
    """Make a base directory that holds this pack and any others by links, so that nothing is written into them."""
    for folder in FOLDERS:
        (base / folder).mkdir(parents=True, exist_ok=True)
    for pack in (ROOT, *packs):
        name = "sd-eeg" if pack == ROOT else pack.name
        (base / "custom_nodes" / name).symlink_to(pack, target_is_directory=True)
    return base


class RefusedError(ValueError):
    """The host refused a prompt before running it; `errors` is what it says about each node."""

    def __init__(self, reply: dict):
        super().__init__(json.dumps(reply))
        self.errors = reply.get("node_errors", {})
        self.reply = reply

    def messages(self) -> str:
        """Everything a person would read on the nodes, or in the dialog where no node is named."""
        found = [f"{e['message']}: {e['details']}" for node in self.errors.values() for e in node["errors"]]
        whole = self.reply.get("error")
        said = whole if isinstance(whole, str) else f"{whole['message']} {whole['details']}" if whole else ""
        return "\n".join([*found, said])


class Host:
    """A ComfyUI on a base directory: its address, its log so far, and what a front end does with it."""

    def __init__(
        self, base: Path, port: int | None = None, log: Path | None = None, env: dict | None = None, args: tuple = ()
    ):
        self.base, self.port, self.log = base, port or free_port(), log or base / "log.txt"
        self.env, self.args, self.process = env or {}, args, None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> "Host":
        """Start and wait until it answers; the log begins anew."""
        command = [os.environ.get("COMFYUI_PYTHON", sys.executable), "main.py", "--cpu", "--listen", "127.0.0.1"]
        command += ["--port", str(self.port), "--disable-auto-launch", "--disable-api-nodes"]
        command += [
            "--base-directory",
            str(self.base),
            "--database-url",
            f"sqlite:///{self.base / 'comfyui.db'}",
            *self.args,
        ]
        # One thread, as in the tests, so that sums run in the same order and can be compared bit for bit.
        env = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", **self.env}
        with self.log.open("w") as out:
            self.process = subprocess.Popen(
                command, cwd=os.environ["COMFYUI_DIR"], stdout=out, stderr=subprocess.STDOUT, env=env
            )
        end = time.monotonic() + PATIENCE_S
        while True:
            try:
                self.get("/system_stats")
                return self
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                if self.process.poll() is not None or time.monotonic() > end:
                    self.stop()
                    raise RuntimeError(f"ComfyUI did not start:\n{self.said()}") from None
                time.sleep(0.2)

    def stop(self) -> None:
        """End the process that `start` made."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(20)

    def restart(self) -> "Host":
        """Stop and start again on the same folder and port."""
        self.stop()
        return self.start()

    def said(self) -> str:
        """The log of the present start."""
        return self.log.read_text(errors="replace")

    def rss_mb(self) -> float:
        """Resident memory of the process in MB (Linux)."""
        assert self.process is not None
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def get(self, path: str):
        """GET a route and read its JSON."""
        with urllib.request.urlopen(self.address + path, timeout=60) as reply:
            return json.load(reply)

    def post(self, path: str, body: dict) -> dict:
        """POST JSON to a route; RefusedError where the host answers 400."""
        request = urllib.request.Request(
            self.address + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                return json.loads(reply.read() or b"{}")
        except urllib.error.HTTPError as error:
            with error:
                if error.code != 400:
                    raise
                raise RefusedError(json.load(error)) from None

    def queue(self, prompt: dict) -> str:
        """Queue a prompt and return its id; RefusedError where it does not pass the host's validation."""
        return self.post("/prompt", {"prompt": prompt})["prompt_id"]

    def wait(self, prompt_id: str) -> dict:
        """Return the history entry of a queued prompt once it has ended, in success or error."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            if entry := self.get(f"/history/{prompt_id}").get(prompt_id):
                return entry
            assert self.process is None or self.process.poll() is None, self.said()[-3000:]
            time.sleep(0.03)
        raise TimeoutError(self.said()[-3000:])

    def run(self, prompt: dict) -> dict:
        """Queue a prompt and return its history entry once it has ended."""
        return self.wait(self.queue(prompt))

    def upload(self, name: str, content: bytes, subfolder: str = "") -> dict:
        """Upload a file into the input folder as the front end does; the host answers with name and subfolder."""
        boundary = uuid.uuid4().hex
        fields = {"overwrite": "true", "subfolder": subfolder}
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in fields.items()
        ]
        opening = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        body = "".join(parts).encode() + opening.encode() + content + f"\r\n--{boundary}--\r\n".encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        request = urllib.request.Request(self.address + "/upload/image", body, headers)
        with urllib.request.urlopen(request, timeout=60) as reply:
            return json.load(reply)

    def view(self, image: dict) -> bytes:
        """Fetch a picture that a history entry names ({filename, subfolder, type})."""
        query = urllib.parse.urlencode({key: image[key] for key in ("filename", "subfolder", "type")})
        with urllib.request.urlopen(f"{self.address}/view?{query}", timeout=60) as reply:
            return reply.read()


def images(entry: dict) -> list[dict]:
    """All pictures of a run, those of one node in their order."""
    return [image for node in entry["outputs"].values() for image in node.get("images", [])]


def pixels(host: Host, image: dict) -> np.ndarray:
    """A picture's pixels (height, width, 3); its bytes differ already where the graph in its header does."""
    return np.asarray(Image.open(io.BytesIO(host.view(image))).convert("RGB"))


def failure(entry: dict) -> str:
    """What the front end shows of a run that failed: the message on the node."""
    assert entry["status"]["status_str"] == "error", entry["status"]
    [said] = [body for kind, body in entry["status"]["messages"] if kind == "execution_error"]
    return said["exception_message"]


def succeeded(entry: dict) -> dict:
    """Return the entry of a run that went well; else fail with what it said."""
    said = [
        f"{body.get('node_type')}: {body.get('exception_message')}\n{''.join(body.get('traceback', ())[-2:])}"
        for kind, body in entry["status"]["messages"]
        if kind in ("execution_error", "execution_interrupted")
    ]
    assert entry["status"]["status_str"] == "success", "\n".join(said) or entry["status"]
    return entry
