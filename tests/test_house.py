"""Rooms found in ten seconds: small folders that say what lives there, small files, names that say something."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SIDES = ("core", "trainer", "comfy_nodes", "webui_extension")
FOLDERS = sorted({path.parent.relative_to(ROOT).as_posix() for side in SIDES for path in (ROOT / side).rglob("*.py")})
MOST_FILES, MOST_LINES = 15, 500


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_has_fifteen_files_at_most_and_says_in_one_line_what_lives_there(folder):
    files = [path for path in (ROOT / folder).glob("*.py") if path.name != "__init__.py"]
    assert len(files) <= MOST_FILES, sorted(path.name for path in files)
    face = ROOT / folder / "__init__.py"
    said = ast.get_docstring(ast.parse(face.read_text(encoding="utf-8"))) if face.is_file() else None
    assert said, f"{folder}/__init__.py says nothing"
    assert len(said.split("\n\n")[0].splitlines()) == 1
    assert said.split("\n")[0].endswith((".", "!"))


def test_no_file_is_longer_than_500_lines_or_named_for_nothing():
    for side in SIDES:
        for path in (ROOT / side).rglob("*.py"):
            assert path.read_text(encoding="utf-8").count("\n") <= MOST_LINES, path
            assert path.stem not in {"utils", "helpers", "common", "misc"}, path


def test_every_public_module_says_what_it_is():
    for side in SIDES:
        for path in (ROOT / side).rglob("*.py"):
            assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path
