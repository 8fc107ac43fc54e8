"""Probes: accuracies on features whose classes are known, against scikit-learn's own and by construction."""

import numpy as np
import pytest
import torch

from tests.small_encoders import small_encoder
from trainer.training.probes import cluster_accuracy, features, linear_probe, neighbour_accuracy, probe_scores, unit


def clouds(spread, n_classes=5, each=20, width=12, seed=0):
    rng = np.random.default_rng(seed)
    middles = rng.standard_normal((n_classes, width))
    label = np.tile(np.arange(n_classes), each)
    return middles[label] + spread * rng.standard_normal((len(label), width)), label


def test_clear_classes_are_found_by_every_probe():
    found, label = clouds(0.1)
    scores = probe_scores(found[:50], label[:50], found[50:], label[50:], 5)
    assert scores["probe"] == scores["knn"] == scores["kmeans"] == 1.0
    assert scores["probe_loss"] < np.log(5) - 0.5


def test_features_of_noise_are_at_chance():
    rng = np.random.default_rng(0)
    found, label = rng.standard_normal((2000, 6)), rng.integers(4, size=2000)
    scores = probe_scores(found[:1000], label[:1000], found[1000:], label[1000:], 4)
    assert all(0.18 < scores[name] < 0.32 for name in ("probe", "knn", "kmeans"))
    assert scores["probe_loss"] == pytest.approx(np.log(4), abs=0.05)


def test_k_means_with_as_many_clusters_as_scored_trials_is_not_flattered():
    rng = np.random.default_rng(1)
    found, label = rng.standard_normal((440, 6)), np.tile(np.arange(40), 11)
    assert cluster_accuracy(found[:400], label[:400], found[400:], label[400:]) < 0.2


def test_probabilities_sum_to_one_and_unseen_classes_get_none():
    found, label = clouds(0.5)
    log_probability = linear_probe(found, label * 2, found, 10)
    np.testing.assert_allclose(np.exp(log_probability).sum(1), 1.0)
    assert np.isneginf(log_probability[:, 1::2]).all()


def test_scored_classes_that_training_lacks_are_left_out():
    found, label = clouds(0.1)
    scores = probe_scores(found[label < 4], label[label < 4], found, label, 5)
    assert scores["probe"] == 1.0
    assert probe_scores(found[label < 2], label[label < 2], found[label > 2], label[label > 2], 5) == {}
    assert probe_scores(found[label < 1], label[label < 1], found, label, 5) == {}
    with pytest.raises(ValueError, match="at least two classes"):
        linear_probe(found[label < 1], label[label < 1], found, 5)


def test_neighbours_are_taken_by_angle():
    train = np.array([[1.0, 0.0], [0.0, 100.0]])
    assert neighbour_accuracy(train, np.array([0, 1]), np.array([[30.0, 1.0]]), np.array([0]), k=1) == 1.0
    assert np.allclose(np.linalg.norm(unit(np.array([[3.0, 4.0], [0.0, 0.0]])), axis=1), [1.0, 0.0])


def test_features_are_the_backbones_tokens_flattened():
    encoder = small_encoder()
    eeg = 1e-5 * np.random.default_rng(0).standard_normal((5, 8, encoder.preprocessing.n_times)).astype(np.float32)
    found = features(encoder, eeg, batch=2)
    with torch.no_grad():
        tokens = encoder.backbone(torch.from_numpy(eeg / 1e-5))
    np.testing.assert_allclose(found, tokens.flatten(1).numpy(), rtol=1e-4, atol=1e-5)
    assert features(encoder, eeg[:0]).shape == (0, found.shape[1])
