"""Who may import whom, and that core loads with nothing but torch, numpy and safetensors."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SIDES = ("core", "comfy_nodes", "webui_extension", "trainer", "scripts")
RELATIVE_ONLY = ("core", "comfy_nodes", "webui_extension")
MAY_REACH = {  # which of our own folders each may import
    "core": {"core"},
    "comfy_nodes": {"comfy_nodes", "core"},
    "webui_extension": {"webui_extension", "core"},
    "trainer": {"trainer", "core"},
    "scripts": {"webui_extension"},
}
HOSTS = {"comfy", "comfy_api", "comfy_execution", "folder_paths", "server", "nodes", "modules", "gradio", "fastapi"}
CORE_AT_LOAD = {"torch", "numpy", "safetensors"}
HOST_SIDE_AT_LOAD = {
    "comfy_nodes": {"comfy_api", "folder_paths"},
    "webui_extension": {"gradio", "modules"},
    "scripts": {"sd_eeg"},
}
REFUSED = ("mne", "scipy", "diffusers", "transformers", "matplotlib", "PIL", "gradio", "comfy", "sklearn", "tqdm")


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def everything() -> list[Path]:
    return [*ROOT.glob("*.py"), *sources(*SIDES, "tests", "benchmarks")]


def relative_name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def absolute_target(path: Path, node: ast.ImportFrom) -> str:
    """The dotted name that a relative import reaches, counted from the repository's root."""
    package = path.relative_to(ROOT).parts[:-1]
    return ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])])


def imports(path: Path) -> Iterator[tuple[str, bool, bool]]:
    """(top-level name, relative, at load) of every import that can run; what stands under TYPE_CHECKING cannot."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    unrun = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    in_functions = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in unrun:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.split(".")[0], False, id(node) not in in_functions
        elif isinstance(node, ast.ImportFrom):
            name = absolute_target(path, node) if node.level else node.module or ""
            yield name.split(".")[0], node.level > 0, id(node) not in in_functions


def test_every_file_is_python_3_10():
    for path in everything():
        ast.parse(path.read_text(encoding="utf-8"), filename=relative_name(path), feature_version=(3, 10))


def test_the_outer_folders_do_not_reach_each_other():
    ours = {*SIDES, "tests", "benchmarks", "install"}
    for path in sources(*SIDES):
        reached = {name for name, _, _ in imports(path)} & ours
        assert reached <= MAY_REACH[path.relative_to(ROOT).parts[0]], relative_name(path)


def test_core_and_trainer_know_no_host():
    for path in sources("core", "trainer"):
        assert not {name for name, _, _ in imports(path)} & HOSTS, relative_name(path)


def test_the_loaded_folders_import_each_other_relatively():
    for path in sources(*RELATIVE_ONLY):
        assert not {name for name, relative, _ in imports(path) if not relative} & set(SIDES), relative_name(path)


def test_core_loads_torch_numpy_and_safetensors_only():
    for path in sources("core"):
        at_load = {name for name, relative, at_load in imports(path) if at_load and not relative}
        assert at_load <= CORE_AT_LOAD | sys.stdlib_module_names, relative_name(path)


# Classes of the host's own kind, which only a node's `execute` imports.
LOADED_AT_FIRST_USE = {"phantom_world.py": {"torch", "comfy"}, "phantom_autoencoder.py": {"torch", "comfy"}}


def test_what_is_loaded_at_first_use_is_imported_inside_functions_only():
    eager = {name.removesuffix(".py") for name in LOADED_AT_FIRST_USE}
    for path in sources("comfy_nodes"):
        if path.name in LOADED_AT_FIRST_USE:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        at_load = {
            (node.module or "").rpartition(".")[2]
            for node in tree.body
            if isinstance(node, ast.ImportFrom) and node.level
        }
        assert not at_load & eager, path


def test_the_host_sides_load_their_host_and_nothing_heavy():
    for path in sources("comfy_nodes", "webui_extension", "scripts"):
        if path.name in LOADED_AT_FIRST_USE:
            continue
        allowed = HOST_SIDE_AT_LOAD[path.relative_to(ROOT).parts[0]] | sys.stdlib_module_names
        assert {name for name, relative, at_load in imports(path) if at_load and not relative} <= allowed, path


def test_the_entry_point_imports_nothing_at_load_and_has_no_mappings():
    assert not [name for name, _, at_load in imports(ROOT / "__init__.py") if at_load]
    assert "NODE_CLASS_MAPPINGS" not in (ROOT / "__init__.py").read_text(encoding="utf-8")


def test_pickles_are_read_nowhere_but_in_a_restricted_unpickler():
    for path in sources(*SIDES):
        unpickles = {name for name, _, _ in imports(path)} & {"pickle", "dill", "cloudpickle"}
        assert not unpickles or "unpickl" in path.name, relative_name(path)


def test_core_loads_in_a_bare_interpreter():
    files = (path.relative_to(ROOT).with_suffix("") for path in sources("core"))
    modules = [".".join(file.parts).removesuffix(".__init__") for file in files]
    code = f"""
import importlib, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {REFUSED!r}:
            raise ModuleNotFoundError(f"{{name}} is refused by the test", name=name)
sys.meta_path.insert(0, Refuse())
sys.path.insert(0, {str(ROOT)!r})
for module in {modules!r}:
    importlib.import_module(module)
print("loaded", len(sys.modules))
"""
    done = subprocess.run([sys.executable, "-I", "-W", "error", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("loaded")
