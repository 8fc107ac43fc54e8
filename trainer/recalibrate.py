"""Make the evidence and the calibration of an encoder file anew, from the trials it was trained on; its answers stay.

    python trainer/recalibrate.py encoder.safetensors --run runs/first
    python trainer/recalibrate.py encoder.safetensors --preset n170 --data runs/n170

For files of older versions, which cannot tell whether a recording holds anything for them. The file is written anew.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import numpy as np
import tyro

from core.model.checkpoint import load_encoder, save_encoder, stored_types
from trainer.calibration.left_out import note_leaks
from trainer.config.flags import with_flags
from trainer.config.presets import preset_named
from trainer.console import run
from trainer.evaluation.leaks.store_checks import print_checks, store_checks
from trainer.store.store import open_store
from trainer.targets.target import trial_targets
from trainer.training.fit import recalibrate
from trainer.training.run_folder import load_options
from trainer.training.splits import split_hash, split_trials


@dataclass(frozen=True)
class RecalibrateOptions:
    """Which encoder, and what it was trained on."""

    encoder: tyro.conf.Positional[Path]
    """The encoder file"""
    run: Path | None = None
    """The run's folder, whose options.json says how it was trained; or else --preset and --data"""
    preset: str = "default"
    """The preset it was trained with"""
    data: Path | None = None
    """The trial store it was trained on, where that is not the run's"""
    space: tuple[str, ...] = ()
    """The spaces it was trained towards, where they are not the preset's"""
    clip: str = ""
    """The text encoder of its targets, where that is not the preset's"""
    out: Path | None = None
    """The file to write, by default the encoder's own"""


def remade(options: RecalibrateOptions) -> str:
    """Write the file and return what its card says of confidence; leak checks are made as training makes them.

    Raises ValueError where the store's split is not the one that the encoder's card names.
    """
    training = preset_named(options.preset) if options.run is None else load_options(options.run)
    if options.space:
        training = with_flags(training, space=options.space)
    if options.clip:
        training = with_flags(training, clip=options.clip)
    encoder = load_encoder(options.encoder)
    store = open_store(options.data or training.data.store)
    trials = store.trials()
    parts = split_trials(trials, training)
    if not str(encoder.card.get("split", "")).startswith(split_hash(trials, parts)):
        nothing = np.zeros(0, dtype=np.int64)
        parts = {"train": np.arange(len(trials)), "val": nothing, "test": nothing}  # as cross_validate.py fits all runs
    if not str(encoder.card.get("split", "")).startswith(split_hash(trials, parts)):
        raise ValueError(f"{store.folder} is not what {options.encoder} was trained on: its split is another one")
    used = trials.select_columns(np.sort(np.concatenate(list(parts.values()))))
    wanted = [head.config.space for head in encoder.heads if head.config.kind != "prompts"]
    targets = trial_targets(used, training.targets, store.folder / "targets") if wanted else {}
    recalibrate(encoder, trials, parts, store.config, targets, training)
    checks = store_checks(store, trials, parts, training.targets.images)
    print_checks(checks)
    note_leaks(encoder, checks)
    save_encoder(encoder, options.out or options.encoder, stored_as=stored_types(options.encoder))
    return "\n".join(encoder.confidence_lines())


def main() -> None:
    """Parse the command line, make the evidence, write, and say what confidence was fitted for."""
    print(remade(tyro.cli(RecalibrateOptions, description=__doc__)))


if __name__ == "__main__":
    run(main)
