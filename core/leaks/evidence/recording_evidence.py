"""What leak checks need of a whole recording, small enough to keep beside its windows."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from ...files import write_atomically
from ...preprocessing.config import PreprocessingConfig
from ...preprocessing.continuous import prepare_continuous
from ...recording import Recording
from .windows_before import LEAST_S, N_BINS, TINY, bins_and_power, seconds_before, windows_before

VERSION = 3
METADATA_KEY = "sd_eeg_leak_evidence"
MAX_TRIALS = 600  # of a recording, evenly spread
BEFORE_S, BEFORE_HZ = 0.5, 128.0
FINGERPRINT_HZ, FINGERPRINT_BAND, FINGERPRINT_S, FINGERPRINT_CHANNELS = 32.0, (2.0, 14.0), 1200.0, 4
LOCKED_HZ, LOCKED_BAND, LOCKED_S, LOCKED_CHANNELS = 64.0, (1.0, 24.0), 1800.0, 8
LOCKED_WINDOW_S, N_FLIPS = (0.04, 0.5), 64
JUMP_S = ((0.0, 0.010), (0.010, 0.020), (0.020, 0.030))  # displays and amplifiers lag, the cortex answers later
EARLIER_S = (-0.030, -0.010)
CUE_S, SAME_S, N_CUES = 3.0, 0.002, 3
CLIP = 5.0  # robust SDs


@dataclass(frozen=True, eq=False)
class RecordingEvidence:
    """Of one recording: about each of at most 600 trials, and of the whole.

    onset: (m,) seconds. before: (m, n_channels, 9), the half second before it as `bins_and_power` has it, causally
    filtered, NaN where there is none. jump: (m, 3 * n_channels), volts from 10 to 30 ms before the onset to the first,
    second and third 10 ms after it, unfiltered. usual_jump: (3 * n_channels,) what is usual elsewhere. cue: (m, 3) the
    last other events before, the last one first, "" for none. cue_s: (m, 3) how long before, NaN for none. fingerprint:
    (k, n_times) int8 at 32 Hz, one band, flat spectrum: differences of channels, which no reference changes, channels,
    and last how much all channels differ at each moment, which neither their order nor the reference changes. locked:
    (k, n_times) float32 at 64 Hz, the mean of the EEG in SDs about all onsets at every circular shift of them; n_locked
    of them. flipped: (64, k, n_window), the same mean from 40 to 500 ms after them, half of them upside down.
    """

    onset: np.ndarray
    before: np.ndarray
    jump: np.ndarray
    usual_jump: np.ndarray
    cue: np.ndarray
    cue_s: np.ndarray
    fingerprint: np.ndarray
    locked: np.ndarray
    flipped: np.ndarray
    n_locked: int


def evidence_of(
    recording: Recording, onsets: np.ndarray | Sequence[float], config: PreprocessingConfig
) -> RecordingEvidence:
    """Return a recording's evidence about trials with these onsets (n,) in seconds, in the channels of `config`."""
    onsets = np.atleast_1d(np.asarray(onsets, dtype=np.float64))
    chosen = np.unique(onsets)
    if len(chosen) > MAX_TRIALS:
        chosen = chosen[np.linspace(0, len(chosen) - 1, MAX_TRIALS).astype(int)]
    jump, usual = _jumps(recording, chosen, config)
    cue, cue_s = _cues(recording, chosen)
    locked, flipped, n_locked = _locked(recording, onsets, config)
    return RecordingEvidence(
        onset=chosen,
        before=_before(recording, chosen, config),
        jump=jump,
        usual_jump=usual,
        cue=cue,
        cue_s=cue_s,
        fingerprint=_fingerprint(recording, config),
        locked=locked,
        flipped=flipped,
        n_locked=n_locked,
    )


def write_evidence(path: Path, evidence: RecordingEvidence) -> None:
    """Write evidence as a safetensors file, atomically."""
    from safetensors.numpy import save_file

    kinds = np.unique(evidence.cue).tolist()
    arrays = {f.name: getattr(evidence, f.name) for f in fields(evidence) if f.name not in ("cue", "n_locked")}
    arrays["cue"] = (
        np.searchsorted(kinds, evidence.cue).astype(np.int32) if kinds else np.zeros(evidence.cue.shape, np.int32)
    )
    about = {"version": VERSION, "cues": kinds, "n_locked": int(evidence.n_locked)}
    with write_atomically(path) as beside:
        save_file(
            {name: np.ascontiguousarray(value) for name, value in arrays.items()},
            beside,
            metadata={METADATA_KEY: json.dumps(about)},
        )


def read_evidence(path: Path) -> RecordingEvidence | None:
    """Return what `write_evidence` wrote; None where there is no such file, or one of another version or damaged."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            about = json.loads((file.metadata() or {})[METADATA_KEY])
            if about["version"] != VERSION:
                return None
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        kinds = np.array(about["cues"], dtype=np.str_)
        found["cue"] = kinds[found["cue"]] if len(kinds) else np.zeros((len(found["onset"]), N_CUES), dtype=np.str_)
        return RecordingEvidence(**found, n_locked=int(about["n_locked"]))
    except (SafetensorError, OSError, KeyError, ValueError, TypeError, IndexError):
        return None


def _bare(
    config: PreprocessingConfig, sfreq: float, band: tuple[float, float] | None, most: int | None = None
) -> PreprocessingConfig:
    """Return the configuration without what changes the EEG but band and rate; `most` channels, evenly spread."""
    low, high = band or (None, None)
    chosen = np.arange(len(config.ch_names))
    if most is not None:
        chosen = np.unique(np.linspace(0, len(chosen) - 1, min(len(chosen), most)).astype(int))
    places = config.ch_positions
    return replace(
        config,
        ch_names=tuple(config.ch_names[i] for i in chosen),
        ch_positions=None if places is None else tuple(places[i] for i in chosen),
        sfreq=sfreq,
        l_freq=low,
        h_freq=high,
        notch=(),
        reference="none",
        reject_uv=None,
        baseline=None,
        filter_order=4,
        min_matched_channels=1e-6,
        tmin=0.0,
        tmax=1.0,
    )


def _before(recording: Recording, onsets: np.ndarray, config: PreprocessingConfig) -> np.ndarray:
    nothing = np.full((len(onsets), len(config.ch_names), N_BINS + 1), np.nan, dtype=np.float32)
    if not len(onsets):
        return nothing
    # epochs begin shortly before their picture: then what most of them have is looked at
    seconds = min(BEFORE_S, float(np.quantile(seconds_before(recording, onsets), 0.2)))
    if seconds < LEAST_S:
        return nothing
    windows = windows_before(recording, onsets, config, seconds, min(BEFORE_HZ, recording.sfreq))
    there = np.isfinite(windows).all(axis=(1, 2))
    nothing[there] = bins_and_power(windows[there])
    return nothing


def _jumps(recording: Recording, onsets: np.ndarray, config: PreprocessingConfig) -> tuple[np.ndarray, np.ndarray]:
    data = prepare_continuous(recording, _bare(config, recording.sfreq, None)).data
    sums = np.concatenate([np.zeros((len(data), 1)), np.cumsum(data, axis=1, dtype=np.float64)], axis=1)

    def mean(at: np.ndarray, span: tuple[float, float]) -> np.ndarray:
        first = np.ceil((at + span[0]) * recording.sfreq - 1e-6).astype(np.int64)
        last = np.maximum(np.ceil((at + span[1]) * recording.sfreq - 1e-6).astype(np.int64), first + 1)
        there = (first >= 0) & (last <= data.shape[1])
        first, last = np.clip(first, 0, data.shape[1] - 1), np.clip(last, 1, data.shape[1])
        value = (sums[:, last] - sums[:, first]) / np.maximum(last - first, 1)
        value[:, ~there] = np.nan
        return value.T

    def jumps(at: np.ndarray) -> np.ndarray:
        earlier = mean(at, EARLIER_S)
        return np.concatenate([mean(at, span) - earlier for span in JUMP_S], axis=1)

    elsewhere = np.linspace(0.1, max(recording.duration - 0.1, 0.2), 400)
    if len(onsets):  # trains of pulses have a place of their own
        elsewhere = elsewhere[np.abs(elsewhere[:, None] - onsets[None]).min(axis=1) > 0.05]
    found = jumps(elsewhere) if len(elsewhere) else np.zeros((0, len(JUMP_S) * len(data)))
    found = found[np.isfinite(found).all(axis=1)]
    usual = np.median(np.abs(found), axis=0) * 1.4826 if len(found) >= 20 else np.zeros(len(JUMP_S) * len(data))
    return jumps(onsets).astype(np.float32).reshape(len(onsets), -1), usual.astype(np.float32)


def _cues(recording: Recording, onsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels of the last events before each onset (n, 3) that are not of the kinds that lie at onsets, and
    how long before (n, 3).
    """
    found, apart = np.full((len(onsets), N_CUES), "", dtype=object), np.full((len(onsets), N_CUES), np.nan, np.float32)
    events = sorted(recording.events, key=lambda event: event.onset)
    if not len(onsets) or not len(events):
        return found.astype(np.str_), apart
    times = np.array([event.onset for event in events])
    near = np.abs(times - onsets[np.clip(np.searchsorted(onsets, times), 0, len(onsets) - 1)])
    before = np.abs(times - onsets[np.clip(np.searchsorted(onsets, times) - 1, 0, len(onsets) - 1)])
    shown = {event.label for event, gap in zip(events, np.minimum(near, before), strict=True) if gap < SAME_S}
    others = [event for event in events if event.label not in shown]
    times = np.array([event.onset for event in others])
    for row, (last, onset) in enumerate(zip(np.searchsorted(times, onsets - SAME_S).tolist(), onsets, strict=True)):
        for place, i in enumerate(range(last - 1, max(last - 1 - N_CUES, -1), -1)):
            if onset - times[i] <= CUE_S:
                found[row, place], apart[row, place] = others[i].label, onset - times[i]
    return found.astype(np.str_), apart


def _fingerprint(recording: Recording, config: PreprocessingConfig) -> np.ndarray:
    band = (FINGERPRINT_BAND[0], min(FINGERPRINT_BAND[1], 0.4 * recording.sfreq))
    everywhere = prepare_continuous(recording, _bare(config, FINGERPRINT_HZ, band)).data
    everywhere = everywhere[:, : int(FINGERPRINT_S * FINGERPRINT_HZ)].astype(np.float64)
    n_channels, n_times = everywhere.shape
    if n_times < 64:
        return np.zeros((1, 0), dtype=np.int8)
    chosen = np.unique(np.linspace(0, n_channels - 1, min(n_channels, FINGERPRINT_CHANNELS)).astype(int))
    data = everywhere[chosen]
    if n_channels > 1:  # differences do not change with the reference
        data = np.concatenate([np.diff(data, axis=0), data, np.log(everywhere.std(axis=0) + TINY)[None]])
        data[-1] -= data[-1].mean()
    size = np.median(np.abs(data), axis=1, keepdims=True) * 1.4826
    data = np.clip(data / np.where(size > 0, size, 1.0), -CLIP, CLIP)
    spectrum = np.fft.rfft(data, axis=1)
    power = np.abs(spectrum) ** 2
    hertz = np.fft.rfftfreq(n_times, 1 / FINGERPRINT_HZ)
    wide = max(int(0.5 * n_times / FINGERPRINT_HZ), 1)  # half a hertz
    smooth = np.stack([np.convolve(row, np.ones(wide) / wide, "same") for row in power])
    flat = np.where((hertz >= band[0]) & (hertz <= band[1]), 1.0, 0.0)
    floor = 1e-9 * smooth.max(axis=1, keepdims=True) + 1e-300
    white = np.fft.irfft(spectrum * flat / np.sqrt(smooth + floor), n_times, axis=1)
    spread = white.std(axis=1, keepdims=True)
    white = np.clip(white / np.where(spread > 0, spread, 1.0), -3, 3)
    return np.rint(white * 40).astype(np.int8)


def _locked(
    recording: Recording, onsets: np.ndarray, config: PreprocessingConfig
) -> tuple[np.ndarray, np.ndarray, int]:
    band = (LOCKED_BAND[0], min(LOCKED_BAND[1], 0.4 * recording.sfreq))
    data = prepare_continuous(recording, _bare(config, LOCKED_HZ, band, LOCKED_CHANNELS)).data
    data = data[:, : int(LOCKED_S * LOCKED_HZ)].astype(np.float64)
    n_times = data.shape[1]
    at = np.rint(onsets * LOCKED_HZ).astype(np.int64)
    at = at[(at >= 0) & (at < n_times)]
    if n_times < 64 or not len(at):
        return np.zeros((len(data), 0), dtype=np.float32), np.zeros((N_FLIPS, len(data), 0), dtype=np.float32), 0
    size = np.median(np.abs(data), axis=1, keepdims=True) * 1.4826
    data = np.clip(data / np.where(size > 0, size, 1.0), -CLIP, CLIP)
    train = np.bincount(at, minlength=n_times).astype(np.float64)
    mean = np.fft.irfft(np.fft.rfft(data, axis=1) * np.conj(np.fft.rfft(train)), n_times, axis=1) / len(at)
    # neighbours get opposite signs: what is slow, or beats with the markers, is not left over
    window = np.arange(*(round(s * LOCKED_HZ) for s in LOCKED_WINDOW_S))
    signs = np.repeat(np.random.default_rng(1).choice([-1.0, 1.0], size=(N_FLIPS, (len(at) + 1) // 2)), 2, axis=1)
    signs[:, 1::2] *= -1
    flipped = np.stack([signs[:, : len(at)] @ row[(at[:, None] + window) % n_times] for row in data], axis=1) / len(at)
    return mean.astype(np.float32), flipped.astype(np.float32), len(at)
