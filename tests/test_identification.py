"""Retrieval figures: ties by their share, exact galleries, geometry, transductive recovery, the challenge's scores."""

import itertools

import numpy as np
import pytest
from scipy.stats import spearmanr, wilcoxon

from core.scoring.challenge import challenge_scores
from core.scoring.geometry import distances, likeness
from core.scoring.identification import (
    chance_precision,
    expected_precision,
    n_way_share,
    places,
    top_k_share,
    twins,
)
from core.scoring.transductive import csls, one_to_one, recovered
from trainer.evaluation.retrieval.people import paired, person_rows, wilcoxon_p


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def by_all_orders(scores, item, k):
    """The share of orders in which an item is among the k best, ties in any order."""
    hits = [
        sorted(order, key=lambda one: -scores[one]).index(item) < k
        for order in itertools.permutations(range(len(scores)))
    ]
    return np.mean(hits)


def test_a_tie_is_the_share_of_orders_in_which_it_is_a_hit(rng):
    for _ in range(6):
        scores = rng.integers(0, 3, (1, 5)).astype(float)
        above, level = places(scores)
        for item, k in itertools.product(range(5), (1, 2, 3)):
            assert top_k_share(above, level, k)[0, item] == pytest.approx(by_all_orders(scores[0], item, k))


def test_a_decoder_whose_answers_are_all_alike_is_at_chance_to_the_last_digit():
    above, level = places(np.zeros((4, 200)))
    for k in (1, 3, 5):
        np.testing.assert_allclose(top_k_share(above, level, k), k / 200)
    for n in (2, 10, 100):
        np.testing.assert_allclose(n_way_share(above, level, 200, n), 1 / n)
    np.testing.assert_allclose(expected_precision(above, level), chance_precision(200))


def test_a_row_that_is_no_number_finds_nothing():
    above, level = places(np.array([[0.1, np.nan, 0.3], [3.0, 2.0, 1.0]]))
    assert not top_k_share(above, level, 1)[0].any()
    assert top_k_share(above, level, 1)[1].tolist() == [1, 0, 0]


def test_expected_small_galleries_are_what_drawing_them_gives(rng):
    scores = rng.integers(0, 6, (1, 12)).astype(float)
    exact = n_way_share(*places(scores), 12, 4)[0]
    for item in (0, 5):
        others = [one for one in range(12) if one != item]
        wins = []
        for drawn in itertools.combinations(others, 3):
            rivals = scores[0, list(drawn)]
            wins.append(0.0 if (rivals > scores[0, item]).any() else 1 / (1 + (rivals == scores[0, item]).sum()))
        assert exact[item] == pytest.approx(np.mean(wins))
    with pytest.raises(ValueError, match="between 2 and the gallery's 12"):
        n_way_share(*places(scores), 12, 13)


def test_average_precision_of_one_item_is_one_over_its_rank(rng):
    scores = rng.standard_normal((6, 9))
    rank = 1 + (scores[:, None, :] > scores[:, :, None]).sum(2)
    np.testing.assert_allclose(expected_precision(*places(scores)), 1 / rank)
    assert chance_precision(9) == pytest.approx(np.mean(1 / np.arange(1, 10)))


def test_a_target_that_stands_in_the_gallery_twice_shares_its_finds_whatever_rounding_says(rng):
    items = rng.standard_normal((6, 8))
    items[4] = items[1] * (1 + 1e-9)
    items[5] = 0
    assert twins(items).tolist() == [0, 1, 2, 3, 1, 5]
    scores = items[[1, 1, 0]] @ items.T
    scores[0, 4] += 1e-9  # by rounding the twin is nearer
    scores[1, 4] -= 1e-9
    share = top_k_share(*places(scores, twins(items)), 1)
    best = scores[:, [0, 1, 2, 3, 5]].argmax(1)
    assert best[0] == best[1] == 1
    assert share[0, 1] == share[1, 1] == share[0, 4] == 0.5
    np.testing.assert_allclose(share.sum(1), 1)


def test_distances_are_compared_by_rank_over_the_upper_triangle(rng):
    one, other = rng.standard_normal((12, 5)), rng.standard_normal((12, 7))
    upper = np.triu_indices(12, 1)
    expected = spearmanr(distances(one)[upper], distances(other)[upper]).statistic
    assert likeness(one, other, 50).correlation == pytest.approx(expected)
    assert likeness(one, one @ np.linalg.qr(rng.standard_normal((5, 5)))[0], 99).p_value == 0.01
    with pytest.raises(ValueError, match="4 at least"):
        likeness(one[:3], other[:3])


def test_the_geometrys_p_is_uniform_where_nothing_is_shared(rng):
    found = [likeness(rng.standard_normal((15, 4)), rng.standard_normal((15, 4)), 99, i).p_value for i in range(200)]
    for level in (0.05, 0.2, 0.5):
        assert abs(np.mean(np.array(found) <= level) - level) < 3 * np.sqrt(level * (1 - level) / 200)


def a_world(rng, n=60, d=12, noise=0.7, shift=True):
    gallery = rng.standard_normal((n, d))
    left, _, right = np.linalg.svd(np.eye(d) + 0.15 * rng.standard_normal((d, d)))
    turn = left @ right
    query = gallery @ (turn if shift else np.eye(d)) + noise * rng.standard_normal((n, d))
    return query * (1 + rng.random(d)) + 2 * rng.standard_normal(d) * shift, gallery


def top1(scores, truth):
    return top_k_share(*places(scores), 1)[np.arange(len(truth)), truth].mean()


def test_a_shifted_and_turned_person_is_recovered_without_a_label(rng):
    plain, found = [], []
    for _ in range(8):
        query, gallery = a_world(rng)
        unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (query, gallery)]
        plain.append(top1(unit[0] @ unit[1].T, np.arange(60)))
        found.append(top1(recovered(query, gallery), np.arange(60)))
    assert np.mean(found) > np.mean(plain) + 0.1


@pytest.mark.parametrize("shown", ["once", "fewer", "repeated", "missing", "one"])
def test_recovery_beats_no_chance_on_noise_however_pictures_are_shown(rng, shown):
    hits = []
    for _ in range(60):
        gallery = rng.standard_normal((40, 8))
        truth = {
            "once": np.arange(40), "fewer": rng.permutation(40)[:7], "repeated": rng.integers(0, 40, 80),
            "missing": rng.integers(0, 20, 40), "one": np.array([3]),
        }[shown]  # fmt: skip
        hits.append(top_k_share(*places(recovered(rng.standard_normal((len(truth), 8)), gallery)), 1)[
            np.arange(len(truth)), truth].mean())  # fmt: skip
    spread = max(np.std(hits) / np.sqrt(60), 1e-9)
    assert abs(np.mean(hits) - 1 / 40) < 3.5 * spread


def test_recovery_works_for_fewer_and_missing_pictures_and_says_when_each_is_shown_once(rng):
    query, gallery = a_world(rng, shift=False, noise=0.4)
    for rows in (np.arange(20), np.r_[0:30, 0:30]):
        assert top1(recovered(query[rows], gallery), rows) > 0.5
        assert recovered(query[rows], gallery).shape == (len(rows), 60)
    assert "may be exploited" in one_to_one(60, 60)
    assert one_to_one(20, 60) == ""
    assert np.isfinite(recovered(np.zeros((3, 12)), gallery)).all()
    with pytest.raises(ValueError, match="must be"):
        recovered(query[:, :3], gallery)


def test_csls_takes_off_each_sides_mean_likeness_with_its_nearest(rng):
    one, other = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in rng.standard_normal((2, 15, 4)))
    cos = one @ other.T
    near = np.sort(cos, axis=1)[:, -10:].mean(1)[:, None] + np.sort(cos, axis=0)[-10:].mean(0)[None]
    np.testing.assert_allclose(csls(one, other), 2 * cos - near)


def test_the_challenge_counts_single_epochs_and_means_a_person_and_picture(rng):
    n_pictures, repeats = 30, 6
    targets = rng.standard_normal((n_pictures, 10))
    picture = np.tile(np.arange(n_pictures), 2 * repeats)
    person = np.repeat(["a", "b"], n_pictures * repeats)
    predicted = targets[picture] + 2 * rng.standard_normal((len(picture), 10))
    single, means = challenge_scores(predicted, targets[picture], person, picture)
    unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (predicted, targets)]
    rank = (unit[0] @ unit[1].T > (unit[0] * unit[1][picture]).sum(1)[:, None] + 1e-12).sum(1)
    assert single.value == pytest.approx((rank < 5).mean())
    assert len(means.truth) == 2 * n_pictures
    assert set(means.n_averaged.tolist()) == {repeats}
    assert means.value > single.value + 0.1
    of = (means.person == "b") & (means.picture == 7)
    mean = predicted[(person == "b") & (picture == 7)].mean(0)
    np.testing.assert_allclose(np.sort(means.alike[of][0]), np.sort(mean @ unit[1].T / np.linalg.norm(mean)))


def test_a_mean_over_people_counts_what_they_differ_by_and_pairs_are_tested_by_wilcoxon(rng):
    person = np.repeat([f"p{i}" for i in range(8)], 50)
    rate = np.repeat(np.linspace(0.1, 0.8, 8), 50)
    hits = (rng.random(400) < rate).astype(float)
    rows = person_rows(hits, person, np.arange(400), 0.02, "top-1")
    assert [row["person"] for row in rows[-2:]] == ["p7", "mean of 8 people"]
    low, high = rows[-1]["interval"]
    assert low < 0.3 < 0.6 < high
    assert rows[-1]["p (Wilcoxon, people against chance)"] == pytest.approx(1 / 256)
    assert len(person_rows(hits[:50], person[:50], np.arange(50), 0.02, "top-1")) == 1
    for n in (9, 20):
        one, other = rng.random(n), rng.random(n)
        for kind in ("two-sided", "greater", "less"):
            assert wilcoxon_p(one, other, kind) == pytest.approx(wilcoxon(one, other, alternative=kind).pvalue)
    assert wilcoxon_p(one[:5], other[:5]) is None
    found = paired(hits, hits, person)
    assert (found["difference"], found["p (Wilcoxon)"], found["units"]) == (0.0, None, 8)
