"""The pack is loaded the way each host loads it, with another extension's `core` already in sys.modules."""

import asyncio
import importlib.util
import sys
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch

from core.checkpoint import save_encoder
from core.formats.native import save_recording
from core.heads import HeadConfig
from tests.small_encoders import noise_recording, small_encoder

ROOT = Path(__file__).resolve().parent.parent


PACK_NAME = str(ROOT).replace(".", "_x_")  # what ComfyUI calls the pack's root package
OURS = ("core", "comfy_nodes", "webui_extension", "sd_eeg", PACK_NAME)
STAND_INS = ("comfy_api", "comfy", "folder_paths", "modules", "fastapi")


@pytest.fixture
def decoy():
    """Another extension's `core` in sys.modules and no trace of us; everything is put back afterwards."""
    mine = {name: module for name, module in sys.modules.items() if name.split(".")[0] in (*OURS, *STAND_INS)}
    path = list(sys.path)
    for name in mine:
        del sys.modules[name]
    # pytest puts the repository's root on sys.path; neither host does so while we run.
    sys.path[:] = [entry for entry in sys.path if entry and Path(entry).resolve() != ROOT]
    other = ModuleType("core")
    sys.modules["core"] = other
    yield other
    sys.path[:] = path
    for name in [name for name in sys.modules if name.split(".")[0] in (*OURS, *STAND_INS)]:
        del sys.modules[name]
    sys.modules.update(mine)


# ComfyUI, as much of it as the pack touches


class Anything:
    """Stands for one socket type of comfy_api's io: keeps what its Input or Output was made with."""

    def __init__(self, *args, **options):
        self.args, self.options = args, options
        self.id = args[0] if args else None


def socket(io_type: str) -> type:
    return type(
        io_type,
        (),
        {"io_type": io_type, "Input": type("Input", (Anything,), {}), "Output": type("Output", (Anything,), {})},
    )


@dataclass
class Schema:
    node_id: str
    display_name: str | None = None
    category: str = "sd"
    inputs: list = field(default_factory=list)
    outputs: list = field(default_factory=list)
    description: str = ""
    search_aliases: list = field(default_factory=list)


class ComfyNode:
    @classmethod
    def GET_SCHEMA(cls):
        return cls.define_schema()


class NodeOutput:
    def __init__(self, *values):
        self.values = values


class ComfyExtension:
    async def on_load(self):
        pass


class NumberDisplay(str, Enum):
    slider = "slider"


def comfy_modules(models: Path, inputs: Path) -> dict[str, ModuleType]:
    """Stand-ins for comfy_api.v0_0_2, folder_paths and comfy.model_management, by their module names."""
    names = ("comfy_api", "comfy_api.v0_0_2", "folder_paths", "comfy", "comfy.model_management")
    made = {name: ModuleType(name) for name in names}
    sockets = {name: socket(name.upper()) for name in ("Combo", "String", "Int", "Float", "Clip", "Conditioning")}
    made["comfy_api.v0_0_2"].io = SimpleNamespace(
        Schema=Schema, ComfyNode=ComfyNode, NodeOutput=NodeOutput, NumberDisplay=NumberDisplay, Custom=socket, **sockets
    )
    made["comfy_api.v0_0_2"].ComfyExtension = ComfyExtension

    known = {}
    folders = made["folder_paths"]
    folders.models_dir, folders.folder_names_and_paths = str(models), known
    folders.get_input_directory = lambda: str(inputs)
    folders.get_folder_paths = lambda kind: list(known[kind][0])

    def files(kind):
        found = ((Path(folder), path) for folder in known[kind][0] for path in Path(folder).rglob("*"))
        return {
            path.relative_to(folder).as_posix(): str(path) for folder, path in found if path.suffix in known[kind][1]
        }

    folders.get_filename_list = lambda kind: sorted(files(kind))
    folders.get_full_path = lambda kind, name: files(kind).get(name)

    def annotated(name):
        path = (inputs / name).resolve()
        if inputs.resolve() not in path.parents:
            raise ValueError(f"Invalid file path: {name!r}")
        return str(path)

    folders.get_annotated_filepath = annotated
    made["comfy.model_management"].get_torch_device = lambda: "cpu"
    made["comfy.model_management"].intermediate_device = lambda: "cpu"
    made["comfy"].model_management = made["comfy.model_management"]
    return made


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
    sys.modules.update(stand_ins)
    name = PACK_NAME
    spec = importlib.util.spec_from_file_location(name, ROOT / "__init__.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    assert not hasattr(module, "NODE_CLASS_MAPPINGS")
    loaded_by_the_root = [known for known in sys.modules if known.startswith(f"{name}.")]
    assert loaded_by_the_root == []

    async def load():
        extension = await module.comfy_entrypoint()
        assert isinstance(extension, ComfyExtension)
        await extension.on_load()
        return await extension.get_node_list()

    nodes = {node.GET_SCHEMA().node_id: node for node in asyncio.run(load())}
    return SimpleNamespace(nodes=nodes, models=models, inputs=inputs, folders=stand_ins["folder_paths"], name=name)


def test_comfyui_loads_the_nodes_beside_a_foreign_core(comfyui, decoy):
    assert set(comfyui.nodes) == {"SDEEG_LoadRecording", "SDEEG_LoadEncoder", "SDEEG_Encode"}
    assert sys.modules["core"] is decoy
    assert f"{comfyui.name}.core.formats" in sys.modules


def test_node_ids_carry_the_prefix_and_every_input_is_an_argument(comfyui):
    for node_id, node in comfyui.nodes.items():
        schema = node.define_schema()
        assert node_id.startswith("SDEEG_")
        assert schema.display_name
        assert schema.description
        arguments = node.execute.__func__.__code__.co_varnames[1 : node.execute.__func__.__code__.co_argcount]
        assert {item.id for item in schema.inputs} == set(arguments)


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


def test_the_nodes_refuse_names_that_lead_out_of_the_input_folder(comfyui, tmp_path):
    (tmp_path / "secret.edf").write_bytes(b"")
    node = comfyui.nodes["SDEEG_LoadRecording"]
    assert "Invalid file path" in node.validate_inputs(file="../secret.edf")
    assert "not.edf" in node.validate_inputs(file="not.edf")


class Clip:
    """Stands for the host's text encoder: 77 tokens for a short prompt, 154 for a long one."""

    def tokenize(self, text):
        return text

    def encode_from_tokens(self, tokens, return_pooled):
        size = 77 if len(tokens) < 7 else 154
        return torch.full((1, size, 768), float(len(tokens))), torch.full((1, 1280), float(len(tokens)))


@pytest.fixture
def run(comfyui, files):
    """Run the three nodes in a row on the untrained encoders; returns the last node's three values."""
    for name in ("prompts.safetensors", "text.safetensors"):
        (files / name).rename(comfyui.models / "eeg_encoders" / name)
    (files / "noise.safetensors").rename(comfyui.inputs / "noise.safetensors")

    def run_nodes(encoder, **options):
        recording, described = comfyui.nodes["SDEEG_LoadRecording"].execute("noise.safetensors").values
        loaded, card = comfyui.nodes["SDEEG_LoadEncoder"].execute(encoder).values
        assert "8 channels at 128 Hz" in described
        assert "untrained, for tests" in card
        given = {"event": "face", "index": -1, "strength": 1.0, **options}
        return comfyui.nodes["SDEEG_Encode"].execute(loaded, recording, **given).values

    return run_nodes


def test_the_loaders_list_what_lies_in_the_hosts_folders(run, comfyui):
    (comfyui.inputs / "photo.png").write_bytes(b"")
    loaders = [comfyui.nodes["SDEEG_LoadRecording"], comfyui.nodes["SDEEG_LoadEncoder"]]
    options = [node.define_schema().inputs[0].options["options"] for node in loaders]
    shipped = "n170-subject1.safetensors"
    assert options == [["noise.safetensors"], [shipped, "prompts.safetensors", "text.safetensors"]]


def test_a_prompts_encoder_mixes_the_hosts_own_text_states(run):
    conditioning, confidence, report = run("prompts.safetensors", clip=Clip())
    [(context, options)] = conditioning
    assert context.shape == (1, 154, 768)
    # "a face" has 6 letters and "a house" 7: a mixture of the two lies between
    assert 6 < context[0, 0, 0] < 7
    assert options["pooled_output"].shape == (1, 1280)
    assert 0 <= confidence <= 1
    assert "a face" in report


def test_a_prompts_encoder_without_clip_says_what_to_connect(run):
    with pytest.raises(ValueError, match="connect the checkpoint's CLIP"):
        run("prompts.safetensors")


def test_a_text_encoder_needs_no_clip(run):
    [(context, options)], _, _ = run("text.safetensors", index=1)
    assert context.shape == (1, 77, 768)
    assert options == {}


def test_an_unknown_encoder_names_the_folders(comfyui):
    with pytest.raises(FileNotFoundError, match="eeg_encoders"):
        comfyui.nodes["SDEEG_LoadEncoder"].execute("nosuch.safetensors")


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
