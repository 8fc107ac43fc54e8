"""What `prepare.py recordings` says of real recordings, beside pyRiemann on the same trials and the same held-out runs.

    python benchmarks/recording_quality.py [--data FOLDER]

Faces and houses on a Muse (three people), and EEGLAB's attention set: squares and key presses, whose order leaks, and
squares at two places, from a table that is written out of the file's own event fields.
"""

import argparse
import csv
import json
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.one_line import say_what_is_missing

say_what_is_missing()

import numpy as np

from trainer.datasets.recordings import RecordingsOptions
from trainer.prepare import prepare, quality
from trainer.store.store import open_store

ROOT = Path(__file__).resolve().parent.parent


def positions_table(source: Path, out: Path) -> Path:
    """Write what was shown in EEGLAB's attention set: each square's onset and which of two places it was at."""
    from scipy.io import loadmat

    eeg = loadmat(source, struct_as_record=False, squeeze_me=True)["EEG"]
    with open(out, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["onset", "label"])
        for event in eeg.event:
            if event.type == "square":
                writer.writerow([f"{(event.latency - 1) / eeg.srate:.5f}", f"position {int(event.position)}"])
    return out


def pyriemann_auc(store: Path) -> float | None:
    """Return the ROC-AUC of pyRiemann's Xdawn covariances and tangent space, leaving each run (or fifth) out."""
    from pyriemann.estimation import XdawnCovariances
    from pyriemann.tangentspace import TangentSpace
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.pipeline import make_pipeline

    opened = open_store(store)
    trials = opened.trials()
    first = max(round(-opened.config.tmin * opened.config.sfreq), 0)
    eeg, label = np.asarray(trials.eeg)[:, :, first:].astype(np.float64) * 1e6, trials.label
    peaks = np.ptp(eeg, axis=2).max(axis=1)
    found, weights = [], []
    for person in np.unique(trials.subject):
        own = np.flatnonzero((trials.subject == person) & (peaks <= 5 * np.median(peaks)))
        runs = np.unique(trials.run[own])
        parts = [own[trials.run[own] == run] for run in runs] if len(runs) > 1 else np.array_split(own, 5)
        for held in parts:
            train = np.setdiff1d(own, held)
            model = make_pipeline(
                XdawnCovariances(2, estimator="oas"), TangentSpace(), LogisticRegression(max_iter=1000)
            )
            scores = model.fit(eeg[train], label[train]).decision_function(eeg[held])
            found.append(roc_auc_score(label[held], scores))
            weights.append(len(held))
    return round(float(np.average(found, weights=weights)), 3)


def measured(source: Path, store: Path, options: RecordingsOptions) -> dict:
    """Prepare a folder and return the report's figures and the seconds that each part took."""
    began = time.perf_counter()
    made = prepare("recordings", source, store, options, progress=False)
    prepared = time.perf_counter()
    quality("recordings", source, made, options)
    done = time.perf_counter()
    report = json.loads((store / "quality.json").read_text())
    noise = [one["line_noise"] for one in report["recordings"].values()]
    timing = [one["timing"].get("measured_hz") for one in report["recordings"].values()]
    return {
        "verdict": report["verdict"],
        **{
            when: {key: report[when][key] for key in ("value", "interval", "p_value", "n_trials", "window_s")}
            for when in ("after", "before")
        },
        "pyriemann_after": pyriemann_auc(store),
        "checks": {check["name"]: check["passed"] for check in report["checks"]},
        "recordings": len(report["recordings"]),
        "kept": report["trials"]["kept"],
        "over_uv": report["trials"].get("over_uv"),
        "line_db": {line: [one[line] and one[line]["median_db"] for one in noise] for line in ("50", "60")},
        "measured_hz": timing,
        "prepare_s": round(prepared - began, 2),
        "report_s": round(done - prepared, 2),
    }


def main() -> None:
    """Prepare, report, and print one JSON object as the last line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = Path(os.environ.get("SD_EEG_DATA", ROOT.parent / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=known)
    data = parser.parse_args().data
    faces = {"events": ("1=house", "2=face")}
    attention = {"files": ("*.set",)}
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        table = positions_table(data / "eeg_formats" / "eeglab" / "eeglab_data.set", Path(folder) / "shown.csv")
        for name, place, options in (
            ("n170, subject 1", "n170_muse", RecordingsOptions(**faces, files=("subject1_*",))),
            ("n170, subject 2", "n170_muse", RecordingsOptions(**faces, files=("subject2_*",))),
            ("n170, subject 11", "n170_muse", RecordingsOptions(**faces, files=("subject11_*",))),
            ("attention: square or key", "eeg_formats/eeglab", RecordingsOptions(**attention, events=("square", "rt"))),
            ("attention: place of the square", "eeg_formats/eeglab", RecordingsOptions(**attention, table=table)),
        ):
            found[name] = measured(data / place, Path(folder) / f"store{len(found)}", options)
            print(f"{name}: {found[name]['verdict']}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
