"""Score an encoder fold by fold, then fit it to all runs and write the file with those figures on its card.

    python trainer/prepare.py n170 --source recordings --out runs/n170
    python trainer/prepare.py n170 --source recordings --window prestimulus --out runs/n170-control
    python trainer/cross_validate.py --preset n170 --data runs/n170 --control runs/n170-control --out runs/n170-encoder

Every run is tested by an encoder that was fitted, scaled and calibrated on the other runs only; --protocol takes other
folds.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import numpy as np
import tyro

from core.encoders import encoder_named
from core.files import write_atomically
from core.leaks.check import Check, verdict
from core.model.checkpoint import EegEncoder, save_encoder
from core.model.prediction import predict
from core.preprocessing.config import PreprocessingConfig
from core.preprocessing.session_normaliser import by_sessions, with_new_sessions
from core.preprocessing.trials import Trials
from core.scoring.halves import agreement_of, halves_of, mean_agreement
from core.scoring.intervals import auc_interval, share_interval
from core.scoring.permutations import (
    SHARED_AT_MOST,
    how_many,
    null_of,
    permuted_aucs,
    spread_of_answers,
    spread_of_folds,
    usual_spread,
)
from core.scoring.scores import roc_auc
from trainer.calibration.left_out import note_leaks
from trainer.config.flags import with_flags
from trainer.config.options import TrainOptions
from trainer.config.presets import preset_named
from trainer.console import run
from trainer.evaluation.design import units_of
from trainer.evaluation.leaks.store_checks import fold_checks, print_checks
from trainer.protocols.registry import PROTOCOLS, protocol_named
from trainer.store.narrowed import as_read
from trainer.store.store import TrialStore, open_store
from trainer.training.fit import fit_encoder
from trainer.training.folds import fitted_folds
from trainer.training.splits import fold_options, split_hash

PERMUTATIONS, ASKED_FOLDS = 2000, 3
DEFAULT = "leave-one-run-out"
KNOWN_AGAIN = "pictures stand in training and test: p tells that pictures are known again, labels perhaps not"


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
    scores, fold_of = _scores_of_folds(trials, store.config, options, protocol, out, n_folds)
    tested = np.flatnonzero(fold_of != "")
    return trials.select_columns(tested), scores[tested], fold_of[tested]


def _scores_of_folds(
    trials: Trials,
    config: PreprocessingConfig,
    options: TrainOptions,
    protocol: str,
    out: Path | None = None,
    n_folds: int = 5,
) -> tuple[np.ndarray, np.ndarray]:
    """Return each trial's score and fold (n,), "" where no fold tests it; as `left_out_scores`."""
    if len(trials.labels) != 2:
        raise ValueError(f"{protocol} needs two labels, not {trials.labels}")
    scores, fold_of = np.zeros(len(trials)), np.full(len(trials), "", dtype=object)
    for fold, encoder in fitted_folds(trials, config, {}, options, protocol, out, n_folds, calibrated=False):
        if len(seen := np.unique(trials.label[fold.test])) < 2:
            raise ValueError(
                f"{protocol} {fold.name} tests {trials.labels[seen[0]]!r} only, and a ROC-AUC needs both labels; "
                f"choose another --protocol: {', '.join(PROTOCOLS)}"
            )
        read = as_read(trials, config, encoder.preprocessing)
        tested = by_sessions(
            read, with_new_sessions(encoder.normaliser, read, fold.test, encoder.preprocessing)
        ).unread(fold.test)
        outputs = predict(encoder, tested.eeg, people=tested.subject)
        scores[fold.test] = (outputs["prompts"][:, 1].double() - outputs["prompts"][:, 0].double()).numpy()
        fold_of[fold.test] = fold.name
    return scores, fold_of.astype(str)


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
        parts["val"] = parts["test"][:0]
        encoder = fit_encoder(chosen, parts, stores[name].config, {}, options, calibrated=False)
        test = as_read(chosen, stores[name].config, encoder.preprocessing).select(parts["test"])
        logits = predict(encoder, np.asarray(test.eeg), people=test.subject)["prompts"]
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
    refits: bool = True,
) -> dict:
    """Return a protocol's ROC-AUC in each fold, their mean with its interval, and a permutation p.

    Labels are shuffled and intervals drawn by what the design makes exchangeable (`units_of`). Folds share training
    trials, so shuffling tested labels alone would show too little spread: encoders that are fitted in closed form are
    fitted to shuffled labels too where p is not clear without (`null_of`). Without `refits` the usual spread is taken,
    for gradient descent the largest there can be.
    """
    trials, scores, fold_of = left_out_scores(store, options, protocol, out, n_folds)
    row, encoder = protocol_named(protocol), encoder_named(options.encoder.name)
    reads_labels = None if encoder.fit is None else encoder.fit_reads_labels
    refit = _refit(store, options, protocol, n_folds) if refits and reads_labels is not None else None
    everything, usual = store.trials() if refit else None, usual_spread(reads_labels)
    agreement = None if refit is None else halves_agree(store, options, protocol, n_folds)
    figures = auc_figures(scores, trials, seed, fold_of, refit, everything, row.by_picture, usual, agreement)
    right, unit = ((scores > 0) == trials.label).astype(float), units_of(trials, row.by_picture).unit
    spread = spread_of_answers(figures["inflation"])
    interval = share_interval(right, unit, spread, fold=None if row.by_picture else fold_of)
    return {**figures, "accuracy": float(right.mean()), "accuracy_interval": [float(b) for b in interval]}


def _refit(store: TrialStore, options: TrainOptions, protocol: str, n_folds: int) -> Callable[[np.ndarray], float]:
    """Return labels of all trials (n,) → the mean ROC-AUC of encoders fitted and tested by these."""
    trials = store.trials()
    named = replace(trials, caption=np.array(trials.labels)[trials.label])

    def score(label: np.ndarray) -> float:
        given = replace(named, label=label, caption=np.array(trials.labels)[label])
        scores, fold_of = _scores_of_folds(given, store.config, options, protocol, None, n_folds)
        tested = fold_of != ""
        return float(run_aucs(scores[tested], label[tested], fold_of[tested]).mean())

    return score


def halves_agree(store: TrialStore, options: TrainOptions, protocol: str, n_folds: int) -> float | None:
    """Return how alike encoders answer that are fitted to halves of a fold's training, the mean of three folds at most
    (`agreement_of`); None where a half is too small for one.
    """
    trials = store.trials()
    folds = list(protocol_named(protocol).folds(trials, fold_options(options, n_folds)))
    found, n = [], 0
    for fold in (folds[place] for place in np.unique(np.linspace(0, len(folds) - 1, ASKED_FOLDS).round().astype(int))):
        half = halves_of(trials.label[fold.train], units_of(trials.select_columns(fold.train)).unit)
        answers = []
        for one in (half, ~half):
            rows = fold.train[one]
            parts = {**fold.parts, "train": rows}
            try:
                encoder = fit_encoder(trials, parts, store.config, {}, options, calibrated=False)
            except ValueError:  # it lacks a label, or a fold inside it does
                return None
            outputs = predict(encoder, by_sessions(trials, encoder.normaliser).unread(fold.test).eeg)["prompts"]
            answers.append((outputs[:, 1].double() - outputs[:, 0].double()).numpy())
        found.append(agreement_of(answers[0], answers[1], trials.label[fold.test]))
        n += len(fold.test)
    return mean_agreement(found, n)


def auc_figures(
    scores: np.ndarray,
    trials: Trials,
    seed: int = 0,
    fold_of: np.ndarray | None = None,
    refit: Callable[[np.ndarray], float] | None = None,
    all_trials: Trials | None = None,
    by_picture: bool = False,
    usual: float = SHARED_AT_MOST,
    agreement: float | None = None,
) -> dict:
    """Return the ROC-AUC of scores for the second label (n,) in each fold, their mean, its interval and its p.

    fold_of: (n,), by default the trials' runs. refit: labels of `all_trials` (default trials) → mean ROC-AUC of
    decoders fitted to them. by_picture: folds are of pictures. usual: as `null_of`. agreement: as `spread_of_folds`;
    None where it is not known, and the widest is taken. Further as `cross_validated_figures` says.
    Raises ValueError where folds are too small.
    """
    fold_of = trials.run if fold_of is None else fold_of
    aucs = run_aucs(scores, trials.label, fold_of)
    value, shared = float(aucs.mean()), len(aucs) > 1
    units = units_of(trials, by_picture)
    n_shuffles = how_many(len(trials), PERMUTATIONS)
    permuted = permuted_aucs(scores, trials.label, fold_of, units.within(fold_of), n_shuffles, seed)
    if len(permuted) < n_shuffles / 2:
        raise ValueError(f"folds of {len(trials) // len(aucs)} trials are too small for a p; gather more trials")
    wide = trials if all_trials is None else all_trials
    null = null_of(
        value, permuted, units, trials.label, shared=shared, usual=usual, refit=refit,
        refit_units=units_of(wide, by_picture), refit_truth=wide.label,
        linked=units.linked(fold_of), seed=seed,
    )  # fmt: skip
    if shared and agreement is not None:
        inflation = spread_of_folds(null.inflation, agreement, len(aucs))
    else:
        inflation = null.spread_at(value, permuted)
    interval = auc_interval(scores, trials.label, fold_of, units.unit, inflation, between=not by_picture)
    return {
        "auc_mean": value,
        "auc_interval": [float(bound) for bound in interval],
        "auc_runs": [float(auc) for auc in aucs],
        "p_value": null.p_value,
        "p_text": null.text(),
        "p_least": null.least,
        "shuffled_auc": null.mean,
        "unit": null.unit,
        "note": KNOWN_AGAIN if units.linked(fold_of) and refit is None else "",
        "n_shuffles": null.n_drawn,
        "n_refits": null.n_refits,
        "inflation": inflation,
        "n_trials": len(trials),
    }


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
    right = figures["accuracy_interval"]
    metrics = {
        f"{protocol} ROC-AUC": f"{figures['auc_mean']:.3f} (95 % {low:.3f} to {high:.3f}, chance 0.5, "
        f"shuffled EEG {figures['shuffled_auc']:.3f}, {figures['p_text']}, n = {figures['n_trials']})",
        f"each {protocol_named(protocol).unit}": ", ".join(f"{auc:.3f}" for auc in figures["auc_runs"]),
        f"{protocol} accuracy of single trials": f"{figures['accuracy']:.3f} (95 % {right[0]:.3f} to {right[1]:.3f}, "
        "chance 0.5)",
    }
    if control is not None:
        metrics["the same with the pre-stimulus window"] = f"{control['auc_mean']:.3f} (control, expected 0.5)"
    encoder.card |= {
        "metrics": metrics,
        "summary": "decodes which of two kinds of picture a person saw; "
        "works for the person and headset it was fitted on, and is not expected to transfer to another person",
    }
    return encoder


def leak_checks(store: TrialStore, options: TrainOptions, protocol: str = DEFAULT, n_folds: int = 5) -> list[Check]:
    """Return the leak checks of a store and of every fold of a protocol."""
    trials = store.trials()
    folds = protocol_named(protocol).folds(trials, fold_options(options, n_folds))
    return fold_checks(store, trials, (fold.parts for fold in folds), options.targets.images)


def main() -> None:
    """Parse the command line, score, fit, write, and print the figures."""
    options = tyro.cli(CrossValidateOptions, description=__doc__)
    store, preset = open_store(options.data), with_flags(preset_named(options.preset), seed=options.seed)
    chosen, control = protocol_named(options.protocol).name, None
    checks = leak_checks(store, preset, chosen, options.n_folds)
    print_checks(checks)
    figures = cross_validated_figures(store, preset, options.seed, chosen, options.out / "folds", options.n_folds)
    if options.control:
        beside, out = open_store(options.control), options.out / "control-folds"
        control = cross_validated_figures(beside, preset, options.seed, chosen, out, options.n_folds)
    encoder = fit_all_runs(store, preset, figures, control, chosen, options.out / "all-runs")
    note_leaks(encoder, checks)
    save_encoder(encoder, options.out / "encoder.safetensors")
    written = {"leaks": verdict(checks), **figures, "prestimulus": control, "protocol": chosen}
    with write_atomically(options.out / "cross_validation.json") as beside:
        beside.write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
    print(encoder.card_text())


if __name__ == "__main__":
    run(main)
