"""Score an encoder fold by fold, then fit it to all runs and write the file with those figures on its card.

    python trainer/prepare.py n170 --source recordings --out runs/n170
    python trainer/prepare.py n170 --source recordings --window prestimulus --out runs/n170-control
    python trainer/cross_validate.py --preset n170 --data runs/n170 --control runs/n170-control --out runs/n170-encoder

Every run is tested by an encoder that was fitted, scaled and calibrated on the other runs only; --protocol takes other
folds.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import numpy as np
import tyro

from core.files import write_atomically
from core.model.checkpoint import EegEncoder, save_encoder
from core.model.prediction import predict
from core.preprocessing.session_normaliser import by_sessions
from core.preprocessing.trials import Trials
from core.scoring.scores import bootstrap_interval, p_of, roc_auc
from trainer.config.flags import with_flags
from trainer.config.options import TrainOptions
from trainer.config.presets import preset_named
from trainer.console import run
from trainer.protocols.registry import PROTOCOLS, protocol_named
from trainer.store.store import TrialStore, open_store
from trainer.training.fit import fit_encoder
from trainer.training.folds import fitted_folds
from trainer.training.splits import split_hash

PERMUTATIONS = 2000
DEFAULT = "leave-one-run-out"


@dataclass(frozen=True)
class CrossValidateOptions:
    """Which store, which preset, and what beside it."""

    data: Path
    """Trial store with several runs and two labels."""
    preset: str = "n170"
    """Row of trainer/config/presets.py with a prompts head."""
    protocol: str = DEFAULT
    """Who is tested by what was fitted to the others: leave-one-run-out, leave-one-subject-out, cross-session,
    k-fold-by-picture or given-split.
    """
    n_folds: int = 5
    """Into how many folds k-fold-by-picture deals the pictures."""
    control: Path | None = None
    """Trial store of the same recordings with a window before the stimulus."""
    out: Path = Path("runs/cross-validated")
    """Folder for encoder.safetensors and cross_validation.json."""
    seed: int = 0


def left_out_scores(
    store: TrialStore, options: TrainOptions, protocol: str = DEFAULT, out: Path | None = None, n_folds: int = 5
) -> tuple[Trials, np.ndarray, np.ndarray]:
    """Return the tested trials, each one's score for the second label (n,), from an encoder that never saw its fold,
    and that fold's name (n,).

    out: a folder for each fold's training, needed for gradient descent. Raises ValueError where there are not exactly
    two labels, a fold tests one of them only, or the store lacks what the protocol needs.
    """
    trials = store.trials()
    if len(trials.labels) != 2:
        raise ValueError(f"{protocol} needs two labels, not {trials.labels}")
    scores, fold_of = np.zeros(len(trials)), np.full(len(trials), "", dtype=object)
    for fold, encoder in fitted_folds(trials, store.config, {}, options, protocol, out, n_folds):
        if len(seen := np.unique(trials.label[fold.test])) < 2:
            raise ValueError(
                f"{protocol} {fold.name} tests {trials.labels[seen[0]]!r} only, and a ROC-AUC needs both labels; "
                f"choose another --protocol: {', '.join(PROTOCOLS)}"
            )
        outputs = predict(encoder, np.asarray(by_sessions(trials, encoder.normaliser).eeg[fold.test]))
        scores[fold.test] = encoder.head("prompts").weights(outputs["prompts"])[:, 1].numpy()
        fold_of[fold.test] = fold.name
    tested = np.flatnonzero(fold_of != "")
    return trials.select_columns(tested), scores[tested], fold_of[tested].astype(str)


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


def cross_validated_figures(
    store: TrialStore,
    options: TrainOptions,
    seed: int = 0,
    protocol: str = DEFAULT,
    out: Path | None = None,
    n_folds: int = 5,
) -> dict:
    """Return a protocol's ROC-AUC in each fold, their mean with a bootstrap interval over trials, and a permutation p.

    The permutation shuffles labels inside a fold's runs, against the mean over folds; where folds are of pictures, it
    shuffles the pictures' labels, and the interval draws pictures.
    """
    trials, scores, fold_of = left_out_scores(store, options, protocol, out, n_folds)
    by_picture = protocol_named(protocol).by_picture
    right = ((scores > 0.5) == trials.label).astype(float)
    interval = bootstrap_interval(right, groups=trials.image_id if by_picture else None)
    return {
        **auc_figures(scores, trials, seed, fold_of, by_picture),
        "accuracy": float(right.mean()),
        "accuracy_interval": [float(b) for b in interval],
    }


def auc_figures(
    scores: np.ndarray, trials: Trials, seed: int = 0, fold_of: np.ndarray | None = None, by_picture: bool = False
) -> dict:
    """Return the ROC-AUC of scores for the second label (n,) in each fold, their mean, its interval and its p.

    fold_of: (n,), by default the trials' runs. As `cross_validated_figures` says.
    """
    fold_of = trials.run if fold_of is None else fold_of
    aucs = run_aucs(scores, trials.label, fold_of)
    rng = np.random.default_rng(seed)
    permuted, drawn = np.zeros(PERMUTATIONS), []
    rows = [np.flatnonzero(fold_of == name) for name in np.unique(fold_of)]
    # What is shuffled and drawn in each fold: whole pictures, or single trials inside each run.
    pictures = [_members(trials.image_id[r]) for r in rows] if by_picture else []
    runs = [_members(trials.run[r]) for r in rows]

    def shuffled(place: int) -> np.ndarray:
        label = trials.label[rows[place]]
        found = label.copy()
        if by_picture:
            given = rng.permutation([label[of[0]] for of in pictures[place]])
            for of, number in zip(pictures[place], given, strict=True):
                found[of] = number
            return found
        for of in runs[place]:
            found[of] = rng.permutation(label[of])
        return found

    def picked(place: int) -> np.ndarray:
        if not by_picture:
            return rng.choice(rows[place], len(rows[place]))
        of = pictures[place]
        return rows[place][np.concatenate([of[number] for number in rng.integers(len(of), size=len(of))])]

    for i in range(PERMUTATIONS):
        permuted[i] = np.mean([roc_auc(scores[r], shuffled(place)) for place, r in enumerate(rows)])
        drawn_rows = [picked(place) for place in range(len(rows))]
        if all(len(np.unique(trials.label[r])) == 2 for r in drawn_rows):  # a draw without a class has no ROC-AUC
            drawn.append(np.mean([roc_auc(scores[r], trials.label[r]) for r in drawn_rows]))
    if len(drawn) < PERMUTATIONS / 2:
        raise ValueError(f"folds of {min(map(len, rows))} trials are too small for an interval; gather more trials")
    return {
        "auc_mean": float(aucs.mean()),
        "auc_interval": [float(bound) for bound in np.quantile(drawn, [0.025, 0.975])],
        "auc_runs": [float(auc) for auc in aucs],
        "p_value": p_of(float(aucs.mean()), permuted),
        "shuffled_auc": float(permuted.mean()),
        "n_trials": len(trials),
    }


def _members(values: np.ndarray) -> list[np.ndarray]:
    """Return where each distinct value stands."""
    return [np.flatnonzero(values == value) for value in np.unique(values)]


def fit_all_runs(
    store: TrialStore,
    options: TrainOptions,
    figures: dict,
    control: dict | None,
    protocol: str = DEFAULT,
    out: Path | None = None,
) -> EegEncoder:
    """Return the encoder fitted to every run, with the protocol's figures on its card.

    out: a folder for the training, needed for gradient descent.
    """
    from trainer.training.run_folder import card_of

    trials = store.trials()
    nothing = np.zeros(0, dtype=np.int64)
    parts = {"train": np.arange(len(trials)), "val": nothing, "test": nothing}
    encoder = fit_encoder(trials, parts, store.config, {}, options, out)
    encoder.card = card_of(store, trials, parts, options, split_hash(trials, parts))
    low, high = figures["auc_interval"]
    metrics = {
        f"{protocol} ROC-AUC": f"{figures['auc_mean']:.3f} (95 % {low:.3f} to {high:.3f}, chance 0.5, "
        f"shuffled EEG "
        f"{figures['shuffled_auc']:.3f}, p = {figures['p_value']:.2g}, n = {figures['n_trials']})",
        f"each {protocol_named(protocol).unit}": ", ".join(f"{auc:.3f}" for auc in figures["auc_runs"]),
        f"{protocol} accuracy of single trials": f"{figures['accuracy']:.3f} (chance 0.5)",
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
    chosen, control = protocol_named(options.protocol).name, None
    figures = cross_validated_figures(store, preset, options.seed, chosen, options.out / "folds", options.n_folds)
    if options.control:
        beside, out = open_store(options.control), options.out / "control-folds"
        control = cross_validated_figures(beside, preset, options.seed, chosen, out, options.n_folds)
    encoder = fit_all_runs(store, preset, figures, control, chosen, options.out / "all-runs")
    save_encoder(encoder, options.out / "encoder.safetensors")
    written = {**figures, "prestimulus": control, "protocol": chosen}
    with write_atomically(options.out / "cross_validation.json") as beside:
        beside.write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
    print(encoder.card_text())


if __name__ == "__main__":
    run(main)
