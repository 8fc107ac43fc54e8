"""A planted leak: classes in blocks, electrodes that drift, and no trace of any picture in the EEG (SNR 0).

    python benchmarks/planted_leak.py [--quick] [--seed 0]

A plain classifier is trained on the plain split (pictures at random, so every block is in training and test) of the
block design and of the shuffled one. The first must score and be called a leak in the report's first line, the second
must stay at chance without a leak. With a high-pass filter at 0.5 Hz the drift, and with it the leak, is gone.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.one_line import say_what_is_missing

say_what_is_missing()

import torch

from trainer.config.options import train_options
from trainer.datasets.phantom import PhantomOptions
from trainer.evaluate import EvaluateOptions, evaluate
from trainer.prepare import prepare
from trainer.train import train

DRIFT_UV = 60.0
# name: order of presentation, lower edge of the band in hertz
CASES = {"blocks": ("blocks", 0.0), "shuffled": ("shuffled", 0.0), "blocks, above 0.5 Hz": ("blocks", 0.5)}


def run_case(folder: Path, design: str, l_freq: float, classes: int, epochs: int, seed: int) -> dict:
    """Simulate one design at SNR 0, train and evaluate the classifier, and return its score and the verdict."""
    shown = PhantomOptions(
        snr=0.0, classes=classes, design=design, drift_uv=DRIFT_UV, l_freq=l_freq, seed=seed, subject=seed,
        train_repeats=2, val_repeats=2, test_repeats=2,
    )  # fmt: skip
    prepare("phantom", None, folder / "store", shown, progress=False)
    started = time.monotonic()
    train(
        train_options(
            data=folder / "store", out=folder / "run", encoder="nice",
            set=("kernel=13", "pool=17", "stride=4", "n_filters=16", "dropout=0.3"),
            space=("prompts",), average="none", epochs=epochs, lr=2e-3, patience=0, seed=seed,
        )
    )  # fmt: skip
    seconds = time.monotonic() - started
    report = evaluate(EvaluateOptions(folder / "run", pictures=False))
    row = next(row for row in report["scores"] if row["name"] == "accuracy")
    first = json.loads((folder / "run" / "report.json").read_text(encoding="utf-8"))["verdict"]
    return {
        "accuracy": row["value"],
        "interval": row["interval"],
        "chance": row["chance"],
        # a class has 18 pictures, so one that is frequent in training is rare in the test: guessing it loses
        "baselines": row["baselines"],
        "n": row["n"],
        "first_line": first,
        "called_a_leak": "leak, not vision" in first,
        "failed_checks": [check.name for check in report["checks"] if check.passed is False],
        "train_s": round(seconds, 1),
    }


def main() -> None:
    """Run the cases and print one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="8 classes, 5 epochs")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    classes, epochs = (8, 5) if arguments.quick else (40, 15)
    torch.set_num_threads(1)
    figures: dict = {"classes": classes, "snr": 0.0, "drift_uv": DRIFT_UV, "seed": arguments.seed}
    with tempfile.TemporaryDirectory() as folder:
        for name, (design, l_freq) in CASES.items():
            place = Path(folder) / name.replace(" ", "-")
            figures[name] = run_case(place, design, l_freq, classes, epochs, arguments.seed)
    figures["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
