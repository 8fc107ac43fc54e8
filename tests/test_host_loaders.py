"""The pack is loaded the way each host loads it, with another extension's `core` already in sys.modules."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from core.checkpoint import save_encoder
from core.formats.native import save_recording
from core.heads import HeadConfig
from tests.comfy_standin import PACK_NAME, STAND_INS, comfy_modules, load_pack
from tests.small_encoders import noise_recording, small_encoder

ROOT = Path(__file__).resolve().parent.parent


OURS = ("core", "comfy_nodes", "webui_extension", "sd_eeg", PACK_NAME)
HOSTS = (*STAND_INS, "modules", "fastapi")


@pytest.fixture
def decoy():
    """Another extension's `core` in sys.modules and no trace of us; everything is put back afterwards."""
    mine = {name: module for name, module in sys.modules.items() if name.split(".")[0] in (*OURS, *HOSTS)}
    path = list(sys.path)
    for name in mine:
        del sys.modules[name]
    # pytest puts the repository's root on sys.path; neither host does so while we run.
    sys.path[:] = [entry for entry in sys.path if entry and Path(entry).resolve() != ROOT]
    other = ModuleType("core")
    sys.modules["core"] = other
    yield other
    sys.path[:] = path
    for name in [name for name in sys.modules if name.split(".")[0] in (*OURS, *HOSTS)]:
        del sys.modules[name]
    sys.modules.update(mine)


@pytest.fixture
def files(tmp_path):
    """An untrained encoder with a `prompts` head and one with an `sd1.text` head, and a recording of noise."""
    prompts, text = (
        HeadConfig("prompts", "prompts", prompts=("a face", "a house")),
        HeadConfig("sd1.text", "basis", rank=2),
    )
    made = {"prompts.safetensors": small_encoder(prompts), "text.safetensors": small_encoder(text)}
    for name, encoder in made.items():
        save_encoder(encoder, tmp_path / name)
    save_recording(noise_recording(), tmp_path / "noise.safetensors")
    return tmp_path


@pytest.fixture
def comfyui(files, decoy, tmp_path):
    """Load the pack as ComfyUI's load_custom_node does; returns the node classes by id and the host's folders."""
    models, inputs = tmp_path / "models", tmp_path / "input"
    inputs.mkdir()
    stand_ins = comfy_modules(models, inputs)
    nodes = load_pack(stand_ins)
    return SimpleNamespace(nodes=nodes, models=models, inputs=inputs, folders=stand_ins["folder_paths"], name=PACK_NAME)


def test_comfyui_loads_the_nodes_beside_a_foreign_core(comfyui, decoy):
    assert {"SDEEG_LoadRecording", "SDEEG_LoadEncoder", "SDEEG_Encode"} <= set(comfyui.nodes)
    assert len(comfyui.nodes) == 12
    assert sys.modules["core"] is decoy
    assert f"{comfyui.name}.core.formats" in sys.modules


def test_comfyui_keeps_the_folders_that_a_yaml_named(comfyui):
    known = comfyui.folders.folder_names_and_paths
    known["eeg_encoders"] = (["elsewhere"], set())
    sys.modules[f"{comfyui.name}.comfy_nodes.folders"].register_encoder_folder()
    folders, suffixes = known["eeg_encoders"]
    assert folders[0] == "elsewhere"
    assert str(comfyui.models / "eeg_encoders") in folders
    assert suffixes == {".safetensors"}


def test_a_node_file_that_fails_to_load_loses_only_its_own_nodes(comfyui, caplog, monkeypatch):
    pack = sys.modules[f"{comfyui.name}.comfy_nodes"]
    monkeypatch.setattr(pack, "TOPICS", ("not_there", *pack.TOPICS))
    assert len(pack.load_nodes()) == len(comfyui.nodes)
    assert "not_there" in caplog.text


# AUTOMATIC1111, as much of it as the extension touches


class Callbacks(ModuleType):
    """Stands for modules.script_callbacks: keeps what is registered, by kind."""

    def __init__(self):
        super().__init__("modules.script_callbacks")
        self.settings, self.started = [], []
        self.on_ui_settings, self.on_app_started = self.settings.append, self.started.append

    def remove_callbacks_for_function(self, callback):
        for callbacks in (self.settings, self.started):
            callbacks[:] = [one for one in callbacks if one != callback]


class Options:
    """Stands for shared.opts."""

    def __init__(self):
        self.added = {}

    def add_option(self, key, option):
        self.added[key] = option


@pytest.fixture
def webui(decoy, tmp_path):
    """Stand-ins for A1111's modules package; `run_script` executes scripts/sd_eeg.py as the host does."""
    modules = {name: ModuleType(name) for name in ("modules", "modules.shared", "modules.paths")}
    callbacks = modules["modules.script_callbacks"] = Callbacks()
    shared = modules["modules.shared"]
    shared.opts, shared.cmd_opts = Options(), SimpleNamespace(api_auth=None)
    shared.OptionInfo = lambda default, label, section: SimpleNamespace(default=default, label=label, section=section)
    modules["modules.paths"].models_path = str(tmp_path / "models")
    for name, module in modules.items():
        sys.modules[name] = module
        if "." in name:
            setattr(modules["modules"], name.split(".")[1], module)

    def run_script():
        sys.path.insert(0, str(ROOT))
        try:
            path = ROOT / "scripts" / "sd_eeg.py"
            spec = importlib.util.spec_from_file_location(path.name, path)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        finally:
            sys.path.remove(str(ROOT))

    return SimpleNamespace(run_script=run_script, callbacks=callbacks, shared=shared, models=tmp_path / "models")


def test_reload_ui_doubles_no_callback_and_leaves_a_foreign_core_alone(webui, decoy):
    for _ in range(2):
        webui.run_script()
        assert len(webui.callbacks.settings) == len(webui.callbacks.started) == 1
    assert sys.modules["core"] is decoy
    assert not [name for name in sys.modules if name.startswith("core.") or name == "webui_extension"]


def test_the_script_leaves_no_core_behind(webui):
    del sys.modules["core"]
    webui.run_script()
    webui.shared.opts.sd_eeg_encoder_folder = ""
    sys.modules["sd_eeg.webui_extension.api"].list_encoders()
    assert "core" not in sys.modules
    assert "sd_eeg.core.checkpoint" in sys.modules


def test_settings_hold_the_folder_of_encoders(webui):
    webui.run_script()
    webui.callbacks.settings[0]()
    assert webui.shared.opts.added["sd_eeg_encoder_folder"].section == ("sd_eeg", "EEG")


def test_the_route_lists_encoders_and_says_why_one_cannot_be_read(webui):
    webui.run_script()
    folder = webui.models / "eeg_encoders"
    folder.mkdir(parents=True)
    (folder / "mine.safetensors").write_bytes(b"not an encoder")
    found = {entry["name"]: entry for entry in sys.modules["sd_eeg.webui_extension.api"].list_encoders()}
    assert "mine.safetensors is not an encoder file" in found["mine.safetensors"]["error"]


class Response:
    """Stands for starlette's JSONResponse."""

    def __init__(self, content, status_code=200, headers=None):
        self.content, self.status_code, self.headers = content, status_code, headers or {}


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (None, 401),
        ("Basic YTpi", 200),
        ("Basic YTpj", 401),
        ("Basic !", 401),
        ("Bearer YTpi", 401),
        ("Basic eDpi", 401),
    ],
)
def test_the_route_asks_for_the_hosts_name_and_password(webui, authorization, status):
    fastapi, responses = ModuleType("fastapi"), ModuleType("fastapi.responses")
    fastapi.Request, responses.JSONResponse = SimpleNamespace, Response
    sys.modules |= {"fastapi": fastapi, "fastapi.responses": responses}
    webui.run_script()
    routes = {}
    app = SimpleNamespace(add_api_route=lambda path, endpoint, **_: routes.__setitem__(path, endpoint))
    webui.callbacks.started[0](None, app)
    request = SimpleNamespace(headers={"authorization": authorization} if authorization else {})
    assert routes["/sd-eeg/encoders"](request).status_code == 200
    webui.shared.cmd_opts.api_auth = "a:b,c:d"
    assert routes["/sd-eeg/encoders"](request).status_code == status
