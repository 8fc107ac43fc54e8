"""One run a folder, splits that share nothing, several processes only where they are started."""

import errno
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from core.files import held
from tests.comfy_standin import ROOT
from tests.small_trials import FOUR_CLASSES, class_trials
from trainer.config.flags import with_flags
from trainer.config.options import train_options
from trainer.prepare import prepare
from trainer.processes.together import check_launch
from trainer.train import train
from trainer.training.splits import check_held_out, split_trials


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return prepare("phantom", None, tmp_path_factory.mktemp("held") / "ein Speicher", FOUR_CLASSES, progress=False)


@pytest.fixture
def options(store, tmp_path):
    sizes = ("kernel=9", "pool=9", "n_filters=2")
    return train_options(data=store.folder, out=tmp_path / "ein Lauf", space=("prompts",), set=sizes, epochs=2, batch=8)


def test_a_folder_in_which_another_training_is_at_work_is_refused_and_a_dead_ones_is_taken(options):
    holder = subprocess.Popen(
        [sys.executable, "-c", "import sys, time; from core.files import held\n"
         "with held(sys.argv[1]): print('held', flush=True); time.sleep(60)", str(options.outputs.out)],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ValueError, match=rf"ein Lauf is in use: another process \({holder.pid} on .*\)"):
            train(options)
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    assert (options.outputs.out / ".lock").exists()
    train(options)
    assert not (options.outputs.out / ".lock").exists()


def test_two_trainings_in_one_process_do_not_share_a_folder(options):
    with held(options.outputs.out), pytest.raises(ValueError, match="is in use"):
        train(options)
    assert sorted(path.name for path in options.outputs.out.iterdir()) == []


def test_a_refused_run_leaves_no_folder(options):
    with pytest.raises(FileNotFoundError, match="no run at"):
        train(with_flags(options, resume=True))
    assert not options.outputs.out.exists()


@pytest.mark.parametrize("copied", [1.0, 0.3])
def test_a_validation_split_that_is_the_test_split_under_another_name_is_refused(copied):
    trials = class_trials()
    val, test = (np.flatnonzero(trials.split == name) for name in ("val", "test"))
    check_held_out(trials, split_trials(trials, train_options()))
    eeg = np.array(trials.eeg)
    n = round(copied * len(val))
    eeg[test[:n]] = eeg[val[:n]]
    again = replace(trials, eeg=eeg)
    with pytest.raises(ValueError, match=f"holds EEG of the test split \\({n} of {len(val)}"):
        check_held_out(again, split_trials(again, train_options()))


def test_a_trial_in_two_splits_is_refused():
    trials = class_trials()
    parts = split_trials(trials, train_options())
    with pytest.raises(ValueError, match=r"2 of .* train trials are also in the test split"):
        check_held_out(trials, {**parts, "test": np.r_[parts["test"], parts["train"][:2]]})


def test_flat_windows_are_not_one_another():
    trials = class_trials()
    flat = replace(trials, eeg=np.zeros_like(trials.eeg))
    check_held_out(flat, split_trials(flat, train_options()))


def test_accelerate_launch_that_starts_one_of_several_processes_is_told_of(monkeypatch):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    check_launch()
    monkeypatch.setenv("MASTER_PORT", "29500")
    with pytest.raises(ValueError, match="start them with torchrun --nproc_per_node"):
        check_launch()
    monkeypatch.setenv("WORLD_SIZE", "2")
    check_launch()


@pytest.mark.parametrize("name", ["state.pt", "encoder.safetensors", "metrics.jsonl"])
def test_a_full_disk_is_one_sentence_and_the_run_goes_on_once_there_is_room(name, options, monkeypatch):
    """Every writer in turn finds no room, in the words that torch and safetensors use for it."""
    import safetensors.torch
    import torch

    from core.files import os as system

    first, whole = with_flags(options, out=options.outputs.out.with_name("whole")), {}
    train(first)
    said = {
        "state.pt": (torch, "save", RuntimeError("[enforce fail] PytorchStreamWriter failed writing file data/0")),
        "encoder.safetensors": (safetensors.torch, "save_file", safetensors.SafetensorError("kind: StorageFull")),
        "metrics.jsonl": (system, "replace", OSError(errno.ENOSPC, "No space left on device", name)),
    }  # fmt: skip
    place, writer, error = said[name]

    def full(*given, **how):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(place, writer, full)
        with pytest.raises(OSError, match="No space left on device"):
            train(options)
    assert not list(options.outputs.out.glob(".*.part"))
    train(with_flags(options, resume=True)) if (options.outputs.out / "options.json").exists() else train(options)
    for folder in (first.outputs.out, options.outputs.out):
        whole[folder] = (folder / "metrics.jsonl").read_text()
    assert len(set(whole.values())) == 1
