import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from core.model.checkpoint import load_encoder, save_encoder
from core.model.heads import HeadConfig
from core.preprocessing.normaliser import Normaliser
from tests.small_encoders import small_encoder
from tests.small_models import small_sd1
from trainer.config.flags import flags_of, with_flags
from trainer.config.options import TrainOptions, train_options
from trainer.config.presets import PRESETS
from trainer.datasets import DATASETS
from trainer.datasets.phantom import PhantomOptions
from trainer.losses.objective import Objective
from trainer.store.store import open_store, write_store
from trainer.train import parse_options, train
from trainer.training.batches import Batches
from trainer.training.loop import Training, parameter_groups
from trainer.training.splits import split_hash, split_trials
from trainer.training.stage_state import learning_rate

ROOT = Path(__file__).resolve().parent.parent
SMALL = PhantomOptions(train_scenes=40, val_scenes=12, test_scenes=12, train_repeats=2, val_repeats=2, test_repeats=2)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store") / "phantom"
    phantom = DATASETS["phantom"]
    write_store(folder, phantom.sessions(None, SMALL), phantom.preprocessing(None, SMALL),
                provenance=phantom.provenance(None, SMALL), progress=False)  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return str(small_sd1(tmp_path_factory.mktemp("clip")))


@pytest.fixture
def options(store, clip, tmp_path):
    return train_options(
        data=store, out=tmp_path / "run", clip=clip, encoder="nice", set=("kernel=9", "pool=9", "n_filters=4"), rank=4,
        loss="infonce-mse", average="random", epochs=3, batch=16, patience=0,
    )  # fmt: skip


def as_arguments(options: TrainOptions) -> list[str]:
    return ["--data", str(options.data.store), "--out", str(options.outputs.out), "--clip", options.targets.clip,
            "--set", *options.encoder.settings, "--rank", "4", "--loss", options.training.loss,
            "--average", options.data.average, "--epochs", str(options.training.epochs),
            "--batch", "16", "--patience", "0"]  # fmt: skip


def test_a_run_killed_and_resumed_ends_with_the_unbroken_runs_weights_bit_for_bit(options, tmp_path):
    options = with_flags(options, epochs=40)
    train(options)
    killed = with_flags(options, out=tmp_path / "killed")
    command = [sys.executable, str(ROOT / "trainer" / "train.py"), *as_arguments(killed)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    written = killed.outputs.out / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (written.is_file() and len(written.read_text().splitlines()) >= 2):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (killed.outputs.out / "encoder.safetensors").exists(), "the run ended before it could be killed"
    train(with_flags(killed, resume=True))
    unbroken, resumed = (
        load_file(options.outputs.out / "encoder.safetensors"),
        load_file(killed.outputs.out / "encoder.safetensors"),
    )
    assert unbroken.keys() == resumed.keys()
    assert all(torch.equal(unbroken[name], resumed[name]) for name in unbroken)
    rows = [json.loads(line)["epoch"] for line in written.read_text().splitlines()]
    assert rows == list(range(40))


def test_a_run_leaves_options_metrics_logs_and_an_encoder(options):
    train(options)
    assert json.loads((options.outputs.out / "options.json").read_text())["training"]["loss"] == "infonce-mse"
    rows = [json.loads(line) for line in (options.outputs.out / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [0, 1, 2]
    assert {"train_loss", "val_loss", "lr", "temperature"} <= rows[0].keys()
    assert any((options.outputs.out / "logs").rglob("events.out.tfevents*"))
    encoder = load_encoder(options.outputs.out / "encoder.safetensors")
    assert encoder.card["simulated"]
    assert encoder.card["split"].startswith(
        split_hash(
            open_store(options.data.store).trials(), split_trials(open_store(options.data.store).trials(), options)
        )
    )
    assert encoder.confidence["sd1.text"].chance == pytest.approx(1 / 12)


def test_validation_changes_no_batch_norm_statistic_and_uses_no_dropout(options, store):
    from trainer.targets.target import trial_targets
    from trainer.training.build import build_for
    from trainer.training.loop import evaluate_loss

    trials = open_store(store).trials()
    parts = split_trials(trials, options)
    targets = trial_targets(trials, options.targets, store / "targets")
    encoder = build_for(trials, parts["train"], open_store(store).config, options, targets)
    training = Training(encoder, Objective("mse"))
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    training.train()
    held_out = trials.select(parts["val"])
    losses = {evaluate_loss(training, held_out, targets, 8) for _ in range(2)}
    assert len(losses) == 1
    assert all(torch.equal(before[name], tensor) for name, tensor in encoder.state_dict().items())


def test_the_test_split_never_reaches_the_training(options, store, clip):
    """Garbage in the test trials changes nothing in the encoder."""
    from trainer.targets.target import trial_targets
    from trainer.training.fit import fit_encoder

    trials = open_store(store).trials()
    parts = split_trials(trials, options)
    targets = trial_targets(trials, options.targets, store / "targets")
    options = with_flags(options, encoder="linear", set=("n_bins=8",), loss="mse", average="all")
    spoilt = np.array(trials.eeg)
    spoilt[parts["test"]] = np.nan
    fitted = [
        fit_encoder(replace(trials, eeg=eeg), parts, open_store(store).config, targets, options)
        for eeg in (np.array(trials.eeg), spoilt)
    ]
    first, second = (encoder.state_dict() for encoder in fitted)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert fitted[0].confidence == fitted[1].confidence


def test_norms_and_biases_do_not_decay_and_learning_rates_are_per_part(options, store):
    from tests.small_encoders import small_encoder

    training = Training(small_encoder(), Objective("infonce"))
    groups = parameter_groups(training, with_flags(options, lr=1e-3, backbone_lr=1e-4, weight_decay=0.2))
    by_name = {id(p): g for g in groups for p in g["params"]}
    for name, parameter in training.named_parameters():
        group = by_name[id(parameter)]
        assert group["weight_decay"] == (0.2 if parameter.ndim > 1 else 0.0), name
        assert group["lr"] == (1e-4 if name.startswith("encoder.backbone.") else 1e-3), name


def test_the_learning_rate_rises_then_falls_to_zero():
    options = train_options(warmup=0.1)
    rates = [learning_rate(step, 100, options.training) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == 1.0
    assert rates[100] == pytest.approx(0.0, abs=1e-9)
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_random_averages_follow_from_seed_and_epoch_alone(store):
    from tests.small_encoders import small_encoder

    trials = open_store(store).trials()
    rows = np.flatnonzero(trials.split == "train")
    config = open_store(store).config
    encoder = small_encoder()
    encoder.preprocessing = config
    encoder.normaliser = Normaliser(
        np.zeros(len(config.ch_names), np.float32), np.ones(len(config.ch_names), np.float32)
    )
    batches = Batches(trials, rows, "random", 16, seed=3)
    first = [(eeg, list(chosen)) for eeg, chosen in batches.epoch(0, encoder)]
    again = [(eeg, list(chosen)) for eeg, chosen in batches.epoch(0, encoder)]
    other = [(eeg, list(chosen)) for eeg, chosen in batches.epoch(1, encoder)]
    assert all(torch.equal(a[0], b[0]) and a[1] == b[1] for a, b in zip(first, again, strict=True))
    assert [row for _, chosen in first for row in chosen] != [row for _, chosen in other for row in chosen]
    assert len(first) == batches.count()


def test_finetuning_keeps_a_frozen_backbone_and_trains_the_head(options, tmp_path):
    first = train(options)
    tuned = train(with_flags(options, out=tmp_path / "tuned", finetune=first, freeze="backbone", epochs=2, lr=1e-2))
    before, after = load_file(first), load_file(tuned)
    kept = [name for name in before if name.startswith("model.backbone.")]
    assert kept
    assert all(torch.equal(before[name], after[name]) for name in kept)
    assert not torch.equal(before["model.heads.0.last.weight"], after["model.heads.0.last.weight"])


def test_finetuning_with_its_own_learning_rate_moves_the_backbone_less(options, tmp_path):
    first = train(options)
    moved = {}
    for rate in (1e-5, 1e-2):
        tuned = train(with_flags(options, out=tmp_path / f"tuned{rate}", finetune=first, backbone_lr=rate, epochs=1))
        name = "model.backbone.temporal.weight"
        moved[rate] = (load_file(tuned)[name] - load_file(first)[name]).abs().max().item()
    assert 0 < moved[1e-5] < 0.1 * moved[1e-2]


def test_another_run_in_the_folder_is_not_overwritten(options):
    train(options)
    with pytest.raises(ValueError, match="already holds a run; add --resume"):
        train(options)


def test_resuming_with_other_options_is_refused(options):
    train(options)
    with pytest.raises(ValueError, match="other values of lr"):
        train(with_flags(options, resume=True, lr=0.5))


def test_a_preset_is_overridden_flag_by_flag():
    options = parse_options(["--preset", "braincoder", "--epochs", "7"])
    assert options == with_flags(PRESETS["braincoder"], epochs=7)


def test_an_unknown_preset_lists_the_known_ones():
    with pytest.raises(ValueError, match=", ".join(PRESETS)):
        parse_options(["--preset", "nothing"])


def test_every_option_has_a_flag(capsys):
    with pytest.raises(SystemExit):
        parse_options(["--help"])
    shown = capsys.readouterr().out
    for name in flags_of(TrainOptions):
        assert f"--{name.replace('_', '-')}" in shown


def test_missing_weights_say_how_to_get_them(options, tmp_path):
    with pytest.raises(FileNotFoundError, match="huggingface-cli download"):
        train(with_flags(options, clip=str(tmp_path / "nowhere")))
    with pytest.raises(ValueError, match="need --clip"):
        train(with_flags(options, clip=""))
    assert not options.outputs.out.exists()


def test_an_encoder_is_shipped_with_its_scores_in_half_the_bytes(tmp_path):
    from trainer.ship_encoder import ShipOptions, ship

    encoder = small_encoder(HeadConfig("sd1.text", "basis", rank=8))
    run, out = tmp_path / "run", tmp_path / "shipped.safetensors"
    save_encoder(encoder, run / "encoder.safetensors")
    with pytest.raises(ValueError, match=r"holds no scores; run `python trainer/evaluate\.py"):
        ship(ShipOptions(run, out))
    encoder.card["metrics"] = {"200-way top-1": "0.8"}
    save_encoder(encoder, run / "encoder.safetensors")
    assert ship(ShipOptions(run, out, "a name")) < 2e-3
    assert out.stat().st_size < 0.62 * (run / "encoder.safetensors").stat().st_size
    assert load_encoder(out).card["name"] == "a name"
