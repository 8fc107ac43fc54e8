"""Trials: selecting, grouping, averaging and building."""

import numpy as np
import pytest

from core.preprocessing.trials import build_trials


def rows_of(images, **more):
    return [{"label": image[0], "image_id": image, "onset": i, **more} for i, image in enumerate(images)]


def trials_of(images, **more):
    eeg = np.arange(len(images) * 6, dtype=np.float32).reshape(len(images), 2, 3)
    return build_trials(eeg, rows_of(images, **more))


def test_labels_are_sorted_and_numbered():
    trials = trials_of(["b1", "a1", "b2"])
    assert trials.labels == ("a", "b")
    assert trials.label.tolist() == [1, 0, 1]


def test_a_given_order_of_labels_is_kept():
    trials = build_trials(np.zeros((1, 1, 1), np.float32), rows_of(["b1"]), labels=("b", "a"))
    assert trials.labels == ("b", "a")
    assert trials.label.tolist() == [0]


def test_caption_and_image_default_to_the_label():
    trials = build_trials(np.zeros((1, 1, 1), np.float32), [{"label": "face", "onset": 0.5}])
    assert trials.caption.tolist() == trials.image_id.tolist() == ["face"]
    assert trials.split.tolist() == [""]


@pytest.mark.parametrize("rows", [[{"onset": 0.0}], [{"label": "", "onset": 0.0}]])
def test_a_row_without_label_is_an_error(rows):
    with pytest.raises(ValueError, match="no 'label'"):
        build_trials(np.zeros((1, 1, 1), np.float32), rows)


def test_an_unknown_label_is_named():
    with pytest.raises(ValueError, match="cat"):
        build_trials(np.zeros((1, 1, 1), np.float32), [{"label": "cat", "onset": 0.0}], labels=("dog",))


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="2 windows"):
        build_trials(np.zeros((2, 1, 1), np.float32), rows_of(["a1"]))


def test_select_takes_masks_and_numbers():
    trials = trials_of(["a1", "b1", "a2"])
    by_mask, by_number = trials.select(trials.label == 0), trials.select(np.array([0, 2]))
    assert by_mask.image_id.tolist() == by_number.image_id.tolist() == ["a1", "a2"]
    assert np.array_equal(by_mask.eeg, trials.eeg[[0, 2]])


def test_groups_are_numbered_by_first_row():
    first, group = trials_of(["a1", "b1", "a1", "c1"]).groups("image_id")
    assert first.tolist() == [0, 1, 3]
    assert group.tolist() == [0, 1, 0, 2]


def test_averaging_gives_the_mean_and_counts_it():
    trials = trials_of(["a1", "b1", "a1", "a1"])
    averaged = trials.average_repeats()
    rows = {image: i for i, image in enumerate(averaged.image_id.tolist())}
    assert len(averaged) == 2
    assert np.allclose(averaged.eeg[rows["a1"]], trials.eeg[[0, 2, 3]].mean(axis=0))
    assert averaged.repeats[rows["a1"]] == 3
    assert averaged.eeg.dtype == np.float32


def test_averaging_in_groups_loses_no_presentation():
    averaged = trials_of(["a1"] * 5 + ["b1"] * 4).average_repeats(at_most=2, seed=3)
    assert sorted(averaged.repeats.tolist()) == [1, 2, 2, 2, 2]


def test_averaging_never_mixes_people_or_splits():
    eeg = np.ones((4, 1, 2), np.float32)
    rows = [
        {"label": "a", "image_id": "a1", "onset": 0, "subject": subject, "split": split}
        for subject in ("1", "2")
        for split in ("train", "test")
    ]
    assert len(build_trials(eeg, rows).average_repeats()) == 4


def test_averages_of_averages_are_weighted():
    trials = trials_of(["a1", "a1", "a1"])
    once = trials.average_repeats(at_most=2, seed=1)
    assert np.allclose(once.average_repeats().eeg[0], trials.eeg.mean(axis=0))
