"""Batch transforms: what mixup makes of a batch, and that a resumed run draws the same."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from core.model.heads import HeadConfig
from tests.small_encoders import small_encoder
from trainer.losses.batch_transforms import BATCH_TRANSFORMS, Batch, mixup, transformed, transforms_named
from trainer.losses.objective import Objective
from trainer.training.loop import Training


@pytest.fixture
def batch():
    draw = torch.Generator().manual_seed(0)
    number = torch.tensor([0, 1, 2, 3, 3, 4, 5, 5])
    values = torch.randn(6, 768, generator=draw)
    return Batch(
        torch.randn(8, 8, 128, generator=draw),
        {"clip-l.image": values[number], "prompts": number % 3},
        {"clip-l.image": number, "prompts": number % 3},
        {"prompts": 3},
    )


def a_share(batch, seed):
    """The mixed batch, the share of each row's own part, and whose other part it has."""
    rng = np.random.default_rng(seed)
    mixed = mixup(batch, rng)
    again = np.random.default_rng(seed)
    return mixed, float(again.beta(0.2, 0.2)), torch.from_numpy(again.permutation(len(batch.eeg)))


def test_mixup_mixes_eeg_and_every_target_by_one_share(batch):
    mixed, share, order = a_share(batch, 4)
    assert 0.01 < share < 0.99
    torch.testing.assert_close(mixed.eeg, share * batch.eeg + (1 - share) * batch.eeg[order])
    wanted = batch.targets["clip-l.image"]
    torch.testing.assert_close(mixed.targets["clip-l.image"], share * wanted + (1 - share) * wanted[order])
    classes = F.one_hot(batch.targets["prompts"], 3).float()
    torch.testing.assert_close(mixed.targets["prompts"], share * classes + (1 - share) * classes[order])
    torch.testing.assert_close(mixed.targets["prompts"].sum(1), torch.ones(8))


def test_mixup_lets_rows_share_a_number_only_where_they_share_a_target(batch):
    for seed in range(20):
        mixed, _, _ = a_share(batch, seed)
        index, target = mixed.index["clip-l.image"], mixed.targets["clip-l.image"]
        for one in range(8):
            for other in range(8):
                if index[one] == index[other]:
                    torch.testing.assert_close(target[one], target[other])


def test_the_cross_entropy_of_shares_is_that_of_both_classes_by_their_shares(batch):
    """Zhang et al.'s equation: the loss of the mixed target is the mixture of both losses."""
    mixed, share, order = a_share(batch, 4)
    logits, label = torch.randn(8, 3), batch.targets["prompts"]
    head = small_encoder(HeadConfig("prompts", "prompts", prompts=("a", "b", "c"))).head()
    found = Objective("mse")(head, logits, mixed.targets["prompts"], mixed.index["prompts"])
    wanted = share * F.cross_entropy(logits, label) + (1 - share) * F.cross_entropy(logits, label[order])
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("loss", ["infonce-mse", "mse"])
def test_a_mixed_batch_trains_every_head(batch, loss):
    encoder = small_encoder(
        HeadConfig("clip-l.image", "basis", rank=4), HeadConfig("prompts", "prompts", prompts=("a", "b", "c"))
    )
    training = Training(encoder, Objective(loss)).train()
    mixed = mixup(batch, np.random.default_rng(1))
    training(mixed.eeg, mixed.targets, mixed.index).backward()
    assert all(head.last.weight.grad.abs().sum() > 0 for head in encoder.heads)


def test_no_transform_leaves_a_batch_as_it_is_and_draws_nothing(batch):
    before = torch.get_rng_state()
    assert transformed(batch, [], (0, 1, 2)) is batch
    assert torch.equal(torch.get_rng_state(), before)


def test_a_transform_draws_from_its_own_seed_alone(batch):
    before = torch.get_rng_state()
    first, again, other = (transformed(batch, [mixup], (0, 1, number)).eeg for number in (2, 2, 3))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_smoothing_replaces_three_channels_of_ten_by_their_moving_averages():
    eeg = torch.randn(40, 50, 7, generator=torch.Generator().manual_seed(0))
    batch = transformed(Batch(eeg, {}, {}, {}), transforms_named(["smooth"]), [0])
    means = np.array([[np.mean(row[max(0, i - 2) : i + 3]) for i in range(7)] for row in eeg.reshape(-1, 7).numpy()])
    found, means = batch.eeg.reshape(-1, 7).numpy(), means.astype(np.float32)
    smoothed = np.isclose(found, means, atol=1e-6).all(1)
    np.testing.assert_array_equal(found[~smoothed], eeg.reshape(-1, 7).numpy()[~smoothed])
    assert 0.25 < smoothed.mean() < 0.35


def test_an_unknown_transform_lists_the_known_ones():
    with pytest.raises(ValueError, match=f"no batch transform 'cutmix'; known: {', '.join(BATCH_TRANSFORMS)}"):
        transforms_named(["mixup", "cutmix"])


def test_a_run_with_mixup_stopped_and_resumed_ends_with_the_unbroken_runs_weights(tmp_path, monkeypatch):
    from tests.small_trials import CONFIG, class_trials
    from tests.train_options import made
    from trainer.training import loop
    from trainer.training.fit import fit_encoder
    from trainer.training.splits import split_trials

    trials = class_trials(3, pictures=5, repeats=2)

    def fitted(out, **how):
        options = made(
            encoder="nice", set=("kernel=5", "pool=5", "n_filters=4"), space=("prompts",), epochs=4, batch=8,
            patience=0, average="random", out=out, **how,
        )  # fmt: skip
        return fit_encoder(trials, split_trials(trials, options), CONFIG, {}, options, out).state_dict()

    plain = fitted(tmp_path / "plain")
    unbroken = fitted(tmp_path / "unbroken", batch_transforms=("mixup",))
    save, written = loop.save_state, []

    def stop_after_two(path, kept, progress):
        save(path, kept, progress)
        written.append(progress.epoch)
        if len(written) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop, "save_state", stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        fitted(tmp_path / "broken", batch_transforms=("mixup",))
    monkeypatch.setattr(loop, "save_state", save)
    resumed = fitted(tmp_path / "broken", batch_transforms=("mixup",), resume=True)
    assert written == [1, 2]
    assert all(torch.equal(unbroken[name], resumed[name]) for name in unbroken)
    assert any(not torch.equal(unbroken[name], plain[name]) for name in unbroken)
