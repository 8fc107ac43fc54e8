"""The saliency head on the phantom: SSIM of its pictures to the seen ones, beside the mean map and swapped EEG.

    python benchmarks/saliency.py [--conditions epoc-14 10-05-128 null] [--quick]

Forty classes, test pictures never trained on. A test picture's own decoding is held against the mean training picture,
against the one picture that is best for SSIM, and against the decodings of other test pictures, of any class and of the
same class (so that only place, size and noise differ). The same at SNR 0, where swapping may change nothing. Prints one
JSON object as its last line.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.one_line import say_what_is_missing

say_what_is_missing()

import numpy as np
import torch
from torch import Tensor

from core.conditioning.conditioning import condition
from core.model.checkpoint import EegEncoder
from core.model.prediction import encode_ready
from core.scoring.scores import bootstrap_interval
from trainer.config.flags import with_flags
from trainer.config.options import TrainOptions
from trainer.config.presets import preset_named
from trainer.datasets.phantom import PhantomOptions
from trainer.evaluation.picture_metrics import ssim
from trainer.losses.picture import ssim_loss
from trainer.prepare import prepare
from trainer.targets.target import trial_targets
from trainer.training import contrastive, gan, loop
from trainer.training import fit as fitting
from trainer.training.splits import split_trials, trials_at_use

FLIPS = 10_000
NULL = "null"
SWAPS = 8  # other trials whose decoding each picture is held against


@contextmanager
def timed(stages: dict[str, dict[str, float]]):
    """Note seconds and largest memory so far of each stage of training, as `fit_encoder` calls them."""
    inside = {
        "contrastive": (contrastive, "train_contrastive"),
        "heads": (loop, "train_loop"),
        "gan": (gan, "train_gan"),
    }
    kept = {name: getattr(module, function) for name, (module, function) in inside.items()}

    def around(name: str):
        def run(*arguments, **named):
            started = time.perf_counter()
            found = kept[name](*arguments, **named)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            stages[name] = {"seconds": round(time.perf_counter() - started, 1), "peak_mb": round(peak)}
            return found

        return run

    try:
        for name, (module, function) in inside.items():
            setattr(module, function, around(name))
        yield
    finally:
        for name, (module, function) in inside.items():
            setattr(module, function, kept[name])


@torch.inference_mode()
def pictures_of(encoder: EegEncoder, eeg: np.ndarray) -> Tensor:
    """Return what the encoder draws (n, 3, size, size) for windows in volts, as the hosts get it."""
    found = [
        condition(encoder, encode_ready(encoder, eeg[i : i + 128]), space="saliency") for i in range(0, len(eeg), 128)
    ]
    return torch.cat([one.picture for one in found]).clamp(0, 1)


def difference(one: np.ndarray, other: np.ndarray, seed: int) -> dict:
    """Return the mean paired difference over pictures (n,), its bootstrap interval and its two-sided sign-flip p."""
    apart = one - other
    rng = np.random.default_rng([seed, 41])
    flipped = np.abs((rng.choice([-1.0, 1.0], (FLIPS, len(apart))) * apart).mean(1))
    p = (1 + (flipped >= abs(apart.mean()) - 1e-15).sum()) / (1 + FLIPS)
    return {"difference": float(apart.mean()), "interval": [float(b) for b in bootstrap_interval(apart)], "p": float(p)}


def best_constant(pictures: Tensor, mean: Tensor, steps: int = 60) -> Tensor:
    """Return the one picture (3, H, W) with the highest mean SSIM to training pictures (n, 3, H, W), found by descent.

    What a decoder that knows nothing but was trained for SSIM draws: a little better than the mean picture.
    """
    drawn = mean.clone().requires_grad_(True)
    optimiser = torch.optim.Adam([drawn], lr=5e-3)
    for _ in range(steps):
        optimiser.zero_grad()
        ssim_loss(drawn.expand_as(pictures), pictures).backward()
        optimiser.step()
    return drawn.detach().clamp(0, 1)


def scores(decoded: Tensor, seen: Tensor, mean: Tensor, constant: Tensor, label: np.ndarray, seed: int) -> dict:
    """Return SSIM of decoded to seen pictures, both (n, 3, H, W), and the paired differences it is judged by."""
    n = len(seen)
    own, mean_map = ssim(decoded, seen).numpy(), ssim(mean.expand_as(seen), seen).numpy()
    same = ssim(constant.expand_as(seen), seen).numpy()
    order = np.random.default_rng([seed, 40]).permutation(n)
    place = np.argsort(order)
    rolled = [order[(place + step) % n] for step in range(1, SWAPS + 1)]  # never a picture's own
    swapped = np.mean([ssim(decoded[partner], seen).numpy() for partner in rolled], axis=0)
    alike = (label[:, None] == label[None]) & ~np.eye(n, dtype=bool)
    wanted, drawn = np.nonzero(alike)
    has = alike.any(1)
    each = ssim(decoded[drawn], seen[wanted]).numpy()
    within = np.bincount(wanted, each, n)[has] / alike.sum(1)[has]
    return {
        "n": n,
        "ssim": float(own.mean()),
        "ssim_mean_map": float(mean_map.mean()),
        "ssim_best_constant": float(same.mean()),
        "ssim_swapped": float(swapped.mean()),
        "ssim_swapped_within_class": float(within.mean()),
        "minus_mean_map": difference(own, mean_map, seed),
        "minus_best_constant": difference(own, same, seed),
        "minus_swapped": difference(own, swapped, seed),
        "minus_swapped_within_class": {**difference(own[has], within, seed), "n": int(has.sum())},
    }


def measure(montage: str, snr: float | None, options: TrainOptions, folder: Path) -> dict:
    """Simulate, train and score one person; snr None is the phantom's own."""
    changed = {} if snr is None else {"snr": snr}
    simulated = PhantomOptions(
        classes=40, montage=montage, seed=options.training.seed, subject=options.training.seed, **changed
    )
    started = time.perf_counter()
    store = prepare("phantom", None, folder / "store", simulated, progress=False)
    stages: dict[str, dict[str, float]] = {"prepare": {"seconds": round(time.perf_counter() - started, 1)}}
    trials = store.trials()
    parts = split_trials(trials, options)
    targets = trial_targets(trials, options.targets, folder / "targets")
    with timed(stages):
        encoder = fitting.fit_encoder(trials, parts, store.config, targets, options, folder / "run")
    test, target, head = (
        trials_at_use(trials, parts["test"], options.data),
        targets["saliency"],
        encoder.head("saliency"),
    )
    seen = target.values[torch.from_numpy(target.rows(test))].view(-1, *target.shape)
    decoded = pictures_of(encoder, np.asarray(test.eeg))
    mean = head.target_mean.view(target.shape)
    shown = np.unique(target.rows(trials.select_columns(parts["train"])))
    constant = best_constant(target.values[torch.from_numpy(shown)].view(-1, *target.shape), mean)
    found = scores(decoded, seen, mean, constant, test.label, options.training.seed)
    if options.stages.gan.epochs:
        rows = [json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()]
        last = [row for row in rows if row.get("stage") == "gan"]
        found |= {"val_ssim_before_gan": last[0]["val_ssim_before"], "val_ssim": max(row["val_ssim"] for row in last)}
    parameters = sum(p.numel() for p in head.parameters())
    return {**found, "draws": head.config.draws, "generator_parameters": parameters, "stages": stages}


def main() -> None:
    """Measure each montage at the phantom's SNR, EPOC's at SNR 0 too, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--conditions", nargs="+", default=["epoc-14", "10-05-128", NULL], help="montages, or null")
    parser.add_argument("--preset", default="saliency")
    parser.add_argument("--contrastive", type=int, default=None)
    parser.add_argument("--epochs", type=int, default=None)
    parser.add_argument("--gan-epochs", type=int, default=None)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="few epochs")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    options = with_flags(preset_named(arguments.preset), seed=arguments.seed)
    if arguments.quick:
        options = with_flags(options, contrastive=20, epochs=20, gan_epochs=3)
    for name in ("contrastive", "epochs", "gan_epochs"):
        if (value := getattr(arguments, name)) is not None:
            options = with_flags(options, **{name: value})
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.conditions:
            montage, snr = ("epoc-14", 0.0) if name == NULL else (name, None)
            found[name] = measure(montage, snr, options, Path(folder) / name)
            print(name, json.dumps(found[name]), flush=True)
    print(json.dumps({"simulated": True, "seed": arguments.seed, "epochs": options.training.epochs,
                      "gan_epochs": options.stages.gan.epochs,
                      "alphas": options.training.alphas, **found}))  # fmt: skip


if __name__ == "__main__":
    main()
