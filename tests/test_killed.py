"""A training that is killed in the middle of any stage and resumed ends as the unbroken one, bit for bit."""

import json
import multiprocessing
import os
import signal

import pytest
import torch
from safetensors.torch import load_file

from core.files import PHANTOM
from tests.small_trials import FOUR_CLASSES
from trainer.config.flags import with_flags
from trainer.config.options import TrainOptions, train_options
from trainer.prepare import prepare
from trainer.train import train

NICE = ("kernel=9", "pool=9", "n_filters=2", "dropout=0.3")
CASES = {
    # a step of two batches, and an odd number of batches in an epoch
    "heads": {"set": NICE, "space": ("prompts",), "accumulate": 2, "average": "random", "batch": 5, "epochs": 4},
    "contrastive": {"set": NICE, "space": ("prompts",), "contrastive": 4, "epochs": 1, "average": "random"},
    "masked": {"encoder": "patch-transformer", "set": ("width=8", "depth=1", "n_heads=2"), "masked": 4},
    "gan": {"set": NICE, "space": ("saliency",), "gan_epochs": 4, "epochs": 1},
    "finetune": {"space": ("prompts",), "backbone_lr": 1e-4, "epochs": 4, "batch": 5, "accumulate": 2},
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return prepare("phantom", None, tmp_path_factory.mktemp("killed") / "store", FOUR_CLASSES, progress=False).folder


@pytest.fixture(scope="module")
def processes():
    """A clean process that has imported what training needs, and from which others are made."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.test_killed", "trainer.training.gan", "trainer.training.contrastive"])
    return context


def count_backward(limit: int = 0) -> list[int]:
    """Count backward passes from here on; at the one of that number this process is killed."""
    counted, backward = [0], torch.Tensor.backward

    def counting(*given, **how):
        counted[0] += 1
        if counted[0] == limit:
            os.kill(os.getpid(), signal.SIGKILL)
        return backward(*given, **how)

    torch.Tensor.backward = counting
    return counted


def train_until(options: TrainOptions, limit: int) -> None:
    torch.set_num_threads(1)
    count_backward(limit)
    train(options)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows knows no SIGKILL")
@pytest.mark.parametrize("case", list(CASES))
def test_a_stage_that_is_killed_and_resumed_ends_as_the_unbroken_one(case, store, processes, tmp_path, monkeypatch):
    options = train_options(**{"data": store, "clip": str(PHANTOM), "batch": 8, "patience": 0, **CASES[case]})
    if case == "finetune":
        other = train_options(data=store, set=NICE, space=("prompts",), epochs=1, batch=8, out=tmp_path / "other")
        options = with_flags(options, finetune=train(other))
    monkeypatch.setattr(torch.Tensor, "backward", torch.Tensor.backward)  # puts the counted one back
    counted = count_backward()
    whole = train(with_flags(options, out=tmp_path / "whole"))
    # In the middle of the third of four epochs of the stage; before a GAN stage, one epoch of the heads.
    before = 0.3 if case == "gan" else 0.0
    at = round(counted[0] * (before + (1 - before) * 0.6)) if case != "contrastive" else round(counted[0] * 0.5)
    killed = with_flags(options, out=tmp_path / "killed")
    process = processes.Process(target=train_until, args=(killed, at))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    written = [json.loads(line) for line in (tmp_path / "killed" / "metrics.jsonl").read_text().splitlines()]
    name = "" if case in ("heads", "finetune") else case
    assert 0 < len([row for row in written if row.get("stage", "") == name]) < 4
    resumed = train(with_flags(killed, resume=True))
    one, other = load_file(whole), load_file(resumed)
    assert one.keys() == other.keys()
    assert [part for part in one if not torch.equal(one[part], other[part])] == []
    assert (tmp_path / "killed" / "metrics.jsonl").read_text() == (tmp_path / "whole" / "metrics.jsonl").read_text()
    assert not list((tmp_path / "killed").glob(".*"))
