"""N-way accuracy, inception score, FID and CLIP similarity against torchmetrics, scipy and counting."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn

from core.scoring.scores import bootstrap_interval, n_way_accuracy
from trainer.evaluation.generation_metrics import (
    cosine_similarity,
    frechet_distance,
    inception_score,
    n_way_shares,
    set_interval,
)


class Reads(nn.Module):
    """What torchmetrics asks for its feature: here the "picture" already is the feature, so nothing is downloaded."""

    num_features = 6

    def forward(self, pictures):
        return pictures.flatten(1)


def probabilities(n=60, n_classes=80, sharpness=2.0, seed=0):
    logits = sharpness * np.random.default_rng(seed).standard_normal((n, n_classes))
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def counted(found, truth, n_way, k, n_trials, seed):
    """N-way top-k as it is written down: draw the others, sort, look."""
    rng, shares = np.random.default_rng(seed), []
    for row, true in zip(found, truth, strict=True):
        others = np.setdiff1d(np.arange(len(row)), [true])
        hits = [(row[rng.choice(others, n_way - 1, replace=False)] > row[true]).sum() < k for _ in range(n_trials)]
        shares.append(np.mean(hits))
    return np.array(shares)


@pytest.mark.parametrize("k", [1, 3])
def test_n_way_shares_are_those_of_drawing_the_other_classes_one_by_one(k):
    found = probabilities(n=12)
    truth = np.random.default_rng(1).integers(80, size=12)
    ours, theirs = (n_way_shares(found, truth, 50, k, 2000), counted(found, truth, 50, k, 2000, seed=3))
    assert np.abs(ours - theirs).max() < 0.05
    assert abs(ours.mean() - theirs.mean()) < 0.01


def test_n_way_shares_agree_with_the_exact_probability():
    found, truth = probabilities(), np.random.default_rng(1).integers(80, size=60)
    assert np.abs(n_way_shares(found, truth, 50, 1, 4000) - n_way_accuracy(found, truth, 50)).max() < 0.03


def test_guessing_gets_k_of_n_way_and_certainty_everything():
    rng = np.random.default_rng(2)
    found = rng.random((4000, 80))
    truth = rng.integers(80, size=4000)
    shares = n_way_shares(found, truth, 50, 5, 100)
    low, high = bootstrap_interval(shares)
    assert low < 5 / 50 < high
    assert n_way_shares(found, found.argmax(1), 50).min() == 1.0


def test_a_classifier_that_says_the_same_of_every_class_is_never_right():
    assert n_way_shares(np.full((5, 60), 1 / 60), np.arange(5), 50).max() == 0.0


def test_the_inception_score_is_torchmetrics_own():
    from torchmetrics.image.inception import InceptionScore

    torch.manual_seed(0)
    logits = torch.randn(40, 6) * 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchmetrics speaks of memory, and of the spread over a single split
        metric = InceptionScore(feature=Reads(), splits=1)
        metric.update(logits.reshape(40, 6, 1, 1))
        theirs = float(metric.compute()[0])
    assert inception_score(logits.softmax(-1).numpy()) == pytest.approx(theirs, rel=1e-4)


def test_the_inception_score_counts_the_classes_that_are_drawn_with_certainty():
    assert inception_score(np.eye(8)[np.arange(40) % 8]) == pytest.approx(8)
    assert inception_score(np.full((40, 8), 1 / 8)) == pytest.approx(1)
    assert inception_score(np.eye(8)[np.zeros(40, int)]) == pytest.approx(1)
    assert inception_score(np.eye(8), splits=4) == pytest.approx(2)  # two pictures a part: two classes at most


def test_fid_is_torchmetrics_own():
    from torchmetrics.image.fid import FrechetInceptionDistance

    torch.manual_seed(0)
    real, drawn = torch.randn(50, 6), torch.randn(40, 6) @ torch.randn(6, 6) + 0.5
    metric = FrechetInceptionDistance(feature=Reads(), input_img_size=(6, 1, 1))
    metric.set_dtype(torch.float64)
    metric.update(real.reshape(50, 6, 1, 1), real=True)
    metric.update(drawn.reshape(40, 6, 1, 1), real=False)
    assert frechet_distance(drawn.numpy(), real.numpy()) == pytest.approx(float(metric.compute()), rel=1e-4)


def test_fid_is_scipys_matrix_root_and_holds_with_fewer_pictures_than_features():
    from scipy.linalg import sqrtm

    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((90, 12)), rng.standard_normal((70, 12)) * 1.5 + 1
    by_root = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(
        np.cov(a, rowvar=False) + np.cov(b, rowvar=False) - 2 * sqrtm(np.cov(a, rowvar=False) @ np.cov(b, rowvar=False))
    )
    assert frechet_distance(a, b) == pytest.approx(by_root.real, rel=1e-8)
    few = rng.standard_normal((8, 30))
    assert frechet_distance(few, few) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(few + 2, few) == pytest.approx(4 * 30, rel=1e-6)


def test_cosine_similarity_is_one_for_the_same_direction_and_zero_for_nothing():
    a = np.random.default_rng(0).standard_normal((5, 7))
    assert np.allclose(cosine_similarity(a, 3 * a), 1)
    assert np.allclose(cosine_similarity(a, np.zeros_like(a)), 0)
    assert np.allclose(cosine_similarity(a, -a), -1)


def test_the_interval_of_a_whole_set_holds_its_value():
    found = probabilities(n=200)
    low, high = set_interval(inception_score, found, n_draws=100)
    assert low <= inception_score(found) * 1.001
    assert 0 < high - low < 0.2 * high


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: n_way_shares(probabilities(3, 40), np.zeros(3, int), 50), "classifier's 40 classes"),
        (lambda: n_way_shares(probabilities(3, 60), np.zeros(3, int), 50, 50), "k must lie between 1 and"),
        (lambda: n_way_shares(probabilities(3, 60), np.zeros(3, int), 50, 1, 0), "n_trials"),
        (lambda: inception_score(probabilities(3), splits=4), "4 parts"),
        (lambda: frechet_distance(np.ones((1, 4)), np.ones((5, 4))), "at least two pictures"),
        (lambda: frechet_distance(np.ones((9, 4)), np.ones((5, 3))), "at least two pictures"),
        (lambda: cosine_similarity(np.ones((2, 3)), np.ones((3, 3))), "one embedding a picture"),
    ],
)
def test_what_cannot_be_scored_is_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()
