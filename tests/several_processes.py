"""One process of several that train as one: `torchrun --nproc_per_node N -m tests.several_processes FOLDER CASE ...`.

A case is a name in CASES; its run is written to FOLDER/<N>-<case>. Batches are `BATCH` rows in all processes together.
"""

import os
import sys
from pathlib import Path

import torch

from core.files import PHANTOM
from trainer.config.options import TrainOptions, train_options
from trainer.processes.together import leave
from trainer.train import train

BATCH = 16
EPOCHS = 3
NICE = {"encoder": "nice", "set": ("kernel=9", "pool=9", "n_filters=4", "dropout=0.5"), "head_dropout": 0.3}
COATNET = {
    "encoder": "coatnet", "spectrogram": "stft",
    "set": ("stages=CT", "depths=1,1", "widths=4,6", "n_heads=2", "head_width=4", "dropout=0.3"),
}  # fmt: skip
CASES: dict[str, dict] = {
    "nice": {**NICE, "loss": "mse", "average": "random"},
    "infonce": {**NICE, "loss": "infonce", "projector": 16, "accumulate": 2},
    "lstm": {"encoder": "lstm", "set": ("hidden=12", "width=8"), "loss": "infonce-mse", "batch_transforms": ("mixup",)},
    "coatnet": {**COATNET, "loss": "cosine"},
    "atm-s": {"encoder": "atm-s", "set": ("width=80", "n_filters=4"), "loss": "mse", "person_layers": True},
    "ubp-eegnet": {"encoder": "ubp-eegnet", "set": ("kernel=16",), "loss": "mse"},
}


def options_of(case: str, folder: Path, n: int) -> TrainOptions:
    """Return the options of a case for one of n processes."""
    return train_options(
        data=folder / "store", out=folder / f"{n}-{case}", clip=str(PHANTOM), rank=3, epochs=EPOCHS, batch=BATCH // n,
        patience=0, lr=2e-3, **CASES[case],
    )  # fmt: skip


def main() -> None:
    """Train the cases, one after another."""
    torch.set_num_threads(1)
    for case in sys.argv[2:]:
        train(options_of(case, Path(sys.argv[1]), int(os.environ["WORLD_SIZE"])))
    leave()


if __name__ == "__main__":
    main()
