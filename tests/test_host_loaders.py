"""The pack is loaded the way each host loads it, with another extension's `core` already in sys.modules."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from core.formats.toolboxes.native import save_recording
from core.model.checkpoint import save_encoder
from core.model.heads import HeadConfig
from tests.comfy_standin import PACK_NAME, STAND_INS, comfy_modules, load_pack
from tests.small_encoders import noise_recording, small_encoder
from tests.webui_standin import KINDS, standing_in

ROOT = Path(__file__).resolve().parent.parent


OURS = ("core", "comfy_nodes", "webui_extension", "sd_eeg", PACK_NAME)
HOSTS = (*STAND_INS, "modules")


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
    assert len(comfyui.nodes) == 14
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


@pytest.fixture
def webui(files, decoy, tmp_path):
    """The extension in a host that has run scripts/sd_eeg.py."""
    with standing_in(tmp_path / "webui") as host:
        yield host


def test_reload_ui_doubles_no_callback_and_leaves_a_foreign_core_alone(webui, decoy):
    for _ in range(2):
        assert {kind: len(callbacks) for kind, callbacks in webui.callbacks.known.items()} == dict.fromkeys(KINDS, 1)
        assert [data.script_class.__name__ for data in webui.scripts.scripts_data].count("EegScript") == 1
        webui.run_script()
    assert webui.reported == []
    assert sys.modules["core"] is decoy
    assert not [name for name in sys.modules if name.startswith("core.") or name == "webui_extension"]


def test_the_script_leaves_no_core_behind(webui):
    del sys.modules["core"]
    webui.run_script()
    assert "phantom-epoc14.safetensors" in [card["name"] for card in webui.ours("host.host").library().cards()]
    assert "core" not in sys.modules
    assert "sd_eeg.core.model.checkpoint" in sys.modules


def test_the_start_loads_neither_torch_code_of_ours_nor_a_reader(webui):
    loaded = {name for name in sys.modules if name.startswith("sd_eeg.core")}
    assert loaded == {"sd_eeg.core", "sd_eeg.core.choices"}  # the words that a user chooses from, which need nothing


def test_a_picture_is_drawn_beside_a_foreign_core(webui, files, decoy):
    (webui.encoders / "text.safetensors").write_bytes((files / "text.safetensors").read_bytes())
    (webui.recordings / "noise.safetensors").write_bytes((files / "noise.safetensors").read_bytes())
    drawn = webui.draw([{"recording": "noise.safetensors", "encoder": "text.safetensors"}])
    assert "EEG embedding" in drawn.infotexts[0]
    assert webui.reported == []
    assert sys.modules["core"] is decoy


def test_settings_hold_the_folders_and_the_size_of_an_upload(webui):
    webui.callbacks.call("ui_settings")
    added = webui.shared.opts.data_labels
    assert set(added) == {"sd_eeg_encoder_folder", "sd_eeg_recording_folders", "sd_eeg_max_upload_mib"}
    assert {option.section for option in added.values()} == {("sd_eeg", "EEG")}
    assert webui.reported == []


def test_the_settings_folders_and_size_are_taken_at_once(webui, files, tmp_path):
    webui.callbacks.call("ui_settings")
    host, opts = webui.ours("host.host"), webui.shared.opts
    assert host.library().folders[0] == webui.encoders
    assert host.shelf().folders == (webui.recordings,)
    opts.sd_eeg_encoder_folder, opts.sd_eeg_max_upload_mib = str(files), 3
    opts.sd_eeg_recording_folders = f"{tmp_path / 'one'}\n\n  {files} \n"
    assert host.library().path("text.safetensors") == files / "text.safetensors"
    assert host.shelf().folders == (tmp_path / "one", files)
    assert host.shelf().find("noise.safetensors") == files / "noise.safetensors"
    assert host.shelf().max_bytes == 3 << 20


def test_the_accordion_gives_what_a_request_is_made_of(webui):
    for is_img2img in (False, True):
        runner, untouched = webui.interface(is_img2img)
        request = webui.ours("generation.request")
        ours = runner.script("EEG conditioning")
        assert ours.args_to - ours.args_from == 1 + len(request.FIELDS)
        defaults = {**request.DEFAULTS, "encoder": webui.ours("host.host").library().names()[0]}
        assert untouched[ours.args_from :] == [False, *defaults.values()]
        assert request.from_args(untouched[ours.args_from :], webui.ours("host.host").shelf()) is None
        assert set(runner.paste_field_names) == set(webui.ours("generation.infotext").NAMES.values())
        assert len(runner.infotext_fields) == 1 + len(request.FIELDS)
        assert all(component in runner.inputs for component, _ in runner.infotext_fields)
    assert webui.reported == []


def test_the_routes_are_there_only_with_the_hosts_api(webui):
    for api, nowebui, n in ((True, False, 3), (False, True, 3), (False, False, 0)):
        webui.shared.cmd_opts.api, webui.shared.cmd_opts.nowebui = api, nowebui
        routes = []
        app = SimpleNamespace(add_api_route=lambda path, endpoint, routes=routes, **_: routes.append(path))
        webui.callbacks.call("app_started", None, app)
        assert len(routes) == n
        assert not n or routes == ["/sd-eeg/encoders", "/sd-eeg/recordings", "/sd-eeg/encode"]
    assert webui.reported == []
