"""Accuracy from few labelled trials, with and without masked pre-training: phantom, and real EEG where it is at hand.

    python benchmarks/pretraining.py [--quick] [--seeds 3] [--classes 20]
    python benchmarks/pretraining.py --n170 FOLDER      # faces against houses too (muse-lsl CSV, Muse 2016)

The same network is trained to name classes from 5, 20 and 100 single trials a class, once from a random start and once
from a backbone that has seen all training trials without their labels; all of it ("tuned"), or a linear head alone on
the frozen backbone ("frozen", the random one is then random features). Recipes are equal and fixed beforehand, no
validation split is used, and the test pictures are in neither set. Intervals of differences are paired, over pictures.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.one_line import say_what_is_missing

say_what_is_missing()

import numpy as np
import torch

from core.model.backbone_file import save_backbone
from core.model.prediction import predict
from core.preprocessing.trials import Trials
from core.scoring.scores import bootstrap_interval, chance_interval, roc_auc
from trainer.config.flags import with_flags
from trainer.config.options import TrainOptions, train_options
from trainer.config.presets import preset_named
from trainer.datasets import n170
from trainer.datasets.phantom import PhantomOptions
from trainer.datasets.recordings import RecordingsOptions
from trainer.prepare import prepare
from trainer.store.store import TrialStore
from trainer.training.build import build_for
from trainer.training.fit import fit_encoder
from trainer.training.masked import pretrain
from trainer.training.splits import split_trials

SIZES = (5, 20, 100)
ARMS = {
    "tuned": {"freeze": "nothing"},
    "frozen": {"freeze": "backbone"},
}


def few(trials: Trials, rows: np.ndarray, n_each: int, seed: int) -> np.ndarray:
    """Draw n_each single trials of each class from rows (n,); all of a class that has fewer."""
    rng = np.random.default_rng([seed, n_each])
    drawn = [rng.permutation(rows[trials.label[rows] == label])[:n_each] for label in np.unique(trials.label[rows])]
    return np.sort(np.concatenate(drawn))


def fitted(trials: Trials, store: TrialStore, rows: np.ndarray, options: TrainOptions, steps: int):
    """Return an encoder trained on rows (n,) for about so many steps, without validation."""
    per_epoch = max(1, len(rows) // options.training.batch)
    parts = {"train": rows, "val": rows[:0]}
    options = with_flags(options, epochs=max(4, round(steps / per_epoch)))
    return fit_encoder(trials, parts, store.config, {}, options, options.outputs.out)


def backbone_file(trials: Trials, parts: dict, store: TrialStore, options: TrainOptions, folder: Path) -> Path:
    """Pre-train on a store's training windows and return the file."""
    folder.mkdir(parents=True)
    return pretrain(trials, parts, store.config, with_flags(options, out=folder), {})


def outputs(
    trials: Trials, store: TrialStore, rows: np.ndarray, test: Trials, options: TrainOptions, file: Path, steps: int
) -> dict[str, np.ndarray]:
    """Return the logits on test trials of each arm, with and without the pre-trained backbone."""
    found = {}
    for arm, changes in ARMS.items():
        for start in ("random", "pretrained"):
            with tempfile.TemporaryDirectory() as folder:
                if start == "random" and arm == "frozen":
                    encoder = random_frozen(trials, store, rows, with_flags(options, out=Path(folder)), steps)
                else:
                    chosen = with_flags(
                        options, out=Path(folder), pretrained=file if start == "pretrained" else None, **changes
                    )
                    encoder = fitted(trials, store, rows, chosen, steps)
            found[f"{arm}_{start}"] = predict(encoder, test.eeg)[encoder.spaces[0]].numpy()
    return found


def random_frozen(trials, store, rows, options: TrainOptions, steps: int):
    """Return an encoder whose backbone stayed as it was drawn: written to a file of its own, and frozen."""
    drawn = build_for(trials, rows, store.config, options, {})
    path = options.outputs.out / "drawn.safetensors"
    save_backbone(drawn.backbone, options.encoder.name, drawn.preprocessing, path)
    return fitted(trials, store, rows, with_flags(options, pretrained=path, freeze="backbone"), steps)


def compared(right: dict[str, list[np.ndarray]], pictures: list[np.ndarray]) -> dict:
    """Return each arm's mean with its interval over pictures, and the gain of pre-training, paired."""
    groups = np.concatenate(pictures)
    joined = {name: np.concatenate(parts).astype(float) for name, parts in right.items()}
    figures: dict = {
        name: {"value": float(values.mean()), "interval": list(bootstrap_interval(values, groups=groups))}
        for name, values in joined.items()
    }
    for arm in ARMS:
        gain = joined[f"{arm}_pretrained"] - joined[f"{arm}_random"]
        figures[f"{arm}_gain"] = {
            "value": float(gain.mean()),
            "interval": list(bootstrap_interval(gain, groups=groups)),
            "each_seed": [
                float(a.mean() - b.mean())
                for a, b in zip(right[f"{arm}_pretrained"], right[f"{arm}_random"], strict=True)
            ],
        }
    return figures


def phantom_figures(arguments: argparse.Namespace, folder: Path) -> dict:
    """Return accuracies on the phantom's unseen pictures, repeats averaged."""
    shown = PhantomOptions(classes=arguments.classes, train_repeats=12)
    store = prepare("phantom", None, folder / "phantom", shown, progress=False)
    trials = store.trials()
    parts = {name: np.flatnonzero(trials.split == name) for name in ("train", "val", "test")}
    test = trials.select(parts["test"]).average_repeats()
    masked = with_flags(preset_named("masked-pretrain"), masked=arguments.masked)
    options = train_options(
        encoder=masked.encoder,
        space=("prompts",),
        average="none",
        val_share=0.0,
        batch=32,
        patience=0,
        weight_decay=0.05,
    )
    right: dict[int, dict[str, list[np.ndarray]]] = {n: {} for n in SIZES}
    took, losses = [], []
    for seed in range(arguments.seeds):
        started = time.monotonic()
        run = folder / f"masked-{seed}"
        file = backbone_file(trials, parts, store, with_flags(masked, seed=seed), run)
        took.append(time.monotonic() - started)
        losses.append(last_losses(run))
        for n in SIZES:
            rows = few(trials, parts["train"], n, seed)
            logits = outputs(trials, store, rows, test, with_flags(options, seed=seed), file, arguments.steps)
            for name, found in logits.items():
                right[n].setdefault(name, []).append(found.argmax(1) == test.label)
            print(f"phantom, seed {seed}, {n} a class: done", flush=True)
    n_classes = len(trials.labels)
    return {
        "classes": n_classes,
        "unlabelled_trials": len(parts["train"]),
        "test_pictures": len(test),
        "chance": 1 / n_classes,
        "chance_interval": list(chance_interval(len(test), n_classes)),
        "masked_losses": losses,
        "pretrain_s": [round(seconds, 1) for seconds in took],
        **{str(n): compared(right[n], [test.image_id] * arguments.seeds) for n in SIZES},
    }


def last_losses(run: Path) -> dict:
    """Return the chosen epoch's validation loss beside that of predicting zero."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    best = min(rows, key=lambda row: row.get("val_loss", 0.0))
    return {name: best[name] for name in ("epoch", "val_loss", "val_loss_of_zero") if name in best}


def n170_figures(arguments: argparse.Namespace, folder: Path) -> dict:
    """Return ROC-AUC on held-out runs of real EEG, pre-trained on all others in the folder."""
    store = prepare("n170", arguments.n170, folder / "n170", n170.N170Options(subject=1), progress=False)
    recipe = n170.PREPROCESSING
    windows = RecordingsOptions(
        every=0.45, tmin=recipe.tmin, tmax=recipe.tmax, to_montage="muse-4", to_sfreq=recipe.sfreq,
        l_freq=recipe.l_freq, h_freq=recipe.h_freq, reject_uv=recipe.reject_uv,
    )  # fmt: skip
    plain = prepare("recordings", arguments.n170, folder / "plain", windows, progress=False, skip_bad=True)
    trials, unlabelled = store.trials(), plain.trials()
    settings = ("patch=16",)
    masked = with_flags(preset_named("masked-pretrain"), masked=arguments.masked, set=settings, val_share=0.1)
    options = train_options(
        encoder=masked.encoder, set=settings, space=("prompts",), average="none", val_share=0.0, batch=32, patience=0,
        weight_decay=0.05,
    )  # fmt: skip
    runs = sorted(set(trials.run.tolist()))[: 2 if arguments.quick else arguments.runs]
    aucs: dict[int, dict[str, list[float]]] = {n: {} for n in SIZES}
    for number, run in enumerate(runs):
        # The held-out run is held out of pre-training too.
        kept = unlabelled.select(np.array([not name.startswith(run) for name in unlabelled.run.tolist()]))
        assert len(kept) < len(unlabelled)
        file = backbone_file(
            kept, split_trials(kept, masked), plain, with_flags(masked, seed=number), folder / f"run-{number}"
        )
        test = trials.select(trials.run == run)
        for n in SIZES:
            rows = few(trials, np.flatnonzero(trials.run != run), n, number)
            logits = outputs(trials, store, rows, test, with_flags(options, seed=number), file, arguments.steps)
            for name, found in logits.items():
                aucs[n].setdefault(name, []).append(roc_auc(found[:, 1] - found[:, 0], test.label))
        print(f"n170, {run}: done", flush=True)
    figures: dict = {"runs": len(runs), "unlabelled_windows": len(unlabelled), "chance_auc": 0.5}
    for n in SIZES:
        figures[str(n)] = {name: summary(np.array(values)) for name, values in aucs[n].items()}
        for arm in ARMS:
            gain = np.array(aucs[n][f"{arm}_pretrained"]) - np.array(aucs[n][f"{arm}_random"])
            figures[str(n)][f"{arm}_gain"] = summary(gain)
    return figures


def summary(values: np.ndarray) -> dict:
    return {"value": float(values.mean()), "interval": list(bootstrap_interval(values)), "each_run": values.tolist()}


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--classes", type=int, default=20)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--masked", type=int, default=60, help="epochs of pre-training")
    parser.add_argument("--n170", type=Path, default=None)
    parser.add_argument("--runs", type=int, default=None, help="hold out the first N runs of --n170 only")
    parser.add_argument("--only", choices=("phantom", "n170"), default=None)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seeds, arguments.steps, arguments.masked = 1, 60, 10
    torch.set_num_threads(1)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        figures: dict = {}
        if arguments.only != "n170":
            figures["phantom"] = phantom_figures(arguments, Path(folder))
        if arguments.n170 is not None and arguments.only != "phantom":
            figures["n170"] = n170_figures(arguments, Path(folder))
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    figures["minutes"] = (time.monotonic() - started) / 60
    figures["peak_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
