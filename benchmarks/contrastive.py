"""What contrastive features know of the class, beside the ideal observer: phantom, 40 classes, 14 and 128 channels.

    python benchmarks/contrastive.py [--quick] [--montages epoc-14 10-05-128] [--seed 0]

A linear probe is fitted to the features of training trials and scored on test trials, whose scenes were never shown in
training; the ideal observer's posterior of a class is summed over the class's 18 scenes. Both see the same windows:
eight repeats averaged ("averaged"), or single trials ("single"). Beside f_θ stand the published LSTM with the same
triplets, the same network untrained, the probe on the windows themselves, and everything again at SNR 0.
"""

import argparse
import json
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.one_line import say_what_is_missing

say_what_is_missing()

import numpy as np
import torch

from core.preprocessing.trials import Trials
from core.scoring.scores import bootstrap_interval, chance_interval, permutation_p, shuffled_baseline, topk_accuracy
from trainer.config.flags import with_flags
from trainer.config.options import TrainOptions
from trainer.config.presets import preset_named
from trainer.datasets.phantom import PhantomOptions
from trainer.evaluation.phantom_truth import ideal_scores
from trainer.prepare import prepare
from trainer.store.store import open_store
from trainer.training.build import build_for
from trainer.training.contrastive import train_contrastive
from trainer.training.probes import cluster_accuracy, features, linear_probe, neighbour_accuracy
from trainer.training.splits import split_trials, trials_at_use

N_CLASSES = 40


def measured(function, *arguments):
    """Return what a function returns in a process of its own, its seconds, and that process's peak memory in MB."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_measure, function, arguments).result()


def _measure(function, arguments):
    import resource

    torch.set_num_threads(1)
    started = time.monotonic()
    found = function(*arguments)
    seconds = time.monotonic() - started
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10  # bytes there, kilobytes elsewhere
    return found, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def prepared(folder: Path, shown: PhantomOptions) -> Path:
    """Simulate a sitting and cut it into a store."""
    prepare("phantom", None, folder, shown, progress=False)
    return folder


def options_of(name: str, store: Path, seed: int, epochs: int) -> TrainOptions:
    """Return the stage's options: f_θ as the preset has it, or the published LSTM with the same triplets."""
    options = with_flags(
        preset_named("neuroimagen"), data=store, space=("prompts",), gan_epochs=0, seed=seed, contrastive=epochs
    )
    if name == "lstm":
        # The published width and depth and its usual rate and decay; random averages, which overfit it least.
        return with_flags(options, encoder="lstm", set=(), average="random", lr=1e-3, weight_decay=0.0)
    return options


def scored(scores: np.ndarray, test: Trials) -> dict:
    """Return accuracy with its interval over pictures, p against permuted classes, and the score of shuffled EEG."""
    right = (scores.argmax(1) == test.label).astype(float)

    def top1(found: np.ndarray, truth: np.ndarray) -> float:
        return topk_accuracy(found, truth, (1,))[1]

    return {
        "accuracy": float(right.mean()),
        "interval": list(bootstrap_interval(right, groups=test.image_id)),
        "p_value": permutation_p(scores, test.label, top1, 1000),
        "shuffled_eeg": shuffled_baseline(scores, test.label, top1, 200),
        "n": len(test),
    }


def both_averagings(trials: Trials, parts: dict, options: TrainOptions) -> dict[str, tuple[Trials, Trials]]:
    """Return training and test trials, single and with each picture's repeats averaged."""
    data = replace(options.data, average="all")
    averaged = tuple(trials_at_use(trials, parts[name], data) for name in ("train", "test"))
    return {"averaged": averaged, "single": (trials.select(parts["train"]), trials.select(parts["test"]))}


def probed(found: dict[str, tuple[np.ndarray, np.ndarray]], trials: dict[str, tuple[Trials, Trials]]) -> dict:
    """Return the linear probe's scores, and nearest neighbours' and k-means' accuracy, for both averagings."""
    figures = {}
    for name, (train, test) in trials.items():
        seen, own = found[name]
        figures[name] = scored(linear_probe(seen, train.label, own, N_CLASSES), test) | {
            "knn": neighbour_accuracy(seen, train.label, own, test.label),
            "kmeans": cluster_accuracy(seen, train.label, own, test.label),
        }
    return figures


def features_of(encoder, trials: dict[str, tuple[Trials, Trials]]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {name: (features(encoder, train.eeg), features(encoder, test.eeg)) for name, (train, test) in trials.items()}


def loaded(options: TrainOptions):
    store = open_store(options.data.store)
    trials = store.trials()
    return store, trials, split_trials(trials, options)


def contrastive_features(options: TrainOptions, folder: Path) -> tuple[dict, int, int]:
    """Train f_θ and return its features, its parameters and the epoch that validation chose."""
    store, trials, parts = loaded(options)
    encoder = build_for(trials, parts["train"], store.config, options, {})
    progress = train_contrastive(encoder, trials, parts, options, folder)
    n_parameters = sum(parameter.numel() for parameter in encoder.backbone.parameters())
    return features_of(encoder, both_averagings(trials, parts, options)), n_parameters, progress.best_epoch


def f_theta(options: TrainOptions, folder: Path) -> dict:
    """Return a trained backbone's figures with the seconds and the memory of its training."""
    (found, n_parameters, epoch), seconds, peak = measured(contrastive_features, options, folder)
    _, trials, parts = loaded(options)
    return {
        **probed(found, both_averagings(trials, parts, options)),
        "parameters": n_parameters,
        "epochs": options.stages.contrastive.epochs,
        "best_epoch": epoch,
        "train_s": round(seconds, 1),
        "peak_mb": round(peak),
    }


def baselines(options: TrainOptions) -> dict:
    """Return the probe on the untrained network's features and on the windows themselves."""
    store, trials, parts = loaded(options)
    encoder = build_for(trials, parts["train"], store.config, options, {})
    both = both_averagings(trials, parts, options)
    windows = {
        name: tuple(1e6 * np.asarray(part.eeg).reshape(len(part), -1) for part in pair) for name, pair in both.items()
    }
    return {"untrained": probed(features_of(encoder, both), both), "windows": probed(windows, both)}


def ideal(options: TrainOptions) -> dict[str, dict]:
    """Return the ideal observer's scores for both averagings."""
    store, trials, parts = loaded(options)
    found = {}
    for name, (_, test) in both_averagings(trials, parts, options).items():
        scores = ideal_scores(test, list(trials.labels), store.config, store.info["provenance"])
        found[name] = scored(scores, test)
    return found


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--montages", nargs="+", default=["epoc-14", "10-05-128"])
    parser.add_argument("--quick", action="store_true", help="fewer epochs, 14 channels only")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    epochs, montages = (15, ["epoc-14"]) if arguments.quick else (60, arguments.montages)
    figures: dict = {
        "classes": N_CLASSES,
        "chance": 1 / N_CLASSES,
        "backbone": preset_named("neuroimagen").encoder.name,
    }
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for montage in montages:
            shown = PhantomOptions(classes=N_CLASSES, montage=montage, subject=arguments.seed, seed=arguments.seed)
            store, seconds, peak = measured(prepared, Path(folder) / montage, shown)
            options = options_of("chosen", store, arguments.seed, epochs)
            row = {"prepare_s": round(seconds, 1), "prepare_mb": round(peak), **baselines(options)}
            row["ideal"], seconds, peak = measured(ideal, options)
            row |= {"ideal_s": round(seconds, 1), "ideal_mb": round(peak)}
            for name in ("chosen", "lstm"):
                row[name] = f_theta(options_of(name, store, arguments.seed, epochs), Path(folder) / f"{montage}-{name}")
            for name in ("averaged", "single"):
                n = row["ideal"][name]["n"]
                row[f"chance_interval_{name}"] = list(chance_interval(n, N_CLASSES))
                row[f"over_ideal_{name}"] = row["chosen"][name]["accuracy"] / row["ideal"][name]["accuracy"]
                row[f"over_ideal_{name}_interval"] = [
                    bound / row["ideal"][name]["accuracy"] for bound in row["chosen"][name]["interval"]
                ]
            figures[montage] = row
            found, best = row["chosen"]["averaged"]["accuracy"], row["ideal"]["averaged"]["accuracy"]
            print(f"{montage}: f_θ {found:.3f}, ideal observer {best:.3f}", flush=True)
        null = PhantomOptions(classes=N_CLASSES, snr=0.0, subject=arguments.seed, seed=arguments.seed)
        store = prepared(Path(folder) / "null", null)
        options = options_of("chosen", store, arguments.seed, epochs)
        figures["snr_0"] = {**f_theta(options, Path(folder) / "null-run"), "ideal": ideal(options)}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
