"""The ideal observer: the matched filter that knows the phantom's forward model, the ceiling for any decoder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..recording import Recording
from .brain import Brain, BrainConfig, add_responses, as_recording, build_brain, simulate_recording, simulate_rest
from .scenes import Scene

Prepare = Callable[[Recording], Recording]
Cut = Callable[[Recording, np.ndarray], np.ndarray]

SPACING_S = 3.0  # between the noise-free responses: no filter smears one into the next
STEP_S = 0.25  # between the overlapping windows of rest that give the noise covariance
SHRINKAGE = 1e-3
MAX_SPATIAL = 20
HIGHEST_HZ = 45.0  # what the observer keeps of a window's spectrum; the preparation it is given should pass less
N_DELAYS = 13  # grid of latencies over ±3 standard deviations
N_GRID = 7  # of these, latencies of an average that are marginalised


@dataclass(frozen=True)
class Observer:
    """A fitted matched filter; `scores` gives the log likelihood of each scene of its gallery.

    whitener: (n_kept, n_channels · n_times) takes a window, less `offset` (n_channels, n_times), to unit noise.
    responses: (n_components, n_delays, n_kept) whitened, per A·m. amplitudes: (n_gallery, n_components) A·m. delays_s:
    (n_delays,). jitter_s: standard deviation of a trial's latency, the cut's rounding to samples included.
    """

    gallery: tuple[Scene, ...]
    whitener: np.ndarray
    offset: np.ndarray
    responses: np.ndarray
    amplitudes: np.ndarray
    delays_s: np.ndarray
    jitter_s: float

    def scores(self, windows: np.ndarray, n_repeats: int = 1) -> np.ndarray:
        """Score every scene of the gallery for every window.

        windows: (n_windows, n_channels, n_times), prepared and cut as in `fit_observer`, each the mean of `n_repeats`
        repeats of one scene. The noise is taken as Gaussian, 1 / n_repeats of a single trial's; the latency is
        marginalised: the mean latency of the repeats on a grid, their spread about it as smearing of the response.

        Returns (n_windows, n_gallery) log likelihoods, up to a constant per window. Raises ValueError for windows of
        another size.
        """
        windows = np.asarray(windows, dtype=np.float32)
        if windows.ndim != 3 or windows.shape[1:] != self.offset.shape:
            raise ValueError(f"windows of shape {windows.shape}; the observer was fitted on (n, *{self.offset.shape})")
        if n_repeats < 1:
            raise ValueError(f"n_repeats is {n_repeats}; it must be at least 1")
        white = (windows - self.offset).reshape(len(windows), -1) @ self.whitener.T
        middle, prior, smear = _latency_grid(self.delays_s, self.jitter_s, n_repeats)
        likelihood = np.full((len(middle), len(windows), len(self.gallery)), -np.inf)
        for i in range(len(middle)):
            template = self.amplitudes @ np.einsum("d,cdk->ck", smear[i], self.responses)
            fit = white @ template.T - 0.5 * np.sum(template**2, axis=1)
            likelihood[i] = n_repeats * fit + np.log(prior[i])
        peak = likelihood.max(axis=0)
        return peak + np.log(np.exp(likelihood - peak).sum(axis=0))


def fit_observer(
    config: BrainConfig,
    gallery: Sequence[Scene],
    prepare: Prepare,
    cut: Cut,
    seed: int = 0,
    n_noise: int | None = None,
) -> Observer:
    """Fit the ideal observer to a simulated person, a gallery and a way of preparing windows.

    config: the person and sitting that give the windows to score. gallery: scenes to choose from. prepare: what is done to
    a continuous recording (montage, reference, filters, rate). cut: takes the prepared recording and onsets in seconds to
    windows (n, n_channels, n_times), baseline included. Both must be linear, or nearly; `cut` may leave windows out. seed:
    of the rest that is simulated for the noise covariance; another than the scored recording's. n_noise: windows of rest,
    default four for each number in a window as the observer sees it.

    The noise-free responses go through the same `prepare` and `cut`; the covariance is of space and time together,
    shrunk towards its diagonal. Raises ValueError where `cut` leaves out a noise-free window.
    """
    brain = build_brain(config)
    times = np.linspace(-3, 3, N_DELAYS)
    responses, rate = _prepared_responses(config, brain, prepare, cut, np.zeros(1))
    jitter_s = float(np.hypot(0.001 * config.latency_jitter_ms, 1 / rate / np.sqrt(12)))
    delays_s = jitter_s * times
    responses, rate = _prepared_responses(config, brain, prepare, cut, delays_s)
    n_channels, n_times = responses.shape[-2:]

    time = _cosines(n_times, rate)
    needed = min(n_channels, MAX_SPATIAL) * time.shape[0]
    n_noise = max(2000, 4 * needed) if n_noise is None else n_noise
    rest = prepare(simulate_rest(config, n_noise * STEP_S + 4.0, seed=seed + 1_000_003))
    noise = np.asarray(cut(rest, 2.0 + STEP_S * np.arange(n_noise)), dtype=np.float32)

    space = _spatial_filters(brain, gallery, responses, noise)
    reduced = np.einsum("rc,nct,kt->nrk", space, noise, time, optimize=True).reshape(len(noise), -1)
    covariance = reduced.T @ reduced / len(reduced)
    covariance = covariance.astype(np.float64)
    covariance *= 1 - SHRINKAGE
    covariance[np.diag_indices_from(covariance)] *= 1 / (1 - SHRINKAGE)
    inverse = _inverse_factor(covariance)
    whitener = (inverse @ np.einsum("rc,kt->rkct", space, time).reshape(len(covariance), -1)).astype(np.float32)
    white = responses.reshape(*responses.shape[:2], -1) @ whitener.T
    offset = _neighbours(config, brain, prepare, cut)
    return Observer(
        tuple(gallery), whitener, offset, white, brain.common + brain.features(gallery), delays_s, jitter_s
    )


def ideal_observer(
    windows: np.ndarray,
    config: BrainConfig,
    gallery: Sequence[Scene],
    prepare: Prepare,
    cut: Cut,
    n_repeats: int = 1,
    seed: int = 0,
) -> np.ndarray:
    """Fit the observer and score windows in one call; see `fit_observer` and `Observer.scores`."""
    return fit_observer(config, gallery, prepare, cut, seed).scores(windows, n_repeats)
