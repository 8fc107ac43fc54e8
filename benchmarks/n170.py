"""Faces against houses, leave-one-run-out ROC-AUC of the `n170` preset, beside the pre-stimulus control.

    python benchmarks/n170.py --source FOLDER [--subject 1]

FOLDER holds muse-lsl CSV files of one subject, one a run (or several subjects' named subjectN_sessionM_*).
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from trainer.cross_validate import cross_validated_figures
from trainer.datasets import DATASETS
from trainer.datasets.n170 import N170Options
from trainer.datasets.store import write_store
from trainer.presets import preset_named


def main() -> None:
    """Prepare both windows' stores in a temporary folder, score both, print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--subject", type=int, default=None)
    parser.add_argument("--preset", default="n170")
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
    control = figures["prestimulus"]
    print(json.dumps({
        **figures["response"],
        "prestimulus_auc": control["auc_mean"],
        "prestimulus_auc_runs": control["auc_runs"],
        "prestimulus_p_value": control["p_value"],
    }))  # fmt: skip


if __name__ == "__main__":
    main()
