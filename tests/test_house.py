"""Rooms found in ten seconds: small folders that say what lives there, small files, names that say something."""

import ast
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SIDES = ("core", "trainer", "comfy_nodes", "webui_extension")
FOLDERS = sorted({path.parent.relative_to(ROOT).as_posix() for side in SIDES for path in (ROOT / side).rglob("*.py")})
MOST_FILES, MOST_LINES = 15, 500
MOST_BYTES, MOST_ARCHIVE_BYTES = 25_000_000, 1_000_000
ARCHIVES = {".whl", ".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar", ".egg", ".jar"}


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_has_fifteen_files_at_most_and_says_in_one_line_what_lives_there(folder):
    files = [path for path in (ROOT / folder).glob("*.py") if path.name != "__init__.py"]
    assert len(files) <= MOST_FILES, sorted(path.name for path in files)
    face = ROOT / folder / "__init__.py"
    said = ast.get_docstring(ast.parse(face.read_text(encoding="utf-8"))) if face.is_file() else None
    assert said, f"{folder}/__init__.py says nothing"
    assert len(said.splitlines()) == 1, said
    assert said.endswith((".", "!", "?"))


def test_no_file_is_longer_than_500_lines_or_named_for_nothing():
    for side in SIDES:
        for path in (ROOT / side).rglob("*.py"):
            assert path.read_text(encoding="utf-8").count("\n") <= MOST_LINES, path
            assert path.stem not in {"utils", "helpers", "common", "misc"}, path


def test_every_public_module_says_what_it_is():
    for side in SIDES:
        for path in (ROOT / side).rglob("*.py"):
            assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path


@pytest.fixture(scope="module")
def tracked():
    """What git keeps here: (mode, path) of each entry."""
    done = subprocess.run(["git", "ls-files", "-s", "-z"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no git checkout at {ROOT}: {done.stderr.strip()}")
    entries = [entry.partition("\t") for entry in done.stdout.split("\0") if entry]
    return [(about.split()[0], ROOT / path) for about, _, path in entries]


def test_git_keeps_plain_files_and_no_links_or_other_repositories(tracked):
    assert [path for mode, path in tracked if mode not in {"100644", "100755"}] == []


def test_git_keeps_nothing_that_was_downloaded_or_built(tracked):
    there = [path for _, path in tracked if path.is_file()]  # a file that is being deleted is not
    assert [path for path in there if path.suffix == ".whl"] == []
    assert [path for path in there if path.suffix in ARCHIVES and path.stat().st_size > MOST_ARCHIVE_BYTES] == []
    assert [path for path in there if path.stat().st_size > MOST_BYTES] == []


def test_the_files_that_begin_are_there():
    from tests.conftest import LONGEST

    assert [name for name in LONGEST if not (ROOT / "tests" / name).is_file()] == []
