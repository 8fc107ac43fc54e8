"""AUTOMATIC1111 and Forge, as much of them as the extension touches, for tests without a host.

`standing_in` puts a package `modules` into sys.modules, runs scripts/sd_eeg.py as the hosts do and takes everything out
again. What a host does while it draws stands in webui_processing.py.
"""

import asyncio
import importlib
import importlib.util
import inspect
import sys
import traceback
from collections import namedtuple
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch

from core.model.checkpoint import save_encoder
from core.model.heads import HeadConfig
from tests import webui_processing
from tests.small_encoders import small_encoder

ROOT = Path(__file__).resolve().parent.parent
OURS = "sd_eeg.webui_extension"
KINDS = ("app_started", "ui_tabs", "ui_settings", "cfg_denoiser", "before_ui")
SCRIPT_METHODS = (
    "before_process",
    "process",
    "before_process_batch",
    "process_batch",
    "process_before_every_sampling",
    "postprocess",
)
ScriptClassData = namedtuple("ScriptClassData", ["script_class", "path", "basedir", "module"])


PROMPTS = HeadConfig("prompts", "prompts", prompts=("a face", "a house"))
SD1, SDXL = HeadConfig("sd1.text", "basis", rank=2), HeadConfig("sdxl.text", "basis", rank=2)
SALIENCY = HeadConfig("saliency", "basis", rank=2, shape=(3, 16, 16))
LATENT = HeadConfig("sd1.latent", "basis", rank=2, shape=(4, 8, 8))
ENCODERS = {
    "words": (PROMPTS,),
    "text": (SD1,),
    "xl": (SDXL,),
    "both": (SD1, SDXL),
    "pictures": (SD1, SALIENCY, LATENT),
    "timid": (SD1,),  # never calibrated
}


@lru_cache
def encoder(name: str) -> Any:
    """Return an untrained encoder of tests; what core says of it is what a host must be given."""
    made = small_encoder(*ENCODERS[name])
    if name == "timid":
        made.confidence = {}
    return made


def write_encoders(folder: Path, *names: str) -> None:
    """Write encoders of tests as NAME.safetensors."""
    for name in names:
        save_encoder(encoder(name), folder / f"{name}.safetensors")


def extension(name: str) -> ModuleType:
    """Return a module of webui_extension, under the package's name in the hosts."""
    package = sys.modules.setdefault("sd_eeg", ModuleType("sd_eeg"))
    package.__path__ = [str(ROOT)]
    return importlib.import_module(f"{OURS}.{name}")


class Errors(ModuleType):
    """modules.errors: what a host catches it prints, and goes on."""

    def __init__(self) -> None:
        super().__init__("modules.errors")
        self.reported: list[tuple[str, BaseException | None]] = []

    def report(self, message: str, *, exc_info: bool = False) -> None:
        self.reported.append((message, sys.exc_info()[1]))
        print(f"*** {message}", file=sys.stderr)
        if exc_info:
            traceback.print_exc()


class Callbacks(ModuleType):
    """modules.script_callbacks: functions by kind, each kept with the file that registered it."""

    def __init__(self, errors: Errors) -> None:
        super().__init__("modules.script_callbacks")
        self.errors = errors
        self.known: dict[str, list[Any]] = {kind: [] for kind in KINDS}
        for kind in KINDS:
            setattr(self, f"on_{kind}", lambda callback, *, name=None, kind=kind: self.known[kind].append(callback))

    def remove_callbacks_for_function(self, callback_func: Any) -> None:
        for callbacks in self.known.values():
            callbacks[:] = [one for one in callbacks if one != callback_func]

    def call(self, kind: str, *args: Any) -> list[Any]:
        """Call what was registered, as the host does: an exception is printed."""
        found = []
        for callback in self.known[kind]:
            try:
                found.append(callback(*args))
            except Exception:
                self.errors.report(f"Error executing callback {kind}", exc_info=True)
        return found


class CFGDenoiserParams:
    """What a cfg_denoiser callback is given, and may change."""

    def __init__(
        self, x, image_cond, sigma, sampling_step, total_sampling_steps, text_cond, text_uncond, denoiser=None
    ):
        self.x, self.image_cond, self.sigma = x, image_cond, sigma
        self.sampling_step, self.total_sampling_steps = sampling_step, total_sampling_steps
        self.text_cond, self.text_uncond, self.denoiser = text_cond, text_uncond, denoiser


class OptionInfo:
    """One setting, with the host's positional arguments."""

    def __init__(
        self, default=None, label="", component=None, component_args=None, onchange=None, section=None, refresh=None
    ):
        self.default, self.label, self.section = default, label, section
        self.component, self.component_args = component, component_args


class Options:
    """shared.opts: settings by name; one that nobody has set has its default."""

    def __init__(self, **data: Any) -> None:
        self.__dict__["data"], self.__dict__["data_labels"] = data, {}

    def add_option(self, key: str, info: OptionInfo) -> None:
        self.data_labels[key] = info
        self.data.setdefault(key, info.default)

    def __getattr__(self, name: str) -> Any:
        if name in self.__dict__["data"]:
            return self.__dict__["data"][name]
        raise AttributeError(name)

    def __setattr__(self, name: str, value: Any) -> None:
        self.data[name] = value


class State:
    """shared.state: what the present job is at."""

    def __init__(self) -> None:
        self.begin()

    def begin(self, job: str = "(unknown)") -> None:
        self.interrupted = self.skipped = self.stopping_generation = False
        self.sampling_step = self.sampling_steps = self.job_no = 0

    def interrupt(self) -> None:
        self.interrupted = True

    def nextjob(self) -> None:
        self.job_no, self.sampling_step = self.job_no + 1, 0


class Script:
    """modules.scripts.Script: the methods that are called, doing nothing."""

    name = filename = group = None
    args_from = args_to = None
    alwayson = is_txt2img = is_img2img = False
    infotext_fields = paste_field_names = None

    def title(self):
        raise NotImplementedError

    def ui(self, is_img2img):
        pass

    def show(self, is_img2img):
        return True


for _method in SCRIPT_METHODS:
    setattr(Script, _method, lambda self, p, *args, **kwargs: None)


class Scripts(ModuleType):
    """modules.scripts: the classes that files of scripts hold, and the runner that calls them."""

    def __init__(self, errors: Errors) -> None:
        super().__init__("modules.scripts")
        self.Script, self.AlwaysVisible, self.ScriptClassData = Script, object(), ScriptClassData
        self.scripts_data: list[ScriptClassData] = []
        self.errors = errors

    def load(self, path: Path, basedir: Path) -> ModuleType | None:
        """Execute a file of scripts by path, its folder's parent first on sys.path, and keep its Script classes.

        The module is named by its file and never enters sys.modules.
        """
        before = list(sys.path)
        sys.path.insert(0, str(basedir))
        try:
            spec = importlib.util.spec_from_file_location(path.name, path)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        except Exception:
            self.errors.report(f"Error loading script: {path.name}", exc_info=True)
            return None
        finally:
            sys.path[:] = before
        for value in list(vars(module).values()):
            if inspect.isclass(value) and issubclass(value, Script):
                self.scripts_data.append(ScriptClassData(value, str(path), str(basedir), module))
        return module


class ScriptRunner:
    """Scripts of one tab with their part of the arguments; what a script raises is printed."""

    def __init__(self, scripts: Scripts, is_img2img: bool) -> None:
        self.errors, self.alwayson_scripts = scripts.errors, []
        self.inputs: list[Any] = [None]
        self.infotext_fields: list[Any] = []
        self.paste_field_names: list[str] = []
        for data in scripts.scripts_data:
            script = data.script_class()
            script.filename, script.is_img2img, script.is_txt2img = data.path, is_img2img, not is_img2img
            if script.show(is_img2img) is scripts.AlwaysVisible:
                script.alwayson = True
                self.alwayson_scripts.append(script)

    def setup_ui(self) -> list[Any]:
        """Build every script's components; returns the arguments that a job has where nothing was touched."""
        return asyncio.run(self._setup_ui())  # outside of a running loop gradio opens some that it never closes

    async def _setup_ui(self) -> list[Any]:
        import gradio as gr

        with gr.Blocks(analytics_enabled=False):
            for script in self.alwayson_scripts:
                script.args_from = script.args_to = len(self.inputs)
                try:
                    controls = script.ui(script.is_img2img) or []
                    script.name = script.title().lower()
                except Exception:
                    self.errors.report(f"Error creating UI for {script.filename}", exc_info=True)
                    continue
                self.infotext_fields += script.infotext_fields or []
                self.paste_field_names += script.paste_field_names or []
                self.inputs += controls
                script.args_to = len(self.inputs)
        return [0, *(control.value for control in self.inputs[1:])]

    def script(self, title: str) -> Any:
        return next(script for script in self.alwayson_scripts if script.name == title.lower())

    def call(self, method: str, p: Any, **kwargs: Any) -> None:
        for script in self.alwayson_scripts:
            try:
                getattr(script, method)(p, *p.script_args[script.args_from : script.args_to], **kwargs)
            except Exception:
                self.errors.report(f"Error running {method}: {script.filename}", exc_info=True)


class InputAccordion:
    """A checkbox that is an accordion; here no subclass of a component, for gradio writes files beside those."""

    def __init__(self, value: bool, **kwargs: Any) -> None:
        import gradio as gr

        self.__dict__["checkbox"] = gr.Checkbox(value, visible=False, elem_id=f"{kwargs['elem_id']}-checkbox")
        self.__dict__["accordion"] = gr.Accordion(kwargs["label"], open=value, elem_id=kwargs["elem_id"])

    def __enter__(self):
        self.accordion.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.accordion.__exit__(*error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["checkbox"], name)


def tool_button(*args: Any, tooltip: str | None = None, **kwargs: Any) -> Any:
    import gradio as gr

    return gr.Button(*args, **kwargs)


class AxisOption:
    """An axis of the X/Y/Z plot, with the host's arguments."""

    def __init__(self, label, type, apply, format_value=None, confirm=None, cost=0.0, choices=None, prepare=None):  # noqa: A002
        self.label, self.type, self.apply, self.choices = label, type, apply, choices


def xyz_grid() -> ScriptClassData:
    """Return the host's X/Y/Z plot as it stands among the scripts: its module is in no sys.modules."""
    module = ModuleType("xyz_grid.py")
    module.AxisOption = AxisOption
    module.axis_options = [AxisOption("Nothing", str, lambda p, x, xs: None)]
    return ScriptClassData(type("Script", (Script,), {"__module__": "xyz_grid.py"}), "xyz_grid.py", "", module)


@dataclass
class Host:
    """A host with the extension loaded."""

    folder: Path
    modules: dict[str, ModuleType]
    forge: bool = False
    api: bool = True
    runners: dict[bool, tuple[ScriptRunner, list[Any]]] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or f"modules.{name}" not in self.modules:
            raise AttributeError(name)
        return self.modules[f"modules.{name}"]

    @property
    def encoders(self) -> Path:
        return self.folder / "models" / "eeg_encoders"

    @property
    def recordings(self) -> Path:
        return self.folder / "data" / "eeg_recordings"

    @property
    def callbacks(self) -> Callbacks:
        return self.modules["modules.script_callbacks"]  # type: ignore[return-value]

    @property
    def reported(self) -> list[tuple[str, BaseException | None]]:
        return self.modules["modules.errors"].reported

    def ours(self, name: str) -> ModuleType:
        """Return a module of ours as the host has loaded it."""
        return importlib.import_module(f"{OURS}.{name}")

    def run_script(self) -> None:
        """Run scripts/sd_eeg.py and announce the interface, as the start and every "Reload UI" do."""
        scripts: Any = self.scripts
        scripts.scripts_data[:] = [data for data in scripts.scripts_data if data.script_class.__name__ != "EegScript"]
        scripts.load(ROOT / "scripts" / "sd_eeg.py", ROOT)
        self.callbacks.call("before_ui")
        self.runners.clear()

    def runner(self, is_img2img: bool) -> tuple[ScriptRunner, list[Any]]:
        """Return a tab's scripts and the arguments of a job where nothing was touched.

        A user interface takes 0.2 s to build, so that only what asks for `interface` first has one.
        """
        if is_img2img not in self.runners:
            made = ScriptRunner(self.scripts, is_img2img)
            untouched = [False, *self.ours("generation.request").DEFAULTS.values()]
            for script in made.alwayson_scripts:
                script.name, script.args_from, script.args_to = script.title().lower(), 1, 1 + len(untouched)
            self.runners[is_img2img] = made, [0, *untouched]
        return self.runners[is_img2img]

    def interface(self, is_img2img: bool) -> tuple[ScriptRunner, list[Any]]:
        """Return what `runner` does, of the user interface that the scripts build."""
        made = ScriptRunner(self.scripts, is_img2img)
        self.runners[is_img2img] = made, made.setup_ui()
        return self.runners[is_img2img]

    def prepared(self, args: Sequence[Any] = (), *, img2img: bool = False, **fields: Any) -> Any:
        """Return a job with these arguments for our script; what is left out is as the user interface has it."""
        runner, defaults = self.runner(img2img)
        kind = "StableDiffusionProcessingImg2Img" if img2img else "StableDiffusionProcessingTxt2Img"
        p = getattr(self.processing, kind)(**fields)
        first = runner.script("EEG conditioning").args_from
        if self.forge and getattr(p, "enable_hr", False):
            p.hr_additional_modules = ["Use same choices"]  # as its user interface has it
        p.scripts = runner
        p.script_args = [*defaults[:first], *args, *defaults[first + len(args) :]]
        return p

    def draw(self, args: Sequence[Any] = (), *, img2img: bool = False, **fields: Any) -> Any:
        """Run a job from its start; returns what the host's process_images does."""
        self.shared.state.begin()
        return self.processing.process_images(self.prepared(args, img2img=img2img, **fields))


def host_modules(folder: Path, forge: bool, api: bool) -> dict[str, ModuleType]:
    """Return a host's modules by name, its folders under `folder`."""
    names = ("shared", "paths", "devices", "sd_samplers_common", "ui_components", "prompt_parser", "infotext_utils")
    made: dict[str, Any] = {f"modules.{name}": ModuleType(f"modules.{name}") for name in names}
    errors = made["modules.errors"] = Errors()
    callbacks = made["modules.script_callbacks"] = Callbacks(errors)
    callbacks.CFGDenoiserParams = CFGDenoiserParams
    made["modules.scripts"] = Scripts(errors)
    made["modules.scripts"].scripts_data.append(xyz_grid())
    shared = made["modules.shared"]
    shared.opts, shared.state, shared.OptionInfo = Options(temp_dir=""), State(), OptionInfo
    shared.cmd_opts = SimpleNamespace(api=api, nowebui=False, api_auth=None)
    shared.sd_model = None
    made["modules.paths"].models_path = str(folder / "models")
    made["modules.paths"].data_path = str(folder / "data")
    devices = made["modules.devices"]
    devices.device, devices.dtype_vae, devices.dtype = torch.device("cpu"), torch.float32, torch.float32
    devices.autocast = nullcontext
    made["modules.ui_components"].InputAccordion = InputAccordion
    made["modules.ui_components"].ToolButton = tool_button
    made["modules.processing"] = ModuleType("modules.processing")
    webui_processing.fill(made, forge)
    package = ModuleType("modules")
    package.__path__ = []
    for name, module in made.items():
        setattr(package, name.split(".")[1], module)
    return {"modules": package, **made}


@contextmanager
def standing_in(folder: Path, *, forge: bool = False, api: bool = True) -> Iterator[Host]:
    """Yield a host that has run our script; afterwards no trace of it is left in sys.modules."""

    def ours_or_theirs() -> dict[str, ModuleType]:
        return {
            name: module
            for name, module in sys.modules.items()
            if name.split(".")[0] == "modules" or name.startswith(OURS)
        }

    before = ours_or_theirs()
    for name in before:
        del sys.modules[name]
    host = Host(folder, host_modules(folder, forge, api), forge, api)
    sys.modules.update(host.modules)
    for made in (host.encoders, host.recordings):
        made.mkdir(parents=True, exist_ok=True)
    try:
        host.run_script()
        yield host
    finally:
        for name in ours_or_theirs():
            del sys.modules[name]
        sys.modules.update(before)
