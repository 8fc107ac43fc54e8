"""Windows that end where a picture appears, filtered so that nothing from after its onset can be in them."""

from dataclasses import replace

import numpy as np

from ...preprocessing.config import PreprocessingConfig
from ...preprocessing.continuous import prepare_continuous
from ...recording import Recording

ORDER = 2
LEAST_S = 0.1
N_BINS = 8
TINY = 1e-9  # V, below any amplifier's noise


def seconds_before(recording: Recording, onsets: np.ndarray) -> np.ndarray:
    """Return how many uninterrupted seconds lie before each onset (n,) of a recording."""
    starts = np.asarray(recording.segments) / recording.sfreq
    inside = np.searchsorted(starts, np.asarray(onsets) + 1e-9, side="right") - 1
    return np.asarray(onsets, dtype=np.float64) - starts[np.clip(inside, 0, len(starts) - 1)]


def windows_before(
    recording: Recording, onsets: np.ndarray, config: PreprocessingConfig, seconds: float, sfreq: float
) -> np.ndarray:
    """Return the `seconds` before each onset as float32 (n, n_channels, n_times) at `sfreq`, NaN where there are none.

    Channels and reference are those of `config`, filters its band-pass, but causal: a filter that runs both ways, as in
    preparing, would carry the answer to the picture back to before it. The last sample lies before the onset.
    """
    from scipy.signal import butter, sosfilt, sosfilt_zi

    bare = replace(config, sfreq=recording.sfreq, l_freq=None, h_freq=None, notch=(), reject_uv=None, baseline=None)
    mapped = prepare_continuous(recording, bare)
    top = min(config.h_freq or np.inf, 0.4 * sfreq)
    top = None if top >= recording.sfreq / 2 else top
    low = config.l_freq
    if top is None and low is None:
        sos = None
    elif top is None:
        sos = butter(ORDER, low, "highpass", fs=recording.sfreq, output="sos")
    elif low is None:
        sos = butter(ORDER, top, "lowpass", fs=recording.sfreq, output="sos")
    else:
        sos = butter(ORDER, (low, top), "bandpass", fs=recording.sfreq, output="sos")
    data = mapped.data
    if sos is not None:
        data = np.empty_like(mapped.data)
        rest = sosfilt_zi(sos)[:, None, :]
        for start, stop in mapped.spans:
            piece = mapped.data[:, start:stop].astype(np.float64)
            data[:, start:stop] = sosfilt(sos, piece, axis=1, zi=rest * piece[None, :, :1])[0]
    n_times = max(int(seconds * sfreq + 1e-6), 1)
    # counted back from the last sample before the onset
    last = np.ceil(np.asarray(onsets) * recording.sfreq - 1e-6).astype(np.int64) - 1
    back = np.rint(np.arange(n_times - 1, -1, -1) * recording.sfreq / sfreq).astype(np.int64)
    places = last[:, None] - back
    there = seconds_before(recording, onsets) >= seconds - 1.5 / recording.sfreq
    there &= (places >= 0).all(axis=1) & (places < data.shape[1]).all(axis=1)
    windows = np.full((len(last), len(config.ch_names), n_times), np.nan, dtype=np.float32)
    windows[there] = data[:, places[there]].transpose(1, 0, 2)
    return windows


def bins_and_power(windows: np.ndarray) -> np.ndarray:
    """Return (n, n_channels, 9) float32 of windows (n, n_channels, n_times) in volts: the means of eight bins of time
    and the logarithm of the amplitude.
    """
    found = np.zeros((*windows.shape[:2], N_BINS + 1), dtype=np.float32)
    for i, places in enumerate(np.array_split(np.arange(windows.shape[2]), min(N_BINS, windows.shape[2]))):
        found[:, :, i] = windows[:, :, places].mean(axis=2)
    found[:, :, N_BINS] = np.log(windows.std(axis=2) + TINY)
    return found
