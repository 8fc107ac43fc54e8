"""Retrieval of 200 unseen scenes from the phantom's EEG: published recipes beside each other and the ideal observer.

    python benchmarks/alignment.py [--quick] [--seeds 3] [--first-seed 10] [--epochs 40]

Simulated, never brain data. Each seed is a person of the perceptual geometry and a training. All recipes are brought to
the phantom's size alike (batch, learning rate, one fixed number of epochs) and keep their pictures' side, network, loss
and similarity; no published one was tuned here. The settings of `ours` were chosen on people 0 to 2 and 100 to 103, of
whom none is tested. `best` is the recipe with the highest top-1 among the 64 validation scenes, meaned over the seeds;
all recipes are tested. The phantom's world holds 864 scenes, so that 600 train, not the thousand and more of THINGS.

Beside it: people whose geometry is the image encoder's own, where aligning it must not help; four people, each tested
by what the other three taught (`loso`); SNR 0; and retrieval that sees all questions at once (`transductive`). The last
line is one JSON object.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.one_line import say_what_is_missing

say_what_is_missing()

import numpy as np
import torch

from core.model.checkpoint import EegEncoder
from core.scoring.identification import places, top_k_share
from core.scoring.intervals import mean_interval, share_interval
from core.scoring.retrieval import similarities
from core.scoring.scores import chance_interval
from core.scoring.transductive import recovered
from trainer.align import AlignOptions, align
from trainer.config.flags import with_flags
from trainer.config.options import TrainOptions
from trainer.config.presets import preset_named
from trainer.datasets import phantom
from trainer.datasets.phantom import PhantomOptions
from trainer.evaluation.decoding_report import decoded
from trainer.evaluation.phantom_truth import ideal_scores
from trainer.evaluation.retrieval.people import over_seeds
from trainer.prepare import prepare
from trainer.store.store import open_store, write_store
from trainer.targets.mixes.picture_side import load_sides
from trainer.targets.target import Target, trial_targets
from trainer.training.fit import fit_encoder
from trainer.training.folds import fitted_folds
from trainer.training.splits import split_trials, trials_at_use

CARD = "phantom-clip"
SMALL: dict[str, object] = {"batch": 64, "lr": 1e-3, "val_share": 0.0, "keep": "last", "patience": 0, "channels": "all"}
OWN_SNR = 0.1  # of people who see as the encoder does, so that nobody is at the ceiling
SHORT = ("kernel=13", "pool=17", "stride=4", "n_filters=32", "dropout=0.3")


def recipes(epochs: int, images: Path, aligned: Path) -> dict[str, TrainOptions]:
    """Return each recipe at the phantom's size."""
    half = epochs // 3
    small = {**SMALL, "epochs": epochs, "images": images}
    nice = with_flags(preset_named("alignvis-nice"), **small, space=(f"{CARD}.image",), set=SHORT, projector=128)
    return {
        "alignvis_nice": nice,
        "alignvis_nice_aligned": with_flags(nice, space=("aligned.image",), image_card=(aligned,)),
        "samga": with_flags(
            preset_named("samga"), **small, space=(f"{CARD}@2-3-4-5-6.image",), compare_width=128, set=("width=256",),
            mmd_epochs=half, second_stage=half, second_lr=5e-4,
        ),
        "ubp": with_flags(
            preset_named("ubp"), **small, space=(f"{CARD}.image",), image_blur=(13, 13, 15), image_blur_size=64,
            set=("width=256",),
        ),
        "blur_mix": with_flags(
            preset_named("blur-mix-rn50"), **small, space=(f"{CARD}.image",), image_blur=(1, 3, 5, 9, 13, 17),
            image_blur_size=64, set=("width=256", "hidden=64"),
        ),
        # Ours, as the preset `best`: with the aligned encoder, and with the plain one.
        "ours": with_flags(
            preset_named("best"), **small, space=("aligned.image",), image_card=(aligned,), set=SHORT, projector=128,
            compare_width=32,
        ),
        "ours_unaligned": with_flags(
            preset_named("best"), **small, space=(f"{CARD}.image",), set=SHORT, projector=128, compare_width=32
        ),
    }  # fmt: skip


def found(encoder: EegEncoder, trials, rows: np.ndarray, target: Target, options: TrainOptions):
    """Return queries, gallery, each query's own item, and the averaged trials, where they are compared."""
    test = trials_at_use(trials, rows, options.data)
    head = encoder.head(options.targets.space[0])
    outputs = decoded(encoder, trials, rows, options.data)[options.targets.space[0]]
    distinct, truth = np.unique(target.rows(test), return_inverse=True)
    gallery = head.comparable(target.values[torch.from_numpy(distinct)])
    return head.comparable(outputs), gallery, truth.reshape(-1), test, [target.names[i] for i in distinct]


def hits(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return top_k_share(*places(scores), 1)[np.arange(len(truth)), truth]


def trained(options: TrainOptions, store, out: Path):
    """Train one recipe on one person and return its encoder, trials, parts and settled target."""
    trials = store.trials()
    parts = split_trials(trials, options)
    space = options.targets.space[0]
    targets = trial_targets(trials.select_columns(np.arange(len(trials))), options.targets, store.folder / "targets")
    learnt = {**parts, "val": parts["val"][:0]}  # the epoch is fixed; validation scenes choose the recipe only
    encoder = fit_encoder(trials, learnt, store.config, targets, options, out, calibrated=False)
    return encoder, trials, parts, load_sides(out, targets, options.targets)[space]


def main() -> None:
    """Train, choose by validation, open the test, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--recipes", nargs="*", default=None)
    arguments = parser.parse_args()
    epochs, n_seeds = (4, 1) if arguments.quick else (arguments.epochs, arguments.seeds)
    seeds = range(arguments.first_seed, arguments.first_seed + n_seeds)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        print(json.dumps(measured(Path(place), epochs, seeds, arguments.recipes)))


def measured(folder: Path, epochs: int, seeds: range, chosen: list[str] | None) -> dict:
    """Return the figures of every recipe over the seeds, and those of the other worlds."""
    from PIL import Image

    from core.phantom.scenes import all_scenes, draw

    images, aligned = folder / "pictures", folder / "aligned.safetensors"
    images.mkdir()
    for scene in all_scenes():
        Image.fromarray(draw(scene)).save(images / f"{scene.id}.png")
    aligned_to("perceptual", aligned, folder / "cache")
    rows = {name: one for name, one in recipes(epochs, images, aligned).items() if not chosen or name in chosen}
    val: dict[str, list[float]] = {name: [] for name in rows}
    kept: dict[str, list[tuple]] = {name: [] for name in rows}
    ideal: list[float] = []
    null: dict[str, float] = {}
    for seed in seeds:
        for snr in (None, 0.0) if seed == seeds[0] else (None,):
            shape = person(seed) if snr is None else person(seed, snr=snr)
            store = open_store(prepare("phantom", None, folder / f"{seed}-{snr}", shape, progress=False).folder)
            for name, options in rows.items():
                if snr is not None and name not in ("alignvis_nice", "samga"):
                    continue
                options = with_flags(options, seed=seed, data=store.folder)
                out = folder / f"run-{seed}-{snr}-{name}"
                out.mkdir()
                made = trained(options, store, out)
                encoder, trials, parts, target = made
                if snr is not None:
                    query, gallery, truth, *_ = found(encoder, trials, parts["test"], target, options)
                    null[name] = float(hits(similarities(query, gallery).detach().numpy(), truth).mean())
                    continue
                query, gallery, truth, *_ = found(encoder, trials, parts["val"], target, options)
                val[name].append(float(hits(similarities(query, gallery).detach().numpy(), truth).mean()))
                kept[name].append((made, options))
                print(f"seed {seed} {name}: validation top-1 of 64 {val[name][-1]:.3f}", flush=True)
    candidates = [name for name in rows if name != "alignvis_nice_aligned"]
    best = max(candidates, key=lambda name: np.mean(val[name]))
    scored: dict[str, np.ndarray] = {}
    apart: dict[str, float] = {}
    for name in rows:
        own, moved = [], []
        for (encoder, trials, parts, target), options in kept[name]:
            query, gallery, truth, test, names = found(encoder, trials, parts["test"], target, options)
            own.append(hits(similarities(query, gallery).detach().numpy(), truth))
            moved.append(hits(recovered(query.detach().numpy(), gallery.detach().numpy()), truth).mean())
            if name == candidates[0]:
                store = open_store(options.data.store)
                scores = ideal_scores(test, names, store.config, store.info["provenance"])
                ideal.append(float(hits(scores, truth).mean()))
        scored[name], apart[name] = np.array(own), float(np.mean(moved))
    told = figures(scored, val, ideal, null, apart, best)
    told |= {"own_geometry": own_geometry(folder, epochs, seeds, images), "loso": loso(folder, rows, seeds, best)}
    return told | {"epochs": epochs, "seeds": list(seeds), "simulated": True}


def aligned_to(geometry: str, card: Path, cache: Path) -> None:
    """Write the phantom's image encoder aligned to a geometry's odd-one-out judgements."""
    align(AlignOptions(CARD, card, geometry=geometry, name="aligned", cache=cache, n_triplets=20000))


def person(seed: int, **more) -> PhantomOptions:
    """Return one person's sitting: 600 scenes to train on, 64 and 200 that are others."""
    shown: dict = {"geometry": "perceptual", "train_repeats": 2, "val_repeats": 4, "test_repeats": 4, **more}
    return PhantomOptions(subject=seed, seed=seed, **shown)


def own_geometry(folder: Path, epochs: int, seeds: range, images: Path) -> dict:
    """Return what aligning the encoder to its own geometry gives, for people who have that geometry."""
    aligned = folder / "own.safetensors"
    aligned_to("encoder", aligned, folder / "cache")
    both = {name: one for name, one in recipes(epochs, images, aligned).items() if name.startswith("alignvis_nice")}
    hit: dict[str, list[np.ndarray]] = {name: [] for name in both}
    for seed in seeds:
        shape = person(seed, geometry="encoder", snr=OWN_SNR)
        store = open_store(prepare("phantom", None, folder / f"own-{seed}", shape, progress=False).folder)
        for name, options in both.items():
            hit[name].append(tested(with_flags(options, seed=seed), store, folder / f"own-run-{seed}-{name}"))
    plain, other = (np.array(hit[name]) for name in ("alignvis_nice", "alignvis_nice_aligned"))
    difference = (other - plain).ravel()
    interval = list(mean_interval(difference, np.tile(np.arange(plain.shape[1]), len(plain))))
    return {"unaligned": float(plain.mean()), "aligned": float(other.mean()),
            "aligned_minus_unaligned": float(difference.mean()),
            "aligned_minus_unaligned_interval": interval}  # fmt: skip


def tested(options: TrainOptions, store, out: Path) -> np.ndarray:
    """Train one recipe on one person and return which of the test scenes it finds (200,)."""
    out.mkdir()
    encoder, trials, parts, target = trained(options, store, out)
    query, gallery, truth, *_ = found(encoder, trials, parts["test"], target, options)
    return hits(similarities(query, gallery).detach().numpy(), truth)


def loso(folder: Path, rows: dict[str, TrainOptions], seeds: range, best: str) -> dict:
    """Return how often a person's scene is found by what other people taught, of scenes that nobody trained on."""
    people = [person(seed) for seed in range(seeds[0], seeds[0] + 4)]
    every = [one for shape in people for one in phantom.sessions(None, shape)]
    write_store(folder / "people", every, phantom.preprocessing(None, people[0]),
                provenance=phantom.provenance(None, people[0]), progress=False)  # fmt: skip
    store = open_store(folder / "people")
    told = {}
    for name in dict.fromkeys(("alignvis_nice", best)):
        if name not in rows:
            continue
        options = with_flags(rows[name], data=store.folder)
        trials, space, out = store.trials(), options.targets.space[0], folder / f"loso-{name}"
        targets = trial_targets(trials.select_columns(np.arange(len(trials))), options.targets, folder / "targets")
        of = {}
        for fold, encoder in fitted_folds(trials, store.config, targets, options, "leave-one-subject-out", out,
                                          calibrated=False, keep_split=True):  # fmt: skip
            target = load_sides(out / fold.name, targets, options.targets)[space]
            query, gallery, truth, *_ = found(encoder, trials, fold.test, target, options)
            of[fold.name] = hits(similarities(query, gallery).detach().numpy(), truth)
        everyone = np.concatenate(list(of.values()))
        interval = share_interval(everyone, np.tile(np.arange(200), len(of)))
        told[name] = {"top1": float(everyone.mean()), "interval": [float(bound) for bound in interval],
                      "of_each": {who: float(hit.mean()) for who, hit in of.items()}, "chance": 0.005}  # fmt: skip
    return told


def figures(scored, val, ideal, null, apart, best: str) -> dict:
    """Return the figures as one object: test top-1 of 200, as shares of the ideal observer, and differences."""
    ceiling = float(np.mean(ideal))
    pictures = np.tile(np.arange(200), len(ideal))
    told: dict = {"k_averaged": 4, "gallery": 200, "chance": 0.005, "ideal_observer": ceiling, "best": best}
    for name, own in scored.items():
        low, high = share_interval(own.ravel(), pictures)
        told[name] = {"top1": float(own.mean()), "interval": [low, high], "share_of_ideal": float(own.mean()) / ceiling,
                      "validation_top1": float(np.mean(val[name])), "transductive_top1": apart[name],
                      "over_seeds": over_seeds(own.mean(1)) if len(own) > 1 else None}  # fmt: skip
    told["snr_0"] = {
        name: {"top1": value, "chance_95": list(chance_interval(200, 200))} for name, value in null.items()
    }
    for key, one, other in (
        ("best_minus_nice", best, "alignvis_nice"),
        ("aligned_minus_unaligned", "alignvis_nice_aligned", "alignvis_nice"),
    ):
        if one in scored and other in scored:
            difference = (scored[one] - scored[other]).ravel()
            told[key] = float(difference.mean())
            told[f"{key}_interval"] = list(mean_interval(difference, pictures))
    return told


if __name__ == "__main__":
    main()
