"""Faces against houses, leave-one-run-out ROC-AUC of the `n170` preset, beside the pre-stimulus control.

    python benchmarks/n170.py --source FOLDER [--subject 1]

    python benchmarks/n170.py --source FOLDER --nested      # the band too is chosen on training runs alone; slower

FOLDER holds muse-lsl CSV files of faces and houses, as eeg-notebooks has them or named subjectN_sessionM_*.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.one_line import say_what_is_missing

say_what_is_missing()

from trainer.config.presets import preset_named
from trainer.cross_validate import cross_validated_figures, nested_auc
from trainer.datasets import DATASETS
from trainer.datasets.n170 import N170Options
from trainer.store.store import write_store

HIGH_PASSES = (0.5, 1.0, 2.0, 3.0)


def nested_figures(arguments: argparse.Namespace, folder: Path) -> dict:
    """Return the ROC-AUC with the high-pass chosen inside each training set."""
    dataset, options, stores = DATASETS["n170"], N170Options(subject=arguments.subject), {}
    for l_freq in HIGH_PASSES:
        stores[f"{l_freq:g} Hz"] = write_store(
            folder / f"{l_freq:g}",
            dataset.sessions(arguments.source, options),
            replace(dataset.preprocessing(arguments.source, options), l_freq=l_freq),
            provenance=dataset.provenance(arguments.source, options),
            labels=dataset.labels,
        )
    aucs, chosen = nested_auc(stores, preset_named(arguments.preset))
    return {"nested_auc_mean": float(aucs.mean()), "nested_auc_runs": aucs.tolist(), "nested_choices": chosen}


def main() -> None:
    """Prepare both windows' stores in a temporary folder, score both, print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--subject", type=int, default=1)
    parser.add_argument("--preset", default="n170")
    parser.add_argument("--nested", action="store_true")
    arguments = parser.parse_args()
    dataset, figures = DATASETS["n170"], {}
    with tempfile.TemporaryDirectory() as folder:
        for window in ("response", "prestimulus"):
            options = N170Options(subject=arguments.subject, window=window)
            store = write_store(
                Path(folder) / window,
                dataset.sessions(arguments.source, options),
                dataset.preprocessing(arguments.source, options),
                provenance=dataset.provenance(arguments.source, options),
                labels=dataset.labels,
            )
            figures[window] = cross_validated_figures(store, preset_named(arguments.preset))
        if arguments.nested:
            figures["response"] |= nested_figures(arguments, Path(folder))
    control = figures["prestimulus"]
    print(json.dumps({
        **figures["response"],
        "prestimulus_auc": control["auc_mean"],
        "prestimulus_auc_runs": control["auc_runs"],
        "prestimulus_p_value": control["p_value"],
    }))  # fmt: skip


if __name__ == "__main__":
    main()
