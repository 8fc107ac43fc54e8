"""The stand-in that the other tests use claims nothing of the hosts' `modules` that a real one has not.

Both are read as syntax trees, so that no host needs to start.
"""

import ast
import warnings
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import pytest

from tests import webui_processing, webui_standin
from tests.host_a1111.host import ROOT

Function = ast.FunctionDef | ast.AsyncFunctionDef
STANDINS = (Path(webui_standin.__file__), Path(webui_processing.__file__))
CALLBACKS, PARSER, PROCESSING = "modules/script_callbacks.py", "modules/prompt_parser.py", "modules/processing.py"
# A class of the stand-in, the host's file and its name there.
CLASSES = {
    "CFGDenoiserParams": (CALLBACKS, "CFGDenoiserParams"),
    "OptionInfo": ("modules/options.py", "OptionInfo"),
    "Options": ("modules/options.py", "Options"),
    "State": ("modules/shared_state.py", "State"),
    "Script": ("modules/scripts.py", "Script"),
    "ScriptRunner": ("modules/scripts.py", "ScriptRunner"),
    "AxisOption": ("scripts/xyz_grid.py", "AxisOption"),
    "SdConditioning": (PARSER, "SdConditioning"),
    "DictWithShape": (PARSER, "DictWithShape"),
    "ComposableScheduledPromptConditioning": (PARSER, "ComposableScheduledPromptConditioning"),
    "MulticondLearnedConditioning": (PARSER, "MulticondLearnedConditioning"),
    "StableDiffusionProcessing": (PROCESSING, "StableDiffusionProcessing"),
    "StableDiffusionProcessingTxt2Img": (PROCESSING, "StableDiffusionProcessingTxt2Img"),
    "StableDiffusionProcessingImg2Img": (PROCESSING, "StableDiffusionProcessingImg2Img"),
    "Denoiser": ("modules/sd_samplers_cfg_denoiser.py", "CFGDenoiser"),
}
FUNCTIONS = {
    "remove_callbacks_for_function": CALLBACKS,
    "report": "modules/errors.py",
    "get_learned_conditioning": PARSER,
    "get_multicond_learned_conditioning": PARSER,
    "reconstruct_cond_batch": PARSER,
    "reconstruct_multicond_batch": PARSER,
    "quote": "modules/infotext_utils.py",
    "parse_generation_parameters": "modules/infotext_utils.py",
    "create_infotext": PROCESSING,
    "process_images": PROCESSING,
}
# What the stand-in does in its own way, and nothing of ours touches.
OWN = {
    "ScriptRunner": {"errors", "_setup_ui", "script", "call"},
    "StableDiffusionProcessing": {"refiner", "cached", "rng"},
    "StableDiffusionProcessingTxt2Img": {"hr_model", "hr_width", "hr_height"},
    "Denoiser": {"cond", "uncond", "switch_to_refiner"},
}
# Methods that nothing of ours calls, and the stand-in's own host calls with what it knows.
MADE_BY_THE_HOST = {"ScriptRunner": ("__init__",), "Denoiser": ("__init__", "forward"), "State": ("begin",)}
FORGE_ONLY = {"hr_additional_modules", "hr_cfg"}
# What the stand-in takes and a host does not: Neo's parser knows no old schedules.
BEYOND = {"neo": {"use_old_scheduling"}}
# Other names that modules hold.
VALUES = {
    "modules/paths_internal.py": ("models_path", "data_path"),
    "modules/devices.py": ("device", "dtype", "dtype_vae", "autocast"),
    "modules/shared.py": ("opts", "state", "cmd_opts", "sd_model", "OptionInfo"),
    "modules/scripts.py": ("Script", "AlwaysVisible", "ScriptClassData", "scripts_data"),
    "modules/ui_components.py": ("InputAccordion", "ToolButton"),
    "modules/sd_samplers_common.py": ("InterruptedException", "single_sample_to_image"),
    "scripts/xyz_grid.py": ("AxisOption", "axis_options"),
}
FLAGS = ("--api", "--nowebui", "--api-auth")


@dataclass
class Claims:
    """What a class has: each method's parameters, in order, and every attribute that it or a method of it sets."""

    methods: dict[str, list[str]] = field(default_factory=dict)
    attributes: set[str] = field(default_factory=set)


@lru_cache
def tree(path: Path) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the hosts' escape sequences
        return ast.parse(path.read_text(encoding="utf-8"))


def parameters(function: Function) -> list[str]:
    """Names that a call can give, then `*` and `**` where any more are taken."""
    args = function.args
    names = [one.arg for one in (*args.posonlyargs, *args.args, *args.kwonlyargs)]
    return [*names, *("*" for _ in (1,) if args.vararg), *("**" for _ in (1,) if args.kwarg)]


def functions(path: Path) -> dict[str, Function]:
    """Every function of a file by its name, methods too; of several of a name the outermost."""
    return {one.name: one for one in reversed(list(ast.walk(tree(path)))) if isinstance(one, Function)}


def targets(statement: ast.stmt) -> list[ast.expr]:
    """What a statement assigns to, tuples taken apart."""
    found = statement.targets if isinstance(statement, ast.Assign) else []
    if isinstance(statement, ast.AnnAssign | ast.AugAssign):
        found = [statement.target]
    return [part for one in found for part in (one.elts if isinstance(one, ast.Tuple) else [one])]


def names(path: Path) -> set[str]:
    """What a module's top level holds: defined, assigned or imported there."""
    found: set[str] = set()
    for one in tree(path).body:
        if isinstance(one, Function | ast.ClassDef):
            found.add(one.name)
        elif isinstance(one, ast.Import | ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in one.names}
        found |= {part.id for part in targets(one) if isinstance(part, ast.Name)}
    return found


def claims(path: Path, name: str) -> Claims:
    """What a class of a file has, its bases in the same file included."""
    classes = {one.name: one for one in ast.walk(tree(path)) if isinstance(one, ast.ClassDef)}
    found = Claims()
    for base in classes[name].bases:
        if isinstance(base, ast.Name) and base.id in classes:
            inherited = claims(path, base.id)
            found.methods |= inherited.methods
            found.attributes |= inherited.attributes
    for one in classes[name].body:
        if isinstance(one, Function):
            found.methods[one.name] = parameters(one)
        found.attributes |= {part.id for part in targets(one) if isinstance(part, ast.Name)}
    for one in ast.walk(classes[name]):
        if isinstance(one, ast.stmt):
            found.attributes |= {
                part.attr
                for part in targets(one)
                if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name) and part.value.id == "self"
            }
    return found


def claimed(name: str) -> Claims:
    """What the stand-in's class has."""
    [path] = [one for one in STANDINS if any(isinstance(n, ast.ClassDef) and n.name == name for n in tree(one).body)]
    return claims(path, name)


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_of_the_stand_in_has_nothing_that_the_hosts_has_not(checkout, name):
    file, there = CLASSES[name]
    real, ours = claims(checkout.folder / file, there), claimed(name)
    own = OWN.get(name, set()) | (OWN["StableDiffusionProcessing"] if "Processing" in name else set())
    wanted = (ours.attributes | set(ours.methods)) - own
    if checkout.kind in ("a1111", "reforge"):
        wanted -= FORGE_ONLY
    assert {one for one in wanted if not one.startswith("__")} <= real.attributes | set(real.methods)
    for method in ours.methods.keys() & real.methods.keys() - own - set(MADE_BY_THE_HOST.get(name, ())):
        if "*" not in real.methods[method] and not method.endswith("attr__"):
            taken = [one for one in ours.methods[method] if one not in ("*", "**")]
            assert real.methods[method][: len(taken)] == taken, method


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_of_the_stand_in_takes_what_the_hosts_does(checkout, name):
    [ours] = [functions(path)[name] for path in STANDINS if name in functions(path)]
    taken = [one for one in parameters(ours) if one not in ("self", *BEYOND.get(checkout.kind, ()))]
    real = parameters(functions(checkout.folder / FUNCTIONS[name])[name])
    assert real[: len(taken)] == taken


def test_the_scripts_methods_are_called_with_a_job_and_the_arguments(checkout):
    real = claims(checkout.folder / "modules/scripts.py", "Script").methods
    for method in webui_standin.SCRIPT_METHODS:
        assert real[method][:2] == ["self", "p"]
        assert "*" in real[method]


@pytest.mark.parametrize("kind", webui_standin.KINDS)
def test_callbacks_are_registered_by_a_function_and_a_name(checkout, kind):
    assert parameters(functions(checkout.folder / CALLBACKS)[f"on_{kind}"]) == ["callback", "name"]


@pytest.mark.parametrize("file", VALUES)
def test_modules_hold_the_names_that_the_stand_in_gives_them(checkout, file):
    assert set(VALUES[file]) <= names(checkout.folder / file)


def test_what_goes_into_our_accordion_is_taken_by_the_hosts_components(checkout):
    file = checkout.folder / "modules/ui_components.py"
    function = functions(file).get("InputAccordion")  # of the forks with gradio 4; a class in the others
    taken = parameters(function) if function else claims(file, "InputAccordion").methods["__init__"][1:]
    assert taken == ["value", "**"]
    assert claims(file, "ToolButton").methods["__init__"][-2:] == ["*", "**"]


def test_the_flags_that_our_routes_ask_for_are_the_hosts(checkout):
    text = (checkout.folder / "modules/cmd_args.py").read_text(encoding="utf-8")
    assert all(f'"{flag}"' in text for flag in FLAGS)


def asked_of_modules() -> set[tuple[str, str]]:
    """Every (module, name) of the host's that a file of webui_extension takes."""
    found = set()
    for path in (ROOT / "webui_extension").rglob("*.py"):
        modules = set()
        for one in ast.walk(tree(path)):
            if isinstance(one, ast.ImportFrom) and one.level == 0 and one.module:
                package, _, module = one.module.partition(".")
                taken = {alias.name for alias in one.names} if package == "modules" else set()
                modules |= set() if module else taken
                found |= {(module, name) for name in taken} if module else set()
        found |= {
            (one.value.id, one.attr)
            for one in ast.walk(tree(path))
            if isinstance(one, ast.Attribute) and isinstance(one.value, ast.Name) and one.value.id in modules
        }
    return found


def test_every_name_that_the_extension_takes_of_the_hosts_modules_is_there(checkout):
    asked = asked_of_modules()
    assert {("shared", "opts"), ("scripts", "Script"), ("paths", "models_path")} <= asked
    missing = [
        f"{module}.{name}" for module, name in asked if name not in names(checkout.folder / f"modules/{module}.py")
    ]
    assert missing == []


def test_the_stand_in_has_every_module_that_the_extension_takes(tmp_path):
    with webui_standin.standing_in(tmp_path) as host:
        for module, name in asked_of_modules():
            assert hasattr(host.modules[f"modules.{module}"], name), f"{module}.{name}"
