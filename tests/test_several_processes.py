"""Two processes, started by torchrun on processors alone, train as one that has the same batches."""

import json
import os
import subprocess
import sys

import pytest

from tests.comfy_standin import ROOT
from tests.several_processes import CASES, EPOCHS, options_of
from tests.small_trials import FOUR_CLASSES
from trainer.prepare import prepare
from trainer.train import train


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a store, and in it the runs of two processes."""
    folder = tmp_path_factory.mktemp("several")
    prepare("phantom", None, folder / "store", FOUR_CLASSES, progress=False)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m",
               "tests.several_processes", str(folder), *CASES]  # fmt: skip
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


@pytest.mark.parametrize("case", list(CASES))
def test_two_processes_have_the_losses_of_one_with_the_same_batches(case, folder):
    alone = options_of(case, folder, 1)
    train(alone)
    one, two = (
        [json.loads(line) for line in (options.outputs.out / "metrics.jsonl").read_text().splitlines()]
        for options in (alone, options_of(case, folder, 2))
    )
    assert len(one) == len(two) == EPOCHS
    for wanted, found in zip(one, two, strict=True):
        assert found == pytest.approx(wanted, abs=1e-5, rel=0)
