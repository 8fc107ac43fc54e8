"""The same recording twice: renamed, resampled, rescaled, filtered, re-referenced, cut, shifted or turned round."""

import numpy as np

from ..check import Check, not_checked
from ..leak_input import LeakInput
from .window_matches import matching_units

NAME = "same recording twice"
FRAME_S = 8.0
MOST_FRAMES, FRAME_BUDGET = 12, 2000
# correlation of eight seconds, in most signals or in one; what people share who see the same pictures is far below
ALIKE, ALIKE_IN_ONE = 0.5, 0.65


def check_same_recording(given: LeakInput) -> Check:
    """Check that no stretch of a recording is also in another one.

    Of each pair the shorter one's stretches of eight seconds are correlated with the other at every lag, after both
    were brought to one band and a flat spectrum, all signals together and each by itself. How much the channels differ
    at each moment, whatever their names, is one of the signals, and is compared backwards in time too. Their windows
    are compared too: rates that a file states wrongly make stretches run apart, and recordings may not be at hand.
    """
    prints = {name: one.fingerprint for name, one in given.evidence.items() if one.fingerprint.shape[1] >= 64}
    names = _names(given)
    if len(np.unique(given.file[given.used])) < 2 and len(prints) < 2:
        return Check(NAME, True, 0.0, "There is one recording.")
    pairs, n, how = [], len(names), "recordings, by their windows"
    if len(prints) >= 2:
        pairs, n, how = shared_stretches(prints), len(prints), "recordings"
    if not pairs and given.has_windows:
        pairs = [(names[a], names[b], r) for a, b, r in matching_units(given)]
    elif not pairs and len(prints) < 2:
        return not_checked(NAME, "neither recordings nor windows are at hand")
    if pairs:
        told = ", ".join(f"{a} and {b} (correlation {r:.2f})" for a, b, r in pairs[:3])
        more = f" and {len(pairs) - 3} more pairs" if len(pairs) > 3 else ""
        return Check(NAME, False, pairs[0][2], f"The same EEG is in two recordings: {told}{more}.")
    return Check(NAME, True, 0.0, f"No two of {n} {how} share a stretch of EEG.")


def shared_stretches(prints: dict[str, np.ndarray], sfreq: float = 32.0) -> list[tuple[str, str, float]]:
    """Return pairs of recordings that share a stretch, and its correlation, for fingerprints (k, n_times) each."""
    names = sorted(prints, key=lambda name: (prints[name].shape[1], name))
    n_pairs = len(names) * (len(names) - 1) // 2
    n_frames = int(np.clip(FRAME_BUDGET // max(n_pairs, 1), 2, MOST_FRAMES))
    length = max(prints[name].shape[1] for name in names)
    frame = min(int(FRAME_S * sfreq), min(prints[name].shape[1] for name in names))
    alike, alike_in_one = (_limit(limit, frame / sfreq) for limit in (ALIKE, ALIKE_IN_ONE))
    n_fft = 1 << int(np.ceil(np.log2(length + frame)))
    spectra, energy = {}, {}
    for name in names:
        values = prints[name].astype(np.float32)
        spectra[name] = np.fft.rfft(values, n_fft).astype(np.complex64)
        sums = np.pad(np.cumsum(values.astype(np.float64) ** 2, axis=1), ((0, 0), (1, 0)))
        energy[name] = np.maximum(sums[:, frame:] - sums[:, :-frame], 1e-9)
    found = []
    for i, one in enumerate(names):
        values = prints[one].astype(np.float32)
        starts = np.unique(np.linspace(0, values.shape[1] - frame, n_frames).astype(int))
        framed = np.stack([values[:, s : s + frame] for s in starts])  # (frames, k, frame)
        own = np.maximum((framed.astype(np.float64) ** 2).sum(axis=2), 1e-9)
        conj = np.conj(np.fft.rfft(framed, n_fft)).astype(np.complex64)
        once = _comes_once(conj[:, -1], own[:, -1], spectra[one][-1], energy[one][-1], starts, frame, alike_in_one)
        for other in names[i + 1 :]:
            there, k = energy[other], min(len(own[0]), len(energy[other]))
            usable = there[:k] > 0.05 * np.median(there[:k], axis=1, keepdims=True)
            last = k > 1 and k == len(own[0]) == len(there)  # both have the signal that knows no channel names
            best, in_one = 0.0, _backwards(conj[once, -1], own[once, -1], spectra[other][-1], there[-1], n_fft, frame)
            for f in range(len(starts)):
                lags = np.fft.irfft(conj[f, :k] * spectra[other][:k], n_fft)[:, : there.shape[1]]
                r = np.abs(lags.sum(axis=0)) / np.sqrt(own[f, :k].sum() * there[:k].sum(axis=0))
                best = max(best, float(r[usable.all(axis=0)].max(initial=0.0)))
                each = np.abs(lags) / np.sqrt(own[f, :k, None] * there[:k])
                counts = usable & ((bool(once[f]) or not last) | (np.arange(k) < k - 1))[:, None]
                in_one = max(in_one, float(each[counts].max(initial=0.0)))
            if best > alike or in_one > alike_in_one:
                found.append((one, other, max(best, in_one)))
    return sorted(found, key=lambda pair: -pair[2])


def _comes_once(
    conj: np.ndarray,
    own: np.ndarray,
    spectrum: np.ndarray,
    energy: np.ndarray,
    starts: np.ndarray,
    frame: int,
    alike: float,
) -> np.ndarray:
    """Return which frames (n,) of one signal are found nowhere else in their own recording.

    Joined windows, blocks and generators make how much channels differ a pattern that comes again and again, in every
    recording made in that way: it tells of no copy. A recording of less than two frames cannot show that.
    """
    n_fft, once = 2 * (len(spectrum) - 1), np.zeros(len(starts), dtype=bool)
    if len(energy) <= frame:
        return once
    for f, start in enumerate(starts):
        r = np.abs(np.fft.irfft(conj[f] * spectrum, n_fft)[: len(energy)]) / np.sqrt(own[f] * energy)
        apart = np.abs(np.arange(len(energy)) - start) >= frame
        once[f] = bool(apart.any()) and float(r[apart].max()) < alike
    return once


def _backwards(
    conj: np.ndarray, own: np.ndarray, spectrum: np.ndarray, there: np.ndarray, n_fft: int, frame: int
) -> float:
    """Return the largest correlation of frames that are turned round in time, one row of each recording."""
    # a product of spectra without conjugation is the correlation with a frame turned round
    lags = np.fft.irfft(np.conj(conj) * spectrum, n_fft)[:, frame - 1 : frame - 1 + len(there)]
    if not len(own):
        return 0.0
    r = np.abs(lags) / np.sqrt(own[:, None] * there)
    return float(r[:, there > 0.05 * np.median(there)].max(initial=0.0))


def _limit(of_a_frame: float, seconds: float) -> float:
    """Return the correlation that stands as many SDs from 0 in so few seconds as `of_a_frame` does in a whole frame.

    By Fisher's z: among many short stretches some correlate strongly by chance.
    """
    return float(np.tanh(np.arctanh(of_a_frame) * np.sqrt(max(FRAME_S / seconds, 1.0))))


def _names(given: LeakInput) -> dict[int, str]:
    """Return what each recording is called, by its number in `given.file`."""
    first = np.unique(given.file, return_index=True)
    trials = given.trials
    if given.recording is not None:
        return {int(n): str(given.recording[row]) for n, row in zip(*first, strict=True)}
    columns = ("subject", "session", "run")
    return {
        int(n): " ".join(str(getattr(trials, c)[row]) for c in columns if getattr(trials, c)[row]) or f"recording {n}"
        for n, row in zip(*first, strict=True)
    }
