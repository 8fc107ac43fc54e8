"""Who may import whom (.importlinter), and that core loads with nothing but torch, numpy and safetensors."""

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SIDES = ("core", "comfy_nodes", "webui_extension", "trainer", "scripts")
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


def lint(config: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Hold the packages that lie in a folder against a file of contracts."""
    if folder != ROOT:
        shutil.copyfile(ROOT / config, folder / ".importlinter")  # where every version looks without being told
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo"]
    environ = {**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "200"}
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True)


def kept(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The names of the contracts that hold; what a contract says of itself stays on one line."""
    return [line.removesuffix(" KEPT") for line in done.stdout.splitlines() if line.endswith(" KEPT")]


@pytest.fixture
def house(tmp_path) -> Path:
    """A folder with copies of core and trainer, into which a test may plant what must not be."""
    for side in ("core", "trainer"):
        shutil.copytree(ROOT / side, tmp_path / side, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


@pytest.fixture
def pack(tmp_path) -> Path:
    """A folder with the package sd_eeg, as a host would name what it loads."""
    for side in ("core", "comfy_nodes", "webui_extension"):
        shutil.copytree(ROOT / side, tmp_path / "sd_eeg" / side, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "sd_eeg" / "__init__.py").touch()
    return tmp_path


def test_core_and_trainer_keep_their_floors_without_cycles_and_know_no_host():
    done = lint(".importlinter", ROOT)
    assert done.returncode == 0, done.stdout
    assert len(kept(done)) == 4


def test_what_hosts_load_keeps_its_floors_without_cycles_and_the_sides_apart(pack):
    done = lint(".importlinter-hosts", pack)
    assert done.returncode == 0, done.stdout
    assert "7 kept, 0 broken" in done.stdout


PLANTED = {  # file: the line that is planted at its end, and the contract that it breaks
    "core/montage.py": ("from .conditioning import blending", "floors of core"),
    "core/plots/canvas.py": ("def late():\n    from . import plots", "no cycles"),
    "core/formats/contract/units.py": ("from ..lab import edf", "no cycles"),
    "core/files.py": ("def late():\n    import folder_paths", "know no host"),
    "trainer/store/store.py": ("from ..training import fit", "floors of trainer"),
}


@pytest.mark.parametrize("file", PLANTED)
def test_an_import_that_must_not_be_is_named(house, file):
    line, contract = PLANTED[file]
    with open(house / file, "a", encoding="utf-8") as grown:
        grown.write(f"\n\n{line}\n")
    done = lint(".importlinter", house)
    assert done.returncode == 1
    assert any(contract in broken for broken in done.stdout.splitlines() if broken.endswith("BROKEN")), done.stdout


def test_a_side_that_reaches_the_other_or_an_absolute_name_is_named(pack):
    nodes = pack / "sd_eeg" / "comfy_nodes"
    with open(nodes / "nodes_plot.py", "a", encoding="utf-8") as grown:
        grown.write("\n\nfrom ..webui_extension import messages\n")
    with open(nodes / "folders.py", "a", encoding="utf-8") as grown:
        grown.write("\n\nimport core.recording\n")
    done = lint(".importlinter-hosts", pack)
    assert "4 kept, 3 broken" in done.stdout, done.stdout


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
