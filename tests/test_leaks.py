"""Leak checks find the leaks they are named for, and pass clean designs."""

import numpy as np
import pytest

from core.leaks.check import Check, verdict
from core.leaks.leak_input import LeakInput
from core.leaks.registry import CHECKS, run_checks
from core.leaks.signal.before_picture import check_prestimulus
from core.preprocessing.trials import build_trials


def trials_of(labels, *, blocks=None, images=None, runs=None, onsets=None, people=None, eeg=None):
    n = len(labels)
    rows = [
        {
            "label": label,
            "onset": i if onsets is None else onsets[i],
            "image_id": f"picture {i}" if images is None else images[i],
            "run": "1" if runs is None else runs[i],
            "block": "" if blocks is None else blocks[i],
            "subject": "" if people is None else people[i],
        }
        for i, label in enumerate(labels)
    ]
    return build_trials(np.zeros((n, 1, 4), np.float32) if eeg is None else eeg, rows)


def checks_of(trials, test, **options):
    parts = {"train": np.flatnonzero(~test), "val": np.zeros(0, int), "test": test}
    return {check.name: check for check in run_checks(LeakInput(trials, parts, **options))}


@pytest.fixture
def shuffled_design():
    # four classes in random order over four runs, a third of every run for the test
    rng = np.random.default_rng(0)
    labels = [f"class {i}" for i in rng.permutation(np.tile(np.arange(4), 100))]
    return trials_of(labels, runs=[f"{i // 100}" for i in range(400)]), np.arange(400) % 3 == 0


def test_a_shuffled_design_passes(shuffled_design):
    assert not [check for check in checks_of(*shuffled_design).values() if check.passed is False]


def test_what_cannot_be_checked_says_why(shuffled_design):
    unknown = [check for check in checks_of(*shuffled_design).values() if check.passed is None]
    assert unknown
    assert all(check.sentence.startswith("Could not be checked, because ") for check in unknown)


def test_every_check_answers_under_its_own_name(shuffled_design):
    assert list(checks_of(*shuffled_design)) == list(CHECKS)


def test_a_block_design_is_flagged():
    # forty classes, each recorded in one block of its own, split at random within blocks
    labels = [f"class {i // 50:02d}" for i in range(2000)]
    trials = trials_of(labels, blocks=[f"{i // 50}" for i in range(2000)])
    found = checks_of(trials, np.random.default_rng(0).random(2000) < 0.2)
    check = found["class against recording block"]
    assert check.passed is False
    assert check.figure == pytest.approx(1)
    assert check.sentence.startswith("Class = recording block: every class was recorded in one recording block only")


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
    assert found["class against order"].passed is None
    assert found["test presentations"].passed is None


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
    found = {check.name: check for check in run_checks(LeakInput(trials, parts))}
    assert found["test presentations"].passed is False


def test_an_answer_before_the_picture_is_found():
    rng = np.random.default_rng(0)
    label, run = rng.integers(2, size=300), np.repeat(np.arange(3), 100)
    windows = rng.normal(size=(300, 4, 40)) * 1e-5
    assert check_prestimulus(windows, label, run).passed
    windows[:, 2] += 4e-6 * label[:, None]
    leaking = check_prestimulus(windows, label, run)
    assert leaking.passed is False
    assert leaking.figure > 0.9


def test_a_runs_offset_is_not_an_answer():
    rng = np.random.default_rng(1)
    run = np.repeat(np.arange(4), 60)
    label = (rng.random(240) < np.where(run % 2, 0.8, 0.2)).astype(int)
    windows = rng.normal(size=(240, 3, 20)) + 3 * (run % 2)[:, None, None]
    assert check_prestimulus(windows, label, run).passed


def test_power_before_the_picture_is_an_answer_too():
    rng = np.random.default_rng(2)
    label, run = rng.integers(2, size=300), np.repeat(np.arange(3), 100)
    windows = rng.normal(size=(300, 4, 40)) * 1e-5
    windows[:, 1] *= 1 + 0.5 * label[:, None]
    assert check_prestimulus(windows, label, run).passed is False


def test_without_a_split_the_checks_of_one_are_not_called_passed(shuffled_design):
    found = {check.name: check for check in run_checks(LeakInput(shuffled_design[0]))}
    for name in ("test presentations", "overlapping windows", "test pictures", "test concepts"):
        assert found[name].passed is None, name


def test_the_first_line_counts_what_failed_passed_and_could_not_be_checked():
    good, bad = Check("order", True, 0.0, "Fine."), Check("class against time", False, 1.0, "Bad.")
    open_ = Check("pictures", None, None, "Could not be checked, because there are none.")
    assert verdict([good, open_]) == "Leak checks: 0 failed, 1 passed, 1 could not be checked."
    line = verdict([good, bad, open_], [{"p_value": 0.001}])
    assert line.startswith("LEAK CHECKS: 1 failed (class against time), 1 passed, 1 could not be checked:")
    assert line.endswith("the score is a leak, not vision.")
    assert "no score is above chance" in verdict([bad], [{"p_value": 0.4}])
    assert "none was made" in verdict([])


@pytest.mark.parametrize(
    ("order", "name"),
    [
        (lambda rng: np.arange(240) % 2, "class against order"),
        (lambda rng: np.arange(240) // 2 % 2, "class against order"),
        (lambda rng: np.arange(240) % 5, "class against order"),
        (lambda rng: np.arange(240) // 20 % 2, "class against time"),
        (lambda rng: (rng.random(240) < np.linspace(0.2, 0.8, 60)[np.arange(240) % 60]) * 1, "class against position"),
    ],
)
def test_an_order_that_tells_the_class_is_named(order, name):
    label = order(np.random.default_rng(4))
    runs = [f"{i // 60}" for i in range(240)]
    found = checks_of(trials_of([f"class {i}" for i in label], runs=runs), np.arange(240) >= 180)
    assert found[name].passed is False


@pytest.mark.parametrize("kind", ["balanced in tens", "never twice", "one in three"])
def test_honest_orders_pass(kind):
    for seed in range(8):
        rng = np.random.default_rng(seed)
        if kind == "balanced in tens":
            label = np.concatenate([rng.permutation(np.arange(10) % 2) for _ in range(30)])
        elif kind == "never twice":
            label = np.cumsum(rng.integers(1, 6, size=300)) % 6
        else:
            label = (rng.random(300) < 1 / 3).astype(int)
        trials = trials_of([f"class {i}" for i in label], runs=[f"{i // 100}" for i in range(300)])
        failed = [check for check in checks_of(trials, np.arange(300) >= 200).values() if check.passed is False]
        assert not failed, (kind, seed, failed)


def test_an_interval_that_tells_the_class_is_named():
    rng = np.random.default_rng(5)
    label = rng.integers(2, size=200)
    onsets = np.cumsum(1.0 + 0.2 * rng.random(200) + 0.1 * label)
    found = checks_of(trials_of([f"class {i}" for i in label], onsets=onsets), np.arange(200) >= 150)
    assert found["class against interval"].passed is False


def eeg_of(rng, n, channels=4, times=96):
    noise = np.cumsum(rng.normal(size=(n, channels, times + 8)), axis=2)
    return ((noise[:, :, 8:] - noise[:, :, :-8]) * 3e-6).astype(np.float32)


@pytest.mark.parametrize("how", ["louder and upside down", "one channel", "re-referenced and filtered", "shifted"])
def test_the_same_recording_under_another_name_is_found_by_its_windows(how):
    rng = np.random.default_rng(6)
    one, other = eeg_of(rng, 60, times=128), eeg_of(rng, 60, times=128)
    copied = one + 0
    if how == "louder and upside down":
        copied = one * -3 + 1e-6
    elif how == "one channel":
        copied = eeg_of(rng, 60, times=128)
        copied[:, 2] = one[:, 2]
    elif how == "re-referenced and filtered":
        copied = one - one[:, :1]
        copied = np.apply_along_axis(lambda row: np.convolve(row, np.ones(4) / 4, "same"), 2, copied)
        copied = copied + 1e-7 * rng.normal(size=copied.shape)
    else:
        copied[:, :, :120] = one[:, :, 8:]
        copied[:, :, 120:] = 1e-6 * rng.normal(size=(60, 4, 8))
    label = [f"class {i}" for i in rng.integers(2, size=180)]
    runs, onsets = [f"run {i // 60}" for i in range(180)], np.tile(np.arange(60) * 2.0, 3)
    test = np.arange(180) >= 120
    given = {"sfreq": 128.0, "tmin": 0.0, "l_freq": 1.0}
    eeg = np.concatenate([one, other, copied]).astype(np.float32)
    found = checks_of(trials_of(label, runs=runs, onsets=onsets, eeg=eeg), test, **given)
    assert False in (found["same recording twice"].passed, found["same EEG in two trials"].passed)
    clean = np.concatenate([one, other, eeg_of(rng, 60, times=128)])
    found = checks_of(trials_of(label, runs=runs, onsets=onsets, eeg=clean), test, **given)
    assert found["same recording twice"].passed
    assert found["same EEG in two trials"].passed


def test_windows_that_overlap_across_the_split_are_named():
    rng = np.random.default_rng(7)
    trials = trials_of([f"class {i}" for i in rng.integers(2, size=200)], eeg=eeg_of(rng, 200, times=256))
    test = np.arange(200) % 4 == 0
    assert checks_of(trials, test, sfreq=128.0)["overlapping windows"].passed is False
    assert checks_of(trials, test, sfreq=512.0)["overlapping windows"].passed


def test_one_picture_under_two_names_is_named():
    rng = np.random.default_rng(8)
    coarse = rng.integers(0, 255, size=(10, 6, 6, 3))
    pictures = {f"picture {i}": np.kron(one, np.ones((10, 10, 1))).astype(np.uint8) for i, one in enumerate(coarse)}
    trials = trials_of(["a", "b"] * 5)
    test = np.arange(10) >= 7
    assert checks_of(trials, test, pictures=pictures)["same picture under two names"].passed
    pictures["picture 9"] = (pictures["picture 1"][::2, ::-2] * 0.8).astype(np.uint8)
    found = checks_of(trials, test, pictures=pictures)["same picture under two names"]
    assert found.passed is False
    assert "picture 1 = picture 9" in found.sentence


def test_a_channel_that_jumps_with_the_class_is_a_trigger():
    rng = np.random.default_rng(9)
    label = rng.integers(2, size=200)
    eeg = eeg_of(rng, 200)
    given = {"sfreq": 128.0, "tmin": -0.1}
    names = [f"class {i}" for i in label]
    assert checks_of(trials_of(names, eeg=eeg), np.arange(200) >= 150, **given)[
        "channel that carries the trigger"
    ].passed
    eeg[:, 3, 13:18] += (1e-5 * label[:, None]).astype(np.float32)
    found = checks_of(trials_of(names, eeg=eeg), np.arange(200) >= 150, **given)["channel that carries the trigger"]
    assert found.passed is False
    assert "Channel 4" in found.sentence


def test_a_class_that_is_far_larger_is_no_answer_to_a_picture():
    rng = np.random.default_rng(10)
    label = rng.integers(2, size=200)
    eeg = eeg_of(rng, 200)
    alpha = np.sin(2 * np.pi * 10 * np.arange(96) / 128)
    eeg[:, 1] += (4e-5 * label[:, None] * alpha).astype(np.float32)
    found = checks_of(trials_of([f"class {i}" for i in label], eeg=eeg), np.arange(200) >= 150)
    assert found["implausibly large class difference"].passed is False


def test_a_class_for_each_person_is_named():
    rng = np.random.default_rng(11)
    who = np.arange(200) % 4
    label = (rng.random(200) < np.where(who < 2, 0.8, 0.2)).astype(int)
    trials = trials_of([f"class {i}" for i in label], people=[f"person {i}" for i in who])
    assert checks_of(trials, np.arange(200) >= 150)["class against person"].passed is False


def test_nine_of_ten_of_one_class_are_a_score_without_eeg():
    labels = ["a"] * 180 + ["b"] * 20
    trials = trials_of(list(np.random.default_rng(12).permutation(labels)))
    assert checks_of(trials, np.arange(200) >= 150)["majority class"].passed is False


def test_an_unknown_check_lists_the_known(shuffled_design):
    with pytest.raises(ValueError, match="class against order"):
        run_checks(LeakInput(shuffled_design[0]), ["class against nothing"])


def test_no_trials_are_no_clean_bill(shuffled_design):
    found = run_checks(LeakInput(shuffled_design[0].select(np.zeros(400, bool))))
    assert {check.passed for check in found} == {None}
