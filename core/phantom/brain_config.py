"""BrainConfig: what the phantom's brain is made of, in physical units."""

from dataclasses import dataclass

RESPONSE_S = 0.8  # the evoked response is over by then
SNR_SPAN_S = (0.0, 0.6)  # after onset: where the response's root mean square is taken


@dataclass(frozen=True)
class BrainConfig:
    """A simulated person, headset and sitting.

    montage: a name in `core.montage.MONTAGES`. sfreq: hertz. snr: root mean square of the feature-dependent part of
    the single-trial response over that of the background, both at the sensors. Feature-dependent part: the
    noise-free, unfiltered response to a scene less its mean over all 864 scenes, over all scenes, all channels and 0
    to 0.6 s after onset. Background: 1/f, alpha and sensor noise over all channels and time; blinks, hum, drift and
    the response's own variability are left out. 0 is the null: the same recording with the same common response and
    no trace of what was shown. subject: seed of the person (where sources lie, how features mix in them, latencies).
    soa_s, soa_jitter_s: from one onset to the next, and the half-width of its uniform jitter. latency_jitter_ms:
    standard deviation of a trial's latency. variability_nam: standard deviation, trial by trial, of each response
    component's amplitude, whatever is shown, in nA·m. Levels in microvolts are root mean squares, but for blink_uv, a
    blink's height at the brow. drift_uv: of the electrodes' drift over
    minutes. geometry: what the feature-dependent part follows: "" each attribute by the areas that it drives, else the
    person's perception, a name in `perception.GEOMETRIES`: scenes that are alike to the person evoke like responses.
    Raises ValueError for a value outside its range, an unknown montage or geometry.
    """

    montage: str = "epoc-14"
    sfreq: float = 128.0
    snr: float = 0.35
    subject: int = 0
    soa_s: float = 1.15
    soa_jitter_s: float = 0.04
    shown_s: float = 0.5
    latency_jitter_ms: float = 10.0
    variability_nam: float = 35.0
    background_uv: float = 12.0
    background_exponent: float = 1.2
    alpha_uv: float = 5.0
    blink_uv: float = 120.0
    blinks_per_minute: float = 12.0
    line_uv: float = 3.0
    line_hz: float = 50.0
    sensor_uv: float = 4.0
    drift_uv: float = 0.0
    geometry: str = ""

    def __post_init__(self) -> None:
        from ..montage import MONTAGES
        from .perception import GEOMETRIES

        if self.montage not in MONTAGES:
            raise ValueError(f"no montage {self.montage!r}; `montage` can be {', '.join(MONTAGES)}")
        if self.geometry not in GEOMETRIES:
            raise ValueError(f"no geometry {self.geometry!r}; known: {', '.join(GEOMETRIES[1:])}, or none")
        ranges = {
            "sfreq": (64, 4096), "snr": (0, 100), "subject": (0, 2**32), "soa_s": (0.05, 60), "soa_jitter_s": (0, 10),
            "shown_s": (0, 60), "latency_jitter_ms": (0, 100), "variability_nam": (0, 1000),
            "background_uv": (0.1, 1000), "background_exponent": (0, 3), "alpha_uv": (0, 1000), "blink_uv": (0, 2000),
            "blinks_per_minute": (0, 60), "line_uv": (0, 1000), "line_hz": (1, 1000), "sensor_uv": (0, 1000),
            "drift_uv": (0, 10000),
        }  # fmt: skip
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must lie between {low} and {high}")
        if 2 * self.soa_jitter_s >= self.soa_s:
            raise ValueError(f"soa_jitter_s {self.soa_jitter_s} must stay below half of soa_s {self.soa_s}")
