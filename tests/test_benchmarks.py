"""Benchmarks where they cannot run: one line says what is missing."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = sorted(  # the others are modules that scripts import
    path.name for path in (ROOT / "benchmarks").glob("*.py") if '__name__ == "__main__"' in path.read_text("utf-8")
)


def run(python, *words):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run([python, *words], capture_output=True, text=True, env=environment, cwd=ROOT)


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """Return an interpreter without any package."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False)
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def test_most_files_are_scripts():
    assert len(SCRIPTS) > 15


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_missing_package_is_one_line_that_names_it(script, bare):
    done = run(bare, f"benchmarks/{script}")
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{script} cannot run here: the package '")
    assert "install.py test" in line


def test_missing_data_is_one_line_that_names_the_folder(tmp_path):
    done = run(sys.executable, "benchmarks/n170.py", "--source", str(tmp_path / "gone"))
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("n170.py cannot run here: ")
    assert "gone" in done.stderr
    assert "Traceback" not in done.stderr
