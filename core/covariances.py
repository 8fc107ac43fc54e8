"""Covariances of windows, shrunk so that few samples give one that can be inverted."""

import torch
from torch import Tensor

ESTIMATORS = ("oas", "lwf", "scm")


def covariances(signals: Tensor, estimator: str = "oas") -> Tensor:
    """Return the covariance over time of each of signals (batch, n, times): (batch, n, n), as in scikit-learn.

    `scm` is the sample covariance; `oas` shrinks it after Chen et al., "Shrinkage algorithms for MMSE covariance
    estimation", IEEE Trans. Signal Process. 58(10), 2010; `lwf` after Ledoit & Wolf, "A well-conditioned estimator for
    large-dimensional covariance matrices", J. Multivar. Anal. 88(2), 2004.
    """
    if estimator not in ESTIMATORS:
        raise ValueError(f"Unknown covariance estimator {estimator!r}; known: {', '.join(ESTIMATORS)}.")
    n, times = signals.shape[-2:]
    signals = signals - signals.mean(-1, keepdim=True)
    sample = signals @ signals.mT / times
    if estimator == "scm":
        return sample
    mean_variance = sample.diagonal(dim1=-2, dim2=-1).mean(-1)
    energy = sample.square().mean((-2, -1))
    distance = energy - mean_variance.square() / n  # of the sample from the sphere, per element
    if estimator == "oas":
        noise = (energy + mean_variance.square()) / (times + 1)
    else:
        noise = (signals.square().sum(-2).square().mean(-1) / n**2 - energy) / times
    # A signal that is zero throughout has no distance and no noise: it stays zero.
    share = torch.where(distance > 0, noise / distance.clamp_min(torch.finfo(distance.dtype).tiny), 1.0).clamp(0, 1)
    identity = torch.eye(n, dtype=signals.dtype, device=signals.device)
    return (1 - share)[:, None, None] * sample + (share * mean_variance)[:, None, None] * identity
