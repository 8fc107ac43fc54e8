"""The linear encoder's features, and ridge regression against scikit-learn."""

import numpy as np
import pytest
import torch

from core.encoders.linear import Linear, LinearConfig
from core.fitting.ridge import choose_alpha, fit_ridge

ALPHAS = (0.1, 1.0, 10.0, 100.0)


@pytest.fixture(params=[(60, 20), (20, 60), (30, 30)], ids=["tall", "wide", "square"])
def problem(request):
    n, d = request.param
    generator = np.random.default_rng(0)
    x = generator.normal(size=(n, d)) + 5
    y = x[:, :3] + generator.normal(size=(n, 3)) * (1, 3, 6) - 2
    return x, y


def test_features_are_standardised_over_the_training_windows():
    eeg = 1e-5 * torch.randn(50, 3, 40) + 4e-3
    encoder = Linear(LinearConfig(3, 40)).fit(eeg)
    tokens = encoder(eeg)
    assert tokens.shape == (50, 1, 120)
    torch.testing.assert_close(tokens.mean(0), torch.zeros(1, 120), atol=1e-2, rtol=0)
    torch.testing.assert_close(tokens.std(0, correction=0), torch.ones(1, 120), atol=1e-2, rtol=0)


def test_bins_average_stretches_of_time():
    eeg = torch.arange(24.0).view(1, 2, 12)
    assert Linear(LinearConfig(2, 12, 3))(eeg).tolist() == [[[1.5, 5.5, 9.5, 13.5, 17.5, 21.5]]]


def test_a_feature_that_never_changes_stays_finite():
    encoder = Linear(LinearConfig(1, 4)).fit(torch.ones(5, 1, 4))
    assert encoder(torch.ones(2, 1, 4)).abs().max() == 0


def test_more_bins_than_samples_is_refused():
    with pytest.raises(ValueError, match="more than the 12 samples"):
        LinearConfig(2, 12, 13)


@pytest.mark.parametrize("alpha", [0.5, 20.0])
def test_one_alpha_equals_scikit_learn(problem, alpha):
    from sklearn.linear_model import Ridge

    x, y = problem
    fit, reference = fit_ridge(torch.tensor(x), torch.tensor(y), [alpha]), Ridge(alpha).fit(x, y)
    np.testing.assert_allclose(fit.weights, reference.coef_.T, atol=1e-9)
    np.testing.assert_allclose(fit.bias, reference.intercept_, atol=1e-8)
    assert fit.alpha == alpha


def test_the_alpha_chosen_by_leaving_one_out_equals_scikit_learn(problem):
    from sklearn.linear_model import RidgeCV

    x, y = problem
    fit, reference = fit_ridge(torch.tensor(x), torch.tensor(y), ALPHAS), RidgeCV(ALPHAS).fit(x, y)
    assert fit.alpha == reference.alpha_
    assert min(fit.errors) == pytest.approx(-reference.best_score_, rel=1e-9)
    np.testing.assert_allclose(fit.weights, reference.coef_.T, atol=1e-9)


def test_leaving_groups_out_equals_refitting(problem):
    from sklearn.linear_model import Ridge

    x, y = problem
    groups = np.arange(len(x)) % 4
    fit = fit_ridge(torch.tensor(x), torch.tensor(y), ALPHAS, torch.tensor(groups))
    for alpha, error in zip(ALPHAS, fit.errors, strict=True):
        refitted = np.empty_like(y)
        for group in range(4):
            out = groups == group
            refitted[out] = Ridge(alpha).fit(x[~out], y[~out]).predict(x[out])
        assert error == pytest.approx(np.square(refitted - y).mean(), rel=1e-8)
    assert fit.alpha == ALPHAS[int(np.argmin(fit.errors))]


def test_many_targets_are_scored_in_pieces_alike(problem, monkeypatch):
    x, y = (torch.tensor(values) for values in problem)
    groups = torch.arange(len(x)) % 3
    whole = fit_ridge(x, y, ALPHAS), fit_ridge(x, y, ALPHAS, groups)
    monkeypatch.setattr("core.fitting.ridge.COLUMNS", 2)
    pieces = fit_ridge(x, y, ALPHAS), fit_ridge(x, y, ALPHAS, groups)
    for a, b in zip(whole, pieces, strict=True):
        assert a.errors == pytest.approx(b.errors)


def test_features_that_need_no_fit_give_the_same_alpha_as_the_shortcut(problem):
    x, y = (torch.tensor(values) for values in problem)
    groups = torch.arange(len(x)) % 4
    fit = fit_ridge(x, y, ALPHAS, groups)
    alpha, errors = choose_alpha(lambda out: x, y, groups, ALPHAS)
    assert alpha == fit.alpha
    assert errors == pytest.approx(fit.errors)


def test_features_fitted_to_the_targets_ask_for_more_shrinkage_when_refitted():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(80, 60, generator=generator, dtype=torch.double)
    y = torch.randn(80, 1, generator=generator, dtype=torch.double)
    groups = torch.arange(80) % 5

    def features_without(out):
        """Project on the directions that go with the targets of the rows kept: on noise, pure overfitting."""
        return x * (x[~out].mT @ y[~out])[:, 0] / 10

    leaking = fit_ridge(features_without(torch.zeros(80, dtype=torch.bool)), y, groups=groups)
    assert choose_alpha(features_without, y, groups)[0] > leaking.alpha


@pytest.mark.parametrize(
    ("x", "y", "alphas", "groups", "message"),
    [
        (torch.ones(3, 2), torch.ones(4, 1), ALPHAS, None, r"\(3, 2\) and \(4, 1\)"),
        (torch.full((3, 2), float("nan")), torch.ones(3, 1), ALPHAS, None, "not finite"),
        (torch.ones(3, 2), torch.ones(3, 1), (0.0,), None, "positive"),
        (torch.ones(3, 2), torch.ones(3, 1), ALPHAS, torch.zeros(3), "at least two groups"),
    ],
)
def test_bad_arguments_say_what_is_wrong(x, y, alphas, groups, message):
    with pytest.raises(ValueError, match=message):
        fit_ridge(x, y, alphas, groups)
