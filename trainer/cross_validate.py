"""Score an encoder leave-one-run-out, then fit it to all runs and write the file with those figures on its card.

    python trainer/prepare.py n170 --source recordings --out runs/n170
    python trainer/prepare.py n170 --source recordings --window prestimulus --out runs/n170-control
    python trainer/cross_validate.py --preset n170 --data runs/n170 --control runs/n170-control --out runs/n170-encoder

Every run is tested by an encoder that was fitted, scaled and calibrated on the other runs only.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import numpy as np
import tyro

from core.files import write_atomically
from core.model.checkpoint import EegEncoder, save_encoder
from core.model.prediction import predict
from core.preprocessing.config import PreprocessingConfig
from core.preprocessing.trials import Trials
from core.scoring.scores import bootstrap_interval, p_of, roc_auc
from trainer.config.flags import with_flags
from trainer.config.options import TrainOptions
from trainer.config.presets import preset_named
from trainer.console import run
from trainer.store.store import TrialStore, open_store
from trainer.targets.target import Target
from trainer.training.fit import fit_encoder
from trainer.training.splits import split_hash, split_trials

PERMUTATIONS = 2000


@dataclass(frozen=True)
class CrossValidateOptions:
    """Which store, which preset, and what beside it."""

    data: Path
    """Trial store with several runs and two labels."""
    preset: str = "n170"
    """Row of trainer/config/presets.py; fitted in closed form."""
    control: Path | None = None
    """Trial store of the same recordings with a window before the stimulus."""
    out: Path = Path("runs/cross-validated")
    """Folder for encoder.safetensors and cross_validation.json."""
    seed: int = 0


def leave_one_run_out(store: TrialStore, options: TrainOptions) -> tuple[Trials, np.ndarray]:
    """Return all trials and each one's score for the second label (n,), from an encoder that never saw its run.

    Raises ValueError where there are not at least two runs and exactly two labels.
    """
    trials = store.trials()
    if len(trials.labels) != 2:
        raise ValueError(f"leave-one-run-out needs two labels, not {trials.labels}")
    scores = np.zeros(len(trials))
    for test, encoder in encoders_left_out(trials, store.config, {}, options):
        weights = encoder.head("prompts").weights(predict(encoder, np.asarray(trials.eeg[test]))["prompts"])
        scores[test] = weights[:, 1].numpy()
    return trials, scores


def encoders_left_out(
    trials: Trials,
    stored: PreprocessingConfig,
    targets: dict[str, Target],
    options: TrainOptions,
    out: Path | None = None,
) -> Iterator[tuple[np.ndarray, EegEncoder]]:
    """Yield for each run its trials' indices and an encoder that was fitted, scaled and calibrated without them.

    out: a folder for each run's training, needed for gradient descent. Raises ValueError where there are not at least
    two runs.
    """
    runs = np.unique(trials.run)
    if len(runs) < 2:
        raise ValueError(f"leave-one-run-out needs at least two runs, not {len(runs)}")
    trials = replace(trials, split=np.full(len(trials), ""))
    for name in runs:
        parts = split_trials(trials, with_flags(options, test_run=str(name)))
        folder = None if out is None else out / str(name)
        yield parts["test"], fit_encoder(trials, parts, stored, targets, options, folder)


def nested_auc(stores: dict[str, TrialStore], options: TrainOptions) -> tuple[np.ndarray, list[str]]:
    """Return each run's ROC-AUC (n_runs,) when the preparation too is chosen without it, and the preparation chosen.

    stores: the same recordings, prepared in several ways. For each run the way with the best mean ROC-AUC inside the
    other runs (leaving each of them out in turn) is taken.
    """
    trials = {name: store.trials() for name, store in stores.items()}
    runs = np.unique(next(iter(trials.values())).run)

    def auc(name: str, train_runs: np.ndarray, test_run: str) -> float:
        of = trials[name]
        chosen = of.select(np.isin(of.run, [*train_runs, test_run]))
        parts = {"train": np.flatnonzero(chosen.run != test_run), "test": np.flatnonzero(chosen.run == test_run)}
        encoder = fit_encoder(chosen, {**parts, "val": parts["test"][:0]}, stores[name].config, {}, options)
        test = chosen.select(parts["test"])
        logits = predict(encoder, np.asarray(test.eeg))["prompts"]
        return roc_auc((logits[:, 1] - logits[:, 0]).numpy(), test.label)

    found, chosen = [], []
    for left_out in runs:
        others = runs[runs != left_out]
        inner = {name: np.mean([auc(name, others[others != run], run) for run in others]) for name in stores}
        chosen.append(max(inner, key=lambda name: inner[name]))
        found.append(auc(chosen[-1], others, left_out))
    return np.array(found), chosen


def run_aucs(scores: np.ndarray, label: np.ndarray, run_of: np.ndarray) -> np.ndarray:
    """Return each run's ROC-AUC (n_runs,), runs in sorted order."""
    return np.array([roc_auc(scores[run_of == name], label[run_of == name]) for name in np.unique(run_of)])


def cross_validated_figures(store: TrialStore, options: TrainOptions, seed: int = 0) -> dict:
    """Return the leave-one-run-out ROC-AUC of each run, their mean with a bootstrap interval over trials, and a
    permutation p.

    The permutation shuffles labels inside runs, against the mean over runs.
    """
    trials, scores = leave_one_run_out(store, options)
    right = ((scores > 0.5) == trials.label).astype(float)
    return {
        **auc_figures(scores, trials, seed),
        "accuracy": float(right.mean()),
        "accuracy_interval": [float(b) for b in bootstrap_interval(right)],
    }


def auc_figures(scores: np.ndarray, trials: Trials, seed: int = 0) -> dict:
    """Return the ROC-AUC of scores for the second label (n,) in each run, their mean, its interval and its p.

    As `cross_validated_figures` says.
    """
    aucs = run_aucs(scores, trials.label, trials.run)
    rng = np.random.default_rng(seed)
    permuted, drawn = np.zeros(PERMUTATIONS), np.zeros(PERMUTATIONS)
    rows = [np.flatnonzero(trials.run == name) for name in np.unique(trials.run)]
    for i in range(PERMUTATIONS):
        permuted[i] = np.mean([roc_auc(scores[r], rng.permutation(trials.label[r])) for r in rows])
        picked = [rng.choice(r, len(r)) for r in rows]
        drawn[i] = np.mean([roc_auc(scores[r], trials.label[r]) for r in picked])
    return {
        "auc_mean": float(aucs.mean()),
        "auc_interval": [float(bound) for bound in np.quantile(drawn, [0.025, 0.975])],
        "auc_runs": [float(auc) for auc in aucs],
        "p_value": p_of(float(aucs.mean()), permuted),
        "shuffled_auc": float(permuted.mean()),
        "n_trials": len(trials),
    }


def fit_all_runs(store: TrialStore, options: TrainOptions, figures: dict, control: dict | None) -> EegEncoder:
    """Return the encoder fitted to every run, with the leave-one-run-out figures on its card."""
    from trainer.training.run_folder import card_of

    trials = store.trials()
    nothing = np.zeros(0, dtype=np.int64)
    parts = {"train": np.arange(len(trials)), "val": nothing, "test": nothing}
    encoder = fit_encoder(trials, parts, store.config, {}, options)
    encoder.card = card_of(store, trials, parts, options, split_hash(trials, parts))
    low, high = figures["auc_interval"]
    metrics = {
        "leave-one-run-out ROC-AUC": f"{figures['auc_mean']:.3f} (95 % {low:.3f} to {high:.3f}, chance 0.5, "
        f"shuffled EEG "
        f"{figures['shuffled_auc']:.3f}, p = {figures['p_value']:.2g}, n = {figures['n_trials']})",
        "each run": ", ".join(f"{auc:.3f}" for auc in figures["auc_runs"]),
        "leave-one-run-out accuracy of single trials": f"{figures['accuracy']:.3f} (chance 0.5)",
    }
    if control is not None:
        metrics["the same with the pre-stimulus window"] = f"{control['auc_mean']:.3f} (control, expected 0.5)"
    encoder.card |= {
        "metrics": metrics,
        "summary": "decodes which of two kinds of picture a person saw; "
        "works for the person and headset it was fitted on, and is not expected to transfer to another person",
    }
    return encoder


def main() -> None:
    """Parse the command line, score, fit, write, and print the figures."""
    options = tyro.cli(CrossValidateOptions, description=__doc__)
    store, preset = open_store(options.data), with_flags(preset_named(options.preset), seed=options.seed)
    figures = cross_validated_figures(store, preset, options.seed)
    control = cross_validated_figures(open_store(options.control), preset, options.seed) if options.control else None
    encoder = fit_all_runs(store, preset, figures, control)
    save_encoder(encoder, options.out / "encoder.safetensors")
    with write_atomically(options.out / "cross_validation.json") as beside:
        beside.write_text(json.dumps({**figures, "prestimulus": control}, indent=2) + "\n", encoding="utf-8")
    print(encoder.card_text())


if __name__ == "__main__":
    run(main)
