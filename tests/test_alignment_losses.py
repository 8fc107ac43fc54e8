"""Contrastive losses beside plain NumPy, at the edges, and the settings that mislead."""

import math

import numpy as np
import pytest
import torch

from core.model.heads import Head, HeadConfig
from trainer.config.options import train_options
from trainer.losses.batch_transforms import Batch, mixco, transformed, transforms_named
from trainer.losses.loss_input import LossInput
from trainer.losses.mmd import WIDTHS, mmd2, mmd_weight
from trainer.losses.objective import Objective, objective_of, parse_head_losses
from trainer.losses.registry import LOSSES, loss_named
from trainer.losses.similarity import Similarity, check_similarity, parse_similarity
from trainer.losses.uncertainty import HIGH, LOW, MEDIUM, UncertainBlur
from trainer.training.stage_state import rate_at

CONTRASTS = ("infonce", "soft-clip", "multi-positive", "cross-person", "mmd", "mmd-infonce")


def a_head(width=6):
    return Head(HeadConfig("toy.image", "linear", shape=(width,)), 1, 4)


def given(n=7, width=6, seed=0, **more) -> LossInput:
    draw = torch.Generator().manual_seed(seed)
    number = torch.arange(n) % max(n - 2, 1)  # the first two stand there twice
    target = torch.randn(n, width, generator=draw)[number]
    predicted = torch.randn(n, width, generator=draw, requires_grad=True)
    people = torch.arange(n) // max(n - 2, 1)
    values = {"temperature": torch.tensor(0.2), "subject": people, "epoch": 3, **more}
    return LossInput(predicted, target, number, a_head(width), **values)


def arrays(one: LossInput):
    return one.predicted.detach().double().numpy(), one.target.double().numpy(), one.index.numpy()


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def log_softmax(x):
    top = x.max(1, keepdims=True)
    return x - top - np.log(np.exp(x - top).sum(1, keepdims=True))


def np_symmetric(logits, wanted):
    return -((wanted * log_softmax(logits)).sum(1).mean() + (wanted.T * log_softmax(logits.T)).sum(1).mean()) / 2


def np_wanted(index):
    same = (index[:, None] == index[None]).astype(float)
    return same / same.sum(1, keepdims=True)


@pytest.mark.parametrize("normalise", [True, False])
def test_infonce_is_the_symmetric_cross_entropy_whichever_sides_length_counts(normalise):
    one = given(normalise_brain=normalise)
    found, wanted, index = arrays(one)
    logits = (unit(found) if normalise else found) @ unit(wanted).T / 0.2
    assert LOSSES["infonce"].of(one).item() == pytest.approx(np_symmetric(logits, np_wanted(index)), rel=1e-5)


def test_soft_clip_takes_its_labels_from_how_alike_the_pictures_are():
    one = given()
    found, wanted, _ = arrays(one)
    soft = np.exp(log_softmax(unit(wanted) @ unit(wanted).T / 0.2))
    expected = np_symmetric(unit(found) @ unit(wanted).T / 0.2, soft)
    assert LOSSES["soft-clip"].of(one).item() == pytest.approx(expected, rel=1e-5)


def test_multi_positive_counts_a_picture_found_if_any_of_its_rows_is():
    one = given()
    found, wanted, index = arrays(one)
    same = index[:, None] == index[None]
    logits = unit(found) @ unit(wanted).T / 0.2
    ways = [-np.log((np.exp(log_softmax(x)) * same).sum(1)).mean() for x in (logits, logits.T)]
    assert LOSSES["multi-positive"].of(one).item() == pytest.approx(np.mean(ways), rel=1e-5)


def test_cross_person_draws_the_same_picture_in_other_brains_near_and_leaves_ones_own_out():
    one = given(n=6, subject=torch.tensor([0, 0, 0, 0, 1, 1]))
    found, _, index = arrays(one)  # pictures 0 1 2 3 0 1: rows 0, 1, 4 and 5 have a partner
    logits = unit(found) @ unit(found).T / 0.2
    total = 0.0
    for row, partner in ((0, 4), (1, 5), (4, 0), (5, 1)):
        others = [column for column in range(6) if column != row]
        total -= logits[row, partner] - np.log(np.exp(logits[row, others]).sum())
    assert index.tolist() == [0, 1, 2, 3, 0, 1]
    assert LOSSES["cross-person"].of(one).item() == pytest.approx(total / 4, rel=1e-5)


@pytest.mark.parametrize("people", [None, torch.zeros(7, dtype=torch.int64)])
def test_cross_person_is_nothing_where_nobody_else_saw_the_picture(people):
    one = given(subject=people)
    loss = LOSSES["cross-person"].of(one)
    loss.backward()
    assert loss.item() == 0
    assert not one.predicted.grad.any()


def np_mmd2(x, y):
    def kernel(a, b):
        apart = ((a[:, None] - b[None]) ** 2).sum(-1)
        return np.mean([np.exp(-apart / (2 * w**2)) for w in WIDTHS], axis=0)

    xx, yy = kernel(x, x), kernel(y, y)
    n, m = len(x), len(y)
    within = (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1))
    return max(0.0, within - 2 * kernel(x, y).mean())


def test_the_discrepancy_is_unbiased_over_five_widths_and_never_below_0():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((9, 3)), 0.6 + rng.standard_normal((8, 3))
    assert mmd2(torch.tensor(x), torch.tensor(y)).item() == pytest.approx(np_mmd2(x, y), rel=1e-9)
    assert np_mmd2(x, y) > 0
    alike = [mmd2(*torch.tensor(rng.standard_normal((2, 40, 3)))).item() for _ in range(20)]
    assert min(alike) == 0  # the unbiased estimate is below 0 for half of what is alike
    assert max(alike) < 0.05
    one = given()
    found, wanted, _ = arrays(one)
    length = np.sqrt((wanted**2).sum(1).mean())
    assert LOSSES["mmd"].of(one).item() == pytest.approx(np_mmd2(found / length, wanted / length), rel=1e-4)


def test_the_discrepancys_weight_falls_from_nine_tenths_to_a_half_and_then_is_0():
    assert [round(mmd_weight(epoch, 5), 9) for epoch in range(7)] == [0.9, 0.8, 0.7, 0.6, 0.5, 0.0, 0.0]
    for epoch, weight in ((0, 0.9), (19, 0.5), (20, 0.0)):
        one = given(epoch=epoch)
        expected = weight * LOSSES["mmd"].of(one) + (1 - weight) * LOSSES["infonce"].of(one)
        torch.testing.assert_close(LOSSES["mmd-infonce"].of(one), expected)


@pytest.mark.parametrize("name", CONTRASTS)
@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("size", [0.0, 1e-12, 1.0, 1e6, 1e15])
def test_losses_and_gradients_stay_finite_at_extremes(name, normalise, size):
    for n in (1, 2, 5):
        one = given(n=n, normalise_brain=normalise, temperature=torch.tensor(0.01, requires_grad=True))
        predicted = (size * one.predicted).detach().requires_grad_()
        one = LossInput(**{**vars(one), "predicted": predicted})
        loss = LOSSES[name].of(one)
        loss.backward()
        assert math.isfinite(loss.item())
        assert predicted.grad.isfinite().all()


@pytest.mark.parametrize("name", CONTRASTS)
def test_rows_that_are_all_alike_cost_what_they_must(name):
    rows = torch.ones(4, 6, requires_grad=True)
    one = LossInput(rows, torch.ones(4, 6), torch.zeros(4, dtype=torch.int64), a_head(), torch.tensor(0.1),
                    epoch=30, subject=torch.arange(4))  # fmt: skip
    loss = LOSSES[name].of(one)
    loss.backward()
    shared = math.log(4) if name in ("infonce", "soft-clip", "mmd-infonce") else math.log(3) * (name == "cross-person")
    assert loss.item() == pytest.approx(shared, abs=1e-5)
    assert rows.grad.isfinite().all()


def a_batch(n=8):
    draw = torch.Generator().manual_seed(0)
    number = torch.arange(n) % 6
    return Batch(
        torch.randn(n, 4, 16, generator=draw),
        {"toy.image": torch.randn(6, 6, generator=draw)[number], "prompts": number % 3},
        {"toy.image": number, "prompts": number % 3},
        {"prompts": 3},
    )


def test_mixco_mixes_half_of_the_eeg_and_its_loss_is_that_of_both_pictures_by_their_shares():
    batch = a_batch()
    mixed = mixco(batch, np.random.default_rng(3))
    shares = mixed.shares
    assert torch.equal(mixed.targets["toy.image"], batch.targets["toy.image"])
    torch.testing.assert_close(shares.sum(1), torch.ones(8))
    torch.testing.assert_close(mixed.eeg, torch.einsum("ij,jct->ict", shares, batch.eeg))
    assert 1 <= (shares.diagonal() < 1).sum() <= 7
    predicted = torch.randn(8, 6, generator=torch.Generator().manual_seed(1))
    one = LossInput(predicted, batch.targets["toy.image"], batch.index["toy.image"], a_head(), torch.tensor(0.2),
                    shares=shares)  # fmt: skip
    found, wanted, index = arrays(one)
    expected = np_symmetric(unit(found) @ unit(wanted).T / 0.2, shares.double().numpy() @ np_wanted(index))
    assert LOSSES["infonce"].of(one).item() == pytest.approx(expected, rel=1e-5)
    torch.testing.assert_close(LOSSES["mse"].of(one), torch.nn.functional.mse_loss(predicted, shares @ one.target))
    again = transformed(a_batch(), transforms_named(["mixco"]), (0, 1, 2, 0))
    assert torch.equal(again.shares, transformed(a_batch(), transforms_named(["mixco"]), (0, 1, 2, 0)).shares)


def test_mixed_eeg_trains_a_prompts_head_towards_shares_of_the_classes():
    batch = a_batch()
    mixed = mixco(batch, np.random.default_rng(3))
    head = Head(HeadConfig("prompts", "prompts", prompts=("a", "b", "c")), 1, 4)
    logits = torch.randn(8, 3, generator=torch.Generator().manual_seed(1))
    label, index = batch.targets["prompts"], batch.index["prompts"]
    classes = mixed.shares @ torch.nn.functional.one_hot(label, 3).float()
    torch.testing.assert_close(
        Objective("mse")(head, logits, label, index, mixed.shares), torch.nn.functional.cross_entropy(logits, classes)
    )


def test_rows_are_mixed_once():
    with pytest.raises(ValueError, match="mixed once, by mixup or mixco"):
        transforms_named(["mixup", "mixco"])


def test_a_weighted_list_is_the_sum_of_its_losses_and_each_head_may_have_its_own():
    one = given()
    torch.testing.assert_close(
        loss_named("infonce=0.7,spread-mse=0.3").of(one),
        0.7 * LOSSES["infonce"].of(one) + 0.3 * LOSSES["spread-mse"].of(one),
    )
    assert loss_named("mse=1,cross-person=0.1").compares_people
    own = parse_head_losses(["toy.image=infonce=0.7,mse=0.3"], ["toy.image", "prompts"])
    objective = Objective("mse", temperature=0.2, head_losses=own)
    assert objective.log_temperature.requires_grad
    found = objective(one.head, one.predicted, one.target, one.index)
    torch.testing.assert_close(found, 0.7 * LOSSES["infonce"].of(one) + 0.3 * LOSSES["mse"].of(one))


@pytest.mark.parametrize("name", ["infonce=0", "infonce=-1,mse", "infonce=x", "infonce=nan", "mse,mse", "hinge=1"])
def test_a_weighted_list_that_cannot_be_says_why(name):
    with pytest.raises(ValueError, match=r"--loss takes NAME=WEIGHT|known: "):
        loss_named(name)


@pytest.mark.parametrize("pairs", [["toy.image"], ["toy.image=mse", "toy.image=mse"], ["other=mse"], ["=mse"]])
def test_a_heads_loss_that_cannot_be_says_why(pairs):
    with pytest.raises(ValueError, match="--head-loss"):
        parse_head_losses(pairs, ["toy.image"])


def test_a_similarity_is_read_back_from_its_text_and_anything_else_is_refused():
    for one in (Similarity(), Similarity(False, 2.727, False), Similarity(True, 14.3, False)):
        again = parse_similarity(one.text, 0.07)
        assert (again.normalise_brain, again.learned) == (one.normalise_brain, one.learned)
        assert again.scale == pytest.approx(one.scale, rel=1e-4)
    assert parse_similarity("", 0.05) == Similarity(scale=20)
    for text in ("cosine", "cosine:14", "dot:14:fixed", "cosine:x:fixed", "cosine:200:fixed", "cosine:nan:learned"):
        with pytest.raises(ValueError, match="scale"):
            parse_similarity(text, 0.07)


def test_a_scale_that_belongs_to_brain_vectors_with_their_length_is_refused_where_both_have_length_one():
    samga = "brain-length:2.727:fixed"
    assert objective_of(train_options(loss="infonce", similarity=samga, batch=1024).training, ["a.image"])[1] == ""
    with pytest.raises(ValueError, match=r"even a perfect answer gets a probability of 0\.015; take a scale of 6\.93"):
        objective_of(train_options(loss="infonce", similarity="cosine:2.727:fixed", batch=1024).training, ["a.image"])
    learned = train_options(loss="infonce", similarity="cosine:2.727:learned", batch=1024).training
    assert "14.3 is usual" in objective_of(learned, ["a.image"])[1]
    assert check_similarity(Similarity(), 1024) == ""
    assert not objective_of(train_options(similarity="cosine:2.727:fixed", batch=1024).training, ["a.image"])[1]


def test_a_fixed_scale_is_not_trained_and_a_similarity_says_the_scale_once():
    fixed = objective_of(train_options(loss="infonce", similarity="cosine:14.3:fixed").training, ["toy.image"])[0]
    assert not fixed.log_temperature.requires_grad
    assert 1 / fixed.temperature.item() == pytest.approx(14.3)
    with pytest.raises(ValueError, match="leave --temperature out"):
        train_options(similarity="cosine:14.3:fixed", temperature=0.04)


def test_uncertainty_follows_its_formula_and_chooses_the_next_epochs_blur():
    rng = np.random.default_rng(0)
    blur, value, level = UncertainBlur(40), np.ones(40), np.full(40, MEDIUM)
    for batch in range(3):
        rows, likeness = rng.permutation(40)[:30], rng.standard_normal(30)
        likeness[:2] = 20, -20
        blur.update(torch.from_numpy(rows), torch.tensor(likeness, dtype=torch.float32))
        value[rows] = 0.3 * likeness + 0.7 * value[rows]
        middle, half = value[rows].mean(), 1.96 * value[rows].std(ddof=1)
        level[rows] = np.where(likeness > middle + half, LOW, np.where(likeness < middle - half, HIGH, MEDIUM))
        assert not batch or {LOW, HIGH} <= set(level)
        np.testing.assert_allclose(blur.value.numpy(), value, rtol=1e-5)
        assert blur.next_level.tolist() == level.tolist()
        assert set(blur.level.tolist()) == {MEDIUM}
    blur.begin_epoch()
    assert blur.level.tolist() == level.tolist()
    blur.update(torch.tensor([3]), torch.tensor([5.0]))  # one picture has no spread
    assert blur.value.isfinite().all()


def test_validation_does_not_touch_the_uncertainty():
    one = given()
    objective = Objective("infonce", uncertain={"toy.image": UncertainBlur(7)})
    blur = objective.blur_of("toy.image")
    objective.eval()(one.head, one.predicted, one.target, one.index)
    assert blur.value.tolist() == [1.0] * 7
    objective.train()(one.head, one.predicted, one.target, one.index)
    assert (blur.value != 1).sum() == 5


def rates(history=(), **flags):
    options = train_options(lr=1e-3, warmup=0.0, epochs=8, **flags).training
    return [rate_at(epoch, 1, 4, options, history) for epoch in range(8)]


def test_schedules_by_epoch_and_the_second_stages_rate():
    falling = rates(schedule="cosine-by-epoch")
    assert falling == pytest.approx([0.5 * (1 + math.cos(math.pi * epoch / 8)) for epoch in range(8)])
    losses = [3.0, 2.0, 2.5, 2.4, 2.3, 1.0, 1.0, 1.0]
    history = [{"train_loss": 9.0, "val_loss": loss} for loss in losses]
    found = rates(history, schedule="plateau", plateau_patience=2, plateau_factor=0.5)
    assert found == [1, 1, 1, 1, 1, 0.5, 0.5, 0.5]
    assert rates(schedule="constant", second_stage=5, second_lr=5e-4) == [1] * 5 + [0.5] * 3
    with pytest.raises(ValueError, match="go together"):
        train_options(second_stage=5)
