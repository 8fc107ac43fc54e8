"""A run's folder: its options, its card, and whether it may be written to."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import numpy as np

from core.files import held, sha256_of
from core.preprocessing.trials import Trials

from ..config.flags import flag_values, with_flags
from ..config.options import TrainOptions
from ..config.options_file import FILE, read_options, write_options
from ..store.store import TrialStore

STATES = ("state.pt", "contrastive.pt", "masked.pt", "gan.pt")  # what an interrupted stage leaves


def is_main_process() -> bool:
    """Tell whether this is the only process, or the first one of those that `torchrun` started."""
    return os.environ.get("RANK", "0") == "0"


def tell(text: str) -> None:
    """Print a line once, however many processes train."""
    if is_main_process():
        print(text, flush=True)


def card_of(store: TrialStore, trials: Trials, parts: dict[str, np.ndarray], options: TrainOptions, split: str) -> dict:
    """Return what a user of the encoder file should know: data, split, licence, seeds and library versions."""
    start = options.stages.finetune
    provenance = store.info.get("provenance", {})
    subjects = sorted(set(trials.subject[parts["train"]].tolist()) - {""})
    return {
        "name": f"{options.encoder.name} on {provenance.get('dataset', 'a trial store')}",
        "simulated": bool(provenance.get("simulated", False)),
        "data": provenance.get("description", ""),
        "subject": ", ".join(subjects),
        "licence": options.outputs.licence or provenance.get("licence", ""),
        "credit": provenance.get("credit", ""),
        "split": f"{split} ({', '.join(f'{len(rows)} {name}' for name, rows in parts.items())} trials)",
        "seed": options.training.seed,
        "finetuned_from": sha256_of(start.file) if start.file else "",
        "pretrained_from": sha256_of(start.pretrained) if start.pretrained else "",
        "versions": {name: version(name) for name in ("torch", "numpy", "mne", "safetensors")},
        "metrics": {},
    }


@contextmanager
def run_folder(options: TrainOptions) -> Iterator[None]:
    """Hold --out for one training and write its options.json; of several processes the first one does.

    Raises ValueError where another training is in it, where it holds another run, or --resume has nothing to resume.
    """
    if not is_main_process():
        yield
        return
    check_run_folder(options)
    with held(options.outputs.out):
        check_run_folder(options)
        write_options(with_flags(options, resume=False), options.outputs.out / FILE)
        yield


def check_run_folder(options: TrainOptions) -> None:
    """Raise ValueError where --out holds another run, or --resume has nothing to resume."""
    out = options.outputs.out
    if options.outputs.resume:
        if not (out / FILE).is_file():
            raise ValueError(f"--resume: no run at {out}; start it without --resume")
        kept, now = flag_values(load_options(out)), flag_values(options)
        if changed := [name for name in now if name != "resume" and kept[name] != now[name]]:
            raise ValueError(f"--resume: the run at {out} was started with other values of {', '.join(changed)}")
    elif any((out / name).is_file() for name in (*STATES, "encoder.safetensors", "backbone.safetensors")):
        raise ValueError(f"{out} already holds a run; add --resume to go on with it, or choose another --out")


def load_options(folder: Path) -> TrainOptions:
    """Return the options a run was made with.

    Raises FileNotFoundError where the folder holds no run, ValueError where its options.json is none of ours.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        raise FileNotFoundError(
            f"no run at {folder} ({FILE} is missing); train one with trainer/train.py --out {folder}"
        )
    return read_options(TrainOptions, path)
