"""A new format is one file and one registry row: recognised by its content, listed by hosts, read into volts."""

import json
import os
import subprocess
import sys

import pytest

from core.formats.contract.suffixes import FORMATS
from core.loading.readers import READERS
from tests.copied_tree import copied_trainer

TOY = '''"""Toy's recordings: a line of names, a line with the rate, then microvolts."""

from pathlib import Path

import numpy as np

from ..contract.signals import Head, Reader, ReadOptions, Signals
from ..contract.suffixes import SUFFIXES


def read_toy(path: Path, options: ReadOptions) -> Signals:
    """Read a file of Toy's."""
    _, names, rate, *rows = path.read_text(encoding="utf-8").splitlines()
    data = np.array([[float(cell) for cell in row.split()] for row in rows]).T * 1e-6
    return Signals(data, float(rate), names.split(), ["eeg"] * len(data), ["uV"] * len(data))


def _is_toy(head: Head) -> bool:
    return head.start.startswith(b"TOY")


READER = Reader("toy", SUFFIXES["toy"], read_toy, "Toy recordings", _is_toy, "Toy: its name in the first line")
'''
ASK = """
import json, sys
from pathlib import Path
from core.formats.contract.suffixes import recordings_in
from core.loading.load import load_recording
listed = [path.name for path in recordings_in(Path(sys.argv[1]))]
found = [load_recording(Path(sys.argv[1]) / name) for name in ("a.toy", "ohne Endung ü")]
print(json.dumps([listed, *[[one.source["format"], one.ch_names, float(one.data.std() * 1e6)] for one in found]]))
"""


def test_a_toy_reader_is_one_file_and_one_row_and_reads(tmp_path):
    folder = copied_trainer(tmp_path / "copy")
    (folder / "core" / "formats" / "headsets" / "toy.py").write_text(TOY)
    table = folder / "core" / "formats" / "contract" / "suffixes.py"
    text = table.read_text(encoding="utf-8")
    row = '    ("xdf", Format('
    assert text.count(row) == 1
    table.write_text(text.replace(row, '    ("toy", Format((".toy",), "headsets.toy")),\n' + row), encoding="utf-8")
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    rows = "\n".join(f"{20 * (-1) ** (i // 8)} {30 * (-1) ** (i // 4)}" for i in range(1280))
    for name in ("a.toy", "ohne Endung ü"):
        (recordings / name).write_text(f"TOY\nO1 O2\n128\n{rows}\n", encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", ASK, str(recordings)],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(folder)}, capture_output=True, text=True,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    listed, *found = json.loads(ran.stdout)
    assert listed == ["a.toy"]
    for name, channels, microvolts in found:
        assert (name, channels) == ("toy", ["O1", "O2"])
        assert microvolts == pytest.approx(25.5, abs=1)


def test_every_format_has_the_reader_of_its_name_with_its_suffixes():
    assert list(READERS) == list(FORMATS)
    assert {name: reader.suffixes for name, reader in READERS.items()} == {n: r.suffixes for n, r in FORMATS.items()}
