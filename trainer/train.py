"""Train an EEG encoder from a trial store.

    python trainer/prepare.py phantom --out runs/store
    python trainer/train.py --preset phantom --data runs/store --out runs/first
    python trainer/evaluate.py runs/first

`--preset NAME` starts from a row of trainer/config/presets.py; every option has a flag that overrides it, and --help
lists them. A killed run goes on with --resume.
"""

import sys
from collections.abc import Callable
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import numpy as np

from core.model.checkpoint import EegEncoder, save_encoder
from core.preprocessing.trials import Trials
from trainer.config.options import TrainOptions
from trainer.config.presets import PRESETS, preset_named
from trainer.console import run
from trainer.store.store import TrialStore, open_store
from trainer.training.run_folder import card_of, check_run_folder, is_main_process


def parse_options(arguments: list[str]) -> TrainOptions:
    """Return the options for command-line arguments: the named preset, overridden flag by flag."""
    import tyro

    arguments, default = list(arguments), TrainOptions()
    for position, argument in enumerate(arguments):
        if argument == "--preset" and position + 1 < len(arguments):
            default = preset_named(arguments[position + 1])
            del arguments[position : position + 2]
            break
        if argument.startswith("--preset="):
            default = preset_named(argument.partition("=")[2])
            del arguments[position]
            break
    description = f"{__doc__}\nPresets (--preset NAME): {', '.join(PRESETS)}."
    return tyro.cli(
        TrainOptions,
        default=default,
        args=arguments,
        description=description,
        config=(tyro.conf.OmitArgPrefixes,),
    )


def train(options: TrainOptions) -> Path:
    """Train as the options say and return the path of the encoder file.

    Writes options.json, encoder.safetensors, metrics.jsonl and TensorBoard logs into `options.outputs.out`. Raises
    ValueError and FileNotFoundError for bad input before anything is written.
    """
    from trainer.losses.batch_transforms import transforms_named
    from trainer.losses.objective import parse_head_weights
    from trainer.losses.registry import loss_named
    from trainer.targets.target import trial_targets
    from trainer.training.fit import fit_encoder
    from trainer.training.splits import split_hash, split_trials

    loss_named(options.training.loss)
    transforms_named(options.training.batch_transforms)
    spaces = options.targets.space if options.stages.finetune.file is None else None  # else the file's heads
    parse_head_weights(options.training.loss_weight, spaces)
    store = open_store(options.data.store)
    trials = store.trials()
    parts = split_trials(trials, options)
    if options.stages.masked.epochs:
        return _pretrain(options, store, trials, parts)
    used = np.sort(np.concatenate(list(parts.values())))
    targets = trial_targets(trials.select_columns(used), options.targets, store.folder / "targets")
    if is_main_process():
        check_run_folder(options)
    sizes = ", ".join(f"{len(rows)} {name}" for name, rows in parts.items())
    print(
        f"{sizes} trials of {len(store.config.ch_names)} channels x {store.config.n_times} samples "
        f"at {store.config.sfreq:g} Hz"
    )
    after_epoch = _animator(options, trials, parts)
    encoder = fit_encoder(trials, parts, store.config, targets, options, options.outputs.out, after_epoch)
    out = options.outputs.out
    path = out / "encoder.safetensors"
    if not is_main_process():
        return path
    encoder.card = card_of(store, trials, parts, options, split_hash(trials, parts))
    out.mkdir(parents=True, exist_ok=True)
    save_encoder(encoder, path)
    print(f"wrote {path}\nnext: python trainer/evaluate.py {out}")
    return path


def _pretrain(options: TrainOptions, store: TrialStore, trials: Trials, parts: dict[str, np.ndarray]) -> Path:
    """Train a backbone on masked windows and return its file's path; it has no heads."""
    from trainer.training.masked import build_masked, pretrain
    from trainer.training.splits import split_hash

    build_masked(trials, parts["train"], store.config, options)  # bad input is refused before anything is written
    if is_main_process():
        check_run_folder(options)
    print(f"{len(parts['train'])} windows to train on, {len(parts['val'])} to choose by; labels are not read")
    card = card_of(store, trials, parts, options, split_hash(trials, parts))
    path = pretrain(trials, parts, store.config, options, card)
    print(f"wrote {path}\nnext: python trainer/train.py --encoder {options.encoder.name} --pretrained {path} ...")
    return path


def _animator(
    options: TrainOptions, trials: Trials, parts: dict[str, np.ndarray]
) -> Callable[[int, EegEncoder], None] | None:
    """Return what draws one held-out picture every --animate epochs, or None."""
    if not options.outputs.animate:
        return None
    from trainer.drawing.animation import Animation

    held_out = parts["test"] if len(parts["test"]) else parts["val"]
    if not len(held_out):
        raise ValueError("--animate needs a held-out trial: keep a validation or a test split")
    animation = Animation(trials.select(held_out[:1]), options.outputs, options.training.seed)

    def after_epoch(epoch: int, encoder: EegEncoder) -> None:
        if epoch % options.outputs.animate == 0 or epoch == options.training.epochs - 1:
            animation.draw(epoch, encoder)

    return after_epoch


def main() -> None:
    """Parse the command line and train."""
    train(parse_options(sys.argv[1:]))


if __name__ == "__main__":
    run(main)
