"""The tangent encoder against pyRiemann and scikit-learn."""

import numpy as np
import pytest
import torch

from core.covariances import covariances
from core.encoders.riemann import matrix_log, riemann_mean
from core.encoders.tangent import Tangent, TangentConfig, fit_tangent

needs_numpy_2 = pytest.mark.skipif(
    np.lib.NumpyVersion(np.__version__) < "2.0.0", reason="the pyRiemann to compare with needs numpy 2"
)


@pytest.fixture(scope="module")
def evoked():
    """Windows in volts whose two classes differ by an evoked response, and their labels."""
    generator = np.random.default_rng(0)
    n, channels, times = 120, 6, 90
    labels = generator.integers(0, 2, n)
    wave = np.sin(np.linspace(0, 3 * np.pi, times)) * np.hanning(times)
    noise = generator.normal(size=(channels, channels)) @ generator.normal(size=(n, channels, times))
    signal = labels[:, None, None] * generator.normal(size=(channels, 1)) * wave
    return 1e-5 * (noise + 2 * signal), labels


@pytest.mark.parametrize("estimator", ["oas", "lwf", "scm"])
def test_covariances_equal_scikit_learn(estimator):
    from sklearn.covariance import empirical_covariance, ledoit_wolf, oas

    reference = {"oas": lambda x: oas(x)[0], "lwf": lambda x: ledoit_wolf(x)[0], "scm": empirical_covariance}
    signals = 1e-5 * torch.randn(5, 8, 30, dtype=torch.double) * torch.arange(1, 9)[:, None] + 1e-3
    expected = np.stack([reference[estimator](one.T) for one in signals.numpy()])
    np.testing.assert_allclose(covariances(signals, estimator), expected, rtol=1e-6, atol=1e-16)


def test_covariance_of_silence_is_zero():
    for estimator in ("oas", "lwf", "scm"):
        assert torch.equal(covariances(torch.zeros(1, 3, 10), estimator), torch.zeros(1, 3, 3))


def test_an_unknown_estimator_lists_the_known_ones():
    with pytest.raises(ValueError, match="known: oas, lwf, scm"):
        TangentConfig(estimator="ols")


@needs_numpy_2
def test_the_mean_equals_pyriemann():
    from pyriemann.tangentspace import TangentSpace

    factors = torch.randn(20, 5, 40, dtype=torch.double)
    matrices = factors @ factors.mT
    expected = TangentSpace().fit(matrices.numpy()).reference_
    np.testing.assert_allclose(riemann_mean(matrices), expected, rtol=1e-6)


def test_the_logarithm_has_the_right_gradient_also_where_eigenvalues_coincide():
    factors = torch.randn(2, 4, 9, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: matrix_log(x @ x.mT), (factors,))
    identity = (3 * torch.eye(4, dtype=torch.double))[None].requires_grad_()
    matrix_log(identity).sum().backward()
    torch.testing.assert_close(identity.grad, torch.full((1, 4, 4), 1 / 3, dtype=torch.double))


@needs_numpy_2
@pytest.mark.parametrize(("n_filters", "estimator"), [(2, "oas"), (3, "lwf"), (2, "scm")])
def test_the_fit_equals_pyriemann(evoked, n_filters, estimator):
    from pyriemann.estimation import XdawnCovariances
    from pyriemann.tangentspace import TangentSpace

    eeg, labels = evoked
    tangent = fit_tangent(eeg, labels, TangentConfig(6, 90, 2, n_filters, estimator))
    xdawn = XdawnCovariances(n_filters, estimator=estimator)
    expected = TangentSpace().fit_transform(xdawn.fit_transform(eeg, labels))
    # A spatial filter's sign is free: take theirs to ours, and their features with it.
    signs = np.sign((xdawn.Xd_.filters_ * tangent.filters.numpy()).sum(1))
    np.testing.assert_allclose(xdawn.Xd_.filters_ * signs[:, None], tangent.filters, atol=1e-5)
    stacked = np.tile(signs, 2)
    rows, columns = np.triu_indices(len(stacked))
    tokens = tangent(torch.tensor(eeg, dtype=torch.float32))
    assert tokens.shape == (120, 1, tangent.width)
    np.testing.assert_allclose(tokens[:, 0], expected * stacked[rows] * stacked[columns], atol=1e-4)


def test_the_unit_of_the_signal_does_not_matter(evoked):
    eeg, labels = evoked
    config = TangentConfig(6, 90)
    volts, microvolts = fit_tangent(eeg, labels, config), fit_tangent(1e6 * eeg, labels, config)
    torch.testing.assert_close(volts(torch.tensor(eeg)), microvolts(torch.tensor(1e6 * eeg)), rtol=0, atol=1e-4)


def test_many_labels_are_represented_by_their_leading_patterns(evoked):
    eeg, labels = evoked
    pictures = labels * 30 + np.arange(len(labels)) % 30  # many labels, yet two kinds of response
    tangent = fit_tangent(eeg, pictures, TangentConfig(6, 90, 2, 2))
    tokens = tangent(torch.tensor(eeg, dtype=torch.float32))[:, 0].double().numpy()
    assert tokens.shape == (120, 36)
    half = np.arange(len(labels)) < 60
    design = np.c_[tokens, np.ones(len(tokens))]
    weights = np.linalg.lstsq(design[half], 2.0 * labels[half] - 1, rcond=None)[0]
    assert np.mean((design[~half] @ weights > 0) == labels[~half]) > 0.7


def test_dependent_channels_still_fit(evoked):
    eeg, labels = evoked
    referenced = eeg - eeg.mean(1, keepdims=True)  # an average reference loses one dimension
    tangent = fit_tangent(referenced, labels, TangentConfig(6, 90, 2, 2))
    assert torch.isfinite(tangent(torch.tensor(referenced, dtype=torch.float32))).all()


def test_singular_covariances_say_which_estimator_to_take(evoked):
    eeg, labels = evoked
    with pytest.raises(ValueError, match="'oas' or 'lwf'"):
        fit_tangent(eeg, labels, TangentConfig(6, 90, 2, 6, "scm"))


def test_too_few_labels_or_too_many_filters_are_refused(evoked):
    eeg, labels = evoked
    with pytest.raises(ValueError, match="2 distinct values; n_classes is 3"):
        fit_tangent(eeg, labels, TangentConfig(6, 90, 3, 2))
    with pytest.raises(ValueError, match="one label each"):
        fit_tangent(eeg, labels[:5], TangentConfig(6, 90))
    with pytest.raises(ValueError, match="6 channels allow no more"):
        TangentConfig(6, 90, 2, 7)
    with pytest.raises(ValueError, match="at most 256"):
        TangentConfig(64, 90, 5, 40)


def test_an_unfitted_tangent_reads_any_window():
    assert torch.isfinite(Tangent(TangentConfig(4, 50))(torch.randn(2, 4, 50))).all()
