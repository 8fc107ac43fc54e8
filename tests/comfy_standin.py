"""ComfyUI, as much of it as the pack touches, for tests without the host.

What it accepts is written down in tables; tests/host_comfyui/test_standin.py holds them against the real one.
"""

import asyncio
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import ModuleType, SimpleNamespace

ROOT = Path(__file__).resolve().parent.parent
PACK_NAME = str(ROOT).replace(".", "_x_")  # what ComfyUI calls the pack's root package
STAND_INS = ("comfy_api", "comfy", "comfy_execution", "folder_paths")

ANY_INPUT = ("id", "display_name", "optional", "tooltip", "lazy", "extra_dict", "raw_link", "advanced")
ANY_WIDGET = (*ANY_INPUT, "default", "socketless", "force_input")
NUMBER = (*ANY_WIDGET, "min", "max", "step", "display_mode")
INPUTS = {
    "Boolean": (*ANY_WIDGET, "label_on", "label_off"),
    "Int": (*NUMBER, "control_after_generate"),
    "Float": (*NUMBER, "round"),
    "String": (*ANY_WIDGET, "multiline", "placeholder", "dynamic_prompts"),
    "Combo": (*(o for o in ANY_WIDGET if o != "force_input"), "options", "control_after_generate", "upload"),
    "DynamicCombo": ("id", "options", "display_name", "optional", "tooltip", "lazy", "extra_dict"),
    "MultiType": (*ANY_INPUT, "types"),
} | dict.fromkeys(
    ("Image", "Mask", "Model", "Clip", "Vae", "Conditioning", "ClipVisionOutput", "Latent", "Custom"), ANY_INPUT
)
POSITIONAL = {"Combo": ("id", "options"), "DynamicCombo": ("id", "options"), "MultiType": ("id", "types")}
OUTPUT = ("id", "display_name", "tooltip", "is_output_list")
HIDDEN = ("unique_id", "prompt", "extra_pnginfo", "dynprompt")


class Declared:
    """An input or output: what it was made with, each option known to the host."""

    allowed: tuple[str, ...] = ()
    positional: tuple[str, ...] = ("id",)

    def __init__(self, *args, **options):
        assert len(args) <= len(self.positional), f"{type(self).__name__} takes {self.positional} by position"
        self.options = {**dict(zip(self.positional, args, strict=False)), **options}
        unknown = set(self.options) - set(self.allowed)
        assert not unknown, f"{type(self).__name__} of the host has no option {sorted(unknown)}"
        self.id = self.options.get("id")

    def __getattr__(self, name: str):
        if name.startswith("__") or name == "options":
            raise AttributeError(name)
        return self.options.get(name)


def socket(io_type: str, kind: str = "Custom") -> type:
    taken = type("Input", (Declared,), {"allowed": INPUTS[kind], "positional": POSITIONAL.get(kind, ("id",))})
    given = type("Output", (Declared,), {"allowed": OUTPUT})
    for made in (taken, given):
        made.io_type = io_type
    extra = {"Option": Option} if kind == "DynamicCombo" else {}
    return type(io_type, (), {"io_type": io_type, "Input": taken, "Output": given, **extra})


class Option:
    """One choice of a DynamicCombo and the inputs that come with it."""

    def __init__(self, key: str, inputs: list):
        self.key, self.inputs = key, inputs


@dataclass
class Schema:
    node_id: str
    display_name: str | None = None
    category: str = "sd"
    inputs: list = field(default_factory=list)
    outputs: list = field(default_factory=list)
    hidden: list = field(default_factory=list)
    description: str = ""
    search_aliases: list = field(default_factory=list)
    is_output_node: bool = False
    is_deprecated: bool = False
    is_experimental: bool = False


class ComfyNode:
    hidden = SimpleNamespace(unique_id="1", prompt={})

    @classmethod
    def GET_SCHEMA(cls):
        return cls.define_schema()


class NodeOutput:
    def __init__(self, *args, ui=None, expand=None, block_execution=None):
        self.args, self.ui = args, ui

    @property
    def result(self):
        return self.args


class ComfyExtension:
    async def on_load(self):
        pass


class NumberDisplay(str, Enum):
    slider = "slider"


class ExecutionBlocker:
    def __init__(self, message):
        self.message = message


class ClipVisionOutputValue:
    def __getitem__(self, key):
        return getattr(self, key)

    def __setitem__(self, key, item):
        setattr(self, key, item)


class SD15:
    """The latents of SD 1.x: what its sampler has is what its VAE gives, times a factor."""

    def __init__(self, scale_factor=0.18215):
        self.scale_factor = scale_factor

    def process_out(self, latent):
        return latent / self.scale_factor


class Interrupted(BaseException):
    """Stands for the host's InterruptProcessingException."""


def comfy_modules(models: Path, inputs: Path) -> dict[str, ModuleType]:
    """Return stand-ins for the host's modules by name; `progress` of comfy.model_management notes what was reported."""
    names = ("comfy_api", "comfy_api.v0_0_2", "folder_paths", "comfy", "comfy.model_management", "comfy.clip_vision")
    more = ("comfy.model_base", "comfy.latent_formats", "comfy_execution", "comfy_execution.graph_utils")
    made = {name: ModuleType(name) for name in (*names, *more)}
    sockets = {name: socket(name.upper(), name) for name in INPUTS if name != "Custom"}
    api = made["comfy_api.v0_0_2"]
    api.io = SimpleNamespace(
        Schema=Schema,
        ComfyNode=ComfyNode,
        NodeOutput=NodeOutput,
        NumberDisplay=NumberDisplay,
        ControlAfterGenerate=SimpleNamespace(fixed="fixed"),
        Custom=socket,
        Hidden=SimpleNamespace(**{name: name.upper() for name in HIDDEN}),
        **sockets,
    )
    api.ComfyExtension = ComfyExtension
    management = made["comfy.model_management"]
    management.progress, management.interrupt_after = [], None

    def throw_exception_if_processing_interrupted():
        if management.interrupt_after is not None and len(management.progress) >= management.interrupt_after:
            raise Interrupted

    management.throw_exception_if_processing_interrupted = throw_exception_if_processing_interrupted
    management.get_torch_device = management.intermediate_device = lambda: "cpu"
    execution = SimpleNamespace(set_progress=lambda value, total: management.progress.append((value, total)))
    api.ComfyAPISync = lambda: SimpleNamespace(execution=execution)
    made["comfy.clip_vision"].Output = ClipVisionOutputValue
    made["comfy.latent_formats"].SD15 = SD15
    made["comfy_execution.graph_utils"].ExecutionBlocker = ExecutionBlocker
    for family in ("BaseModel", "SDXL", "SDXLRefiner", "SD3", "Flux"):
        setattr(made["comfy.model_base"], family, type(family, (), {}))
    for name in ("model_management", "clip_vision", "model_base", "latent_formats"):
        setattr(made["comfy"], name, made[f"comfy.{name}"])
    _fill_folder_paths(made["folder_paths"], models, inputs)
    return made


def _fill_folder_paths(folders: ModuleType, models: Path, inputs: Path) -> None:
    known = {}
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


def load_pack(stand_ins: dict[str, ModuleType]) -> dict[str, type]:
    """Load the pack as ComfyUI's load_custom_node does; returns the node classes by id."""
    sys.modules.update(stand_ins)
    spec = importlib.util.spec_from_file_location(PACK_NAME, ROOT / "__init__.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[PACK_NAME] = module
    spec.loader.exec_module(module)
    assert not hasattr(module, "NODE_CLASS_MAPPINGS")
    assert [known for known in sys.modules if known.startswith(f"{PACK_NAME}.")] == []

    async def load():
        extension = await module.comfy_entrypoint()
        assert isinstance(extension, ComfyExtension)
        await extension.on_load()
        return await extension.get_node_list()

    return {node.GET_SCHEMA().node_id: node for node in asyncio.run(load())}


@contextmanager
def hosted(models: Path, inputs: Path) -> Iterator[SimpleNamespace]:
    """Give the pack's node classes in the stand-in, and put sys.modules back afterwards."""
    before = {name: module for name, module in sys.modules.items() if _is_host(name)}
    stand_ins = comfy_modules(models, inputs)
    inputs.mkdir(parents=True, exist_ok=True)
    try:
        nodes = load_pack(stand_ins)
        yield SimpleNamespace(nodes=nodes, models=models, inputs=inputs, modules=stand_ins)
    finally:
        for name in [name for name in sys.modules if _is_host(name)]:
            del sys.modules[name]
        sys.modules.update(before)


def _is_host(name: str) -> bool:
    return name.split(".")[0] in STAND_INS or name == PACK_NAME or name.startswith(f"{PACK_NAME}.")


def all_inputs(schema: Schema) -> dict[str, Declared]:
    """Return every input by the id the host gives it; those of a DynamicCombo's choices are `combo.input`."""
    found = {}
    for item in schema.inputs:
        found[item.id] = item
        for option in item.options.get("options") or []:
            if isinstance(option, Option):
                found |= {f"{item.id}.{inner.id}": inner for inner in option.inputs}
    return found
