"""The pack at the host's start: what it costs, what it lists, and what it does beside odd packs and Pythons."""

import re

import pytest

from core.formats.toolboxes.native import save_recording
from core.model.checkpoint import save_encoder
from tests.host_comfyui.graphs import eeg_graph, node
from tests.host_comfyui.host import Host, failure, new_base, succeeded
from tests.small_encoders import noise_recording, small_encoder

OURS = {
    "SDEEG_LoadRecording", "SDEEG_Phantom", "SDEEG_LoadPhantomWorld", "SDEEG_Preprocess", "SDEEG_SelectWindows",
    "SDEEG_Plot", "SDEEG_BandPower", "SDEEG_LoadEncoder", "SDEEG_Encode", "SDEEG_BlendConditioning", "SDEEG_Saliency",
    "SDEEG_ToLatent",
    "SDEEG_TrainEncoder", "SDEEG_SaveEncoder",
}  # fmt: skip
DECOY = """
import pathlib, sys
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import core, trainer
assert core.OWNER == trainer.OWNER == "decoy"

class Decoy:
    CATEGORY, FUNCTION, RETURN_TYPES = "test", "run", ("STRING",)
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}}
    def run(self):
        import core
        return (core.OWNER,)

NODE_CLASS_MAPPINGS = {"DecoyOwner": Decoy}
"""


def loaded(log: str) -> set[str]:
    """The folders in the host's own table of import times; how long ours takes is for benchmarks/import_time.py."""
    table = log.split("Import times for custom nodes:")[1]
    found = re.findall(r"[\d.]+ seconds( \(IMPORT FAILED\))?: .*/([^/\x1b\n]+)", table)
    assert not [name for failed, name in found if failed]
    return {name for _, name in found}


def test_the_pack_loads(host):
    assert "sd-eeg" in loaded(host.said())


def test_the_pack_loads_beside_another_one(host, ipadapter):
    assert {"sd-eeg", ipadapter.name} <= loaded(host.said())


def inputs_of(given: dict):
    """Every input's name and options, those inside a choice's options too."""
    for kind in ("required", "optional"):
        for key, (socket, *options) in given.get(kind, {}).items():
            yield key, options[0] if options else {}
            for choice in options[0].get("options", ()) if options and "DYNAMICCOMBO" in str(socket) else ():
                yield from inputs_of(choice["inputs"])


def test_every_node_is_listed_with_a_tooltip_on_every_input(host):
    listed = {name: info for name, info in host.get("/object_info").items() if name.startswith("SDEEG_")}
    assert set(listed) == OURS
    for name, info in listed.items():
        assert info["category"].startswith("EEG")
        assert info["description"]
        assert info["search_aliases"]
        for key, options in inputs_of(info["input"]):
            assert options.get("tooltip"), f"{name}.{key}"


def test_files_put_there_after_the_start_are_listed(host):
    save_recording(noise_recording(), host.base / "input" / "later.safetensors")
    save_encoder(small_encoder(), host.base / "models" / "eeg_encoders" / "later.safetensors")
    loads = host.get("/object_info/SDEEG_LoadRecording")["SDEEG_LoadRecording"]
    assert "later.safetensors" in loads["input"]["required"]["file"][1]["options"]
    encoders = host.get("/object_info/SDEEG_LoadEncoder")["SDEEG_LoadEncoder"]
    assert "later.safetensors" in encoders["input"]["required"]["encoder"][1]["options"]


@pytest.fixture(scope="module")
def odd(comfyui, tmp_path_factory):
    """A host whose Python has no mne, with a pack that owns a top-level `core`, and a folder of the user's encoders."""
    base = new_base(tmp_path_factory.mktemp("odd"))
    decoy = base / "custom_nodes" / "a-decoy"
    for package in ("core", "trainer"):
        (decoy / package).mkdir(parents=True)
        (decoy / package / "__init__.py").write_text('OWNER = "decoy"\n')
    (decoy / "__init__.py").write_text(DECOY)
    hidden = base / "hidden" / "mne"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'mne'\", name='mne')\n")
    own = base / "my encoders"
    own.mkdir()
    save_encoder(small_encoder(), own / "mine.safetensors")
    paths = base / "extra.yaml"
    paths.write_text(f"mine:\n  base_path: {base}\n  eeg_encoders: my encoders\n")
    save_recording(noise_recording(), base / "input" / "noise.safetensors")
    (base / "input" / "needs-mne.fif").write_bytes(b"\x00" * 64)
    args = ("--extra-model-paths-config", str(paths))
    running = Host(base, env={"PYTHONPATH": str(hidden.parent)}, args=args)
    try:
        yield running.start()
    finally:
        running.stop()


def test_without_mne_the_host_starts_and_every_node_is_there(odd):
    assert set(odd.get("/object_info")) >= OURS
    assert "sd-eeg" in loaded(odd.said())


def test_without_mne_the_node_says_what_to_install(odd):
    graph = {"recording": node("SDEEG_LoadRecording", file="needs-mne.fif"),
             "seen": node("PreviewAny", source=["recording", 1])}  # fmt: skip
    said = failure(odd.run(graph))
    assert "'mne'" in said
    assert "-m pip install mne" in said
    assert "Traceback" not in said


def test_without_mne_other_nodes_and_formats_work(odd):
    graph = {"number": node("EmptyImage", width=8, height=8, batch_size=1, color=0),
             "seen": node("PreviewImage", images=["number", 0])}  # fmt: skip
    succeeded(odd.run(graph))
    reading = {"recording": node("SDEEG_LoadRecording", file="noise.safetensors"),
               "seen": node("PreviewAny", source=["recording", 1])}  # fmt: skip
    succeeded(odd.run(reading))


def test_beside_a_pack_that_owns_core_ours_loads_and_neither_sees_the_other(odd):
    graph = {"owner": node("DecoyOwner"), "seen": node("PreviewAny", source=["owner", 0])}
    assert succeeded(odd.run(graph))["outputs"]["seen"]["text"] == ["decoy"]
    graph = eeg_graph(encoder="mine.safetensors")
    graph["card"] = node("PreviewAny", source=["encoder", 1])
    assert "untrained" in succeeded(odd.run(graph))["outputs"]["card"]["text"][0]


def test_a_folder_of_extra_model_paths_is_honoured(odd):
    encoders = odd.get("/object_info/SDEEG_LoadEncoder")["SDEEG_LoadEncoder"]
    assert "mine.safetensors" in encoders["input"]["required"]["encoder"][1]["options"]
