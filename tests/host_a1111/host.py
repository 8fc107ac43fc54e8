"""A real AUTOMATIC1111, Forge, Forge Neo or reForge as a child process, spoken to over HTTP."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from tests.host_comfyui.host import free_port

ROOT = Path(__file__).resolve().parents[2]
ON_PATH = Path(__file__).resolve().parent / "on_path"  # what a test checkpoint's yaml names
PATIENCE_S = 900
TITLE = "EEG conditioning"
FOLDERS = (
    "extensions", "outputs", "embeddings", "tmp", "eeg_recordings", "models/Stable-diffusion", "models/VAE",
    "models/Lora", "models/embeddings", "models/eeg_encoders",
)  # fmt: skip
COMMON = (
    "--skip-prepare-environment", "--skip-install", "--skip-python-version-check",
    "--skip-version-check", "--api",
)  # fmt: skip
FLAGS = {
    "a1111": (
        "--skip-torch-cuda-test", "--use-cpu", "all", "--no-half", "--precision", "full", "--do-not-download-clip",
        "--no-download-sd-model", "--disable-console-progressbars",
    ),
    "forge": ("--always-cpu", "--no-download-sd-model"),
    "neo": ("--cpu",),
    "reforge": (
        "--always-cpu", "--use-cpu", "all", "--all-in-fp32", "--skip-torch-cuda-test", "--no-download-sd-model",
        "--disable-console-progressbars",
    ),
}  # fmt: skip
SETTINGS = {
    "a1111": {"show_progress_type": "Approx cheap"},  # its own preview of SDXL wants a file from the network first
    "neo": {"VERSION_UID": "PY313"},  # without it Neo asks for the Enter key
}
# Nothing may be fetched: a host that tries finds no network, as on a machine without one.
OFFLINE = {
    "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "DIFFUSERS_OFFLINE": "1", "GRADIO_ANALYTICS_ENABLED": "False",
    "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", "no_proxy": "127.0.0.1,localhost",
    "GIT_NO_LAZY_FETCH": "1",
}  # fmt: skip
SMALL = {
    "prompt": "a red circle", "steps": 2, "width": 64, "height": 64, "seed": 1, "cfg_scale": 5,
    "sampler_name": "Euler",
}  # fmt: skip


@dataclass(frozen=True)
class Checkout:
    """One host's folder, the interpreter it runs with, and which of the four it is."""

    folder: Path
    python: str
    kind: str


def kind_of(folder: Path) -> str:
    """Tell the four apart by what only one of them has; ValueError for another folder."""
    if (folder / "ldm_patched").is_dir():
        return "reforge"
    arguments = folder / "backend" / "args.py"
    if arguments.is_file():
        return "forge" if '"--always-cpu"' in arguments.read_text(encoding="utf-8") else "neo"
    if (folder / "modules" / "launch_utils.py").is_file():
        return "a1111"
    raise ValueError(f"{folder} is no checkout of AUTOMATIC1111, Forge, Forge Neo or reForge")


def checkouts() -> list[Checkout]:
    """The hosts that the environment names, by A1111_DIR and A1111_PYTHON, FORGE_DIR and so on."""
    found = []
    for name in ("A1111", "FORGE", "NEO", "REFORGE"):
        if folder := os.environ.get(f"{name}_DIR"):
            path = Path(folder).resolve()
            found.append(Checkout(path, os.environ.get(f"{name}_PYTHON", sys.executable), kind_of(path)))
    return found


def new_data(data: Path, kind: str) -> Path:
    """Make a data directory with this extension in it by a link, so that nothing is written into the repository."""
    for folder in FOLDERS:
        (data / folder).mkdir(parents=True, exist_ok=True)
    (data / "extensions" / "sd-eeg").symlink_to(ROOT, target_is_directory=True)
    if kind in SETTINGS:
        (data / "config.json").write_text(json.dumps(SETTINGS[kind]))
    return data


class FailedError(RuntimeError):
    """The host answered with another status than 200; `body` is what it said."""

    def __init__(self, status: int, body: str):
        super().__init__(f"HTTP {status}: {body[:2000]}")
        self.status, self.body = status, body

    @property
    def words(self) -> str:
        """The sentence a person reads: `errors` or, in newer hosts, `message` of their routes, `detail` of ours."""
        try:
            answer = json.loads(self.body)
        except ValueError:
            return self.body
        return str(answer.get("errors") or answer.get("message") or answer.get("detail") or answer)


@dataclass(frozen=True)
class Drawn:
    """What one request drew: every picture's pixels, their infotexts, the files themselves, and the whole answer."""

    pixels: list[np.ndarray]
    infotexts: list[str]
    files: list[bytes]
    answer: dict

    @property
    def only(self) -> np.ndarray:
        """The pixels of a request that drew one picture."""
        [one] = self.pixels
        return one

    @property
    def digests(self) -> list[str]:
        """What each picture's infotext says it was drawn from."""
        return [value_of(text, "EEG embedding") for text in self.infotexts]


def value_of(infotext: str, name: str) -> str:
    """One value of an infotext, empty where the name is not in it."""
    _, found, rest = infotext.rpartition(f"{name}: ")
    return rest.partition(",")[0].strip().strip('"') if found else ""


class Host:
    """A webui on a data directory: its address, its log so far, and what a client does with it."""

    def __init__(
        self, checkout: Checkout, data: Path, env: dict | None = None, args: tuple[str, ...] = (), auth: str = ""
    ):
        self.checkout, self.data, self.port, self.log = checkout, data, free_port(), data / "log.txt"
        self.env, self.args, self.auth = env or {}, args, auth
        self.process: subprocess.Popen | None = None
        self.start_log = self.reload_log = ""  # what was said until the start, and until the last reload, was over

    @property
    def kind(self) -> str:
        return self.checkout.kind

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def encoders(self) -> Path:
        return self.data / "models" / "eeg_encoders"

    def environment(self) -> dict[str, str]:
        """The environment that the host runs in."""
        # One thread, as in the tests, so that sums run in the same order and can be compared bit for bit.
        env = {**os.environ, **OFFLINE, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", **self.env}
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [self.env.get("PYTHONPATH"), str(ON_PATH)]))
        env["MALLOC_ARENA_MAX"] = "2"  # fewer arenas hold less that is free, so that growth is what is kept
        # freed tensors go back to the system at once, for the same reason
        env |= {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
        env |= {"TMPDIR": str(self.data / "tmp"), "GRADIO_TEMP_DIR": str(self.data / "tmp")}
        env.pop("COMMANDLINE_ARGS", None)
        return env

    def start(self) -> Host:
        """Start and wait until its API answers; the log begins anew."""
        command = [self.checkout.python, "-u", "launch.py", *COMMON, *FLAGS[self.kind], "--data-dir", str(self.data)]
        command += ["--port", str(self.port), *self.args, *(("--api-auth", self.auth) if self.auth else ())]
        with self.log.open("w") as out:
            self.process = subprocess.Popen(
                command, cwd=self.checkout.folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                env=self.environment(),
            )  # fmt: skip
        self.wait()
        self.start_log = self.said()
        return self

    def wait(self) -> Host:
        """Wait until the host says that it has started and the API lists the scripts.

        In this order: AUTOMATIC1111 adds its API after the server is up, and a request in between ends it.
        """
        assert self.process is not None
        end = time.monotonic() + PATIENCE_S
        while True:
            try:
                if self.said().count("Startup time") > self.said().count("Restarting UI"):
                    self.get("/sdapi/v1/scripts")
                    return self
            except (FailedError, OSError):
                pass
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise RuntimeError(f"{self.kind} did not start:\n{self.said()[-5000:]}")
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

    def said(self) -> str:
        """The log of the present start."""
        return self.log.read_text(errors="replace")

    def rss_mb(self) -> float:
        """Resident memory of the process in MB (Linux)."""
        assert self.process is not None
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def call(self, path: str, body: dict | bytes | None = None, auth: str | None = None):
        """GET, or POST where there is a body, and read the JSON; FailedError for any status but 200.

        auth: name:password, by default the host's own.
        """
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        if words := self.auth if auth is None else auth:
            headers["Authorization"] = "Basic " + base64.b64encode(words.encode()).decode()
        request = urllib.request.Request(self.address + path, data, headers)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as reply:
                return json.load(reply)
        except urllib.error.HTTPError as error:
            with error:
                raise FailedError(error.code, error.read().decode(errors="replace")) from None

    def get(self, path: str):
        """GET a route and read its JSON."""
        return self.call(path)

    def draw(self, eeg: dict | list | None = None, kind: str = "txt2img", **fields) -> Drawn:
        """Draw through the API with small settings that `fields` change; eeg: a mapping, or all arguments in a list."""
        body = {**SMALL, **fields}
        if eeg is not None:
            args = eeg if isinstance(eeg, list) else [eeg]
            body["alwayson_scripts"] = {**body.get("alwayson_scripts", {}), TITLE: {"args": args}}
        answer = self.call(f"/sdapi/v1/{kind}", body)
        info = json.loads(answer["info"])
        files = [base64.b64decode(image) for image in answer["images"]]
        pictures = [np.asarray(Image.open(io.BytesIO(file)).convert("RGB")) for file in files]
        return Drawn(pictures, info["infotexts"], files, answer)

    def choose(self, checkpoint: str) -> None:
        """Load another checkpoint by its file name; the host answers 200 even where that failed, so its log is read."""
        before = len(self.said())
        self.call("/sdapi/v1/options", {"sd_model_checkpoint": checkpoint})
        assert "changing setting sd_model_checkpoint" not in self.said()[before:], self.said()[before:]

    def axes(self, tab: str = "txt2img") -> dict:
        """What the API says of the X/Y/Z plot's script in a tab: its arguments with labels, values and choices."""
        infos = self.get("/sdapi/v1/script-info")
        [found] = [one for one in infos if one["name"] == "x/y/z plot" and one["is_img2img"] == (tab == "img2img")]
        return found

    def press(self, element: str) -> None:
        """Run what a button of the user interface runs on the server, by its element id; the button takes no input."""
        config = self.get("/config")
        [button] = [one["id"] for one in config["components"] if one["props"].get("elem_id") == element]
        number = next(
            event.get("id", index)
            for index, event in enumerate(config["dependencies"])
            if event["targets"] in ([button], [[button, "click"]])
        )
        route = "/queue/join" if config["version"].startswith("4") else "/run/predict"
        body = {"fn_index": number, "data": [], "session_hash": uuid.uuid4().hex[:10], "event_data": None}
        self.call(route, body)

    def reload_ui(self) -> None:
        """Reload the user interface as the button in Settings does, and wait until it is back."""
        said = self.said()
        self.press("settings_restart_gradio")
        end = time.monotonic() + PATIENCE_S
        while "Running on local URL" not in self.said()[len(said) :]:
            assert time.monotonic() < end, self.said()[-3000:]
            time.sleep(0.2)
        self.wait()
        self.reload_log = self.said()[len(said) :]


def as_base64(file: Path, name: str | None = None) -> dict:
    """A recording as the API takes it by value."""
    return {"name": name or file.name, "data": base64.b64encode(file.read_bytes()).decode()}


def png(pixels: np.ndarray) -> str:
    """Pixels as the base64 of a PNG, as img2img takes them."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


def same(first: np.ndarray, second: np.ndarray, steps: int = 0) -> bool:
    """Whether two pictures are the same to within so many grey levels."""
    return first.shape == second.shape and int(np.abs(first.astype(int) - second.astype(int)).max()) <= steps
