"""How often p is small where there is nothing, and how often intervals hold the truth.

    python benchmarks/null_calibration.py [--kinds NAME ...] [--experiments 300] [--seed 0] [--out FILE]

Every experiment draws a data set, and the project's own commands score it: `cross_validated_figures`,
`fit_personal_encoder`, `prompt_entries`, `retrieval_entries`, `joined_interval` of protocols, `decode_labels`. On
noise p <= 0.05 should come in 0.03 to 0.07 of them and p <= 0.01 in at most 0.02; intervals should cover in 0.93 to
0.97.

What is covered: of one split, the score that its encoder would get on endless trials of the same people; of folds, the
expected score of encoders fitted to as many trials (0.5 on noise, else the mean of all the kind's experiments; where
pictures recur in training and test they are known again, so that it lies above 0.5, and p alone says that it is no
answer to the label); of retrieval, the expected share for pictures drawn anew. Everything here is made up; nothing is
brain data.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.one_line import say_what_is_missing

say_what_is_missing()

import numpy as np
import torch

from core.fitting.personal_encoder import fit_personal_encoder
from core.model.heads import Head, HeadConfig
from core.model.prediction import predict
from core.preprocessing.config import PreprocessingConfig
from core.preprocessing.trials import Trials, build_trials
from core.recording import Event, Recording
from core.scoring.scores import roc_auc
from trainer.config.flags import with_flags
from trainer.config.options import TrainOptions
from trainer.config.presets import preset_named
from trainer.cross_validate import cross_validated_figures
from trainer.evaluation.decoding_scores import prompt_entries, retrieval_entries
from trainer.evaluation.design import retrieval_units, units_of
from trainer.quality.decodability import decode_labels
from trainer.training.fit import fit_encoder

CHANNELS, SFREQ, N_TIMES = ("O1", "O2", "P7", "P8"), 64.0, 24
CONFIG = PreprocessingConfig(ch_names=CHANNELS, sfreq=SFREQ, tmin=0.0, tmax=N_TIMES / SFREQ)
PATTERN = np.outer([0.6, -0.4, 1.0, 0.3], np.sin(np.arange(N_TIMES) / 4))
BANDS = {"p05": (0.03, 0.07), "p01": (0.0, 0.02), "coverage": (0.93, 0.97)}


@dataclass(frozen=True)
class Result:
    """One score of one experiment. truth: what its interval should hold; None takes the mean of all experiments."""

    value: float
    interval: tuple[float, float]
    p: float | None = None
    truth: float | None = None


Experiment = Callable[[np.random.Generator], dict[str, Result]]


class MadeUp:
    """A store in memory."""

    config = CONFIG

    def __init__(self, trials: Trials) -> None:
        self._trials = trials

    def trials(self) -> Trials:
        """Return every trial."""
        return self._trials


def made_up(
    rng: np.random.Generator,
    *,
    runs: int = 3,
    people: int = 1,
    per_run: int = 40,
    strength: float = 0.0,
    pictures: int = 0,
    block: int = 0,
    share: float = 0.5,
    apart: float = 0.0,
) -> Trials:
    """Return trials (people * runs * per_run) of two labels in noise.

    strength: of the labels' difference. pictures: how many, each with a response of its own, shown in every run; 0
    shows each once. block: trials of one label in a row, each block with an offset of its own. share: of the second
    label. apart: by how much people differ in strength.
    """
    n = people * runs * per_run
    run = np.arange(n) // per_run
    person = run // runs
    image = np.arange(n)
    if pictures:
        of_picture = rng.permutation(np.arange(pictures) % 2)
        image = np.concatenate([rng.permutation(np.arange(per_run) % pictures) for _ in range(people * runs)])
        label = of_picture[image]
    elif block:
        first = np.concatenate([rng.permutation(np.arange(per_run // block) % 2) for _ in range(people * runs)])
        label = np.repeat(first, block)
    else:
        label = (rng.random(n) < share).astype(int)
    own = np.maximum(0.0, strength + apart * rng.standard_normal(people)) if strength else np.zeros(people)
    eeg = rng.standard_normal((n, *PATTERN.shape)) + (own[person] * (label - 0.5))[:, None, None] * PATTERN
    if pictures:
        eeg += 0.5 * rng.standard_normal((pictures, *PATTERN.shape))[image]
    if block:
        eeg += 0.3 * rng.standard_normal((n // block, *PATTERN.shape))[np.arange(n) // block]
    rows = [
        {"label": "ab"[label[i]], "run": f"r{run[i]}", "subject": f"s{person[i]}", "image_id": f"p{image[i]}",
         "onset": float(i), "block": f"b{i // block}" if block else ""}
        for i in range(n)
    ]  # fmt: skip
    return build_trials((1e-5 * eeg).astype(np.float32), rows, ("a", "b"))


def options_of(encoder: str) -> TrainOptions:
    """Return the N170 preset with an encoder of this architecture."""
    options = with_flags(preset_named("n170"), encoder=encoder)
    return with_flags(options, set=("n_bins=6",)) if encoder == "linear" else options


def folds(encoder: str = "linear", protocol: str = "leave-one-run-out", **design: float) -> Experiment:
    """Return an experiment that cross-validates an encoder."""

    def run(rng: np.random.Generator) -> dict[str, Result]:
        trials = made_up(rng, **design)  # type: ignore[arg-type]
        seed = int(rng.integers(1 << 30))
        found = cross_validated_figures(MadeUp(trials), options_of(encoder), seed, protocol)  # type: ignore[arg-type]
        chance = None if design.get("strength") or design.get("pictures") else 0.5
        return {
            "": Result(found["auc_mean"], found["auc_interval"], found["p_value"], chance),
            " accuracy": Result(found["accuracy"], found["accuracy_interval"]),
        }

    return run


def split(n_test: tuple[int, int] = (80, 160), **design: float) -> Experiment:
    """Return an experiment that tests one encoder on trials of its own, and on endless ones for the truth."""

    def run(rng: np.random.Generator) -> dict[str, Result]:
        design_seed = int(rng.integers(1 << 30))
        n, more = int(rng.integers(*n_test)), 3000
        n_pictures = int(design.get("pictures", 0))
        trials = made_up(np.random.default_rng(design_seed), runs=1, per_run=120 + n + more, **{
            **design, "pictures": 0})  # type: ignore[arg-type]  # fmt: skip
        rows = np.split(np.arange(len(trials)), [120, 120 + n])
        if n_pictures:
            trials = with_pictures(trials, rows, n_pictures, rng)
        parts = {"train": rows[0], "val": rows[0][:0], "test": rows[1]}
        encoder = fit_encoder(trials, parts, CONFIG, {}, options_of("linear"), calibrated=False)
        logits = predict(encoder, np.asarray(trials.eeg))["prompts"]
        test, label = trials.select_columns(rows[1]), trials.label
        entries = prompt_entries(encoder.head("prompts"), logits[rows[1]], test.label, label[rows[0]], units_of(test))
        score = (logits[:, 1] - logits[:, 0]).numpy()
        truths = [float(((score > 0) == label)[rows[2]].mean()), roc_auc(score[rows[2]], label[rows[2]])]
        return {
            name: Result(entry["value"], entry["interval"], entry["p_value"], truth)
            for name, entry, truth in zip((" accuracy", ""), entries, truths, strict=True)
        }

    return run


def with_pictures(trials: Trials, rows: list[np.ndarray], n: int, rng: np.random.Generator) -> Trials:
    """Return the trials with the tested ones showing n pictures again and again, each with a response of its own, and
    all others showing a picture of their own.
    """
    eeg, label, image = np.array(trials.eeg), trials.label.copy(), np.arange(len(trials))
    shown = rng.permutation(np.arange(len(rows[1])) % n)
    image[rows[1]] = len(trials) + shown
    label[rows[1]] = rng.permutation(np.arange(n) % 2)[shown]
    eeg[rows[1]] += 0.7e-5 * rng.standard_normal((n, *PATTERN.shape))[shown].astype(np.float32)
    others = np.concatenate([rows[0], rows[2]])
    eeg[others] += 0.7e-5 * rng.standard_normal((len(others), *PATTERN.shape)).astype(np.float32)
    return replace(trials, eeg=eeg, label=label, caption=np.array(trials.labels)[label], image_id=image.astype(str))


def personal(
    strength: float = 0.0,
    share: float = 0.5,
    block: int = 0,
    architecture: str = "linear",
    n: tuple[int, int] = (80, 140),
) -> Experiment:
    """Return an experiment that fits a personal encoder to a recording of one event a second."""

    def run(rng: np.random.Generator) -> dict[str, Result]:
        n_events = int(rng.integers(*n))
        label = (rng.random(n_events) < share).astype(int)
        if block:
            label = np.repeat(rng.permutation(np.arange(n_events // block + 1) % 2), block)[:n_events]
        data = rng.standard_normal((len(CHANNELS), round((n_events + 2) * SFREQ)))
        for number, one in enumerate(label):
            start = round((number + 1) * SFREQ)
            data[:, start : start + N_TIMES] += strength * (one - 0.5) * PATTERN
        if block:
            drift = 0.3 * rng.standard_normal((len(CHANNELS), n_events // block + 2))
            data += drift[:, np.clip((np.arange(data.shape[1]) / SFREQ - 0.5).astype(int) // block, 0, None)]
        events = tuple(Event(float(number + 1), 0.0, "ab"[one]) for number, one in enumerate(label))
        recording = Recording((1e-5 * data).astype(np.float32), SFREQ, CHANNELS, None, events)
        found = fit_personal_encoder(
            recording, architecture=architecture, tmin=0.0, tmax=N_TIMES / SFREQ, l_freq=None, h_freq=None
        ).figures
        interval = (found["accuracy_low"], found["accuracy_high"])
        area = (found["roc_auc_low"], found["roc_auc_high"])
        return {
            "": Result(found["accuracy"], interval, found["p_value"]),
            " ROC-AUC": Result(found["roc_auc"], area),
        }

    return run


def guesses(right: float, n_labels: int, n: tuple[int, int] = (80, 300)) -> Experiment:
    """Return an experiment of answers that are right as often as said, whatever the decoder."""

    def run(rng: np.random.Generator) -> dict[str, Result]:
        label = rng.integers(n_labels, size=int(rng.integers(*n)))
        wrong = (label + rng.integers(1, n_labels, size=len(label))) % n_labels
        answer = np.where(rng.random(len(label)) < right, label, wrong)
        head = Head(HeadConfig("prompts", "prompts", prompts=tuple(map(str, range(n_labels)))), 1, 4)
        trials = build_trials(
            np.zeros((len(label), 0, 0), np.float32),
            [{"label": str(one), "onset": float(i), "image_id": f"p{i}"} for i, one in enumerate(label)],
            tuple(map(str, range(n_labels))),
        )
        logits = torch.nn.functional.one_hot(torch.from_numpy(answer), n_labels).float()
        entry = prompt_entries(head, logits, label, label, units_of(trials))[0]
        return {"": Result(entry["value"], entry["interval"], None, right)}

    return run


def retrieval(
    strength: float = 0.0, n_pictures: int = 60, repeats: int = 1, width: int = 16, people: int = 1
) -> Experiment:
    """Return an experiment that finds pictures, each shown `repeats` times, by vectors that hold them in noise."""

    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        gallery = rng.standard_normal((n_pictures, width))
        truth = np.repeat(np.arange(n_pictures), repeats)
        own = 0.7 * rng.standard_normal((n_pictures, width))[truth]  # what each picture evokes beside what it shows
        noise = rng.standard_normal((len(truth), width))
        return gallery, truth, strength * gallery[truth] + own + noise

    def run(rng: np.random.Generator) -> dict[str, Result]:
        gallery, truth, found = draw(rng)
        head = Head(HeadConfig("made-up.image", "linear", shape=(width,)), 1, 4)
        rows = [{"label": f"p{one}", "onset": float(i), "image_id": f"p{one}"} for i, one in enumerate(truth)]
        trials = build_trials(np.zeros((len(truth), 0, 0), np.float32), rows)
        entries, _ = retrieval_entries(
            head, torch.from_numpy(found).float(), torch.from_numpy(gallery).float(), truth,
            units=retrieval_units(trials, truth),
        )  # fmt: skip
        return {
            f" top-{entry['name'].rsplit('-', 1)[1]}": Result(entry["value"], entry["interval"], entry["p_value"])
            for entry in entries[::2]
        }

    return run


def quality(runs: int = 1, per_run: int = 100, **design: float) -> Experiment:
    """Return an experiment of the labels' decodability, which `prepare` prints."""

    def run(rng: np.random.Generator) -> dict[str, Result]:
        trials = made_up(rng, runs=runs, per_run=per_run, **design)  # type: ignore[arg-type]
        found = decode_labels(
            np.asarray(trials.eeg), trials.label, trials.labels, trials.subject, trials.run, trials.onset, 0.5
        )
        assert found.value is not None
        assert found.interval is not None
        return {"": Result(found.value, found.interval, found.p_value, None if design.get("strength") else 0.5)}

    return run


# name: (experiment, whether there is nothing to find)
KINDS: dict[str, tuple[Experiment, bool]] = {
    "one split": (split(), True),
    "one split, signal": (split(strength=0.6), False),
    "one split, 30:70": (split(share=0.7), True),
    "one split, recurring pictures": (split(pictures=24), True),
    "2 runs": (folds(runs=2), True),
    "3 runs": (folds(runs=3), True),
    "6 runs": (folds(runs=6, per_run=24), True),
    "3 runs, 30:70": (folds(runs=3, share=0.7), True),
    "3 runs, signal": (folds(runs=3, strength=0.4), False),
    "3 runs, strong signal": (folds(runs=3, strength=1.3), False),
    "2 runs, tangent": (folds("tangent", runs=2), True),
    "3 runs, tangent": (folds("tangent", runs=3), True),
    "3 runs, tangent, signal": (folds("tangent", runs=3, strength=0.8), False),
    "recurring pictures": (folds(runs=3, pictures=20), True),
    "folds of pictures": (folds(protocol="k-fold-by-picture", runs=2, per_run=60, pictures=30), True),
    "6 people": (folds(protocol="leave-one-subject-out", runs=1, people=6, per_run=30), True),
    "6 people, signal": (folds(protocol="leave-one-subject-out", runs=1, people=6, per_run=30, strength=0.6, apart=0.3),
                         False),
    "blocks": (folds(runs=4, per_run=40, block=5), True),
    "personal": (personal(), True),
    "personal, 30:70": (personal(share=0.7), True),
    "personal, blocks": (personal(block=8), True),
    "personal, tangent": (personal(architecture="tangent"), True),
    "personal, signal": (personal(strength=0.6), False),
    "personal, accuracy near 1": (personal(strength=1.15), False),
    "retrieval": (retrieval(), True),
    "retrieval, recurring pictures": (retrieval(repeats=6, n_pictures=20), True),
    "retrieval, signal": (retrieval(strength=1.0), False),
    "retrieval, signal, recurring pictures": (retrieval(strength=1.0, repeats=6, n_pictures=20), False),
    "accuracy 0.02": (guesses(0.02, 50), False),
    "accuracy 0.97": (guesses(0.97, 2), False),
    "quality, one run": (quality(), True),
    "quality, 4 runs": (quality(runs=4, per_run=30), True),
}  # fmt: skip


def experiments_of(name: str, n: int, seed: int) -> dict[str, dict]:
    """Return the shares of each score of a kind over n experiments."""
    experiment, nothing = KINDS[name]
    number = sorted(KINDS).index(name)
    found: dict[str, list[Result]] = {}
    for i in range(n):
        for score, result in experiment(np.random.default_rng([seed, number, i])).items():
            found.setdefault(name + score, []).append(result)
    rows = {}
    for score, results in found.items():
        mean = float(np.mean([one.value for one in results]))
        inside = [low <= (mean if one.truth is None else one.truth) <= high
                  for one in results for low, high in [one.interval]]  # fmt: skip
        row = {"coverage": float(np.mean(inside)), "mean": mean}
        if nothing and (p := [one.p for one in results if one.p is not None]):
            row |= {"p05": float(np.mean(np.array(p) <= 0.05)), "p01": float(np.mean(np.array(p) <= 0.01))}
        rows[score] = row
    return rows


def main() -> None:
    """Parse the command line, run the experiments, print the shares and one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--kinds", nargs="*", default=[], choices=sorted(KINDS), metavar="NAME", help=", ".join(KINDS))
    parser.add_argument("--experiments", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="also write the JSON object here")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    table: dict[str, dict] = {"p05": {}, "p01": {}, "coverage": {}}
    seconds = {}
    for name in arguments.kinds or KINDS:
        begun = time.perf_counter()
        for score, row in experiments_of(name, arguments.experiments, arguments.seed).items():
            said = []
            for key, (low, high) in BANDS.items():
                if key in row:
                    table[key][score] = round(row[key], 4)
                    said.append(f"{key} {row[key]:.3f}{'' if low <= row[key] <= high else ' (outside)'}")
            print(f"{score:44} {', '.join(said)}, mean {row['mean']:.3f}", flush=True)
        seconds[name] = round(time.perf_counter() - begun, 1)
    outside = {
        key: sorted(name for name, value in table[key].items() if not low <= value <= high)
        for key, (low, high) in BANDS.items()
    }
    text = json.dumps({**table, "outside": outside, "experiments": arguments.experiments, "seconds": seconds})
    if arguments.out:
        arguments.out.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
