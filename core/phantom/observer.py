"""The ideal observer: the matched filter that knows the phantom's forward model, the ceiling for any decoder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..recording import Recording
from .brain import Brain, add_responses, as_recording, build_brain, simulate_rest
from .brain_config import BrainConfig
from .scenes import Scene

Prepare = Callable[[Recording], Recording]
Cut = Callable[[Recording, np.ndarray], np.ndarray]

SPACING_S = 3.0  # between the noise-free responses: no filter smears one into the next
STEP_S = 0.25  # between the overlapping windows of rest that give the noise covariance
SHRINKAGE = 0.02
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
        prior, smear = _latency_grid(self.delays_s, self.jitter_s, n_repeats)
        likelihood = np.empty((len(prior), len(windows), len(self.gallery)))
        for i in range(len(prior)):
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

    config: the person and sitting that give the windows to score. gallery: scenes to choose from. prepare: what is
    done to a continuous recording (montage, reference, filters, rate). cut: takes the prepared recording and onsets
    in seconds to windows (n, n_channels, n_times), baseline included. Both must be linear, or nearly; `cut` may leave
    windows out. seed: of the rest that is simulated for the noise covariance; another than the scored recording's.
    n_noise: windows of rest, default four for each number in a window as the observer sees it.

    The noise-free responses go through the same `prepare` and `cut`; the covariance is of space and time together,
    that of rest shrunk towards its diagonal, and that of the responses' variability as the forward model has it.
    At an SNR of 0 all scenes of the gallery would be one and tie, so the observer then expects the default SNR: it
    looks for what the null does not hold. Blinks make the noise heavy-tailed, which a matched filter takes as Gaussian:
    the ceiling is that of linear filtering. Raises ValueError where `cut` leaves out a noise-free window.
    """
    brain = build_brain(config if config.snr > 0 else replace(config, snr=BrainConfig.snr))
    amplitudes = brain.common + brain.features(gallery)
    rate = prepare(simulate_rest(config, 12.0, seed)).sfreq
    jitter_s = float(np.hypot(0.001 * config.latency_jitter_ms, 1 / rate / np.sqrt(12)))
    delays_s = jitter_s * np.linspace(-3, 3, N_DELAYS)
    responses = _prepared_responses(config, brain, prepare, cut, delays_s)
    n_components, _, n_channels, n_times = responses.shape

    time = _cosines(n_times, rate)
    n_noise = max(2000, 4 * min(n_channels, MAX_SPATIAL) * len(time)) if n_noise is None else n_noise
    rest = prepare(simulate_rest(config, n_noise * STEP_S + 4.0, seed=seed + 1_000_003))
    noise = np.asarray(cut(rest, 2.0 + STEP_S * np.arange(n_noise)), dtype=np.float32)
    space = _spatial_filters(noise, responses[:, N_DELAYS // 2], amplitudes)
    reduced = (space.astype(np.float32) @ (noise @ time.T.astype(np.float32))).reshape(len(noise), -1)
    covariance = (reduced.T @ reduced).astype(np.float64) * ((1 - SHRINKAGE) / len(reduced))
    covariance[np.diag_indices_from(covariance)] /= 1 - SHRINKAGE
    varying = (space @ responses[:, N_DELAYS // 2] @ time.T).reshape(n_components, -1) * (1e-9 * config.variability_nam)
    factor = np.linalg.cholesky(covariance + varying.T @ varying)
    whitener = np.linalg.solve(factor, np.einsum("rc,kt->rkct", space, time).reshape(len(factor), -1))

    weights = np.exp(-0.5 * (delays_s / jitter_s) ** 2)
    common = np.einsum("i,idct,d->ct", brain.common, responses, weights / weights.sum())
    return Observer(
        gallery=tuple(gallery),
        whitener=whitener.astype(np.float32),
        offset=_neighbours(config, brain, prepare, cut, common),
        responses=responses.reshape(n_components, N_DELAYS, -1) @ whitener.T,
        amplitudes=amplitudes,
        delays_s=delays_s,
        jitter_s=jitter_s,
    )


def _prepared_responses(
    config: BrainConfig, brain: Brain, prepare: Prepare, cut: Cut, delays_s: np.ndarray
) -> np.ndarray:
    """Return the components' noise-free responses per A·m, prepared: (n_components, n_delays, n_channels, n_times)."""
    n, unit = len(brain.common), 1e-8
    at = SPACING_S * (1 + np.arange(n * len(delays_s)))
    amplitudes = unit * np.repeat(np.eye(n), len(delays_s), axis=0)
    data = np.zeros((len(brain.pattern), int((at[-1] + SPACING_S) * config.sfreq)), np.float32)
    add_responses(data, config.sfreq, brain, amplitudes, at + np.tile(delays_s, n))
    windows = _cut_all(prepare(as_recording(data, config, at, ["component"] * len(at), 0)), at, cut)
    return (windows / unit).reshape(n, len(delays_s), *windows.shape[1:])


def _neighbours(config: BrainConfig, brain: Brain, prepare: Prepare, cut: Cut, common: np.ndarray) -> np.ndarray:
    """Return what neighbouring trials and the filters add to a window on average: (n_channels, n_times) volts.

    common: the common response alone, as a window, its latency averaged out. It is what a train of featureless trials
    has beyond it.
    """
    onsets = SPACING_S + config.soa_s * np.arange(max(60, int(60 / config.soa_s)))
    onsets = onsets + config.soa_jitter_s * np.random.default_rng(0).uniform(-1, 1, len(onsets))
    data = np.zeros((len(brain.pattern), int((onsets[-1] + SPACING_S) * config.sfreq)), np.float32)
    add_responses(data, config.sfreq, brain, np.tile(brain.common, (len(onsets), 1)), onsets)
    recording = as_recording(data, config, onsets, ["common"] * len(onsets), 0)
    windows = _cut_all(prepare(recording), onsets, cut)
    edge = len(onsets) // 8
    return windows[edge:-edge].mean(axis=0) - common


def _cut_all(prepared: Recording, onsets: np.ndarray, cut: Cut) -> np.ndarray:
    windows = np.asarray(cut(prepared, onsets), dtype=np.float64)
    if windows.ndim != 3 or len(windows) != len(onsets):
        raise ValueError(
            f"`cut` returned an array of shape {windows.shape} for {len(onsets)} noise-free windows; it must return "
            "(n, n_channels, n_times) and reject none of them (their peak-to-peak is a few microvolts)"
        )
    return windows


def _cosines(n_times: int, rate: float) -> np.ndarray:
    """Return the orthonormal cosines (n_kept, n_times) up to HIGHEST_HZ, in which the noise is nearly uncorrelated."""
    kept = min(n_times, int(np.ceil(2 * HIGHEST_HZ * n_times / rate)))
    basis = np.cos(np.pi * np.arange(kept)[:, None] * (np.arange(n_times) + 0.5) / n_times)
    return basis / np.linalg.norm(basis, axis=1, keepdims=True)


def _spatial_filters(noise: np.ndarray, responses: np.ndarray, amplitudes: np.ndarray) -> np.ndarray:
    """Return at most MAX_SPATIAL filters (n_kept, n_channels) that whiten the noise and hold most of the responses.

    noise: (n, n_channels, n_times). responses: (n_components, n_channels, n_times). amplitudes: (n_scenes,
    n_components).
    """
    n_channels = noise.shape[1]
    flat = noise.transpose(1, 0, 2).reshape(n_channels, -1)
    values, vectors = np.linalg.eigh((flat @ flat.T).astype(np.float64) / flat.shape[1])
    kept = values > 1e-7 * values[-1]  # an average reference takes one dimension away
    whiten = (vectors[:, kept] / np.sqrt(values[kept])).T
    _, size, mixing = np.linalg.svd(amplitudes, full_matrices=False)
    seen = whiten @ np.einsum("j,ji,ict->cjt", size, mixing, responses, optimize=True).reshape(n_channels, -1)
    axes = np.linalg.svd(seen, full_matrices=False)[0][:, :MAX_SPATIAL]
    return axes.T @ whiten


def _latency_grid(delays_s: np.ndarray, jitter_s: float, n_repeats: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the prior (n_grid,) and the weights over `delays_s` (n_grid, n_delays) of the mean latency of the repeats.

    About their mean, the repeats' latencies spread by jitter · sqrt(1 - 1/n); half a step of the grid is added to it.
    """
    mean_s = np.linspace(-2.5, 2.5, N_GRID)
    prior = np.exp(-0.5 * mean_s**2)
    step = delays_s[1] - delays_s[0]
    spread_s = np.sqrt(jitter_s**2 * (1 - 1 / n_repeats) + (0.5 * step) ** 2)
    middle = mean_s * jitter_s / np.sqrt(n_repeats)
    weights = np.exp(-0.5 * ((delays_s - middle[:, None]) / spread_s) ** 2)
    return prior / prior.sum(), weights / weights.sum(axis=1, keepdims=True)
