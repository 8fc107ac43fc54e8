"""Leak checks find the leaks they are named for, and pass clean designs."""

import numpy as np
import pytest

from core.preprocessing.trials import build_trials
from trainer.evaluation.leaks import check_leaks, check_prestimulus, shared_information


def trials_of(labels, *, blocks=None, images=None, runs=None, onsets=None):
    n = len(labels)
    rows = [
        {
            "label": label,
            "onset": i if onsets is None else onsets[i],
            "image_id": f"picture {i}" if images is None else images[i],
            "run": "1" if runs is None else runs[i],
            "block": "" if blocks is None else blocks[i],
        }
        for i, label in enumerate(labels)
    ]
    return build_trials(np.zeros((n, 1, 4), np.float32), rows)


def checks_of(trials, test, **options):
    found = check_leaks(trials, {"train": np.flatnonzero(~test), "val": np.zeros(0, int), "test": test}, **options)
    return {check.name: check for check in found}


@pytest.fixture
def shuffled_design():
    # four classes in random order over four runs, a third of every run for the test
    rng = np.random.default_rng(0)
    labels = [f"class {i}" for i in rng.permutation(np.tile(np.arange(4), 100))]
    return trials_of(labels, runs=[f"{i // 100}" for i in range(400)]), np.arange(400) % 3 == 0


def test_a_shuffled_design_passes(shuffled_design):
    assert all(check.passed for check in checks_of(*shuffled_design).values())


def test_a_block_design_is_flagged():
    # forty classes, each recorded in one block of its own, split at random within blocks
    labels = [f"class {i // 50:02d}" for i in range(2000)]
    trials = trials_of(labels, blocks=[f"{i // 50}" for i in range(2000)])
    found = checks_of(trials, np.random.default_rng(0).random(2000) < 0.2)
    check = found["class against recording block"]
    assert check.passed is False
    assert check.figure == pytest.approx(1)
    assert check.sentence.startswith("Class = recording block: every class was recorded in one block only")


def test_a_block_design_whose_blocks_are_not_named_is_flagged_by_time():
    trials = trials_of([f"class {i // 50:02d}" for i in range(2000)])
    found = checks_of(trials, np.random.default_rng(0).random(2000) < 0.2)
    assert found["class against time"].passed is False
    assert found["class against time"].figure > 0.9


def test_data_without_blocks_or_runs_are_not_called_clean():
    found = checks_of(trials_of(["a", "b"] * 50, runs=[""] * 100), np.arange(100) > 70)
    assert found["class against recording block"].passed is None


def test_data_without_times_are_not_called_clean():
    found = checks_of(trials_of(["a", "b"] * 50, onsets=[0.0] * 100), np.arange(100) > 70)
    assert found["class against time"].passed is None
    assert found["test presentations"].passed is None


def test_shared_information_is_adjusted_for_chance():
    rng = np.random.default_rng(0)
    label, block = rng.integers(20, size=400), rng.integers(40, size=400)
    assert abs(shared_information(label, block)[0]) < 0.05
    assert shared_information(label, label)[0] == pytest.approx(1)
    assert shared_information(label, np.zeros(400, int)) == (0.0, 1.0)


def test_repeats_of_one_picture_across_splits_are_flagged():
    images = [f"picture {i % 50}" for i in range(200)]
    trials = trials_of([f"class {i % 4}" for i in range(200)], images=images)
    found = checks_of(trials, np.arange(200) >= 150)["test pictures"]
    assert found.passed is False
    assert found.figure == 1.0


def test_unnamed_pictures_are_not_called_clean():
    labels = ["face", "house"] * 50
    assert checks_of(trials_of(labels, images=labels), np.arange(100) > 70)["test pictures"].passed is None


def test_concepts_must_be_all_new_or_all_known():
    labels = np.array(["a", "b", "c", "d"] * 25)
    new = np.isin(labels, ["c", "d"])
    assert checks_of(trials_of(labels.tolist()), new)["test concepts"].figure == 0.0
    assert checks_of(trials_of(labels.tolist()), np.arange(100) > 70)["test concepts"].figure == 1.0
    mixed = checks_of(trials_of(labels.tolist()), new & (np.arange(100) > 50) | (labels == "c"))["test concepts"]
    assert mixed.passed is False
    assert "(d)" in mixed.sentence


def test_one_presentation_in_two_splits_is_flagged(shuffled_design):
    trials, test = shuffled_design
    parts = {"train": np.arange(400), "test": np.flatnonzero(test)}
    found = {check.name: check for check in check_leaks(trials, parts)}
    assert found["test presentations"].passed is False


def test_an_answer_before_the_picture_is_found():
    rng = np.random.default_rng(0)
    label, run = rng.integers(2, size=300), np.repeat(np.arange(3), 100)
    windows = rng.normal(size=(300, 4, 40)) * 1e-5
    assert check_prestimulus(windows, label, run, n_permutations=99).passed
    windows[:, 2] += 4e-6 * label[:, None]
    leaking = check_prestimulus(windows, label, run, n_permutations=199)
    assert leaking.passed is False
    assert leaking.figure > 0.9


def test_a_runs_offset_is_not_an_answer():
    rng = np.random.default_rng(1)
    run = np.repeat(np.arange(4), 60)
    label = (rng.random(240) < np.where(run % 2, 0.8, 0.2)).astype(int)
    windows = rng.normal(size=(240, 3, 20)) + 3 * (run % 2)[:, None, None]
    assert check_prestimulus(windows, label, run, n_permutations=99).passed


def test_the_prestimulus_check_joins_the_others(shuffled_design):
    trials, test = shuffled_design
    windows = np.random.default_rng(2).normal(size=(400, 2, 16))
    found = checks_of(trials, test, prestimulus=windows)["before the picture"]
    assert found.passed
    assert found.figure == pytest.approx(0.25, abs=0.1)


def test_no_test_split_is_an_error(shuffled_design):
    with pytest.raises(ValueError, match="test"):
        check_leaks(shuffled_design[0], {"train": np.arange(400)})
