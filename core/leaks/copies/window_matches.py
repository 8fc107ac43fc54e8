"""Recordings that share EEG, told by their windows alone."""

import numpy as np

from ..leak_input import LeakInput

N_PROBES, N_BANK, MAX_CHANNELS = 96, 2000, 6
BAND_HZ = (2.0, 20.0)
MOST_LAG = 0.35  # of a window
RATIO = 0.5  # how much less a match may differ than the next best one (Lowe 2004)
LEAST = 0.7
LARGE = 1.5  # times the median size of a window


def matching_units(given: LeakInput) -> list[tuple[int, int, float]]:
    """Return pairs of recordings (numbers of `given.file`) of which at least three windows match, and how well; a
    recording pairs with itself where windows of it match across the split.

    Windows of one recording are correlated with those of others at all small lags, in one band and with a flat
    spectrum. A match is far closer than the next best one: answers to the same picture are all about as alike.
    """
    trials, file = given.trials, given.file
    n_times = trials.eeg.shape[2]
    rate = given.sfreq or 128.0
    if n_times < 32:
        return []
    rng = np.random.default_rng([given.seed, 3])
    rows = given.used
    bank = np.sort(rng.permutation(rows)[:N_BANK])
    probes = _spread(bank, file[bank], rng)
    n_fft = 1 << int(np.ceil(np.log2(2 * n_times)))
    hertz = np.fft.rfftfreq(n_fft, 1 / rate)
    band = np.flatnonzero((hertz >= BAND_HZ[0]) & (hertz <= min(BAND_HZ[1], 0.45 * rate)))
    if len(band) < 4:
        return []
    spectra = _spectra(given, bank, n_fft, band)
    mine = np.searchsorted(bank, probes)
    most = max(int(MOST_LAG * n_times), 1)
    lags = np.arange(-most, most + 1)
    turn = np.exp(2j * np.pi * np.outer(band, lags) / n_fft).astype(np.complex64)
    shrink = (1 - np.abs(lags) / n_times).astype(np.float32)
    size = np.sqrt((np.abs(spectra) ** 2).sum(axis=(1, 2)))
    usual = size < LARGE * np.median(size)  # blinks are all alike
    matched: dict[tuple[int, int], list[float]] = {}
    for probe in mine[usual[mine]]:
        cross = np.einsum("fc,nfc->nf", np.conj(spectra[probe]), spectra)
        r = np.abs((cross @ turn).real) / shrink / (size[probe] * size)[:, None]
        r = np.clip(r.max(axis=1), 0, 1)
        own = np.abs(trials.onset[bank] - trials.onset[bank[probe]]) < n_times / rate
        same = file[bank] == file[bank[probe]]
        r[same & (own | (given.part[bank] == given.part[bank[probe]]))] = 0
        r[~usual] = 0
        best = int(r.argmax())
        near = (given.unit[bank] == given.unit[bank[best]]) & (
            np.abs(trials.onset[bank] - trials.onset[bank[best]]) < n_times / rate
        )
        rest = r[~near & ~(same & own)]
        second = float(rest.max()) if len(rest) else 0.0
        if r[best] > LEAST and 1 - r[best] < RATIO * (1 - second):
            a, b = sorted((int(file[bank[probe]]), int(file[bank[best]])))
            matched.setdefault((a, b), []).append(float(r[best]))
    each = len(mine) / max(len(np.unique(file[bank])), 1)
    least = 3 if each >= 6 else 2  # two blinks may match by chance
    found = [(a, b, float(np.median(rs))) for (a, b), rs in matched.items() if len(rs) >= least]
    return sorted(found, key=lambda pair: -pair[2])


def _spread(bank: np.ndarray, file: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return as many rows of every recording as all can have."""
    order = rng.permutation(len(bank))
    place = np.empty(len(bank), dtype=np.int64)
    for number in np.unique(file):
        here = order[file[order] == number]
        place[here] = np.arange(len(here))
    return bank[np.argsort(place, kind="stable")[:N_PROBES]]


def _spectra(given: LeakInput, rows: np.ndarray, n_fft: int, band: np.ndarray) -> np.ndarray:
    """Return spectra (n, len(band), channels) complex64 of windows, flat on average, referenced to their mean."""
    n_channels = given.trials.eeg.shape[1]
    chosen = np.unique(np.linspace(0, n_channels - 1, min(n_channels, MAX_CHANNELS)).astype(int))
    found = np.empty((len(rows), len(band), len(chosen)), dtype=np.complex64)
    taper = np.hanning(given.trials.eeg.shape[2] + 2)[1:-1] ** 0.5
    for start in range(0, len(rows), 256):
        eeg = np.asarray(given.trials.eeg[rows[start : start + 256]], dtype=np.float64)
        if n_channels > 2:
            eeg = eeg - eeg.mean(axis=1, keepdims=True)
        eeg = (eeg[:, chosen] - eeg[:, chosen].mean(axis=2, keepdims=True)) * taper
        found[start : start + len(eeg)] = np.fft.rfft(eeg, n_fft)[:, :, band].transpose(0, 2, 1) * 1e6
    for number in np.unique(given.file[rows]):
        here = given.file[rows] == number
        usual = np.sqrt((np.abs(found[here]) ** 2).mean(axis=0))
        found[here] /= np.maximum(usual, 1e-3 * usual.max() + 1e-12)
    return found
