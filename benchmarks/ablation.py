"""NeuroImagen's table 3 on the phantom: what saliency adds to label captions that do not tell place.

    python benchmarks/ablation.py [--quick] [--run RUN]

A simulated person with EPOC 14 sees scenes of 40 classes, colour and shape; the captions tell the class and neither
place nor size. Pixel level alone, sample level alone and both are drawn for every test scene and judged, with controls.
The share to redraw is chosen on validation scenes. Each stage is a command in a process of its own, with its time and
its largest memory. --run takes a finished run instead of training one.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)

from benchmarks.one_line import say_what_is_missing

say_what_is_missing()

from trainer.ablations.tables import text_table
from trainer.config.presets import PHANTOM, PRESETS

CLASSES = 40
PLACES = 9
PRESET = "neuroimagen"
CLASS_MAY_LOSE = 0.03
BOTH, SAMPLE = "both, label caption", "sample only, label caption"
PLAIN, SWAPPED = "plain EEG classifier + prompt", f"{BOTH}, another trial's pixel level"


def stage(command: list[str]) -> dict[str, float]:
    """Run a command of the project and return its seconds and largest memory in MB; its failure is ours."""
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, *command], cwd=ROOT)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with status {process.returncode}")
    seconds, busy = time.monotonic() - started, usage.ru_utime + usage.ru_stime
    return {"seconds": round(seconds, 1), "cpu_seconds": round(busy, 1), "peak_mb": round(usage.ru_maxrss / 1024)}


def figures(ablation: dict) -> dict:
    """Return the JSON figures of an ablation's result: the arms, and what must hold."""
    arms = ablation["arms"]
    apart = {row["less"]: row for row in ablation["differences"] if row["of"] == BOTH}
    place, chance = arms[BOTH]["place"], 1 / PLACES
    lost = apart[SAMPLE]["class"]
    return {
        "arms": {name: {c: {k: s[k] for k in ("value", "interval", "shuffled")} for c, s in row.items()}
                 for name, row in arms.items()},
        "place_sample_only": arms[SAMPLE]["place"]["value"],
        "place_both": place["value"],
        "place_both_interval": place["interval"],
        "place_chance": chance,
        "place_both_over_chance": place["value"] / chance,
        "place_with_another_trials_saliency": arms[SWAPPED]["place"]["value"],
        "place_both_less_another_trials_saliency": apart[SWAPPED]["place"],
        "class_sample_only": arms[SAMPLE]["class"]["value"],
        "class_both": arms[BOTH]["class"]["value"],
        "class_both_less_sample_only": lost,
        "class_plain_classifier": arms[PLAIN]["class"]["value"],
        "class_both_less_plain_classifier": apart[PLAIN]["class"],
        "holds_place_at_least_3_times_chance": place["value"] >= 3 * chance,
        "holds_class_loses_at_most_3_points": lost["difference"] >= -CLASS_MAY_LOSE,
        "denoise": ablation["denoise"],
        "n": ablation["n"],
    }  # fmt: skip


def main() -> None:
    """Prepare, train, ablate; print the table and one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few epochs and steps: that it runs, not what it can do")
    parser.add_argument("--run", type=Path, help="a finished run on a phantom store of classes")
    parser.add_argument("--preset", default=PRESET)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    stages: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        store, run, seed = Path(folder) / "store", arguments.run, str(arguments.seed)
        if run is None:
            if arguments.preset not in PRESETS:
                raise SystemExit(f"no preset {arguments.preset!r}; known: {', '.join(PRESETS)}")
            run = Path(folder) / "run"
            simulate = ["trainer/prepare.py", "phantom", "--classes", str(CLASSES), "--seed", seed, "--subject", seed]
            stages["prepare"] = stage([*simulate, "--out", str(store)])
            short = ["--epochs", "2", "--contrastive", "1", "--gan-epochs", "1"] if arguments.quick else []
            learn = ["trainer/train.py", "--preset", arguments.preset, "--clip", PHANTOM, "--seed", seed, *short]
            stages["train"] = stage([*learn, "--data", str(store), "--out", str(run)])
        less = ["--limit", "12", "--validation-seeds", "1", "--strengths", "0.7"] if arguments.quick else []
        steps = "4" if arguments.quick else str(arguments.steps)
        stages["ablate"] = stage(["trainer/ablation.py", str(run), "--steps", steps, *less])
        result = json.loads((run / "report.json").read_text(encoding="utf-8"))["ablation"]
    stages |= {f"ablate: {name}": spent for name, spent in result["stages"].items()}
    print(text_table(result))
    print(json.dumps({"preset": arguments.preset, **figures(result), "stages": stages}))


if __name__ == "__main__":
    main()
