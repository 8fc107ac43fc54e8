"""Prepare a THINGS-EEG2-shaped person from raw files: killed and resumed, held against the published recipe, timed
beside it.

    python benchmarks/things_prepare.py [--scale 0.1] [--workers 2] [--full] [--no-recipe]

The files are written first, in the published structure, with the phantom's signals (benchmarks/things_files.py). By
default they are a tenth of a person: 1,660 training pictures, 8 minutes in a session; `--full` is a whole one (11 GB of
raw files, 5 GB of store; the recipe then needs a machine of 48 GB, `--no-recipe` leaves it out). Ours is timed with
reading every window once and whitening it, for our store keeps volts and each session's covariance, the recipe's file
whitened windows. `speedup`: the recipe's seconds over ours. `peak_gb`: the most that one of our processes held.
`max_difference`: between our whitened windows and those of the recipe, of the first 300 presentations of each part of
session 1, in units of the whitened signal (standard deviation about 1).
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)

from benchmarks.one_line import say_what_is_missing

say_what_is_missing()

import numpy as np

from benchmarks import things_recipe
from benchmarks.things_files import Shape, write_raw
from core.preprocessing.normaliser import whitener_of
from core.preprocessing.session_normaliser import session_names
from trainer.store.store import open_store

TARGETS = {"speedup": 2.0, "peak_gb": 3.0, "max_difference": 1e-4}
LOOK_S = 0.1
GB = 1024.0**2  # of the kB that /proc counts


def watched(words: list[str], until_shards: int = 0, out: Path | None = None) -> dict[str, float]:
    """Run a program of this folder; return its seconds and the most that one of its processes held.

    until_shards: it is killed, with its workers, as soon as so many recordings are done in `out`.
    """
    start, peak = time.perf_counter(), 0.0
    program = subprocess.Popen([sys.executable, *words], cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True)
    while program.poll() is None:
        for pid in family(program.pid):
            peak = max(peak, high_water(pid))
        if until_shards and out is not None and len(list((out / "shards").glob("*.safetensors"))) >= until_shards:
            os.killpg(program.pid, signal.SIGKILL)
            program.wait()
            return {"seconds": time.perf_counter() - start, "killed": 1.0}
        time.sleep(LOOK_S)
    if program.returncode:
        raise RuntimeError(f"{' '.join(words)} ended with status {program.returncode}")
    return {"seconds": time.perf_counter() - start, "peak_gb": peak}


def family(pid: int) -> list[int]:
    """Return a process and all that it started, as far as they run."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [one for child in task.read_text().split() for one in family(int(child))]
        except OSError:
            continue
    return found


def high_water(pid: int) -> float:
    """Return the most that a process has held, in GB; 0 where it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((float(line.split()[1]) / GB for line in lines if line.startswith("VmHWM")), 0.0)


def whitened(folder: Path, write: int = 0) -> tuple[float, np.ndarray, np.ndarray]:
    """Return the seconds that reading and whitening every window takes, and the first windows of session 1's parts."""
    start = time.perf_counter()
    store = open_store(folder)
    trials, whitening = store.trials(), store.whitening()
    names = session_names(trials)
    first: dict[str, np.ndarray] = {}
    for name, covariance in whitening.covariances.items():
        matrix = whitener_of(covariance)
        for split in ("train", "test"):
            rows = np.flatnonzero((names == name) & (trials.split == split))
            for at in range(0, len(rows), 300):
                white = np.matmul(matrix, trials.eeg[rows[at : at + 300]])
                if at == 0 and name.endswith("ses-01"):
                    first[split] = white
    return time.perf_counter() - start, first["train"], first["test"]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scale", type=float, default=0.1)
    parser.add_argument("--full", action="store_true", help="the published size")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--no-recipe", action="store_true", help="leave out the recipe, which needs much memory")
    parser.add_argument("--keep", type=Path, help="folder for the files, which stay there and are used again")
    parser.add_argument("--recipe", nargs=2, type=Path, metavar=("RAW", "OUT"), help=argparse.SUPPRESS)
    parser.add_argument("--reference", nargs=2, type=Path, metavar=("RAW", "OUT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.recipe:
        return things_recipe.run(*arguments.recipe)
    if arguments.reference:
        return things_recipe.reference(*arguments.reference)
    shape = Shape() if arguments.full else Shape.scaled(arguments.scale)
    here = arguments.keep or Path(tempfile.mkdtemp(prefix="things-"))
    try:
        print(json.dumps(measure(here, shape, arguments.workers, not arguments.no_recipe)))
    finally:
        if arguments.keep is None:
            shutil.rmtree(here)


def measure(here: Path, shape: Shape, workers: int, with_recipe: bool) -> dict:
    raw, out, cut = here / "raw", here / "store", here / "cut"
    if not (raw / "done").is_file():
        write_raw(raw, shape)
        (raw / "done").touch()
    for old in (out, cut):
        shutil.rmtree(old, ignore_errors=True)
    words = ["trainer/prepare.py", "things-eeg2", "--source", str(raw), "--workers", str(workers), "--no-quality"]
    killed = watched([*words, "--out", str(cut)], until_shards=1, out=cut)
    finished = sorted(path.name for path in (cut / "shards").glob("*.safetensors"))
    when = {name: (cut / "shards" / name).stat().st_mtime_ns for name in finished}
    resumed = watched([*words, "--out", str(cut)])
    kept = all((cut / "shards" / name).stat().st_mtime_ns == at for name, at in when.items())
    ours = watched([*words, "--out", str(out)])
    read_s, *first = whitened(out)
    again = whitened(cut)[1:]
    figures = {
        "peak_gb": max(ours["peak_gb"], resumed["peak_gb"]),
        "targets": TARGETS,
        "prepare_s": ours["seconds"],
        "read_and_whiten_s": read_s,
        "killed_after_s": killed["seconds"],
        "finished_when_killed": len(finished),
        "resumed_s": resumed["seconds"],
        "finished_sessions_were_kept": kept,
        "resumed_equals_unbroken": max(float(np.abs(a - b).max()) for a, b in zip(first, again, strict=True)),
        "presentations": len(open_store(out)),
        "raw_gb": sum(path.stat().st_size for path in raw.rglob("*.npy")) / 1e9,
        "store_gb": sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) / 1e9,
        "workers": workers,
        "cores": os.cpu_count(),
    }
    if with_recipe:
        recipe_out = here / "recipe"
        recipe_out.mkdir(exist_ok=True)
        recipe = watched(["benchmarks/things_prepare.py", "--recipe", str(raw), str(recipe_out)])
        watched(["benchmarks/things_prepare.py", "--reference", str(raw), str(here / "reference.npz")])
        expected = np.load(here / "reference.npz")
        pairs = zip(first, (expected["training"], expected["test"]), strict=True)
        figures = {
            "speedup": recipe["seconds"] / (ours["seconds"] + read_s),
            "max_difference": max(float(np.abs(a - b).max()) for a, b in pairs),
            **figures,
            "recipe_s": recipe["seconds"],
            "peak_gb_recipe": recipe["peak_gb"],
            "spread_of_whitened": float(expected["training"].std()),
        }
    return figures


if __name__ == "__main__":
    main()
