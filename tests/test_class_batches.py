"""Class-balanced batches: how many of each class, no trial twice, repeats averaged as asked, the same from one seed."""

import numpy as np
import pytest

from tests.small_trials import class_trials
from trainer.training.class_batches import PER_CLASS, ClassBatches


def batches(trials, average="none", batch=16, classes=None, seed=0):
    rows = np.flatnonzero(trials.split == "train")
    classes = trials.label[rows] if classes is None else classes[rows]
    return ClassBatches(trials, rows, classes, average, batch, seed)


@pytest.mark.parametrize("average", ["none", "all", "random"])
def test_every_batch_holds_as_many_items_of_each_class_and_no_trial_twice(average):
    trials = class_trials(n_classes=6, pictures=8)
    made = batches(trials, average)
    assert made.shape == (4, PER_CLASS)
    for items, labels in made.draw(0):
        assert sorted(np.unique(labels, return_counts=True)[1]) == [PER_CLASS] * 4
        rows = np.concatenate(items)
        assert len(np.unique(rows)) == len(rows)
        for item, label in zip(items, labels, strict=True):
            assert (trials.label[item] == label).all()
            assert (trials.split[item] == "train").all()
            assert len(np.unique(trials.image_id[item])) == 1


def test_an_item_is_a_trial_or_all_or_some_of_a_pictures_repeats():
    trials = class_trials(pictures=8, repeats=3)
    sizes = {
        average: {
            len(item) for epoch in range(4) for items, _ in batches(trials, average).draw(epoch) for item in items
        }
        for average in ("none", "all", "random")
    }
    assert sizes == {"none": {1}, "all": {3}, "random": {1, 2, 3}}


def test_few_classes_fill_the_batch_with_more_items_of_each():
    assert batches(class_trials(n_classes=2, pictures=12), batch=16).shape == (2, 8)


def test_items_of_one_picture_share_its_repeats():
    trials = class_trials(repeats=4)
    pictures = np.unique(trials.image_id, return_inverse=True)[1].reshape(-1)
    for items, labels in batches(trials, "all", classes=pictures).draw(0):
        for picture in np.unique(labels):
            parts = [item for item, label in zip(items, labels, strict=True) if label == picture]
            assert sorted(np.concatenate(parts)) == sorted(
                np.flatnonzero((pictures == picture) & (trials.split == "train"))
            )
            assert len(parts) == PER_CLASS


def test_items_come_from_different_pictures_where_there_are_enough():
    trials = class_trials(pictures=8)
    for items, labels in batches(trials, "none").draw(3):
        for label in np.unique(labels):
            shown = [trials.image_id[item[0]] for item, own in zip(items, labels, strict=True) if own == label]
            assert len(set(shown)) == PER_CLASS


def test_seed_and_epoch_alone_fix_what_is_drawn():
    trials = class_trials(pictures=8)
    drawn = [
        [item.tolist() for items, _ in batches(trials, "random", seed=seed).draw(epoch) for item in items]
        for seed, epoch in ((0, 1), (0, 1), (0, 2), (1, 1))
    ]
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]
    assert drawn[0] != drawn[3]


def test_an_epoch_shows_about_as_many_items_as_there_are():
    trials = class_trials(n_classes=6, pictures=10)
    assert batches(trials, "all").per_epoch == 6 * 8 // 16
    assert batches(trials, "none").per_epoch == 6 * 8 * 3 // 16


def test_classes_of_a_single_trial_are_never_drawn_and_two_classes_are_needed():
    trials = class_trials()
    rows = np.flatnonzero(trials.split == "train")
    classes = np.where(np.arange(len(rows)) == 0, 99, trials.label[rows])
    made = ClassBatches(trials, rows, classes, "none", 64, 0)
    assert all(99 not in labels for epoch in range(3) for _, labels in made.draw(epoch))
    with pytest.raises(ValueError, match="hold 0 classes with at least two trials"):
        ClassBatches(trials, rows, np.arange(len(rows)), "none", 16, 0)


def test_the_averaged_eeg_is_the_mean_of_the_items_trials():
    from core.model.prediction import encode_ready
    from tests.small_trials import CONFIG
    from trainer.config.options import train_options
    from trainer.training.build import build_for

    trials = class_trials()
    made = batches(trials, "random")
    encoder = build_for(trials, made.rows, CONFIG, train_options(space=("prompts",), set=("kernel=5", "pool=5")), {})
    for (items, labels), (eeg, same) in zip(made.draw(2), made.epoch(2, encoder), strict=True):
        expected = encode_ready(encoder, np.stack([trials.eeg[item].mean(0) for item in items]))
        np.testing.assert_allclose(eeg.numpy(), expected.numpy(), rtol=1e-4, atol=1e-5)
        assert np.array_equal(labels, same)
