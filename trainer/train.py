"""Train an EEG encoder from a trial store.

    python trainer/prepare.py phantom --out runs/store
    python trainer/train.py --preset phantom --data runs/store --out runs/first
    python trainer/evaluate.py runs/first

`--preset NAME` starts from a row of trainer/presets.py; every option has a flag that overrides it, and --help lists
them. A killed run goes on with --resume.
"""

import json
import os
import sys
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import numpy as np

from core.checkpoint import EegEncoder, save_encoder
from core.files import sha256_of, write_atomically
from core.trials import Trials
from trainer.console import run
from trainer.datasets.store import TrialStore, open_store
from trainer.options import TrainOptions
from trainer.presets import PRESETS, preset_named

STATES = ("state.pt", "contrastive.pt", "masked.pt", "gan.pt")  # what an interrupted stage leaves


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
    return tyro.cli(TrainOptions, default=default, args=arguments, description=description)


def train(options: TrainOptions) -> Path:
    """Train as the options say and return the path of the encoder file.

    Writes options.json, encoder.safetensors, metrics.jsonl and TensorBoard logs into `options.out`. Raises ValueError
    and FileNotFoundError for bad input before anything is written.
    """
    from trainer.building import trial_targets
    from trainer.fitting import fit_encoder
    from trainer.splits import split_hash, split_trials

    store = open_store(options.data)
    trials = store.trials()
    parts = split_trials(trials, options)
    if options.masked:
        return _pretrain(options, store, trials, parts)
    used = np.sort(np.concatenate(list(parts.values())))
    targets = trial_targets(trials.select_columns(used), options, store.folder / "targets")
    if is_main_process():
        _check_run_folder(options)
    sizes = ", ".join(f"{len(rows)} {name}" for name, rows in parts.items())
    print(
        f"{sizes} trials of {len(store.config.ch_names)} channels x {store.config.n_times} samples "
        f"at {store.config.sfreq:g} Hz"
    )
    after_epoch = _animator(options, trials, parts)
    encoder = fit_encoder(trials, parts, store.config, targets, options, options.out, after_epoch)
    path = options.out / "encoder.safetensors"
    if not is_main_process():
        return path
    encoder.card = card_of(store, trials, parts, options, split_hash(trials, parts))
    options.out.mkdir(parents=True, exist_ok=True)
    save_encoder(encoder, path)
    print(f"wrote {path}\nnext: python trainer/evaluate.py {options.out}")
    return path


def _pretrain(options: TrainOptions, store: TrialStore, trials: Trials, parts: dict[str, np.ndarray]) -> Path:
    """Train a backbone on masked windows and return its file's path; it has no heads."""
    from trainer.masked import build_masked, pretrain
    from trainer.splits import split_hash

    build_masked(trials, parts["train"], store.config, options)  # bad input is refused before anything is written
    if is_main_process():
        _check_run_folder(options)
    print(f"{len(parts['train'])} windows to train on, {len(parts['val'])} to choose by; labels are not read")
    card = card_of(store, trials, parts, options, split_hash(trials, parts))
    path = pretrain(trials, parts, store.config, options, card)
    print(f"wrote {path}\nnext: python trainer/train.py --encoder {options.encoder} --pretrained {path} ...")
    return path


def is_main_process() -> bool:
    """Tell whether this is the only process, or the first one of `accelerate launch`."""
    return os.environ.get("RANK", "0") == "0"


def card_of(store: TrialStore, trials: Trials, parts: dict[str, np.ndarray], options: TrainOptions, split: str) -> dict:
    """Return what a user of the encoder file should know: data, split, licence, seeds and library versions."""
    provenance = store.info.get("provenance", {})
    subjects = sorted(set(trials.subject[parts["train"]].tolist()) - {""})
    return {
        "name": f"{options.encoder} on {provenance.get('dataset', 'a trial store')}",
        "simulated": bool(provenance.get("simulated", False)),
        "data": provenance.get("description", ""),
        "subject": ", ".join(subjects),
        "licence": options.licence or provenance.get("licence", ""),
        "credit": provenance.get("credit", ""),
        "split": f"{split} ({', '.join(f'{len(rows)} {name}' for name, rows in parts.items())} trials)",
        "seed": options.seed,
        "finetuned_from": sha256_of(options.finetune) if options.finetune else "",
        "pretrained_from": sha256_of(options.pretrained) if options.pretrained else "",
        "versions": {name: version(name) for name in ("torch", "numpy", "mne", "safetensors")},
        "metrics": {},
    }


def _check_run_folder(options: TrainOptions) -> None:
    """Raise ValueError where --out holds another run, or --resume has nothing to resume."""
    written = options.out / "options.json"
    if options.resume:
        if not written.is_file():
            raise ValueError(f"--resume: no run at {options.out}; start it without --resume")
        kept = json.loads(written.read_text(encoding="utf-8"))
        now = _json_options(options)
        if changed := [name for name in now if name != "resume" and kept.get(name) != now[name]]:
            raise ValueError(
                f"--resume: the run at {options.out} was started with other values of {', '.join(changed)}"
            )
    elif any((options.out / name).is_file() for name in (*STATES, "encoder.safetensors", "backbone.safetensors")):
        raise ValueError(f"{options.out} already holds a run; add --resume to go on with it, or choose another --out")
    _write_options(options)


def _json_options(options: TrainOptions) -> dict:
    return json.loads(json.dumps(asdict(options), default=str))


def _write_options(options: TrainOptions) -> None:
    with write_atomically(options.out / "options.json") as beside:
        beside.write_text(json.dumps(_json_options(replace(options, resume=False)), indent=2) + "\n", encoding="utf-8")


def load_options(folder: Path) -> TrainOptions:
    """Return the options a run was made with; raises FileNotFoundError where the folder holds no run."""
    path = Path(folder) / "options.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"no run at {folder} (options.json is missing); train one with trainer/train.py --out {folder}"
        )
    values = json.loads(path.read_text(encoding="utf-8"))
    for name in ("data", "out", "images", "finetune", "pretrained"):
        values[name] = Path(values[name]) if values.get(name) else None
    for name in ("set", "space", "betas", "alphas"):
        if name in values:  # a run older than the option has its default
            values[name] = tuple(values[name])
    return TrainOptions(**values)


def _animator(options: TrainOptions, trials: Trials, parts: dict[str, np.ndarray]):
    """Return what draws one held-out picture every --animate epochs, or None."""
    if not options.animate:
        return None
    from trainer.animation import Animation

    held_out = parts["test"] if len(parts["test"]) else parts["val"]
    if not len(held_out):
        raise ValueError("--animate needs a held-out trial: keep a validation or a test split")
    animation = Animation(trials.select(held_out[:1]), options)

    def after_epoch(epoch: int, encoder: EegEncoder) -> None:
        if epoch % options.animate == 0 or epoch == options.epochs - 1:
            animation.draw(epoch, encoder)

    return after_epoch


def main() -> None:
    """Parse the command line and train."""
    train(parse_options(sys.argv[1:]))


if __name__ == "__main__":
    run(main)
