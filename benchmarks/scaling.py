"""What a cross-validation costs as runs and trials grow: time and peak memory of `cross_validate.py`'s own figures.

Noise with a weak response on four channels, in trial stores on disk; every case runs in a process of its own. Two
rows of cases: 4, 8 and 16 runs of 250 trials, and 4 k, 16 k and 64 k trials in four runs. Leaving out each of R runs is
R fits to nearly all trials, so that what can stay flat is the processor's time for each trial in each fold: seconds /
(trials x folds). That is `time_ratio_max`, the largest over the smallest of a row, of the fits and answers; the
intervals and p-values drawn afterwards are in `seconds_with_intervals`. `peak_gb` is the highest resident size of any
case, with the pages of the store that the system keeps mapped.

    python benchmarks/scaling.py [--architectures tangent linear] [--quick]
"""

import argparse
import json
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

from core.preprocessing.config import PreprocessingConfig
from core.recording import Event, Recording
from trainer.store.dataset import Session
from trainer.store.store import open_store, write_store

CONFIG = PreprocessingConfig(("TP9", "AF7", "AF8", "TP10"), 256.0, -0.1, 0.8)
EVERY_S = 1.0
TARGETS = {"time_ratio_max": 2.0, "peak_gb": 1.5}
RUNS = [(4, 1000), (8, 2000), (16, 4000)]
TRIALS = [(4, 4000), (4, 16000), (4, 64000)]


def recording_of(number: int, n_trials: int) -> tuple[Recording, list[dict]]:
    """Return one run: noise of 10 µV with a response of 2 µV to one of two labels, and its presentations."""
    rng = np.random.default_rng(number)
    label = rng.integers(0, 2, n_trials)
    onset = EVERY_S * (1 + np.arange(n_trials))
    data = rng.standard_normal((4, round((n_trials + 2) * EVERY_S * CONFIG.sfreq)), dtype=np.float32) * 1e-5
    wave = 2e-6 * np.hanning(64) * np.array([[1], [-1], [-1], [1]])
    for start in np.rint((onset[label == 1] + 0.15) * CONFIG.sfreq).astype(int):
        data[:, start : start + 64] += wave
    events = tuple(Event(float(at), 0.0, str(of)) for at, of in zip(onset, label, strict=True))
    rows = [{"label": ("none", "wave")[int(e.label)], "onset": e.onset, "run": f"run {number:02d}"} for e in events]
    return Recording(data, CONFIG.sfreq, CONFIG.ch_names, events=events), rows


def write_case(folder: Path, n_runs: int, n_trials: int) -> Path:
    """Write a store of so many runs and trials and return its folder."""
    sessions = [
        Session(f"run{number:02d}", lambda number=number: recording_of(number, n_trials // n_runs))
        for number in range(n_runs)
    ]
    write_store(folder, sessions, CONFIG, provenance={"dataset": "noise"}, progress=False)
    return folder


def measure(folder: Path, architecture: str) -> dict:
    """Return what cross-validating a store by runs costs in this process."""
    import resource

    from trainer.config.flags import with_flags
    from trainer.config.presets import preset_named
    from trainer.cross_validate import auc_figures, left_out_scores

    options = with_flags(preset_named("n170"), encoder=architecture, scaling="train")
    store = open_store(folder)
    start = time.process_time()
    trials, scores, fold_of = left_out_scores(store, options)
    fitted = time.process_time() - start
    figures = auc_figures(scores, trials)
    return {
        "n_trials": len(trials),
        "n_runs": len(np.unique(fold_of)),
        "auc": round(figures["auc_mean"], 4),
        "seconds": fitted,
        "seconds_with_intervals": time.process_time() - start,
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
    }


def measure_apart(folder: Path, architecture: str) -> dict:
    """Return `measure` of a fresh process."""
    command = [sys.executable, str(Path(__file__).resolve()), "--measure", str(folder), architecture]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{architecture} on {folder.name}: {done.stderr.strip().splitlines()[-1:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    """Write each case, measure every architecture on it, print one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--architectures", nargs="+", default=["tangent", "linear", "filter-bank"])
    parser.add_argument("--quick", action="store_true", help="a tenth of the trials")
    parser.add_argument("--measure", nargs=2, metavar=("STORE", "ARCHITECTURE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(Path(arguments.measure[0]), arguments.measure[1])))
        return
    share = 10 if arguments.quick else 1
    rows: dict[str, list[dict]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind, cases in (("runs", RUNS), ("trials", TRIALS)):
            for n_runs, n_trials in cases:
                store = write_case(Path(folder) / f"{kind}-{n_runs}-{n_trials}", n_runs, n_trials // share)
                for architecture in arguments.architectures:
                    found = measure_apart(store, architecture)
                    found["us_per_trial_and_fold"] = 1e6 * found["seconds"] / (found["n_trials"] * found["n_runs"])
                    rows.setdefault(f"{architecture}, {kind}", []).append(found)
                    print(f"{architecture}, {kind}: {found}", file=sys.stderr, flush=True)
    each = {name: [of["us_per_trial_and_fold"] for of in found] for name, found in rows.items()}
    ratios = {name: max(of) / min(of) for name, of in each.items()}
    per_trial = {name: [1e6 * of["seconds"] / of["n_trials"] for of in found] for name, found in rows.items()}
    figures = {
        "time_ratio_max": max(ratios.values()),
        "peak_gb": max(of["peak_gb"] for found in rows.values() for of in found),
        "targets": TARGETS,
        "time_ratio": ratios,
        "us_per_trial_and_fold": each,
        "us_per_trial": per_trial,
        "time_is": "processor seconds of fits and answers for each trial in each fold",
        "cases": rows,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
