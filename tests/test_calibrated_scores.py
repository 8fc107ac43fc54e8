"""What the design lets one shuffle and draw, and intervals and p-values that hold where trials are not independent."""

import numpy as np
import pytest
from scipy import stats

from core.scoring.design import Units, exchangeable_units, least_p, stretches
from core.scoring.families import holm
from core.scoring.halves import agreement_of, halves_of
from core.scoring.intervals import (
    auc_influences,
    auc_interval,
    balanced_share_interval,
    corrected_resampled_interval,
    joined_interval,
    mean_interval,
    share_interval,
    wilson_interval,
)
from core.scoring.permutations import (
    how_many,
    null_of,
    permuted_aucs,
    permuted_by_units,
    spread_of_answers,
    spread_of_folds,
    spread_of_scores,
)
from core.scoring.personal_scores import units_in_time
from core.scoring.scores import roc_auc


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def singles(n):
    return Units("trial", np.arange(n), np.zeros(n, dtype=int))


def test_single_trials_exchange_labels_inside_runs(rng):
    run, label = np.repeat(["a", "b"], 20), np.r_[np.zeros(15), np.ones(5), np.ones(20) * np.arange(20) % 2].astype(int)
    units = exchangeable_units(label, run=run)
    assert units.name == "trial"
    for given in np.concatenate(list(units.shuffles(label, 20, rng))):
        assert given[:20].sum() == 5
        assert given[20:].sum() == 10


def test_pictures_that_recur_are_shuffled_as_wholes_and_in_the_same_way_for_everybody(rng):
    picture = np.tile(np.arange(12), 6)
    person, label = np.repeat(np.arange(3), 24), picture % 2
    units = exchangeable_units(label, picture=picture, run=person, person=person)
    assert units.name == "picture"
    assert len(units) == 12
    for given in np.concatenate(list(units.shuffles(label, 10, rng))):
        assert all(len(np.unique(given[picture == one])) == 1 for one in range(12))
        assert given.sum() == label.sum()


def test_pictures_that_are_the_labels_are_no_units():
    picture = np.tile(np.arange(4), 20)
    assert exchangeable_units(picture % 2, picture=picture).name == "trial"


def test_pictures_of_several_labels_are_no_units(rng):
    assert exchangeable_units(rng.integers(2, size=60), picture=np.arange(60) % 20).name == "trial"


def test_blocks_of_one_label_exchange_labels_inside_their_run(rng):
    label = np.tile(np.repeat([0, 1, 1, 0], 5), 2)
    units = exchangeable_units(label, block=np.arange(40) // 5, run=np.arange(40) // 20)
    assert units.name == "block"
    assert len(units) == 8
    assert units.arrangements(label) == pytest.approx(36)
    for given in np.concatenate(list(units.shuffles(label, 10, rng))):
        assert given[:20].sum() == 10
        assert (given.reshape(8, 5) == given.reshape(8, 5)[:, :1]).all()


def test_runs_of_one_label_leave_runs_to_shuffle():
    label = np.repeat([0, 1, 1, 0], 10)
    units = exchangeable_units(label, run=np.arange(40) // 10)
    assert (units.name, len(units), units.arrangements(label)) == ("run", 4, pytest.approx(6))


def test_stretches_are_seen_only_where_labels_stay():
    assert stretches(np.tile([0, 1], 20), 2) is None
    assert stretches(np.repeat([0, 1, 0], 10), 2).tolist() == [0] * 10 + [1] * 10 + [2] * 10


def test_a_rare_label_in_random_order_was_not_shown_in_blocks():
    rng = np.random.default_rng(0)
    for share in (0.02, 0.05, 0.1):
        label = rng.permutation(np.arange(120) < share * 120).astype(int)
        assert stretches(label, 2) is None
        assert units_in_time(label, 2).name == "trial"
    assert stretches(np.repeat([0, 1, 0], [90, 10, 20]), 2) is not None
    assert stretches(np.zeros(5, dtype=int), 2).tolist() == [0] * 5


def test_no_p_is_smaller_than_the_design_allows():
    assert least_p(1000, 6) == pytest.approx(1 / 6)
    assert least_p(1000, np.inf) == pytest.approx(1 / 1001)
    label, score = np.repeat([0, 1, 1, 0], 10), np.repeat([0.0, 1.0, 1.0, 0.0], 10)
    units = exchangeable_units(label, run=np.arange(40) // 10)
    permuted = permuted_aucs(score, label, np.zeros(40), units, 500)
    null = null_of(1.0, permuted, units, label)
    assert null.p_value >= 1 / 6
    assert "no less than 0.17 is possible" in null.text()


def test_wilson_interval_matches_statsmodels_numbers():
    # 3 of 100 and 0 of 50, as R's prop.test without continuity correction gives them
    assert wilson_interval(0.03, 100) == pytest.approx((0.01025, 0.08452), abs=1e-4)
    assert wilson_interval(0.0, 50) == pytest.approx((0.0, 0.07135), abs=1e-4)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.97])
def test_intervals_of_shares_hold_near_0_and_1(rng, share):
    inside = []
    for n in rng.integers(60, 300, 400):
        low, high = share_interval((rng.random(n) < share).astype(float))
        inside.append(low <= share <= high)
    assert 0.92 < np.mean(inside) < 0.985


def test_repeated_presentations_of_a_picture_count_less(rng):
    inside = []
    for _ in range(300):
        own = rng.beta(1.5, 1.5, 20)
        picture = np.repeat(np.arange(20), 10)
        low, high = share_interval((rng.random(200) < own[picture]).astype(float), picture)
        inside.append(low <= 0.5 <= high)
    assert np.mean(inside) > 0.91


def test_units_of_which_there_is_one_tell_nothing():
    low, high = share_interval(np.ones(50), np.zeros(50))
    assert (low < 0.25, high) == (True, 1.0)
    assert auc_interval(np.arange(20.0), np.arange(20) > 9, None, np.arange(20) // 10) == (0.0, 1.0)


def test_influences_are_delongs(rng):
    truth, scores = rng.integers(2, size=60), rng.integers(0, 9, 60).astype(float)
    value, moved = auc_influences(scores, truth)
    own, other = scores[truth == 1], scores[truth == 0]
    wins = (own[:, None] > other) + 0.5 * (own[:, None] == other)
    assert value == pytest.approx(roc_auc(scores, truth))
    expected = wins.mean(1).var(ddof=1) / len(own) + wins.mean(0).var(ddof=1) / len(other)
    assert np.square(moved).sum() == pytest.approx(expected)


def test_a_perfect_auc_of_few_trials_is_not_certain():
    low, high = auc_interval(np.arange(20.0), np.arange(20) > 9)
    assert 0.6 < low < 0.95
    assert high == 1.0
    assert auc_interval(-np.arange(20.0), np.arange(20) > 9) == pytest.approx((0.0, 1 - low))


def test_what_people_differ_by_widens_the_interval_of_their_mean(rng):
    person, truth = np.repeat(np.arange(6), 60), rng.integers(2, size=360)
    scores = truth * np.repeat([0.0, 3.0, 0.2, 2.5, 0.1, 1.5], 60) + rng.standard_normal(360)
    alone = np.diff(auc_interval(scores, truth, person))
    assert np.diff(auc_interval(scores, truth, person, between=True)) > 2 * alone


def test_balanced_shares_weigh_labels_alike(rng):
    label = np.r_[np.zeros(270, int), np.ones(30, int)]
    low, high = balanced_share_interval(np.r_[np.ones(270), np.arange(30) % 2], label)
    assert low < 0.75 < high
    assert high - low > 0.15


def test_correction_of_nadeau_and_bengio():
    values = np.array([0.6, 0.7, 0.65, 0.55, 0.75])
    low, high = corrected_resampled_interval(values, 0.25)
    half = stats.t.isf(0.025, 4) * np.sqrt((1 / 5 + 0.25) * values.var(ddof=1))
    assert (low, high) == pytest.approx((0.65 - half, 0.65 + half))
    with pytest.raises(ValueError, match="at least two"):
        corrected_resampled_interval(np.array([0.5]), 0.2)


def test_joined_intervals_are_those_of_the_mean(rng):
    values, arm = np.array([0.5, 0.6, 0.55]), 0.1
    low, high = joined_interval(values, [(v - arm, v + arm) for v in values])
    assert (high - low) / 2 == pytest.approx(arm / np.sqrt(3))
    low, high = joined_interval(values, [(v - arm, v + arm) for v in values], 2.0)
    assert (high - low) / 2 == pytest.approx(arm / np.sqrt(3) * np.sqrt(2))


def test_mean_interval_is_students(rng):
    values = rng.normal(size=12)
    expected = stats.t.interval(0.95, 11, values.mean(), values.std(ddof=1) / np.sqrt(12))
    assert mean_interval(values) == pytest.approx(expected)
    assert mean_interval(np.repeat(values, 5), np.repeat(np.arange(12), 5)) == pytest.approx(expected)


def test_holm_is_its_paper():
    adjusted = holm([0.01, 0.04, None, 0.03])
    assert adjusted[2] is None
    assert [adjusted[0], adjusted[1], adjusted[3]] == pytest.approx([0.03, 0.06, 0.06])
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([1.2])


def test_shared_training_trials_widen_the_null(rng):
    label = np.arange(40) % 2
    units, permuted = singles(40), rng.standard_normal(2000) * 0.1 + 0.5
    alone = null_of(0.67, permuted, units, label)
    shared = null_of(0.67, permuted, units, label, shared=True)
    assert alone.p_value == pytest.approx(0.045, abs=0.015)
    assert shared.p_value == pytest.approx(0.115, abs=0.02)
    calls = []

    def refit(given):
        calls.append(given)
        return 0.5 + 0.1 * float(np.random.default_rng(len(calls)).standard_normal())

    refitted = null_of(0.67, permuted, units, label, shared=True, refit=refit, usual=2.0)
    assert refitted.n_refits == len(calls) >= 6
    assert alone.p_value < refitted.p_value < shared.p_value * 1.3
    assert all(sorted(given) == sorted(label) for given in calls)


def test_pictures_known_again_are_no_evidence(rng):
    """Decoders that know a picture again score high for labels dealt anew too, which only refits show."""
    picture = np.tile(np.arange(20), 4)
    label = picture % 2
    units = exchangeable_units(label, picture=picture)
    permuted = permuted_by_units(rng.random(80) < 0.5, label, lambda s, t: float((s == t).mean()), units, 500)
    null = null_of(
        0.8, permuted, units, label, shared=True, linked=True,
        refit=lambda given: 0.79 + 0.03 * float(rng.standard_normal()),
    )  # fmt: skip
    assert null.p_value > 0.1
    assert 0.7 < null.mean < 0.85


def test_fewer_shuffles_of_very_many_trials():
    assert [how_many(100), how_many(64_000), how_many(10**7), how_many(10**7, 200)] == [2000, 999, 999, 200]


@pytest.fixture(scope="module")
def two_runs_of_noise() -> tuple[np.ndarray, np.ndarray]:
    """The share of right answers and the mean signed score of 3,000 pairs of runs of noise, each told by the other's
    class means: (3000,) each, in standard deviations of independent trials.
    """
    rng = np.random.default_rng(0)
    n, width = 40, 12
    label = np.tile([-1.0, 1.0], n // 2)
    shares, means = [], []
    for _ in range(3000):
        runs = rng.standard_normal((2, n, width))
        signed = []
        for tested, fitted in ((0, 1), (1, 0)):
            weights = label @ runs[fitted]
            signed.append(label * (runs[tested] @ weights) / np.linalg.norm(weights))
        both = np.concatenate(signed)
        shares.append(((both > 0).mean() - 0.5) / np.sqrt(0.25 / len(both)))
        means.append(both.mean() * np.sqrt(len(both)))
    return np.array(shares), np.array(means)


def test_the_share_of_right_answers_is_less_inflated_than_the_scores(two_runs_of_noise) -> None:
    of_answers, of_scores = (values.var() for values in two_runs_of_noise)
    assert 1.75 < of_scores < 2.2
    assert of_answers == pytest.approx(spread_of_answers(of_scores), rel=0.07)
    assert spread_of_scores(spread_of_answers(1.7)) == pytest.approx(1.7)


@pytest.mark.parametrize(("distance", "n_folds"), [(0.0, 3), (0.6, 3), (1.0, 3), (2.0, 3), (0.6, 2), (1.0, 6)])
def test_the_inflation_of_folds_follows_from_how_decoders_of_halves_agree(distance, n_folds) -> None:
    rng = np.random.default_rng(1)
    n, width = 40, 12
    label = np.tile([0, 1], n // 2)
    values, alone, agreements = [], [], []
    for _ in range(500):
        runs = rng.standard_normal((n_folds, n, width))
        runs[:, :, 0] += distance * (label - 0.5)
        aucs, variance = [], 0.0
        for tested in range(n_folds):
            rows, given = np.delete(runs, tested, axis=0).reshape(-1, width), np.tile(label, n_folds - 1)
            own, signs = runs[tested], 2 * given - 1
            auc, moved = auc_influences(own @ (signs @ rows), label)
            aucs.append(auc)
            variance += np.square(moved).sum() / n_folds**2
            half = halves_of(given, np.arange(len(given)))
            answers = [own @ (signs[one] @ rows[one]) for one in (half, ~half)]
            agreements.append(agreement_of(*answers, label))
        values.append(np.mean(aucs))
        alone.append(variance)
    measured = np.var(values) / np.mean(alone)
    assert spread_of_folds(1.95, float(np.mean(agreements)), n_folds) == pytest.approx(measured, rel=0.25)


def test_halves_hold_whole_units_and_both_labels() -> None:
    unit = np.repeat(np.arange(20), 5)
    label = np.repeat(np.arange(20) % 2, 5)
    half = halves_of(label, unit)
    assert all(len(set(half[unit == one])) == 1 for one in range(20))
    assert np.bincount(label[half]).tolist() == np.bincount(label[~half]).tolist() == [25, 25]


def test_decoders_that_answer_alike_agree_and_constant_ones_do_not(rng) -> None:
    scores, label = rng.standard_normal(100), np.arange(100) % 2
    assert agreement_of(scores, 3 * scores + label, label) == pytest.approx(1.0)
    assert abs(agreement_of(scores, rng.standard_normal(100), label)) < 0.3
    assert agreement_of(scores, np.zeros(100), label) == 0
