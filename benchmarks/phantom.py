"""The demo's figures over three simulated people, beside the ideal observer and beside the null (SNR 0).

    python benchmarks/phantom.py [--seeds 3] [--montage epoc-14]

Each seed is another simulated person, another order and noise, and another training. Intervals are 95 % bootstrap
intervals of the mean over all seeds' test trials, resampled within seeds.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.one_line import say_what_is_missing

say_what_is_missing()

import numpy as np

from core.scoring.scores import bootstrap_interval, chance_interval
from trainer.demo import DemoOptions, demo


def entry(report: dict, name: str) -> dict:
    """Return the report's row of that name."""
    return next(row for row in report["scores"] if row["name"] == name)


def pooled(rows: list[dict], key: str = "value") -> tuple[float, list[float]]:
    """Return the mean over seeds of a share and its interval, each trial being right or wrong."""
    values = np.concatenate([np.arange(row["n"]) < round(row[key] * row["n"]) for row in rows]).astype(float)
    return float(np.mean([row[key] for row in rows])), [float(bound) for bound in bootstrap_interval(values)]


def main() -> None:
    """Run the demo for every seed at the default SNR and at SNR 0 and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--montage", default="epoc-14")
    arguments = parser.parse_args()
    reports: dict[str, list[dict]] = {"default": [], "null": []}
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(arguments.seeds):
            for name in reports:
                out = Path(folder) / f"{name}-{seed}"
                snr = {"snr": 0.0} if name == "null" else {}
                reports[name].append(demo(DemoOptions(out, arguments.montage, subject=seed, seed=seed, **snr)))
    retrieval = [entry(report, "200-way top-1") for report in reports["default"]]
    null = [entry(report, "200-way top-1") for report in reports["null"]]
    eeg_name, caption_name = "shape and colour, EEG to picture", "shape and colour, caption to picture"
    found = {
        "top1": pooled(retrieval),
        "ideal_top1": pooled(retrieval, "ceiling"),
        "null_top1": pooled(null),
        "caption_accuracy": pooled([entry(report, caption_name) for report in reports["default"]]),
        "eeg_accuracy": pooled([entry(report, eeg_name) for report in reports["default"]]),
        "null_accuracy": pooled([entry(report, eeg_name) for report in reports["null"]]),
    }
    n = sum(row["n"] for row in retrieval)
    figures: dict = {}
    for name, (value, interval) in found.items():
        figures |= {name: value, f"{name}_interval": interval}
    figures |= {
        "top1_each": [row["value"] for row in retrieval],
        "ideal_top1_each": [row["ceiling"] for row in retrieval],
        "null_top1_each": [row["value"] for row in null],
        "top1_over_ideal": figures["top1"] / figures["ideal_top1"],
        "top1_over_chance": figures["top1"] * 200,
        "eeg_over_caption": figures["eeg_accuracy"] / figures["caption_accuracy"],
        "chance_top1_interval": list(chance_interval(n, 200)),
        "chance_accuracy_interval": list(chance_interval(n, 48)),
        "seeds": arguments.seeds,
        "minutes": (time.monotonic() - started) / 60,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
