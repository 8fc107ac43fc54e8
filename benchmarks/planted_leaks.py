"""Planted leaks: does the first line of every command that prints a score name each of them, and no honest experiment?

    python benchmarks/planted_leaks.py [--seed 0] [--honest 200] [--only WORD ...] [--commands prepare evaluate ...]

Small made-up experiments (benchmarks/leak_designs/) are written as recordings with a table of what was shown, leak in
one way each, and go through prepare, train, evaluate, cross_validate and controls by their own `main`; where a leak
shows in a single recording, also through the trainer of the hosts. Of honest experiments every check is made, by the
split, by the folds, and of a single recording.
"""

import argparse
import contextlib
import io
import json
import logging
import resource
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.one_line import say_what_is_missing

say_what_is_missing()

import numpy as np
import torch

from benchmarks.leak_designs.design import NAMES, SFREQ, Design, write
from benchmarks.leak_designs.honest import honest
from benchmarks.leak_designs.outside import ALL as LEAKS
from benchmarks.leak_designs.outside_honest import outside_honest
from benchmarks.leak_designs.planted import Leak
from core.files import PHANTOM
from core.fitting.personal_encoder import fit_personal_encoder
from core.leaks.check import verdict
from core.leaks.one_recording import checks_of_recording
from core.preprocessing.config import PreprocessingConfig
from core.recording import Event
from trainer import controls, cross_validate, evaluate, prepare, train
from trainer.evaluation.leaks.run_checks import checks_of_run
from trainer.evaluation.leaks.store_checks import fold_checks, store_checks
from trainer.store.dataset import Session
from trainer.store.store import TrialStore, write_store

COMMANDS = ("prepare", "train", "evaluate", "cross_validate", "controls", "hosts")
CONFIG = PreprocessingConfig(ch_names=NAMES, sfreq=SFREQ, tmin=-0.1, tmax=0.7, l_freq=1.0, h_freq=30.0)
FEW = 50  # permutations and draws of the scores, which are not what is measured here


def main() -> None:
    """Plant every leak, look at honest experiments, and print one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--honest", type=int, default=200)
    parser.add_argument("--only", nargs="*", default=[], help="leaks whose names hold one of these")
    parser.add_argument("--commands", nargs="*", default=list(COMMANDS), choices=COMMANDS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    few_draws()
    started = time.monotonic()
    planted = caught = 0
    missed: dict[str, list[str]] = {}
    said_by: dict[str, list[int]] = {name: [0, 0] for name in (*options.commands, "changed run")}
    for number, (name, leak) in enumerate(LEAKS.items()):
        if options.only and not any(word in name for word in options.only):
            continue
        with tempfile.TemporaryDirectory() as folder:
            lines = first_lines(leak, np.random.default_rng([options.seed, number]), Path(folder), options.commands)
        planted += 1
        not_named = [command for command, line in lines.items() if not names(line, leak.named)]
        caught += not not_named
        for command in lines:
            said_by[command][0] += command not in not_named
            said_by[command][1] += 1
        if not_named:
            missed[name] = [f"{command}: {lines[command]}" for command in not_named]
            print(f"missed: {name}: {missed[name]}", file=sys.stderr, flush=True)
    if not options.only:
        with tempfile.TemporaryDirectory() as folder:
            for name, (line, named) in changed_runs(Path(folder), options.seed).items():
                planted, there = planted + 1, named in failed_in(line)
                caught += there
                said_by["changed run"][0] += there
                said_by["changed run"][1] += 1
                if not there:
                    missed[name] = [line]
    leaks_s = time.monotonic() - started
    alarms = {}
    for seed in range(options.honest):
        # every fifth is one of the odd ones, each kind in turn
        make, number = (outside_honest, seed // 5) if seed % 5 == 4 else (honest, seed)
        if failed := alarms_of(make(1000 * options.seed + number)):
            alarms[seed] = failed
            print(f"false alarm: {seed}: {failed}", file=sys.stderr, flush=True)
    print(
        json.dumps(
            {
                "planted": planted,
                "caught": caught,
                "missed": missed,
                "by_command": {name: f"{a} of {b}" for name, (a, b) in said_by.items() if b},
                "honest": options.honest,
                "false_alarms": alarms,
                "false_alarm_share": len(alarms) / options.honest if options.honest else None,
                "leaks_s": round(leaks_s, 1),
                "honest_s": round(time.monotonic() - started - leaks_s, 1),
                "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            }
        )
    )


def few_draws() -> None:
    """Let the scores take few permutations and draws: they are not what is measured."""
    from core.scoring import permutations
    from trainer.evaluation import decoding_scores
    from trainer.quality import decodability

    for module in (controls, cross_validate, decoding_scores, decodability):
        for name in ("PERMUTATIONS", "DRAWS"):
            if hasattr(module, name):
                setattr(module, name, min(getattr(module, name), FEW))
    permutations.UNCLEAR = (0.0, 0.0)  # no p is worth refits


def failed_in(line: str) -> list[str]:
    """Return the checks that a first line says failed."""
    return line.partition("failed (")[2].partition(")")[0].split("; ") if "failed (" in line else []


def names(line: str, named: tuple[str, ...]) -> bool:
    """Tell whether a first line names one of the checks, and says how many passed and could not be checked."""
    return bool(set(failed_in(line)) & set(named)) and " passed, " in line and "could not be checked" in line


def first_lines(leak: Leak, rng: np.random.Generator, folder: Path, commands: list[str]) -> dict[str, str]:
    """Return the first line that each command prints about an experiment."""
    design = leak.plant(rng)
    source, table = write(design, folder)
    store, run = folder / "store", folder / "run"
    images = folder / "pictures"
    found = {}
    window = ["--tmin", "-0.1", "--tmax", "0.7", "--l-freq", "1", "--h-freq", "30"]
    line = first_line(
        prepare.main, "prepare.py", "recordings", "--source", source, "--table", table, "--out", store, *window
    )
    if not leak.pictures:  # prepare knows names of pictures only
        found["prepare"] = line
    split = (
        [] if leak.protocol == "given-split" else ["--test-run", list(dict.fromkeys(r["run"] for r in design.rows))[-1]]
    )
    pictures = ["--images", images] if design.pictures else []
    trained = ["--preset", "n170", "--data", store, "--out", run, *split, *pictures]
    found["train"] = first_line(train.main, "train.py", *trained)
    if "evaluate" in commands:
        found["evaluate"] = first_line(evaluate.main, "evaluate.py", run, "--no-pictures")
    if "cross_validate" in commands and not leak.pictures:
        found["cross_validate"] = first_line(
            cross_validate.main,
            "cross_validate.py",
            "--data",
            store,
            "--out",
            folder / "cv",
            "--protocol",
            leak.protocol,
        )
    if "controls" in commands:
        found["controls"] = first_line(controls.main, "controls.py", run, "--protocol", "leave-one-run-out")
    if "hosts" in commands and leak.one:
        found["hosts"] = line_of_host(design)
    return {name: line for name, line in found.items() if name in commands}


def first_line(command: Callable[[], None], *arguments: object) -> str:
    """Return the first line that a command prints; one that then refuses the data has printed it before."""
    out, before = io.StringIO(), sys.argv
    sys.argv = [str(word) for word in arguments]
    refused = ""
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
            command()
    except (ValueError, SystemExit) as error:
        refused = f"(refused: {error})"
    finally:
        sys.argv = before
    return (out.getvalue().split("\n")[0]) or refused


def line_of_host(design: Design) -> str:
    """Return the first line of the report that the trainer in ComfyUI and in the webui gives for the first run."""
    file, one = next(iter(design.recordings.items()))
    events = tuple(Event(row["onset"], 0.0, row["label"]) for row in design.of(file))
    from dataclasses import replace

    try:
        return fit_personal_encoder(replace(one, events=events), tmin=-0.1, tmax=0.7).report.split("\n")[0]
    except ValueError as error:
        return str(error)


def store_of(design: Design, folder: Path) -> TrialStore:
    """Write an experiment's trial store as prepare.py does, without files of recordings."""

    def load(file: str):
        rows = [
            {
                **{k: v for k, v in row.items() if v != ""},
                "image_id": row["image"],
                "caption": row.get("caption", row["label"]),
            }
            for row in design.of(file)
        ]
        return design.recordings[file], rows

    sessions = [Session(file.split(".")[0], partial(load, file)) for file in design.recordings]
    return write_store(folder, sessions, CONFIG, provenance={"dataset": "made up"}, progress=False)


def alarms_of(design: Design) -> list[str]:
    """Return the checks that fail of an honest experiment: by a split, by folds, of one recording."""
    with tempfile.TemporaryDirectory() as folder:
        store = store_of(design, Path(folder) / "store")
        trials = store.trials()
        runs = list(dict.fromkeys(trials.run.tolist()))
        rows = np.arange(len(trials))
        folds = [{"train": rows[trials.run != run], "test": rows[trials.run == run]} for run in runs]
        checks = store_checks(store, trials, folds[-1]) + fold_checks(store, trials, folds)
        one = next(iter(design.recordings))
        own = np.flatnonzero(store.recordings() == one.split(".")[0])
        part = trials.select(own)
        checks += checks_of_recording(
            design.recordings[one], np.asarray(part.eeg), part.label, trials.labels, part.onset, store.config
        )
    return sorted({check.name for check in checks if check.passed is False})


def changed_runs(folder: Path, seed: int) -> dict[str, tuple[str, str]]:
    """Return the first line about runs that were tampered with after training, and the check that has to name it."""
    from core.model.checkpoint import load_encoder, save_encoder
    from core.preprocessing.normaliser import fit_normaliser
    from trainer.config.options import train_options
    from trainer.evaluation.decoding_report import open_run

    found = {}
    design = honest(5 * seed + 1)
    store = store_of(design, folder / "store")
    trials = store.trials()
    last = str(trials.run[-1])
    train_it = {"data": store.folder, "encoder": "linear", "space": ("prompts",), "average": "none", "val_share": 0.0}
    for name, whitening, rows in (
        ("scaled by all trials", "none", slice(None)),
        ("whitened by all trials", "mvnn", slice(None)),
        ("scaled by the test trials", "none", trials.run == last),
    ):
        run = folder / name.replace(" ", "-")
        with contextlib.redirect_stdout(io.StringIO()):
            train.train(train_options(**train_it, out=run, test_run=last, whitening=whitening))
        encoder = load_encoder(run / "encoder.safetensors")
        eeg, label = np.asarray(trials.eeg[np.arange(len(trials))])[rows], trials.label[rows]
        encoder.normaliser = fit_normaliser(eeg, encoder.preprocessing, label)
        save_encoder(encoder, run / "encoder.safetensors")
        found[name] = (verdict(checks_of_run(open_run(run))), "fitted to test trials")
    run = folder / "chosen"
    shutil.copytree(folder / "scaled-by-all-trials", run)
    (run / "metrics.jsonl").write_text('{"epoch": 0, "train_loss": 1.0, "test_loss": 0.9}\n', encoding="utf-8")
    found["checkpoint chosen by the test"] = (
        verdict(checks_of_run(open_run(run))),
        "checkpoint chosen by test trials",
    )
    twins = honest(5 * seed + 1)
    for number, row in enumerate(twins.rows):  # the tokenizer knows no capitals: two names, one target
        row["caption"] = ("a red circle", "A red circle", "a blue square")[number % 3]
    other = store_of(twins, folder / "captions")
    with contextlib.redirect_stdout(io.StringIO()):
        train_it = {**train_it, "data": other.folder, "space": ("sd1.text",), "clip": str(PHANTOM), "rank": 2}
        train.train(train_options(**train_it, out=folder / "twins", test_run=last))
    found["two captions of one meaning"] = (
        verdict(checks_of_run(open_run(folder / "twins"))),
        "gallery with duplicates",
    )
    report = {"checks": [{"name": "before the picture", "passed": False}]}
    (store.folder / "quality.json").write_text(json.dumps(report), encoding="utf-8")
    found["quality.json names a leak"] = (verdict(checks_of_run(open_run(run))), "the recordings' own report")
    return found


if __name__ == "__main__":
    main()
