"""A batch in parts gives what the whole batch gives, batch norm and dropout included, in less memory."""

import json

import pytest
import torch

from core.encoders.coatnet import Coatnet, CoatnetConfig
from core.encoders.patch_transformer import PatchTransformer, PatchTransformerConfig
from core.files import PHANTOM
from tests.several_processes import CASES
from tests.small_trials import FOUR_CLASSES
from trainer.config.options import train_options
from trainer.prepare import prepare
from trainer.processes import memory
from trainer.processes.as_one import as_one
from trainer.processes.in_parts import in_parts
from trainer.train import train

ROWS = 7


def network(name):
    torch.manual_seed(0)
    if name == "coatnet":
        sizes = {"stages": "CCT", "depths": (2, 1, 2), "widths": (4, 6, 8), "n_heads": 2, "head_width": 4}
        config = CoatnetConfig(in_channels=3, image_height=20, image_width=12, dropout=0.4, **sizes)
        return Coatnet(config).train(), torch.randn(ROWS, 3, 20, 12)
    config = PatchTransformerConfig(n_channels=4, n_times=64, patch=16, width=16, depth=2, n_heads=2, dropout=0.4)
    return PatchTransformer(config).train(), torch.randn(ROWS, 4, 64)


def one_step(name, rows, exact=True):
    made, x = network(name)
    torch.manual_seed(5)
    with as_one(made, rows > 0) as dealt, in_parts(made, rows, dealt, exact):
        dealt.rows = ROWS
        found = made(x)
        (found.square() * torch.arange(1.0, ROWS + 1)[:, None, None]).mean().backward()
        after = torch.rand(1)
    gradients = {part: parameter.grad for part, parameter in made.named_parameters()}
    return {"output": found.detach(), "next draw": after, **gradients, **dict(made.named_buffers())}


@pytest.mark.parametrize("rows", [1, 3, 7])
@pytest.mark.parametrize("name", ["coatnet", "patch-transformer"])
def test_output_gradients_statistics_and_random_numbers_are_those_of_the_whole_batch(name, rows):
    whole, parts = one_step(name, 0), one_step(name, rows)
    assert whole.keys() == parts.keys()
    for part, value in whole.items():
        torch.testing.assert_close(parts[part], value, rtol=1e-4, atol=1e-6, msg=part)


def test_blocks_that_are_computed_again_as_a_whole_give_the_same_bits():
    whole, again = one_step("coatnet", 0), one_step("coatnet", ROWS, exact=False)
    assert all(torch.equal(again[part], value) for part, value in whole.items())


def test_gradients_of_micro_batches_alone_would_be_others():
    made, x = network("coatnet")
    for part in x.split(4):
        made(part).square().sum().backward()
    wanted = one_step("coatnet", 0)["blocks.0.residual.1.weight"]
    assert not torch.allclose(made.blocks[0].residual[1].weight.grad, wanted, rtol=0.05)


def test_less_is_kept_for_the_way_back():
    kept = {}
    for rows in (0, 1):
        made, x = network("coatnet")
        held: dict[int, int] = {}

        def pack(tensor, held=held):
            held[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with (
            as_one(made, rows > 0) as dealt,
            in_parts(made, rows, dealt),
            torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
        ):
            dealt.rows = ROWS
            _ = made(x)
        kept[rows] = sum(held.values())
    assert kept[1] < 0.3 * kept[0]


def test_a_step_that_needs_much_goes_in_parts_and_says_so_and_trains_to_the_same(tmp_path, monkeypatch, capsys):
    store = prepare("phantom", None, tmp_path / "store", FOUR_CLASSES, progress=False)
    options = {**CASES["coatnet"], "data": store.folder, "clip": str(PHANTOM), "rank": 3, "epochs": 2, "batch": 12}
    train(train_options(**options, out=tmp_path / "whole"))
    assert "goes in parts" not in capsys.readouterr().out
    monkeypatch.setattr(memory, "MOST_BYTES", 1 << 20)
    monkeypatch.setattr(memory, "PART_BYTES", 1 << 18)
    train(train_options(**options, out=tmp_path / "parts"))
    assert "of memory" in (said := capsys.readouterr().out)
    assert "it goes in parts of" in said
    whole, parts = (
        [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("whole", "parts")
    )
    for wanted, found in zip(whole, parts, strict=True):
        assert found == pytest.approx(wanted, abs=1e-5)
    assert torch.load(tmp_path / "parts" / "state.pt", weights_only=True)["progress"]["part"] > 0
