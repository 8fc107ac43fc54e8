import pytest
import torch

from core.model.confidence import Confidence, confidence_from, fit_confidence
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


def test_a_given_slope_is_kept_and_the_mean_probability_fitted():
    torch.manual_seed(2)
    score = torch.randn(600)
    right = (torch.rand(600) < torch.sigmoid(2 * score - 1)).float()
    fitted = fit_confidence(score, right, chance=0.1, slope=0.5)
    assert fitted.slope == 0.5
    assert fitted.probability(score).mean().item() == pytest.approx(right.mean().item(), abs=0.01)


def test_a_perfect_decoder_stays_short_of_certainty():
    fitted = fit_confidence(torch.randn(50), torch.ones(50), chance=0.02)
    assert 0.9 < fitted.probability(torch.zeros(1)).item() < 1


def test_probabilities_lie_between_zero_and_one():
    probability = Confidence(3.0, -1.0, 0.5, 10).probability(torch.tensor([-1e6, 0.0, 1e6]))
    assert probability[0] >= 0
    assert probability[-1] <= 1


def test_probabilities_lie_between_what_was_fitted_for_other_repeats():
    fitted = Confidence(2.0, -1.0, 0.5, 100, others=(Confidence(3.0, 1.0, 0.5, 100, averaged=4),))
    score = torch.tensor([0.4, 0.4, 0.4, 0.4, 0.4])
    found = fitted.probability(score, torch.tensor([1, 2, 4, 16, 17]))
    assert found[0] < found[1] < found[2]
    assert found[3] == found[2]
    assert found[4] == 0.5
    assert fitted.unmeasured([1, 16]) == ""
    assert "means of more than 16 moments count as guessing" in fitted.unmeasured([1, 17])
    assert "measured on means of up to 4 moments only, and here are means of up to 17" in fitted.unmeasured([17, 2])


def test_more_alternatives_are_harder_and_far_more_than_fitted_are_unknown():
    fitted = Confidence(2.0, 0.0, 0.1, 100, others=(Confidence(2.0, -2.0, 0.01, 100),))
    score = torch.tensor([1.0])
    ten, thirty, hundred = (fitted.probability(score, chance=1 / n) for n in (10, 30, 100))
    assert ten > thirty > hundred
    assert fitted.probability(score, chance=1e-4) == pytest.approx(1e-4)
    assert "among 10 to 100 alternatives" in fitted.fitted_for()


def test_the_file_form_of_a_map_reads_back_and_reads_old_ones():
    fitted = Confidence(2.0, 0.0, 0.1, 100, others=(Confidence(2.0, -2.0, 0.01, 100, averaged=8),))
    assert confidence_from(fitted.to_json()) == fitted
    assert confidence_from({"slope": 1.0, "intercept": 0.0, "chance": 0.5, "n": 3}) == Confidence(1.0, 0.0, 0.5, 3)
