"""Power of a recording over frequency, which no gap disturbs."""

import numpy as np

from ..recording import Recording

WINDOW_S = 2.0


def power_spectrum(recording: Recording, window_s: float = WINDOW_S) -> tuple[np.ndarray, np.ndarray]:
    """Return frequencies (n_freqs,) in hertz and power (n_channels, n_freqs) in V²/Hz (Welch)."""
    from scipy.signal import welch

    longest = max(end - begin for begin, end in recording.spans)
    window = min(max(8, round(window_s * recording.sfreq)), longest)
    if window < 8:
        raise ValueError(f"a spectrum needs at least 8 samples in one stretch; the longest has {longest}")
    total, weight, freqs = 0.0, 0, np.zeros(0)
    for begin, end in recording.spans:
        if end - begin >= window:
            stretch = recording.data[:, begin:end].astype(np.float64)
            freqs, power = welch(stretch, recording.sfreq, nperseg=window, detrend="constant")
            total, weight = total + power * (end - begin), weight + end - begin
    return freqs, np.asarray(total / weight)


def check_band(low: float, high: float, sfreq: float) -> None:
    """Raise ValueError that says what to do where `low` to `high` hertz is no band of a recording at `sfreq`."""
    if not 0 < low < high:
        raise ValueError(f"a band runs from a frequency above 0 Hz to a higher one; got {low:g} to {high:g} Hz")
    if high > sfreq / 2:
        raise ValueError(
            f"the band of {low:g} to {high:g} Hz is not in this recording: at {sfreq:g} Hz it holds frequencies up to "
            f"{sfreq / 2:g} Hz. Choose a lower band, or a recording at {2 * high:g} Hz or more"
        )


def band_amplitude(recording: Recording, band: tuple[float, float]) -> np.ndarray:
    """Return each channel's root mean square (n_channels,) in microvolts between two frequencies in hertz."""
    freqs, power = power_spectrum(recording)
    inside = (freqs >= band[0]) & (freqs <= band[1])
    if not inside.any():
        raise ValueError(
            f"no frequency lies in {band[0]:g} to {band[1]:g} Hz; the spectrum reaches {freqs[-1]:g} Hz in steps of "
            f"{freqs[1]:.3g} Hz"
        )
    return np.sqrt(power[:, inside].sum(axis=1) * freqs[1]) * 1e6
