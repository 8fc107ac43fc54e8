"""A short run of benchmarks/fuzz_readers.py, and that its watch sees what it watches for."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from tests.fuzzing.mutate import FileSet, mutated

ROOT = Path(__file__).resolve().parent.parent

EVIL_LOADS = """
import json, os, sys, warnings
from pathlib import Path
sys.path.insert(0, {root!r})
import numpy as np
from core.recording import Event, Recording
from tests.fuzzing import watch
from tests.fuzzing.mutate import FileSet

watch.MOST_SECONDS = 0.2
eeg = np.random.default_rng(0).standard_normal((2, 2000)) * 2e-5

def write(path):
    (path.parent.parent / "written").write_text("x")
def change(path):
    with open(path, "ab") as file:
        file.write(b"x")
def leave(path):
    import tempfile
    tempfile.mkstemp()
def print_(path):
    print("hello")
def warn(path):
    warnings.warn("careful")
def work(path):
    start = sum(os.times()[:4])
    while sum(os.times()[:4]) < start + 0.3:
        pass
def ask(path):
    np.empty(1 << 28)
def unpickle(path):
    import pickle
    pickle.loads(b"cos\\ngetcwd\\n.")
def key_error(path):
    raise KeyError("x")
def subclass(path):
    "x".encode().decode("utf-16")
def lines(path):
    raise ValueError(f"{{path}}: a\\nb")
def nameless(path):
    raise ValueError("bad")
def refuse(path):
    raise ValueError(f"{{path}}: bad")
def missing(path):
    return Recording(np.where(eeg > 0, eeg, np.nan), 250.0, ("O1", "O2"))
def volts(path):
    return Recording(eeg * 1e6, 250.0, ("O1", "O2"))
def endless(path):
    return Recording(eeg, 250.0, ("O1", "O2"), events=(Event(np.inf, 0.0, "x"),))
def read(path):
    return Recording(eeg, 250.0, ("O1", "O2"))

seen = watch.Watch(Path({folder!r}))
for load in (read, write, change, leave, print_, warn, work, ask, unpickle, key_error, subclass, lines, nameless,
             refuse, missing, volts, endless, read):
    watch.load_recording = lambda path, load=load: load(path) or Recording(eeg, 250.0, ("O1", "O2"))
    kind = seen.load(FileSet("r.x", {{"r.x": b"12"}}), {{}}, 0).kind
    print(json.dumps([load.__name__, kind]))
"""


def test_the_watch_sees_what_must_not_happen(tmp_path: Path) -> None:
    code = EVIL_LOADS.format(root=str(ROOT), folder=str(tmp_path / "watch"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert dict(map(json.loads, done.stdout.splitlines())) == {
        "write": "did what it must not",
        "change": "did what it must not",
        "leave": "left files behind",
        "print_": "printed",
        "warn": "warned",
        "work": "hung",
        "ask": "asked for memory",
        "unpickle": "did what it must not",
        "key_error": "raised KeyError",
        "subclass": "raised UnicodeDecodeError",
        "lines": "unreadable error",
        "nameless": "error without the file's name",
        "refuse": "refused",
        "missing": "not finite",
        "volts": "passed the gate wrongly",
        "endless": "event times not finite",
        "read": "recording",
    }


def test_the_same_seed_damages_in_the_same_way() -> None:
    whole = FileSet("r.csv", {"r.csv": b"a,b\n" + b"1.5,2\n" * 400, "r.bin": bytes(range(256)) * 20})
    found = []
    for _ in range(2):
        found.append([mutated(np.random.default_rng([seed, 1]), whole, [b"xyz"]) for seed in range(200)])
        time.sleep(1.1)  # packs hold the time
    assert found[0] == found[1]
    assert sum(one.files != whole.files for one in found[0]) > 190
    assert len({tuple(one.done) for one in found[0]}) > 40
    assert whole.files["r.csv"].startswith(b"a,b\n1.5,2\n")


def test_damaged_files_of_every_format_end_in_a_recording_or_one_line(tmp_path: Path) -> None:
    """Some hundred files, and the honest one of every format; the benchmark loads 20 000."""
    command = [sys.executable, str(ROOT / "benchmarks" / "fuzz_readers.py"), "--stop-after", "4", "--workers", "2"]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.stdout, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["findings"] == 0, json.dumps(found["first_findings"][:5], indent=1)
    assert done.returncode == 0
    assert all("honest" in one for one in found["by_format"].values())
    assert not list(tmp_path.iterdir())
