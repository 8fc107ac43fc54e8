"""A new loss is one file and one registry row."""

import json

import torch
from safetensors.torch import load_file

from tests.comfy_standin import ROOT
from tests.copied_tree import add_row, command, copied_trainer
from tests.small_trials import FOUR_CLASSES
from trainer.config.options import train_options
from trainer.prepare import prepare
from trainer.train import train

TOY = '''"""The largest difference."""

from torch import Tensor

from .loss_input import LossInput


def largest(given: LossInput) -> Tensor:
    """Return the mean over rows of the largest difference of a row's values."""
    return (given.predicted - given.target).abs().amax(-1).mean()
'''


def test_a_toy_loss_is_one_file_and_one_row_and_trains(tmp_path):
    folder = copied_trainer(tmp_path / "copy")
    (folder / "trainer" / "losses" / "largest.py").write_text(TOY)
    registry = folder / "trainer" / "losses" / "registry.py"
    add_row(registry, "        COSINE,\n", '        Loss("largest", largest),\n', "from .largest import largest\n")
    store = prepare("phantom", None, tmp_path / "store", FOUR_CLASSES, progress=False).folder
    clip, small = ROOT / "assets" / "phantom", ("kernel=9", "pool=9", "n_filters=4")
    command(
        folder, "train.py", "--data", store, "--out", tmp_path / "largest", "--loss", "largest", "--clip", clip,
        "--set", *small, "--rank", 2, "--epochs", 2, "--batch", 8,
    )  # fmt: skip
    train(
        train_options(
            data=store, out=tmp_path / "mse", loss="mse", clip=str(clip), set=small, rank=2, epochs=2, batch=8
        )
    )
    found = []
    for out in (tmp_path / "largest", tmp_path / "mse"):
        assert json.loads((out / "metrics.jsonl").read_text().splitlines()[1])["train_loss"] > 0
        found.append(load_file(out / "encoder.safetensors")["model.heads.0.last.weight"])
    assert not torch.equal(*found)
