"""What a window looks like to each view of the filter bank: bands, responses, rhythms, amplitudes in bins of time."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..covariances import covariances
from .riemann import matrix_log, power, riemann_mean, upper_triangle
from .tangent import Tangent, TangentConfig, fit_tangent

MEAN_STEPS = 2  # of the Riemannian mean: features are only seen from there, so that near it is as good as at it
MOST_TEMPLATES, MOST_RHYTHMS = 4, 16
BIN_S, MOST_BINS = 0.04, 64
ROBUST_LIMIT = 4.0  # spreads, beyond which an amplitude tells no more
BLOCK = 1024  # windows in double precision at once
MATRIX_UP_TO = 512  # samples


@dataclass(frozen=True)
class View:
    """One way to look at a window.

    kind: `response` (Xdawn covariances in tangent space), `rhythm` (covariances in each band) or `amplitude` (means in
    bins of time). bands: (low, high) hertz, None for open ends; several for rhythms only. relative: each window is
    divided by its own spread, so that a louder run or person looks the same. n_filters: for each template of a
    response. penalty: of the readout.
    """

    name: str
    kind: Literal["response", "rhythm", "amplitude"]
    bands: tuple[tuple[float | None, float | None], ...] = ((None, None),)
    relative: bool = False
    n_filters: int = 2
    penalty: float = 1.0


VIEWS = {
    view.name: view
    for view in (
        View("response", "response"),
        View("relative-response", "response", relative=True),
        View("response-2-20", "response", ((2, 20),), relative=True),
        View("response-3-30", "response", ((3, 30),), relative=True),
        View("wide-response", "response", relative=True, n_filters=4),
        View("wide-response-3-30", "response", ((3, 30),), relative=True, n_filters=4),
        View("slow-amplitude", "amplitude", ((None, 8),), penalty=100.0),
        View("amplitude", "amplitude", ((None, 15),), penalty=100.0),
        View("relative-amplitude", "amplitude", ((1, 15),), relative=True, penalty=100.0),
        View("rhythm", "rhythm", ((4, 8), (8, 13), (13, 22), (22, 35))),
    )
}


def band_passed(eeg: Tensor, low: float | None, high: float | None, sfreq: float) -> Tensor:
    """Return windows (batch, channels, times) between two frequencies in hertz: no phase, edges mirrored through their
    ends.
    """
    if (low is None and high is None) or not len(eeg):
        return eeg
    n = eeg.shape[-1]
    if n > MATRIX_UP_TO:
        return _filtered(eeg, low, high, sfreq)
    return eeg @ _filter_matrix(n, low, high, sfreq).to(eeg)


@lru_cache(maxsize=64)
def _filter_matrix(n: int, low: float | None, high: float | None, sfreq: float) -> Tensor:
    """Return what `_filtered` does to n samples as a matrix (n, n): for short windows a product with it is faster than
    two transforms, whose length is often a prime.
    """
    with torch.inference_mode(False):
        return _filtered(torch.eye(n, dtype=torch.float64), low, high, sfreq)


def _filtered(eeg: Tensor, low: float | None, high: float | None, sfreq: float) -> Tensor:
    n = eeg.shape[-1]
    pad = n // 2
    start, end = eeg[..., :1], eeg[..., -1:]
    longer = torch.cat(
        (2 * start - eeg[..., 1 : pad + 1].flip(-1), eeg, 2 * end - eeg[..., n - 1 - pad : n - 1].flip(-1)), -1
    )
    at = torch.fft.rfftfreq(longer.shape[-1], 1 / sfreq, dtype=eeg.dtype, device=eeg.device)
    gain = torch.ones_like(at)
    if low is not None:
        gain = gain * torch.sigmoid((at - low) / max(0.25 * low, 0.5) * 4)
    if high is not None and high < sfreq / 2:
        gain = gain * torch.sigmoid((high - at) / max(0.15 * high, 0.5) * 4)
    return torch.fft.irfft(torch.fft.rfft(longer) * gain, longer.shape[-1])[..., pad : pad + n]


def seen(eeg: Tensor, view: View, band: tuple[float | None, float | None], sfreq: float) -> Tensor:
    """Return windows (batch, channels, times) as a view sees them in one of its bands, in double precision."""
    dtype = torch.float32 if eeg.device.type == "mps" else torch.float64
    found = band_passed(eeg.to(dtype), *band, sfreq)
    if view.relative:
        spread = (found - found.mean((1, 2), keepdim=True)).square().mean((1, 2), keepdim=True)
        found = found * (spread + torch.finfo(dtype).tiny).rsqrt() * (spread > 0)
    return found


class Response(nn.Module):
    """Xdawn covariances in tangent space of one band."""

    def __init__(self, view: View, n_channels: int, n_times: int, sfreq: float, n_classes: int) -> None:
        super().__init__()
        self.view, self.sfreq = view, sfreq
        templates, filters = min(max(n_classes, 1), MOST_TEMPLATES), min(view.n_filters, n_channels)
        self.tangent = Tangent(TangentConfig(n_channels, n_times, templates, filters))
        self.width = self.tangent.width

    def forward(self, eeg: Tensor) -> Tensor:
        """Return features (batch, width) in double precision."""
        return self.tangent(seen(eeg, self.view, self.view.bands[0], self.sfreq)).flatten(1)

    def fit(self, eeg: Tensor, labels: Tensor) -> None:
        """Fit the buffers to windows (n, channels, times) and their labels (n,)."""
        self.tangent = fit_tangent(
            torch.cat([seen(part, self.view, self.view.bands[0], self.sfreq).float() for part in eeg.split(BLOCK)]),
            _of_at_least(labels, self.tangent.config.n_classes),
            self.tangent.config,
            mean_steps=MEAN_STEPS,
        )


def _of_at_least(labels: Tensor, n: int) -> Tensor:
    """Return labels (m,) of at least n distinct values: where there are fewer, the commonest is dealt out."""
    values, counts = torch.unique(labels, return_counts=True)
    if len(values) >= n:
        return labels
    found = labels.clone()
    member = torch.nonzero(labels == values[counts.argmax()])[:, 0]
    for number in range(n - len(values)):
        found[member[number + 1 :: n - len(values) + 1]] = int(values.max()) + 1 + number
    return found


class Rhythm(nn.Module):
    """Logarithms of the covariances in each band seen from the training mean, of the channels or, of many, of the
    directions in which the classes' covariances differ most.
    """

    filters: Tensor
    whitener: Tensor
    floor: Tensor

    def __init__(self, view: View, n_channels: int, n_times: int, sfreq: float, n_classes: int) -> None:
        super().__init__()
        self.view, self.sfreq = view, sfreq
        kept = min(n_channels, MOST_RHYTHMS)
        self.bands = tuple(band for band in view.bands if (band[0] or 0) < 0.45 * sfreq) or view.bands[:1]
        self.register_buffer("filters", torch.eye(n_channels)[:kept].repeat(len(self.bands), 1, 1))
        self.register_buffer("whitener", torch.eye(kept).repeat(len(self.bands), 1, 1))
        self.register_buffer("floor", torch.full((len(self.bands),), 1e-6))
        self.width = len(self.bands) * kept * (kept + 1) // 2

    def forward(self, eeg: Tensor) -> Tensor:
        """Return features (batch, width) in double precision."""
        found = []
        for number in range(len(self.bands)):
            matrices = self._covariances(eeg, number)
            whitener = self.whitener[number].to(matrices.dtype)
            found.append(upper_triangle(matrix_log(whitener @ matrices @ whitener)))
        return torch.cat(found, 1)

    def fit(self, eeg: Tensor, labels: Tensor) -> None:
        """Fit the buffers to windows (n, channels, times) and their labels (n,)."""
        for number, band in enumerate(self.bands):
            raw = torch.cat([covariances(seen(part, self.view, band, self.sfreq)) for part in eeg.split(BLOCK)])
            trace = raw.diagonal(dim1=-2, dim2=-1).mean()
            # a trace of white noise keeps a flat window or a dependent channel solvable
            self.floor[number] = max(float(trace) * 1e-6, 1e-30)
            if self.filters.shape[1] < self.filters.shape[2]:
                self.filters[number] = _directions(raw, labels, self.filters.shape[1])
            matrices = torch.cat([self._covariances(part, number) for part in eeg.split(BLOCK)])
            self.whitener[number] = power(riemann_mean(matrices, max_steps=MEAN_STEPS), -0.5)

    def _covariances(self, eeg: Tensor, number: int) -> Tensor:
        signal = seen(eeg, self.view, self.bands[number], self.sfreq)
        found = covariances(self.filters[number].to(signal.dtype) @ signal)
        return found + self.floor[number].to(found.dtype) * torch.eye(
            found.shape[-1], dtype=found.dtype, device=found.device
        )


def _directions(matrices: Tensor, labels: Tensor, n: int) -> Tensor:
    """Return the n directions (n, channels) in which the classes' mean covariances differ most, after whitening: common
    spatial patterns of any number of classes.
    """
    mean = matrices.mean(0)
    mean = mean + mean.diagonal().mean() * 1e-6 * torch.eye(len(mean), dtype=mean.dtype)
    whitener = power(mean, -0.5)
    differ = torch.zeros_like(mean)
    for label in torch.unique(labels):
        member = labels == label
        apart = whitener @ (matrices[member].mean(0) - mean) @ whitener
        differ += member.double().mean() * apart @ apart
    _, vectors = torch.linalg.eigh(differ)
    found = vectors.flip(1)[:, :n].mT @ whitener
    found = found / found.norm(dim=1, keepdim=True)
    largest = found.gather(1, found.abs().argmax(1, keepdim=True))
    return (found * largest.sign()).float()


class Amplitude(nn.Module):
    """Means in bins of time, about their median and in robust spreads of the training, cut off at four."""

    center: Tensor
    scale: Tensor

    def __init__(self, view: View, n_channels: int, n_times: int, sfreq: float, n_classes: int) -> None:
        super().__init__()
        self.view, self.sfreq = view, sfreq
        self.n_bins = max(1, min(round(n_times / sfreq / BIN_S), MOST_BINS, n_times))
        self.width = n_channels * self.n_bins
        self.register_buffer("center", torch.zeros(self.width))
        self.register_buffer("scale", torch.ones(self.width))

    def forward(self, eeg: Tensor) -> Tensor:
        """Return features (batch, width) in double precision."""
        means = self._means(eeg)
        return ((means - self.center.to(means.dtype)) / self.scale.to(means.dtype)).clamp(-ROBUST_LIMIT, ROBUST_LIMIT)

    def fit(self, eeg: Tensor, labels: Tensor) -> None:
        """Fit the buffers to windows (n, channels, times); labels are not looked at."""
        means = torch.cat([self._means(part) for part in eeg.split(BLOCK)])
        low, middle, high = (_quantile(means, share) for share in (0.25, 0.5, 0.75))
        spread = (high - low) / 1.349
        self.center.copy_(middle)
        self.scale.copy_(torch.where(spread > 0, spread, torch.ones_like(spread)))

    def _means(self, eeg: Tensor) -> Tensor:
        return F.adaptive_avg_pool1d(seen(eeg, self.view, self.view.bands[0], self.sfreq), self.n_bins).flatten(1)


def _quantile(values: Tensor, share: float) -> Tensor:
    """Return a quantile of each column of values (n, d), of any n."""
    return values.sort(0).values[round(share * (len(values) - 1))]


KINDS: dict[str, type[Response] | type[Rhythm] | type[Amplitude]] = {
    "response": Response,
    "rhythm": Rhythm,
    "amplitude": Amplitude,
}
