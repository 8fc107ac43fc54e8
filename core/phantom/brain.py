"""The phantom's brain: an EEG recording of a simulated person to whom scenes are shown. Simulated, never brain data."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from ..recording import Event, Recording
from .attributes import attribute_tables
from .background import artifacts, background, background_rms, drift
from .brain_config import RESPONSE_S, SNR_SPAN_S, BrainConfig
from .head import AREAS, HeadModel, head_model
from .perception import geometry_table
from .scenes import Scene, all_scenes

SOURCE_NOTE = "phantom: simulated, not brain data"
LEAD_IN_S = 1.5
LEAD_OUT_S = 2.0
EARLY, LATE = (0.024, 8.0), (0.045, 4.0)  # width in seconds and frequency in hertz of the two responses of a source


@dataclass(frozen=True)
class Brain:
    """A person's responses at a montage: every component is one source with one time course.

    pattern (n_channels, n_components): volts per unit amplitude. peak_s, width_s, wave_hz (n_components,): its Gabor.
    common (n_components,): amplitude any picture evokes, A·m. tables: shape, colour, place and size to amplitudes, each
    (n_values, n_components), A·m, already scaled to the SNR; a scene's response is their sum. whole (864,
    n_components): a person with a geometry has it in the place of the tables, a row for each scene.
    """

    head: HeadModel
    pattern: np.ndarray
    peak_s: np.ndarray
    width_s: np.ndarray
    wave_hz: np.ndarray
    common: np.ndarray
    tables: tuple[np.ndarray, ...]
    whole: np.ndarray | None = None

    def features(self, scenes: Sequence[Scene]) -> np.ndarray:
        """Return the feature-dependent amplitudes, (n_scenes, n_components) A·m; their mean over all scenes is zero."""
        codes = np.array([scene.codes for scene in scenes]).reshape(-1, 4)
        if self.whole is not None:
            return self.whole[np.ravel_multi_index(tuple(codes.T), tuple(map(len, self.tables)))]
        return sum((table[codes[:, i]] for i, table in enumerate(self.tables)), np.zeros((1, len(self.common))))

    def courses(self, times: np.ndarray) -> np.ndarray:
        """Return the time courses at `times` (..., n_times) seconds after onset: (..., n_components, n_times)."""
        after = np.asarray(times, np.float32)[..., None, :] - self.peak_s[:, None].astype(np.float32)
        width, hz = self.width_s[:, None].astype(np.float32), self.wave_hz[:, None].astype(np.float32)
        return np.exp(-0.5 * (after / width) ** 2) * np.cos(np.float32(2 * np.pi) * hz * after)


@lru_cache(maxsize=16)
def build_brain(config: BrainConfig) -> Brain:
    """Draw a person's responses and scale their feature-dependent part to the configuration's SNR."""
    from ..montage import MONTAGES

    head = head_model(tuple(MONTAGES[config.montage]), config.subject)
    shared, own = np.random.default_rng(20240), np.random.default_rng([config.subject, 3])
    area, stage = np.repeat(head.area, 2), np.tile([0, 1], len(head.area))
    side, n = np.repeat(head.side, 2), 2 * len(head.area)
    peak = np.array([AREAS[a].peaks_ms[s] for a, s in zip(area, stage, strict=True)]) / 1000
    peak = peak * (1 + own.normal(0, 0.03)) + own.normal(0, 0.006, n)
    width = np.where(stage == 0, EARLY[0], LATE[0]) * np.exp(shared.normal(0, 0.2, n) + own.normal(0, 0.1, n))
    wave = np.where(stage == 0, EARLY[1], LATE[1]) * np.exp(shared.normal(0, 0.15, n) + own.normal(0, 0.1, n))
    common = np.array([AREAS[a].common_nam[s] for a, s in zip(area, stage, strict=True)]) * 1e-9
    sign = np.sign(common)
    common = common * np.exp(own.normal(0, 0.2, n))

    tables = attribute_tables(area, side, sign, shared, own)
    pattern = np.repeat(head.visual, 2, axis=1)
    whole = 1e-9 * geometry_table(config.geometry, n, config.subject) if config.geometry else None
    brain = Brain(head, pattern, peak, width, wave, common, tables, whole)
    scale = config.snr * background_rms(config) / feature_rms(brain)
    scaled = tuple(scale * table for table in tables)
    return replace(brain, tables=scaled, whole=None if whole is None else scale * whole)


def feature_rms(brain: Brain) -> float:
    """Return the root mean square, in volts, of the feature-dependent response as `BrainConfig.snr` defines it."""
    features = brain.features(all_scenes())
    courses = brain.courses(np.arange(*SNR_SPAN_S, 0.001)).astype(np.float64)
    over_scenes = features.T @ features / len(features)
    over_times = courses @ courses.T / courses.shape[1]
    over_channels = brain.pattern.T @ brain.pattern / len(brain.pattern)
    return float(np.sqrt(np.sum(over_scenes * over_times * over_channels)))


def simulate_recording(scenes: Sequence[Scene], config: BrainConfig, seed: int = 0) -> Recording:
    """Simulate the recording of one sitting in which `scenes` are shown one after the other.

    scenes: in the order of presentation; a scene may recur. seed: of the noise, the onsets and the latencies; the
    person is `config.subject`. Two configurations that differ in `snr` only give the same noise, onsets and
    latencies.

    Returns a Recording in volts against infinity whose events carry `scene.id` and whose onsets, in seconds, do not lie
    on the grid of samples. Raises ValueError where there is no scene.
    """
    if not len(scenes):
        raise ValueError("no scene to show; give at least one")
    brain = build_brain(config)
    rng = np.random.default_rng([seed, 21])
    jitter = config.soa_jitter_s * rng.uniform(-1, 1, len(scenes))
    onsets = LEAD_IN_S + config.soa_s * np.arange(len(scenes)) + jitter
    delays = 0.001 * config.latency_jitter_ms * np.random.default_rng([seed, 22]).standard_normal(len(scenes))
    n_times = int(np.ceil((onsets[-1] + LEAD_OUT_S) * config.sfreq))
    data = background(brain.head, config, n_times, seed)
    data += artifacts(brain.head, config, n_times, seed)
    data += drift(brain.head, config, n_times, seed)
    noise = np.random.default_rng([seed, 23]).standard_normal((len(scenes), len(brain.common)))
    amplitudes = brain.common + brain.features(scenes) + 1e-9 * config.variability_nam * noise
    add_responses(data, config.sfreq, brain, amplitudes, onsets + delays)
    labels = [scene.id for scene in scenes]
    return as_recording(data, config, onsets, labels, seed)


def simulate_rest(config: BrainConfig, duration_s: float, seed: int = 0) -> Recording:
    """Simulate a recording in which nothing is shown: background, blinks and hum alone, without events."""
    head = build_brain(config).head
    n_times = int(np.ceil(duration_s * config.sfreq))
    data = background(head, config, n_times, seed)
    data += artifacts(head, config, n_times, seed)
    data += drift(head, config, n_times, seed)
    return as_recording(data, config, np.zeros(0), [], seed)


def add_responses(
    data: np.ndarray, sfreq: float, brain: Brain, amplitudes: np.ndarray, starts: np.ndarray, batch: int = 128
) -> None:
    """Add responses of the given component amplitudes to a signal, in place.

    data: (n_channels, n_times) volts. amplitudes: (n_trials, n_components) A·m. starts: (n_trials,) seconds, anywhere
    between samples. What falls outside the signal is left out.
    """
    span = np.arange(int(np.ceil(RESPONSE_S * sfreq)))
    pattern = brain.pattern.astype(np.float32)
    for begin in range(0, len(starts), batch):
        start = starts[begin : begin + batch]
        first = np.ceil(start * sfreq).astype(int)
        times = (first[:, None] + span) / sfreq - start[:, None]
        weighted = brain.courses(times) * amplitudes[begin : begin + batch, :, None].astype(np.float32)
        for at, response in zip(first, pattern @ weighted, strict=True):
            low, high = max(at, 0), min(at + len(span), data.shape[1])
            if low < high:
                data[:, low:high] += response[:, low - at : high - at]


def as_recording(
    data: np.ndarray, config: BrainConfig, onsets: np.ndarray, labels: Sequence[str], seed: int
) -> Recording:
    """Wrap simulated volts in a Recording whose source says that they are simulated."""
    head = build_brain(config).head
    events = tuple(
        Event(float(onset), float(config.shown_s), label) for onset, label in zip(onsets, labels, strict=True)
    )
    source = {
        "file": SOURCE_NOTE,
        "format": "simulated",
        "units": "simulated in volts",
        "sfreq": float(config.sfreq),
        "reference": "infinity",
        "montage": config.montage,
        "n_events": len(events),
        "notes": [f"{SOURCE_NOTE}: subject {config.subject}, seed {seed}, SNR {config.snr:g}"],
    }
    return Recording(
        data=np.ascontiguousarray(data, dtype=np.float32),
        sfreq=float(config.sfreq),
        ch_names=head.ch_names,
        ch_positions=head.ch_positions.copy(),
        events=events,
        source=source,
    )
