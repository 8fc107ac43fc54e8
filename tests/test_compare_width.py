"""A learned comparison: what it stands for, where it has a gradient, and that a file keeps it."""

import pytest
import torch

from core.model.checkpoint import load_encoder, save_encoder
from core.model.heads import Head, HeadConfig
from tests.small_encoders import small_encoder
from trainer.losses.objective import Objective


def a_head(**more):
    torch.manual_seed(0)
    head = Head(HeadConfig("toy.image", "linear", shape=(6,), compare=4, **more), 1, 8)
    head.set_target(torch.randn(20, 6))
    return head


def test_one_map_of_both_sides_is_a_map_of_each():
    """Two projectors of their own give the logits that the head's last layer and one comparison give."""
    head, tokens, target = a_head(), torch.randn(5, 1, 8), torch.randn(5, 6)
    head.train()
    weight, bias = head.comparison.weight, head.comparison.bias
    brain = tokens.flatten(1) @ (weight * head.target_spread @ head.last.weight).T + bias
    brain = brain + (weight * head.target_spread @ head.last.bias)
    picture = (target - head.target_mean) @ weight.T + bias
    torch.testing.assert_close(head.comparable(head(tokens)), brain)
    torch.testing.assert_close(head.comparable(target), picture)


def test_both_sides_train_it_and_nothing_else_follows_it():
    head = a_head().train()
    objective = Objective("infonce")
    objective(head, torch.randn(5, 6, requires_grad=True), torch.randn(5, 6), torch.arange(5)).backward()
    assert head.comparison.weight.grad.abs().sum() > 0
    assert not head.eval().comparable(torch.randn(2, 6)).requires_grad


def test_its_gallery_is_as_wide_as_the_comparison_and_recalls_nothing():
    head = a_head(concepts=("a", "b", "c")).eval()
    targets = torch.randn(3, 6)
    head.keep_gallery(targets)
    assert head.gallery.shape == (3, 4)
    torch.testing.assert_close(head.gallery, head.comparable(targets))
    head.fit_recall(targets, targets)
    assert torch.equal(head.recall(targets), targets)


def test_a_file_keeps_it_and_files_without_it_do_not_name_it(tmp_path):
    encoder = small_encoder(HeadConfig("toy.image", "linear", shape=(6,), compare=4))
    save_encoder(encoder, tmp_path / "a.safetensors")
    again = load_encoder(tmp_path / "a.safetensors")
    assert torch.equal(again.heads[0].comparison.weight, encoder.heads[0].comparison.weight)
    assert "compare" not in HeadConfig("toy.image", "linear", shape=(6,)).to_json()


@pytest.mark.parametrize(("kind", "width"), [("prompts", 4), ("linear", 0), ("linear", 9000)])
def test_a_comparison_that_cannot_be_says_why(kind, width):
    space = "prompts" if kind == "prompts" else "toy.image"
    prompts, shape = (("a", "b"), None) if kind == "prompts" else ((), (6,))
    with pytest.raises(ValueError, match="compares by a map of 1 to 8192"):
        HeadConfig(space, kind, prompts=prompts, shape=shape, compare=width)
