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

from core.leaks.check import Check
from core.model.checkpoint import EegEncoder, save_encoder
from core.model.spaces import find_space
from core.preprocessing.config import PreprocessingConfig
from core.preprocessing.trials import Trials
from trainer.config.flags import with_flags
from trainer.config.options import TrainOptions
from trainer.config.presets import PRESETS, preset_named
from trainer.console import run
from trainer.protocols.fold import names
from trainer.store.narrowed import as_read, narrowed
from trainer.store.store import TrialStore, open_store
from trainer.targets.target import Target
from trainer.training.run_folder import card_of, is_main_process, load_options, run_folder, tell


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
    from trainer.evaluation.leaks.store_checks import print_checks, store_checks
    from trainer.losses.batch_transforms import transforms_named
    from trainer.losses.objective import objective_of
    from trainer.processes.together import check_launch
    from trainer.targets.target import trial_targets
    from trainer.training.finetuned import with_file_heads
    from trainer.training.splits import check_held_out, split_trials, with_test

    check_launch()
    options = with_file_heads(options)
    objective_of(options.training, options.targets.space)
    transforms_named(options.training.batch_transforms)
    store = open_store(options.data.store)
    trials = store.trials()
    said: list[str] = []
    if options.outputs.resume and options.data.test == "auto":
        options = with_flags(options, test=load_options(options.outputs.out).data.test)
    elif not options.stages.masked.epochs:
        options, tested = with_test(trials, options)
        said = [sentence for sentence in (tested, pooled(trials, options)) if sentence]
    parts = split_trials(trials, options)
    check_held_out(trials, parts)
    check_labels(trials, parts["train"], options)
    config = read_config(store, trials, parts, options)
    if options.stages.masked.epochs:
        return _pretrain(options, store, trials, parts)
    used = np.sort(np.concatenate(list(parts.values())))
    targets = trial_targets(trials.select_columns(used), options.targets, store.folder / "targets")
    with run_folder(options):
        checks: list[Check] = []
        if is_main_process():
            checks = store_checks(store, trials, parts, options.targets.images)
            print_checks(checks)
        for sentence in said:
            tell(sentence)
        tell(
            f"{', '.join(f'{len(rows)} {name}' for name, rows in parts.items())} trials of {len(config.ch_names)} "
            f"channels x {config.n_times} samples at {config.sfreq:g} Hz"
        )
        return _fit(options, store, trials, parts, targets, checks)


def read_config(
    store: TrialStore, trials: Trials, parts: dict[str, np.ndarray], options: TrainOptions
) -> PreprocessingConfig:
    """Return the store's preprocessing with the channels and the window that the options read of it."""
    learnt = trials.select_columns(np.concatenate([parts["train"], parts["val"]]))
    return narrowed(learnt, store.config, options.data.channels, options.data.window)[1]


def _fit(
    options: TrainOptions,
    store: TrialStore,
    trials: Trials,
    parts: dict[str, np.ndarray],
    targets: dict[str, Target],
    checks: list[Check],
) -> Path:
    """Train an encoder and return the path of its file, which the first process writes."""
    from trainer.calibration.left_out import note_leaks
    from trainer.training.fit import fit_encoder
    from trainer.training.splits import split_hash

    after_epoch = _animator(options, as_read(trials, store.config, read_config(store, trials, parts, options)), parts)
    out = options.outputs.out
    encoder = fit_encoder(trials, parts, store.config, targets, options, out, after_epoch)
    path = out / "encoder.safetensors"
    if is_main_process():
        encoder.card = card_of(store, trials, parts, options, split_hash(trials, parts))
        note_leaks(encoder, checks)
        save_encoder(encoder, path)
    tell(f"wrote {path}\nnext: python trainer/evaluate.py {out}")
    return path


def check_labels(trials: Trials, train: np.ndarray, options: TrainOptions) -> None:
    """Raise ValueError where all that trains means the same, so that nothing can be told apart."""
    if options.stages.masked.epochs or options.stages.finetune.file is not None:
        return
    labels, captions = np.unique(trials.label[train]), np.unique(trials.caption[train])
    if "prompts" in options.targets.space and len(labels) < 2:
        raise ValueError(
            f"all {len(train)} trials that train have one label, {trials.labels[int(labels[0])]!r}: there is nothing "
            "to tell apart. Prepare a store with events of two kinds or more (--events 1=house 2=face), or train on "
            "windows without labels (--preset masked-pretrain)"
        )
    kinds = {find_space(space).kind for space in options.targets.space}
    if kinds <= {"text", "prompts"} and len(captions) < 2:
        raise ValueError(
            f"all {len(train)} trials that train have one caption, {str(captions[0])!r}: there is nothing to tell "
            "apart. Give what was shown captions that differ (--events 1=..., a column `caption` in the table)"
        )


def pooled(trials: Trials, options: TrainOptions) -> str:
    """Return a sentence where several people's trials train one encoder; "" otherwise."""
    people = np.unique(trials.subject)
    if options.data.only_subject or len(people) < 2:
        return ""
    return (
        f"{len(people)} people's trials are pooled in one encoder ({names(people)}); encoders work best for one "
        "person: --only-subject NAME"
    )


def _pretrain(options: TrainOptions, store: TrialStore, trials: Trials, parts: dict[str, np.ndarray]) -> Path:
    """Train a backbone on masked windows and return its file's path; it has no heads."""
    from trainer.training.masked import build_masked, pretrain
    from trainer.training.splits import split_hash

    config = read_config(store, trials, parts, options)
    trials = as_read(trials, store.config, config)
    build_masked(trials, parts["train"], config, options)  # bad input is refused before anything is written
    with run_folder(options):
        tell(f"{len(parts['train'])} windows to train on, {len(parts['val'])} to choose by; labels are not read")
        card = card_of(store, trials, parts, options, split_hash(trials, parts))
        path = pretrain(trials, parts, config, options, card)
    tell(f"wrote {path}\nnext: python trainer/train.py --encoder {options.encoder.name} --pretrained {path} ...")
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
    from trainer.processes.together import leave

    train(parse_options(sys.argv[1:]))
    leave()


if __name__ == "__main__":
    run(main)
