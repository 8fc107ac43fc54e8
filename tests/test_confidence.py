import pytest
import torch

from core.model.confidence import Confidence, fit_confidence
from core.scoring.scores import calibration_error


def test_fitted_confidence_is_calibrated_on_fresh_trials():
    torch.manual_seed(0)

    def trials(n):
        score = torch.randn(n)
        return score, (torch.rand(n) < torch.sigmoid(2 * score - 1)).float()

    fitted = fit_confidence(*trials(2000), chance=0.1)
    score, right = trials(2000)
    assert fitted.slope == pytest.approx(2, rel=0.2)
    assert calibration_error(fitted.probability(score).numpy(), right.numpy()) < 0.04


def test_scores_that_tell_nothing_give_the_share_of_right_answers():
    torch.manual_seed(1)
    score, right = torch.randn(400), (torch.arange(400) % 4 == 0).float()
    right = right[torch.randperm(400)]
    fitted = fit_confidence(score, right, chance=0.25)
    assert fitted.probability(torch.zeros(1)).item() == pytest.approx(0.25, abs=0.06)


def test_scores_that_mislead_never_turn_the_slope_round():
    score = torch.linspace(-2, 2, 200)
    fitted = fit_confidence(score, (score < 0).float(), chance=0.5)
    assert fitted.slope == 0
    assert fitted.probability(score).std() == 0


def test_a_perfect_decoder_stays_short_of_certainty():
    fitted = fit_confidence(torch.randn(50), torch.ones(50), chance=0.02)
    assert 0.9 < fitted.probability(torch.zeros(1)).item() < 1


def test_probabilities_lie_between_zero_and_one():
    probability = Confidence(3.0, -1.0, 0.5, 10).probability(torch.tensor([-1e6, 0.0, 1e6]))
    assert probability[0] >= 0
    assert probability[-1] <= 1
