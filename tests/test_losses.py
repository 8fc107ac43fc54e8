import math

import pytest
import torch
from torch.nn import functional as F

from core.model.heads import Head, HeadConfig
from trainer.losses.infonce import info_nce
from trainer.losses.loss_input import LossInput
from trainer.losses.mse import spread_mse
from trainer.losses.objective import Objective, parse_head_weights
from trainer.losses.picture import ssim_loss
from trainer.losses.registry import LOSSES


@pytest.fixture
def head():
    torch.manual_seed(0)
    head = Head(HeadConfig("sd1.text", "basis", rank=6), 1, 4)
    head.set_target(torch.randn(30, 77 * 768))
    return head


def test_the_braincoder_loss_is_nine_parts_mse_and_one_part_token_cosine(head):
    predicted, target = torch.randn(4, 77 * 768), torch.randn(4, 77 * 768)
    cosine = F.cosine_similarity(predicted.view(4, 77, 768), target.view(4, 77, 768), dim=-1)
    expected = 0.9 * F.mse_loss(predicted, target) + 0.1 * (1 - cosine.mean())
    torch.testing.assert_close(Objective("braincoder")(head, predicted, target, torch.arange(4)), expected)


def test_predicting_the_train_mean_costs_one_in_units_of_the_targets_variance(head):
    target = head.target_mean + torch.randn(8, 6) * head.target_spread @ head.basis
    mean = head.target_mean.expand(8, -1)
    given = LossInput(mean, target, torch.arange(8), head, torch.tensor(0.07))
    torch.testing.assert_close(spread_mse(given), torch.tensor(1.0))


def test_info_nce_equals_clips_symmetric_cross_entropy():
    torch.manual_seed(1)
    a, b, temperature = torch.randn(5, 8), torch.randn(5, 8), torch.tensor(0.1)
    logits = F.normalize(a, dim=-1) @ F.normalize(b, dim=-1).T / temperature
    expected = (F.cross_entropy(logits, torch.arange(5)) + F.cross_entropy(logits.T, torch.arange(5))) / 2
    torch.testing.assert_close(info_nce(a, b, temperature, torch.eye(5, dtype=torch.bool)), expected)


def test_two_trials_of_one_picture_share_the_label():
    torch.manual_seed(2)
    predicted, target = torch.randn(3, 4), torch.randn(3, 4)
    target[1] = target[0]
    same = torch.tensor([[True, True, False], [True, True, False], [False, False, True]])
    logits = F.normalize(predicted, dim=-1) @ F.normalize(target, dim=-1).T / 0.05
    halves = torch.tensor([[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
    expected = (F.cross_entropy(logits, halves) + F.cross_entropy(logits.T, halves)) / 2
    torch.testing.assert_close(info_nce(predicted, target, torch.tensor(0.05), same), expected)


def test_the_temperature_is_trained_and_clamped(head):
    objective = Objective("infonce", temperature=0.07)
    predicted, target = torch.randn(6, 77 * 768), torch.randn(6, 77 * 768)
    objective(head, predicted, target, torch.arange(6)).backward()
    assert objective.log_temperature.grad.abs() > 0
    with torch.no_grad():
        objective.log_temperature.fill_(math.log(1e-6))
    assert objective.temperature.item() == pytest.approx(0.01)


def test_a_loss_without_contrast_leaves_the_temperature_alone():
    assert not Objective("mse").log_temperature.requires_grad


def test_an_unknown_loss_lists_the_known_ones():
    with pytest.raises(ValueError, match=", ".join(LOSSES)):
        Objective("hinge")


def test_a_prompts_head_takes_cross_entropy():
    head = Head(HeadConfig("prompts", "prompts", prompts=("a", "b")), 1, 4)
    logits = torch.randn(5, 2)
    label = torch.tensor([0, 1, 1, 0, 1])
    torch.testing.assert_close(Objective("mse")(head, logits, label, label), F.cross_entropy(logits, label))


def test_the_ssim_loss_is_that_of_the_pictures_one_by_one():
    from pytorch_msssim import ssim

    one, other = torch.rand(5, 3, 64, 64), torch.rand(5, 3, 64, 64)
    wanted = 1 - torch.stack([ssim(a[None], b[None], data_range=1.0) for a, b in zip(one, other, strict=True)]).mean()
    torch.testing.assert_close(ssim_loss(one, other), wanted)
    assert ssim_loss(one, one).abs() < 1e-6


def test_a_picture_heads_loss_is_0_for_the_target_and_counts_ssim_by_its_weight():
    head = Head(HeadConfig("saliency", "generator", shape=(3, 64, 64), channels=4), 1, 4)
    target, predicted = torch.rand(3, 3 * 64 * 64), torch.rand(3, 3 * 64 * 64)
    index = torch.arange(3)
    assert Objective("mse", ssim_weight=2.0)(head, target, target, index).abs() < 1e-5
    plain, weighted = (Objective("mse", ssim_weight=w)(head, predicted, target, index) for w in (0.0, 2.0))
    torch.testing.assert_close(
        weighted - plain, 2 * ssim_loss(head.unpack(predicted)[0], head.unpack(target)[0]), atol=1e-4, rtol=0
    )


def test_every_mixture_is_the_weighted_sum_of_its_parts(head):
    torch.manual_seed(3)
    predicted, target, index = torch.randn(5, 77 * 768), torch.randn(5, 77 * 768), torch.arange(5)
    of = {name: Objective(name)(head, predicted, target, index) for name in LOSSES}
    torch.testing.assert_close(of["braincoder"], 0.9 * of["mse"] + 0.1 * of["cosine"])
    torch.testing.assert_close(of["infonce-mse"], 0.5 * of["infonce"] + 0.5 * of["spread-mse"])


def test_heads_weights_of_one_are_the_plain_mean_bit_for_bit_and_others_count_beside_each_other():
    losses = {"sd1.text": torch.tensor(0.1), "saliency": torch.tensor(0.7), "prompts": torch.tensor(1.3)}
    plain = torch.stack(list(losses.values())).mean()
    assert torch.equal(Objective("mse").together(losses), plain)
    assert torch.equal(Objective("mse", head_weights=dict.fromkeys(losses, 1.0)).together(losses), plain)
    doubled = Objective("mse", head_weights=dict.fromkeys(losses, 2.0)).together(losses)
    torch.testing.assert_close(doubled, plain)
    uneven = Objective("mse", head_weights={"saliency": 0.5, "prompts": 0.0}).together(losses)
    torch.testing.assert_close(uneven, torch.tensor((0.1 + 0.5 * 0.7) / 1.5))


@pytest.mark.parametrize(
    ("pairs", "told"),
    [
        (["saliency"], "takes SPACE=WEIGHT with a weight of at least 0, not 'saliency'"),
        (["saliency=-1"], "not 'saliency=-1'"),
        (["saliency=nan"], "not 'saliency=nan'"),
        (["saliency=1", "saliency=2"], "names 'saliency' twice"),
        (["sdxl.text=1"], "there is no head for 'sdxl.text'; there are sd1.text, saliency"),
        (["saliency=0", "sd1.text=0"], "gives every head 0"),
    ],
)
def test_a_heads_weight_that_cannot_be_says_why(pairs, told):
    with pytest.raises(ValueError, match=told):
        parse_head_weights(pairs, ("sd1.text", "saliency"))


def test_a_heads_weight_is_read_by_its_space():
    assert parse_head_weights(["sd1.text=2", "saliency=0.5"], ("sd1.text", "saliency")) == {
        "sd1.text": 2.0, "saliency": 0.5}  # fmt: skip
