"""Direct latent decoding on real EEG: faces against houses by the nearest class mean, beside the encoder's own ROC-AUC.

    python benchmarks/latent.py --source N170_FOLDER --pictures PHOTO_FOLDER --vae TAESD_FOLDER --out runs/latent

N170_FOLDER holds one subject's muse-lsl CSV files, PHOTO_FOLDER the stimuli in `faces` and `houses`. Which photograph
was shown is not recorded, so a trial's target is the mean latent of its class. In each leave-one-run-out fold one
encoder gets two heads, class weights and latent, and a second one is trained on labels shuffled inside runs. Writes
report.html with the decoded pictures beside the shuffled control's; the photographs stay out of it but for the means.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.one_line import say_what_is_missing

say_what_is_missing()

import numpy as np
import torch
from torch import Tensor

from core.model.prediction import predict
from core.preprocessing.config import PreprocessingConfig
from core.preprocessing.trials import Trials
from core.scoring.scores import roc_auc
from trainer.config.flags import with_flags
from trainer.config.options import TrainOptions
from trainer.config.presets import preset_named
from trainer.cross_validate import auc_figures
from trainer.datasets import DATASETS
from trainer.datasets.n170 import N170Options
from trainer.reports.run_report import write_report
from trainer.store.store import write_store
from trainer.targets.features.pictures import picture_files
from trainer.targets.frozen_targets import load_targets
from trainer.targets.latents import load_autoencoder, to_pictures
from trainer.targets.target import Target
from trainer.training.folds import encoders_left_out

SPACE = "sd1.latent"
SHOWN = 6  # trials of each class in the report
HEADS = {
    "ridge": {"space": ("prompts", SPACE), "head": "basis"},
    "network": {"space": (SPACE,), "head": "basis", "projector": 64, "head_dropout": 0.5, "epochs": 30, "lr": 1e-3,
                "batch": 64, "val_share": 0.1, "patience": 0},
}  # fmt: skip


def class_latents(folder: Path, vae: str, size: int, cache: Path) -> tuple[Target, dict[str, int]]:
    """Return the mean latent of each class's photographs as targets, and how many there were."""
    names = ("face", "house")
    values, shape = load_targets(SPACE, "", [f"{n}s" for n in names], cache=cache, images=folder, vae=vae, size=size)
    return Target(values, names, shape, "image_id"), {n: len(picture_files(folder, f"{n}s")) for n in names}


def options_of(kind: str) -> TrainOptions:
    """Return the n170 preset with the heads of a kind of regression, alike in everything else."""
    return with_flags(preset_named("n170"), **HEADS[kind])


def shuffled(trials: Trials, seed: int) -> Trials:
    """Return trials whose labels, with what goes by them, are shuffled inside each run."""
    rng, order = np.random.default_rng([seed, 170]), np.arange(len(trials))
    for name in np.unique(trials.run):
        rows = np.flatnonzero(trials.run == name)
        order[rows] = rng.permutation(rows)
    return replace(trials, label=trials.label[order], image_id=trials.image_id[order], caption=trials.caption[order])


def decode_left_out(
    trials: Trials, stored: PreprocessingConfig, target: Target, options: TrainOptions, out: Path
) -> tuple[dict[str, np.ndarray], Tensor]:
    """Return the scores for the second label by head (n,) and the decoded latents (n, n_values), spread restored.

    The latent head's score is by how much the decoded latent lies nearer to the second class's mean.
    """
    scores: dict[str, np.ndarray] = {}
    wide = torch.zeros(len(trials), target.values.shape[1])
    means = {name: target.values[target.names.index(name)] for name in trials.labels}
    for test, encoder in encoders_left_out(trials, stored, {SPACE: target}, options, out):
        outputs = predict(encoder, np.asarray(trials.eeg[test]))
        first, second = (((outputs[SPACE] - means[name]) ** 2).sum(1) for name in trials.labels)
        found = {SPACE: (first - second).numpy()}
        if "prompts" in outputs:
            found["prompts"] = (outputs["prompts"][:, 1] - outputs["prompts"][:, 0]).numpy()
        for name, values in found.items():
            scores.setdefault(name, np.zeros(len(trials)))[test] = values
        wide[torch.from_numpy(test)] = encoder.head(SPACE).restore_spread(outputs[SPACE])
    return scores, wide


def difference_interval(one: np.ndarray, other: np.ndarray, trials: Trials, seed: int) -> list[float]:
    """Return the 95 % interval of the difference in mean run ROC-AUC of two scores, by bootstrap over trials."""
    rng, drawn = np.random.default_rng(seed), []
    rows = [np.flatnonzero(trials.run == name) for name in np.unique(trials.run)]
    for _ in range(1000):
        picked = [rng.choice(r, len(r)) for r in rows]
        drawn.append(np.mean([roc_auc(one[r], trials.label[r]) - roc_auc(other[r], trials.label[r]) for r in picked]))
    return [float(bound) for bound in np.quantile(drawn, [0.025, 0.975])]


def shown_rows(trials: Trials) -> np.ndarray:
    """Return the first trials of each class of the last run, the classes in turn."""
    last = np.unique(trials.run)[-1]
    of = [np.flatnonzero((trials.run == last) & (trials.label == number))[:SHOWN] for number in (1, 0)]
    return np.stack(of, axis=1).reshape(-1)


def report(arguments, trials: Trials, target: Target, figures: dict, decoded: Tensor, control: Tensor, seen) -> None:
    """Write report.json and report.html: scores, single trials and class averages beside the shuffled control."""
    vae, rows = load_autoencoder(arguments.vae), shown_rows(trials)
    shape = (-1, *target.shape)
    average = [np.flatnonzero(trials.label == number) for number in (1, 0)]
    names = [f"all {len(r)} {trials.labels[n]} trials, averaged" for n, r in zip((1, 0), average, strict=True)]

    def painted(values: Tensor) -> Tensor:
        both = torch.cat([torch.stack([values[torch.from_numpy(r)].mean(0) for r in average]), values[rows]])
        return to_pictures(vae, both.view(shape))

    wanted = target.values[[target.names.index(trials.labels[n]) for n in (1, 0, *trials.label[rows].tolist())]]
    scores = [
        {"name": f"face or house, {name}", "value": f["auc_mean"], "interval": f["auc_interval"], "chance": 0.5,
         "baselines": {"shuffled EEG": f["shuffled_auc"]}, "p_value": f["p_value"], "ceiling": None,
         "n": f["n_trials"], "note": "mean ROC-AUC of the left-out runs"}
        for name, f in figures.items()
    ]  # fmt: skip
    credit = "Photographs: Haxby et al., Science 293 (2001), CC BY-SA 3.0; the class means here are under it too."
    write_report(
        arguments.out,
        {
            "title": "Faces and houses as latents, four dry electrodes",
            "scores": scores,
            "sections": [{"title": "Credit", "text": f"{credit} EEG: {seen['credit']}."}],
            "provenance": {"data": seen["description"], "licence": f"{seen['licence']}; photographs CC BY-SA 3.0",
                           "credit": f"{seen['credit']}; {credit}", "seed": arguments.seed},
        },
        {
            "captions": [*names, *(f"a {trials.labels[trials.label[row]]} trial" for row in rows)],
            "class mean": to_pictures(vae, wanted.view(shape)),
            "decoded": painted(decoded),
            "shuffled control": painted(control),
        },
    )  # fmt: skip


def main() -> None:
    """Prepare, decode every run by encoders that never saw it, write the report, print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--vae", required=True)
    parser.add_argument("--subject", type=int, default=1)
    parser.add_argument("--size", type=int, default=256, help="pixels a side")
    parser.add_argument("--out", type=Path, default=Path("runs/latent"))
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    target, n_pictures = class_latents(arguments.pictures, arguments.vae, arguments.size, arguments.out / "targets")
    dataset, chosen = DATASETS["n170"], N170Options(subject=arguments.subject)
    scores, wide, seconds = {}, {}, {}
    with tempfile.TemporaryDirectory() as folder:
        provenance = dataset.provenance(arguments.source, chosen)
        store = write_store(
            Path(folder) / "store",
            dataset.sessions(arguments.source, chosen),
            dataset.preprocessing(arguments.source, chosen),
            provenance=provenance,
            labels=dataset.labels,
        )
        trials = store.trials()
        for kind in HEADS:
            for control in (False, True):
                name = f"{kind} control" if control else kind
                started = time.perf_counter()
                told = shuffled(trials, arguments.seed) if control else trials
                options = with_flags(options_of(kind), seed=arguments.seed)
                found, wide[name] = decode_left_out(told, store.config, target, options, Path(folder) / name)
                scores |= {f"{name}, {'encoder' if space == 'prompts' else 'latent'}": v for space, v in found.items()}
                seconds[name] = round(time.perf_counter() - started, 1)
    figures = {name: auc_figures(values, trials, arguments.seed) for name, values in scores.items()}
    report(arguments, trials, target, figures, wide["ridge"], wide["ridge control"], provenance)
    ours, encoder = scores["ridge, latent"], scores["ridge, encoder"]
    print(json.dumps({
        "simulated": False,
        "pictures": n_pictures,
        "latent_shape": target.shape,
        "auc": {name: {k: f[k] for k in ("auc_mean", "auc_interval", "p_value")} for name, f in figures.items()},
        "latent_minus_encoder": figures["ridge, latent"]["auc_mean"] - figures["ridge, encoder"]["auc_mean"],
        "latent_minus_encoder_interval": difference_interval(ours, encoder, trials, arguments.seed),
        "n_trials": len(trials),
        "seconds": seconds,
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "report": str(arguments.out / "report.html"),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
