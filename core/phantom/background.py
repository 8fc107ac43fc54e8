"""What the phantom's head gives without any picture: 1/f background, alpha, blinks, hum, sensor noise and drift."""

from typing import TYPE_CHECKING

import numpy as np

from .head import HeadModel

if TYPE_CHECKING:
    from .brain_config import BrainConfig

KNEE_HZ = 0.5  # the 1/f spectrum is flat below
BLINK_S = 0.32
ALPHA_WIDTH_HZ = 0.8
DRIFT_S = 300.0  # the time in which the electrodes' drift forgets where it was


def background(head: HeadModel, config: "BrainConfig", n_times: int, seed: int) -> np.ndarray:
    """Simulate the 1/f background, the alpha bursts and the sensors' own noise.

    The 1/f part is what N_BACKGROUND independent sources with the same spectrum give; it is drawn at the sensors with
    exactly their covariance. Its root mean square over channels and time is `config.background_uv`, the alpha's is
    `config.alpha_uv` and the sensors' is `config.sensor_uv`.

    Returns float32 (n_channels, n_times), volts.
    """
    n_channels = len(head.ch_names)
    rng = np.random.default_rng([seed, 11])
    covariance = head.background @ head.background.T
    covariance *= 1e-12 * config.background_uv**2 / np.mean(np.diag(covariance))
    values, vectors = np.linalg.eigh(covariance)
    mixing = (vectors * np.sqrt(np.maximum(values, 0.0))).astype(np.float32)
    # A longer, easily factored length; the FFT makes noise periodic, so the ends must not meet in what is kept.
    length = _fast_length(n_times + int(8 * config.sfreq))
    freqs = np.fft.rfftfreq(length, 1 / config.sfreq)
    shape = (freqs**2 + KNEE_HZ**2) ** (-config.background_exponent / 4)
    shape[0] = 0.0
    shape /= np.sqrt(_mean_power(shape, length))
    sources = np.stack([_filtered(rng, shape, length)[:n_times] for _ in range(n_channels)])
    data = mixing @ sources
    if config.alpha_uv > 0:
        data += _alpha(head, config, n_times, length, freqs, np.random.default_rng([seed, 12]))
    if config.sensor_uv > 0:
        rng = np.random.default_rng([seed, 13])
        data += np.float32(1e-6 * config.sensor_uv) * rng.standard_normal(data.shape, dtype=np.float32)
    return data


def background_rms(config: "BrainConfig") -> float:
    """Return the root mean square of `background` over channels and time, in volts: what SNR is measured against."""
    return 1e-6 * float(np.sqrt(config.background_uv**2 + config.alpha_uv**2 + config.sensor_uv**2))


def artifacts(head: HeadModel, config: "BrainConfig", n_times: int, seed: int) -> np.ndarray:
    """Simulate eye blinks and mains hum, which SNR leaves out.

    Blinks come at random moments, `config.blinks_per_minute` on average and at least half a second apart; one lifts
    the channel nearest to the eyes by about `config.blink_uv`, were that channel at Fp1 or Fp2. The hum has its own
    amplitude (root mean square about `config.line_uv`) and phase at each channel and breathes slowly; it is left out
    where it lies above half the rate, as a recorder's own filter would.

    Returns float32 (n_channels, n_times), volts.
    """
    n_channels = len(head.ch_names)
    data = np.zeros((n_channels, n_times), np.float32)
    t = np.arange(n_times) / config.sfreq
    if config.blinks_per_minute > 0 and config.blink_uv > 0:
        rng = np.random.default_rng([seed, 14])
        expected = config.blinks_per_minute * t[-1] / 60
        gaps = 0.5 + rng.exponential(max(60 / config.blinks_per_minute - 0.5, 0.01), int(expected * 1.5 + 30))
        # The blink's pattern per volt at the brow, where the leadfield of the eyes is strongest.
        pattern = head.ocular.sum(axis=1) / _brow_gain()
        span = np.arange(int(2 * BLINK_S * config.sfreq))
        course = np.zeros(n_times)
        for onset in np.cumsum(gaps) - rng.uniform(0, gaps[0]):
            size, length = 1e-6 * config.blink_uv * rng.lognormal(0.0, 0.25), BLINK_S * rng.uniform(0.8, 1.3)
            first = int(np.ceil(onset * config.sfreq))
            if first >= n_times:
                break
            at = first + span
            at = at[(at >= 0) & (at < n_times)]
            phase = (at / config.sfreq - onset) / length
            # Closing is faster than opening: a bump skewed towards its start.
            course[at] += size * np.where(phase < 1, np.sin(np.pi * np.clip(phase, 0, 1) ** 0.7) ** 2, 0.0)
        data += np.outer(pattern, course).astype(np.float32)
    if config.line_uv > 0:
        rng = np.random.default_rng([seed, 15])
        gain, phase = rng.lognormal(0.0, 0.4, n_channels), rng.normal(0.0, 0.7, n_channels)
        breath = 1 + 0.2 * np.sin(2 * np.pi * 0.05 * t + rng.uniform(0, 2 * np.pi))
        for harmonic, strength in ((1, 1.0), (2, 0.15), (3, 0.25)):
            hz = harmonic * config.line_hz
            if hz < 0.49 * config.sfreq:
                angle = 2 * np.pi * hz * t + rng.uniform(0, 2 * np.pi)
                sine, cosine = breath * np.sin(angle), breath * np.cos(angle)
                size = 1e-6 * config.line_uv * np.sqrt(2) * strength * gain
                data += (np.outer(size * np.cos(phase), sine) + np.outer(size * np.sin(phase), cosine)).astype(
                    np.float32
                )
    return data


def drift(head: HeadModel, config: "BrainConfig", n_times: int, seed: int) -> np.ndarray:
    """Simulate the slow drift of the electrodes' potentials: each wanders on its own over minutes.

    A stationary first-order process of `config.drift_uv` root mean square and 300 s memory, so that a recording of a
    minute has one level and two recordings have two. A high-pass filter of 0.5 Hz leaves nothing of it.

    Returns float32 (n_channels, n_times), volts.
    """
    n_channels = len(head.ch_names)
    if config.drift_uv == 0:
        return np.zeros((n_channels, 1), np.float32)
    rng = np.random.default_rng([seed, 16])
    seconds = np.arange(int(np.ceil(n_times / config.sfreq)) + 1)
    kept = np.exp(-1 / DRIFT_S)
    steps = rng.standard_normal((len(seconds), n_channels))
    steps[1:] *= np.sqrt(1 - kept**2)
    for i in range(1, len(seconds)):
        steps[i] += kept * steps[i - 1]
    t = np.arange(n_times) / config.sfreq
    levels = [np.interp(t, seconds, steps[:, channel]) for channel in range(n_channels)]
    return (1e-6 * config.drift_uv * np.stack(levels)).astype(np.float32)


def _alpha(
    head: HeadModel, config: "BrainConfig", n_times: int, length: int, freqs: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return waxing and waning alpha of the occipital sources: narrow-band noise under a slow gate, float32 volts."""
    peak = np.random.default_rng([config.subject, 2]).uniform(9.0, 11.0)
    band = np.exp(-0.5 * ((freqs - peak) / ALPHA_WIDTH_HZ) ** 2)
    slow = np.exp(-0.5 * (freqs / 0.15) ** 2)
    slow[0] = 0.0
    slow /= np.sqrt(_mean_power(slow, length))
    gate = 1 / (1 + np.exp(-2.5 * _filtered(rng, slow, length)[:n_times]))  # one gate: bursts are shared
    band /= np.sqrt(_mean_power(band, length))
    sources = np.stack([_filtered(rng, band, length)[:n_times] for _ in range(head.alpha.shape[1])])
    pattern = head.alpha / np.sqrt(np.mean((head.alpha**2).sum(axis=1)))
    # The gate's mean square under the standard normal that drives it, so that the level is the one asked for.
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    level = np.sqrt(np.sum(weights / (1 + np.exp(-2.5 * nodes)) ** 2) / np.sum(weights))
    return ((1e-6 * config.alpha_uv / level) * pattern).astype(np.float32) @ (sources * gate)


def _brow_gain() -> float:
    from .head import head_model

    return float(np.mean(head_model(("Fp1", "Fp2"), 0).ocular.sum(axis=1)))


def _filtered(rng: np.random.Generator, shape: np.ndarray, length: int) -> np.ndarray:
    """Return white noise of unit variance under an amplitude response over rfft's frequencies, float32 (length,)."""
    spectrum = np.fft.rfft(rng.standard_normal(length, dtype=np.float32))
    return np.fft.irfft(spectrum * shape, length).astype(np.float32)


def _mean_power(shape: np.ndarray, length: int) -> float:
    power = 2 * np.sum(shape**2) - shape[0] ** 2 - (shape[-1] ** 2 if length % 2 == 0 else 0.0)
    return float(power / length)


def _fast_length(n: int) -> int:
    import scipy.fft

    return scipy.fft.next_fast_len(n, real=True) or n
