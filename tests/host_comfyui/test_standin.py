"""The stand-in that the other tests use takes nothing that the real ComfyUI would not."""

import json
import os
import subprocess
import sys

import pytest

from tests import comfy_standin

SCRIPT = """
import dataclasses, inspect, json, sys
import comfy.options
sys.argv.append("--cpu")
comfy.options.enable_args_parsing()
from comfy_api.v0_0_2 import ComfyAPISync, ComfyExtension, io
from comfy_execution.graph_utils import ExecutionBlocker
import comfy.clip_vision, comfy.latent_formats, comfy.model_base, comfy.model_management, comfy.model_patcher
import folder_paths

def options(made):
    return [name for name in inspect.signature(made.__init__).parameters if name != "self"]

output = comfy.clip_vision.Output()
output["image_embeds"] = 1
print(json.dumps({
    "inputs": {name: options(getattr(io, name).Input) for name in NAMES if name != "Custom"}
    | {"Custom": options(io.Custom("X").Input)},
    "output": options(io.Image.Output),
    "option": options(io.DynamicCombo.Option),
    "schema": [field.name for field in dataclasses.fields(io.Schema)],
    "node_output": options(io.NodeOutput),
    "node_output_result": list(io.NodeOutput(1, 2).result),
    "hidden": {item.name: item.value for item in io.Hidden},
    "slider": io.NumberDisplay.slider.value,
    "fixed": io.ControlAfterGenerate.fixed.value,
    "progress": list(inspect.signature(ComfyAPISync().execution.set_progress).parameters),
    "blocker": ExecutionBlocker("why").message,
    "vision": output.image_embeds,
    "latents": [comfy.latent_formats.SD15().process_out(1.0), comfy.latent_formats.SD15(0.5).process_out(1.0)],
    "model_object": list(inspect.signature(comfy.model_patcher.ModelPatcher.get_model_object).parameters),
    "families": [hasattr(comfy.model_base, name) for name in ("SDXL", "SDXLRefiner", "SD3", "Flux", "BaseModel")],
    "management": [callable(getattr(comfy.model_management, name)) for name in
        ("intermediate_device", "get_torch_device", "throw_exception_if_processing_interrupted")],
    "folders": {name: list(inspect.signature(getattr(folder_paths, name)).parameters) for name in
        ("get_filename_list", "get_full_path", "get_folder_paths", "get_annotated_filepath", "get_input_directory")},
    "on_load": inspect.iscoroutinefunction(ComfyExtension.on_load),
}))
"""


@pytest.fixture(scope="module")
def real(comfyui):
    """What the real host's classes and functions take."""
    script = f"NAMES = {list(comfy_standin.INPUTS)!r}\n{SCRIPT}"
    command = [
        os.environ.get("COMFYUI_PYTHON", sys.executable),
        "-c",
        script,
    ]
    done = subprocess.run(command, cwd=comfyui, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_every_option_of_the_stand_in_is_one_of_the_host(real):
    for kind, options in comfy_standin.INPUTS.items():
        assert set(options) <= set(real["inputs"][kind]), kind
    assert set(comfy_standin.OUTPUT) <= set(real["output"])
    assert {"key", "inputs"} == set(real["option"])


def test_what_goes_by_position_stands_there_in_the_host_too(real):
    for kind, names in comfy_standin.POSITIONAL.items():
        assert real["inputs"][kind][: len(names)] == list(names)
    assert all(options[0] == "id" for options in real["inputs"].values())


def test_schemas_outputs_and_hidden_inputs_are_the_hosts(real):
    fields = set(comfy_standin.Schema.__dataclass_fields__)
    assert fields <= set(real["schema"])
    assert real["node_output_result"] == [1, 2] == list(comfy_standin.NodeOutput(1, 2).result)
    assert {name: name.upper() for name in comfy_standin.HIDDEN}.items() <= real["hidden"].items()
    assert real["slider"] == comfy_standin.NumberDisplay.slider.value
    assert real["fixed"] == "fixed"


def test_what_the_pack_calls_is_there_with_the_same_arguments(real, tmp_path):
    stand_ins = comfy_standin.comfy_modules(tmp_path, tmp_path)
    assert real["progress"][:2] == ["value", "max_value"]
    assert real["blocker"] == comfy_standin.ExecutionBlocker("why").message
    assert real["vision"] == 1
    assert real["latents"] == [comfy_standin.SD15().process_out(1.0), comfy_standin.SD15(0.5).process_out(1.0)]
    assert real["model_object"] == ["self", "name"]
    assert all(real["families"])
    assert all(real["management"])
    assert real["on_load"]
    for name, parameters in real["folders"].items():
        taken = getattr(stand_ins["folder_paths"], name).__code__.co_varnames
        assert len(taken) <= max(len(parameters), 2), name
