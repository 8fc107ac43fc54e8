"""The trainer and what it stands on in a folder of their own, where a test may add a file and a registry row."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.comfy_standin import ROOT


def copied_trainer(folder: Path) -> Path:
    """Copy core/ and trainer/ and return the folder."""
    for name in ("core", "trainer"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def add_row(registry: Path, after: str, row: str, imported: str) -> None:
    """Write one row after another, and the import that it needs, into a registry's file."""
    text = registry.read_text(encoding="utf-8")
    assert text.count(after) == 1
    text = text.replace(after, after + row)
    first = text.index("from core.registry")
    registry.write_text(text[:first] + imported + text[first:], encoding="utf-8")


def command(folder: Path, name: str, *arguments: object) -> str:
    """Run one of the copied trainer's commands and return what it printed."""
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(
        [sys.executable, str(folder / "trainer" / name), *map(str, arguments)],
        cwd=folder, env=env, capture_output=True, text=True,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
