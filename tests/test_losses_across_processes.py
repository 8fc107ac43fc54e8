"""What two real processes train on half a batch each is what one trains on the whole."""

import os
import socket
import subprocess
import sys

import pytest
import torch

from tests.comfy_standin import ROOT
from tests.half_batches import batch, training_of


def by_processes(loss, path, n):
    """Loss and gradients of n processes, each with its share of the batch."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "ACCELERATE_USE_CPU": "true",
              "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}  # fmt: skip
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.half_batches", loss, str(path)],
            cwd=ROOT,
            env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(n)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(n)
    ]
    told = [process.communicate(timeout=300)[1] for process in started]
    assert all(process.returncode == 0 for process in started), told
    return torch.load(path, weights_only=True)


@pytest.mark.parametrize("loss", ["infonce", "infonce-mse", "soft-clip=0.5,cross-person=0.5,multi-positive,mmd"])
def test_two_half_batches_give_the_loss_and_the_gradients_of_the_whole_one(loss, tmp_path):
    training = training_of(loss)
    whole = training(*batch())
    whole.backward()
    found = by_processes(loss, tmp_path / "found.pt", 2)
    assert found["processes"] == 2
    torch.testing.assert_close(found["loss"], whole.detach())
    wanted = {name: p.grad for name, p in training.named_parameters() if p.grad is not None}
    assert found["gradients"].keys() == wanted.keys()
    assert wanted["objective.log_temperature"].abs() > 1e-3
    for name, gradient in wanted.items():
        torch.testing.assert_close(found["gradients"][name], gradient, rtol=1e-4, atol=1e-7, msg=name)


def test_without_the_other_processes_rows_it_would_be_another_loss():
    training = training_of("infonce")
    eeg, targets, index, _ = batch()
    halves = [
        training(eeg[rank::2], *({space: rows[rank::2] for space, rows in part.items()} for part in (targets, index)))
        for rank in range(2)
    ]
    assert (torch.stack(halves).mean() - training(eeg, targets, index)).abs() > 0.05
