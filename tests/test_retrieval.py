"""Retrieval: cosine against the training mean, truth by index, ties against us."""

import numpy as np
import pytest
import torch

from core.scoring.retrieval import nearest, ranks, similarities
from core.scoring.scores import truth_ranks


def test_similarity_is_the_cosine():
    query, gallery = torch.randn(5, 7), torch.randn(9, 7)
    expected = torch.nn.functional.cosine_similarity(query[:, None], gallery[None], dim=2)
    assert torch.allclose(similarities(query, gallery), expected, atol=1e-6)


def test_the_centre_is_taken_from_both_sides():
    query, gallery, center = torch.randn(5, 7), torch.randn(9, 7), torch.randn(7)
    assert torch.allclose(
        similarities(query, gallery, center), similarities(query - center, gallery - center), atol=1e-6
    )


def test_one_querys_scores_do_not_depend_on_the_other_queries_or_items():
    query, gallery, center = torch.randn(5, 7), torch.randn(9, 7), torch.randn(7)
    whole = similarities(query, gallery, center)
    assert torch.allclose(similarities(query[:1], gallery[:3], center), whole[:1, :3], atol=1e-6)


def test_half_precision_is_compared_in_single():
    assert similarities(torch.randn(2, 4).half(), torch.randn(3, 4).half()).dtype == torch.float32


def test_rank_counts_items_at_least_as_near():
    scores = torch.tensor([[0.1, 0.9, 0.5], [0.3, 0.2, 0.1], [0.5, 0.5, 0.5]])
    assert ranks(scores).tolist() == [2, 1, 2]
    assert ranks(scores, torch.tensor([1, 0, 0])).tolist() == [0, 0, 2]


def test_ties_count_against_us():
    assert ranks(torch.zeros(4, 200)).tolist() == [199] * 4


def test_nan_counts_against_us():
    assert ranks(torch.full((2, 3), float("nan"))).tolist() == [2, 2]
    assert ranks(torch.tensor([[1.0, float("nan")]])).tolist() == [1]


def test_torch_and_numpy_ranks_agree():
    scores, truth = torch.randn(50, 20).round(decimals=1), torch.randint(20, (50,))
    assert np.array_equal(ranks(scores, truth).numpy(), truth_ranks(scores.numpy(), truth.numpy()))


def test_nearest_names_come_best_first():
    gallery = torch.eye(4)
    found = nearest(torch.tensor([[0.1, 0.9, 0.5, 0.0]]), gallery, ["a", "b", "c", "d"], k=2)
    assert [name for name, _ in found[0]] == ["b", "c"]
    assert found[0][0][1] > found[0][1][1]
    assert len(nearest(torch.randn(2, 4), gallery, ["a", "b", "c", "d"], k=9)[1]) == 4


def test_misfits_are_refused():
    with pytest.raises(ValueError, match="one width"):
        similarities(torch.randn(2, 3), torch.randn(2, 4))
    with pytest.raises(ValueError, match="centre"):
        similarities(torch.randn(2, 3), torch.randn(2, 3), torch.randn(4))
    with pytest.raises(ValueError, match="names"):
        nearest(torch.randn(2, 3), torch.randn(2, 3), ["one"])
    with pytest.raises(ValueError, match="gallery index"):
        ranks(torch.zeros(2, 3), torch.tensor([0, 3]))
