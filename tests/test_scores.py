"""Scores against sklearn, scipy and closed forms."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from core.scoring.scores import (
    auc_of_ranks,
    bootstrap_interval,
    bootstrap_statistic,
    calibration_error,
    chance_interval,
    mean_ranks,
    n_way_accuracy,
    permutation_p,
    permuted_statistics,
    roc_auc,
    shuffled_baseline,
    topk_accuracy,
    truth_ranks,
)


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def top1(scores, truth):
    return topk_accuracy(scores, truth, (1,))[1]


def test_topk_accuracy_matches_sklearn(rng):
    scores, truth = rng.normal(size=(300, 12)), rng.integers(12, size=300)
    for k, accuracy in topk_accuracy(scores, truth, (1, 3, 5)).items():
        assert accuracy == pytest.approx(metrics.top_k_accuracy_score(truth, scores, k=k, labels=range(12)))


def test_a_constant_decoder_finds_nothing():
    assert topk_accuracy(np.zeros((50, 200)), np.arange(50)) == {1: 0.0, 3: 0.0, 5: 0.0}
    assert truth_ranks(np.full((1, 4), np.nan), np.array([2])).tolist() == [3]


def test_n_way_accuracy_is_the_mean_over_drawn_galleries(rng):
    scores, truth = rng.normal(size=(1, 10)), np.array([4])
    others = np.delete(np.arange(10), 4)
    drawn = [scores[0, rng.choice(others, 2, replace=False)].max() < scores[0, 4] for _ in range(4000)]
    assert n_way_accuracy(scores, truth, 3)[0] == pytest.approx(np.mean(drawn), abs=0.03)
    assert n_way_accuracy(scores, truth, 10)[0] == float(truth_ranks(scores, truth)[0] == 0)


def test_roc_auc_matches_sklearn_with_and_without_ties(rng):
    truth = rng.integers(2, size=200)
    for scores in (rng.normal(size=200) + truth, rng.integers(4, size=200) + truth, np.zeros(200)):
        assert roc_auc(scores, truth) == pytest.approx(metrics.roc_auc_score(truth, scores))


def test_roc_auc_needs_both_classes_and_finite_scores():
    with pytest.raises(ValueError, match="both classes"):
        roc_auc(np.arange(4.0), np.ones(4))
    with pytest.raises(ValueError, match="finite"):
        roc_auc(np.array([np.nan, 1.0]), np.array([0, 1]))


def test_ranks_are_shared_by_equal_scores_and_columns_are_told_apart(rng):
    scores = rng.integers(0, 5, (40, 3)).astype(float)
    own = rng.integers(0, 3, 40)[:, None] == np.arange(3)
    assert np.array_equal(mean_ranks(scores), stats.rankdata(scores, axis=0))
    each = auc_of_ranks(mean_ranks(scores), own)
    assert each == pytest.approx([metrics.roc_auc_score(own[:, i], scores[:, i]) for i in range(3)])
    assert np.isnan(auc_of_ranks(mean_ranks(scores[:, 0]), np.zeros(40, bool)))


def test_bootstrap_interval_of_a_mean_matches_the_normal_one(rng):
    values = rng.normal(size=400)
    error = values.std(ddof=1) / 20
    low, high = bootstrap_interval(values, n_draws=4000)
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.1 * error + 0.005)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.1 * error + 0.005)
    assert bootstrap_interval(values, seed=1) == bootstrap_interval(values, seed=1)
    assert bootstrap_interval(values, seed=1) != bootstrap_interval(values, seed=2)


def test_drawing_groups_widens_the_interval_of_repeated_values(rng):
    values = rng.normal(size=40)
    repeated, groups = np.repeat(values, 25), np.repeat(np.arange(40), 25)
    single = np.subtract(*bootstrap_interval(values)[::-1])
    assert np.subtract(*bootstrap_interval(repeated, groups=groups)[::-1]) == pytest.approx(single, rel=0.05)
    assert np.subtract(*bootstrap_interval(repeated)[::-1]) < 0.3 * single


def test_bootstrap_of_auc_covers_it(rng):
    truth = rng.integers(2, size=300)
    scores = rng.normal(size=300) + truth
    low, high = bootstrap_statistic(scores, truth, roc_auc, n_draws=300)
    assert low < roc_auc(scores, truth) < high
    assert 0.06 < high - low < 0.2


def test_permutation_p_of_perfect_decoding_is_the_smallest_there_is():
    scores = np.eye(20)
    assert permutation_p(scores, np.arange(20), top1, n=199) == pytest.approx(1 / 200)


def test_permutation_p_is_uniform_under_the_null(rng):
    found = [permutation_p(rng.normal(size=40), rng.integers(2, size=40), roc_auc, n=99, seed=i) for i in range(100)]
    assert stats.kstest(found, "uniform").pvalue > 0.01


def test_permutation_p_agrees_with_mann_whitney(rng):
    truth = np.repeat([0, 1], 30)
    scores = rng.normal(size=60) + 0.4 * truth
    expected = stats.mannwhitneyu(scores[30:], scores[:30], alternative="greater").pvalue
    assert permutation_p(scores, truth, roc_auc, n=2000) == pytest.approx(expected, abs=0.02)


def test_permuting_within_groups_keeps_what_groups_share():
    # the score knows the run only, and the label follows the run: nothing is left within a run
    run = np.repeat([0, 1], 20)
    assert permutation_p(run.astype(float), run, roc_auc, n=99, groups=run) == 1.0
    assert permutation_p(run.astype(float), run, roc_auc, n=99) == 0.01
    assert set(permuted_statistics(run.astype(float), run, roc_auc, n=9, groups=run)) == {1.0}


def test_shuffled_baseline_is_chance_for_a_fair_gallery(rng):
    scores = rng.normal(size=(200, 200)) + 3 * np.eye(200)
    assert shuffled_baseline(scores, np.arange(200), top1, n=100) == pytest.approx(1 / 200, abs=0.003)


@pytest.mark.parametrize(("n", "k"), [(200, 200), (200, 2), (40, 4)])
def test_chance_interval_holds_its_share_of_guesses(n, k):
    low, high = chance_interval(n, k)
    inside = stats.binom.cdf(round(high * n), n, 1 / k) - stats.binom.cdf(round(low * n) - 1, n, 1 / k)
    assert low <= 1 / k <= high
    assert inside >= 0.95


def test_calibration_error_of_known_cases():
    assert calibration_error(np.full(10, 0.75), np.r_[np.ones(5), np.zeros(5)]) == pytest.approx(0.25)
    assert calibration_error(np.array([1.0, 1.0, 0.0]), np.array([True, True, False])) == 0.0
    # two bins that err by .1 and .3, of two trials and of one
    assert calibration_error(np.array([0.6, 0.6, 0.3]), np.array([1, 0, 0])) == pytest.approx((0.2 + 0.3) / 3)
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        calibration_error(np.array([1.2]), np.array([1]))
