"""Multivariate noise normalisation of a session: the covariance of its noise, from its training pictures alone.

Guggenmos, Sterzer & Cichy 2018 (NeuroImage 173:434), as THINGS-EEG2's authors do it: of each picture's presentations,
the covariance over time (by epochs), or that over presentations at each moment (by time), shrunk as Ledoit & Wolf 2004
do with every channel at unit variance, then averaged over pictures.
"""

from collections.abc import Callable

import numpy as np
import torch

from core.covariances import covariances

BY = ("epochs", "time", "none")


class ByEpochs:
    """Adds up covariances over time of windows as they come; presentations count so that every picture weighs alike."""

    def __init__(self, pictures: np.ndarray) -> None:
        """Take the picture number of each window (n,), in the order in which they will come."""
        _, which, counts = np.unique(pictures, return_inverse=True, return_counts=True)
        self._weights = 1.0 / (counts[which] * len(counts))
        self._done = 0
        self._sum: np.ndarray | float = 0.0

    def add(self, windows: np.ndarray) -> None:
        """Add windows (k, n_channels, n_times)."""
        eeg = torch.from_numpy(windows.astype(np.float64))
        spread = eeg.std(-1, correction=0)
        spread[spread == 0] = 1.0
        shrunk = covariances(eeg / spread[..., None], "lwf") * spread[:, :, None] * spread[:, None, :]
        weights = self._weights[self._done : self._done + len(windows)]
        self._sum = self._sum + np.tensordot(weights, shrunk.numpy(), axes=1)
        self._done += len(windows)

    def covariance(self) -> np.ndarray:
        """Return the mean (n_channels, n_channels) of what was added."""
        if self._done != len(self._weights):
            raise ValueError(f"{self._done} of {len(self._weights)} windows were added")
        return np.asarray(self._sum)


def by_time(pictures: np.ndarray, read: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Return the mean over pictures and moments of the covariance over a picture's presentations.

    pictures: (n,) number of each window. read: gives windows (k, n_channels, n_times) by their numbers. Raises
    ValueError where a picture was shown once: one presentation has no spread.
    """
    numbers, which, counts = np.unique(pictures, return_inverse=True, return_counts=True)
    if (counts < 2).any():
        raise ValueError(
            f"{int((counts < 2).sum())} of {len(numbers)} training pictures were shown once in a session, and "
            "whitening by time needs two presentations; use --whitening epochs"
        )
    order = np.argsort(which, kind="stable")
    total: np.ndarray | float = 0.0
    for members in np.split(order, np.cumsum(counts)[:-1]):
        total = total + _over_presentations(read(members).astype(np.float64))
    return np.asarray(total) / len(numbers)


def _over_presentations(windows: np.ndarray) -> np.ndarray:
    """Return the mean over moments of the shrunk covariance over presentations (r, n_channels, n_times).

    A covariance of r presentations has rank r - 1: its norm is that of the products of presentations, and the mean
    over moments is one product, so that no covariance of a moment is ever formed.
    """
    n, p, n_times = windows.shape
    noise = windows - windows.mean(axis=0)
    spread = np.sqrt(np.square(noise).mean(axis=0))
    spread[spread == 0] = 1.0
    unit = noise / spread
    products = np.einsum("ict,jct->tij", unit, unit, optimize=True)
    trace = np.trace(products, axis1=1, axis2=2) / n
    delta_ = np.square(products).sum(axis=(1, 2)) / n**2
    beta = (np.square(np.diagonal(products, axis1=1, axis2=2)).sum(axis=1) / n - delta_) / (p * n)
    delta = (delta_ - trace**2 / p) / p
    beta = np.minimum(beta, delta)
    share = np.divide(beta, delta, out=np.zeros(n_times), where=beta != 0)
    weighted = (noise * np.sqrt((1 - share) / (n * n_times))).transpose(1, 0, 2).reshape(p, -1)
    found = weighted @ weighted.T
    found[np.diag_indices(p)] += (share * trace / p * np.square(spread)).mean(axis=1)
    return found
