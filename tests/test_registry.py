"""The pack as ComfyUI's registry takes it: validated and packed by the registry's own tool, and loaded from its zip."""

import os
import posixpath
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests import comfy_standin
from tests.pages import PAGES, links, pictures, read

ROOT = comfy_standin.ROOT
NEEDED = [
    "__init__.py", "install.py", "requirements.txt", "pyproject.toml", "README.md", "CHANGELOG.md", "CONTRIBUTING.md",
    "LICENSE",
    "comfy_nodes/nodes_conditioning.py", "core/conditioning/for_host.py", "core/formats/lab/edf.py", "trainer/demo.py",
    "web/js/sd_eeg_upload.js", "web/docs/SDEEG_Encode.md", "web/docs/assets/encode.png",
    "locales/en/nodeDefs.json", "locales/zh/nodeDefs.json", "locales/ja/main.json", "locales/ko/main.json",
    "assets/encoders/n170-subject1.safetensors", "assets/phantom/phantom.json", "assets/icon.png",
]  # fmt: skip
LEFT_OUT = ("tests", "benchmarks", "scripts", "webui_extension", ".ci", ".git", ".venv", "runs")


def comfy_cli() -> str | None:
    """$COMFY_CLI, or the command beside this interpreter, or on the path."""
    beside = Path(sys.executable).with_name("comfy")
    return os.environ.get("COMFY_CLI") or (str(beside) if beside.is_file() else shutil.which("comfy"))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """What a commit of the present files would hold, as a git repository of its own."""
    if comfy_cli() is None:
        pytest.skip("pip install comfy-cli, or name its command in $COMFY_CLI, to pack for ComfyUI's registry")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout: the registry packs what git tracks")
    copy = tmp_path_factory.mktemp("checkout")
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    subprocess.run(["git", "init", "--quiet"], cwd=copy, check=True)
    subprocess.run(["git", "add", "--all"], cwd=copy, check=True)
    return copy


def comfy(checkout: Path, *arguments: str) -> str:
    """Run the tool with a home of its own, no telemetry and no way out; returns all it printed."""
    nowhere = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
    quiet = dict.fromkeys(("DO_NOT_TRACK", "COMFY_NO_TELEMETRY", "COMFY_NO_UPDATE_CHECK"), "1")
    # Wide, for the tool breaks lines at the width of a terminal; without colours, so that they can be read.
    env = {**os.environ, **nowhere, **quiet, "HOME": str(checkout.parent), "COLUMNS": "300", "NO_COLOR": "1"}
    ran = subprocess.run([str(comfy_cli()), *arguments], cwd=checkout, capture_output=True, text=True, env=env)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


@pytest.fixture(scope="module")
def packed(checkout) -> Path:
    """The zip that would be published."""
    said = comfy(checkout, "--skip-prompt", "node", "pack")
    assert "Warning" not in said, said
    return checkout / "node.zip"


def test_the_registry_finds_nothing_to_complain_of(checkout):
    said = comfy(checkout, "--skip-prompt", "node", "validate")
    assert "All validation checks passed" in said, said
    assert "Warning" not in said, said


def test_the_zip_holds_the_pack_and_leaves_out_what_only_developers_need(packed):
    with zipfile.ZipFile(packed) as archive:
        names = set(archive.namelist())
        assert archive.testzip() is None
    assert set(NEEDED) - names == set()
    workflows = {f"example_workflows/{path.name}" for path in (ROOT / "example_workflows").iterdir()}
    assert workflows - names == set()
    assert {name.split("/")[0] for name in names} & set(LEFT_OUT) == set()
    assert {name for name in names if name.startswith("docs/")} == set(PAGES) - {"README.md"}  # pages, no pictures
    assert not [name for name in names if name.endswith((".pyc", ".egg-info"))]
    assert packed.stat().st_size < 40_000_000


def test_the_pages_of_the_zip_link_to_files_of_the_zip(packed):
    with zipfile.ZipFile(packed) as archive:
        names = set(archive.namelist())
    for page in PAGES:
        shown = pictures(read(page))
        files = [target.partition("#")[0] for target in links(read(page)) if target not in shown and ":" not in target]
        places = {posixpath.normpath(posixpath.join(posixpath.dirname(page), file)) for file in files if file}
        assert places - names == set(), page


def test_the_pack_works_from_its_zip_alone(packed, tmp_path, monkeypatch):
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(tmp_path / "sd-eeg")
    monkeypatch.setattr(comfy_standin, "ROOT", tmp_path / "sd-eeg")
    with comfy_standin.hosted(tmp_path / "models", tmp_path / "input") as host:
        nodes = host.nodes
        assert len(nodes) == len(list((ROOT / "web" / "docs").glob("*.md")))
        scenes = {"scenes": "captions", "captions": "a large red star at the top left"}
        recording = (
            nodes["SDEEG_Phantom"].execute(scenes, repeats=4, montage="epoc-14", snr=1.0, subject=0, seed=0).result[0]
        )
        choice = {"choose": "events", "label": "", "index": "", "average": "everything"}
        windows, count, _ = nodes["SDEEG_SelectWindows"].execute(recording, choice).result
        assert count == 1
        encoder = nodes["SDEEG_LoadEncoder"].execute("phantom-epoc14.safetensors").result[0]
        report = nodes["SDEEG_Encode"].execute(encoder, windows, strength=1.0).result[5]
        assert "simulated" in report
        assert str(tmp_path) in nodes["SDEEG_Encode"].execute.__func__.__globals__["__file__"]


def test_what_the_registry_shows_is_there_and_well_formed():
    tomllib = pytest.importorskip("tomllib", reason="Python 3.11 brings tomllib")
    described = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    urls, shown = described["project"]["urls"], described["tool"]["comfy"]
    assert set(urls) == {"Repository", "Documentation", "Issues"}
    assert all(url.startswith(urls["Repository"]) for url in urls.values())
    assert re.fullmatch(r"[a-z][a-z0-9-]*", described["project"]["name"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", described["project"]["version"])
    assert re.fullmatch(r">=\d+\.\d+\.\d+", shown["requires-comfyui"])
    assert shown["PublisherId"]
    assert shown["DisplayName"]
    assert (ROOT / shown["Icon"].partition("/main/")[2]).is_file()
    assert all((ROOT / folder).is_dir() for folder in shown["includes"])
    assert "web" not in shown  # WEB_DIRECTORY says it; twice would load the scripts twice
