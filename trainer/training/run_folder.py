"""A run's folder: its options, its card, and whether it may be written to."""

import json
import os
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from core.files import sha256_of, write_atomically
from core.preprocessing.trials import Trials
from trainer.config.options import TrainOptions
from trainer.store.store import TrialStore

STATES = ("state.pt", "contrastive.pt", "masked.pt", "gan.pt")  # what an interrupted stage leaves


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


def check_run_folder(options: TrainOptions) -> None:
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
    write_options(options)


def _json_options(options: TrainOptions) -> dict:
    return json.loads(json.dumps(asdict(options), default=str))


def write_options(options: TrainOptions) -> None:
    """Write `options.json`, less `resume`, beside the old one and then renamed."""
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
