"""What a user can choose, each written down once: hosts list it, core refuses anything else, messages name it.

Nothing is imported here, so that nodes and pages can be built before torch or anything else is loaded. These words
stand in graphs, pictures and command lines: they are added to and never changed.
"""

from dataclasses import dataclass

AUTO, NONE = "auto", "none"

# of the numbers in a file; the first is what the file says, where it says anything
FROM_FILE = "from the file"
UNITS = (FROM_FILE, "V", "mV", "uV", "nV")

# which moments of a recording are looked at, and what is averaged into one window
EVENTS, TIMES, SLIDING = WINDOWS = ("events", "times", "sliding")
AVERAGES = ("none", "per label", "all")

# mixing a text's conditioning with the EEG's, and what the EEG does to a prompt while a picture is drawn
BLEND_MODES = ("lerp", "slerp", "concat")
STEERING = ("replace", "blend", "add")
MAX_STRENGTH = 2.0

# what a picture is drawn against: the empty prompt or the encoder's train mean; and what a host's page calls them
NEGATIVES = ("empty", "train-mean")
HOST_NEGATIVES = {"prompt": "empty", "train mean": "train-mean"}

# what img2img starts from, and the target space that gives it; how it is brought to the picture's size
INITS = {"saliency": "saliency", "latent": "sd1.latent"}
RESIZES = ("bicubic", "lanczos", "bilinear", "nearest")
LATENT_RESIZES = ("bicubic", "bilinear", "nearest")
FITS = ("stretch", "crop")

# closed-form encoders, and the headsets of the simulated person
PERSONAL_ARCHITECTURES = ("tangent", "linear", "filter-bank")
PHANTOM_MONTAGES = ("epoc-14", "insight-5", "muse-4", "10-20-17", "10-20-32", "things-17", "things-63")

# rhythms in hertz, and what their power can be divided by
BANDS = {"delta": (1.0, 4.0), "theta": (4.0, 8.0), "alpha": (8.0, 13.0), "beta": (13.0, 30.0), "gamma": (30.0, 45.0)}
AGAINST = ("nothing", "all bands", *BANDS)

# plots with their options and what those are where not given: seconds, and hertz
PLOTS: dict[str, dict[str, float]] = {
    "traces": {"start": 0.0, "duration": 10.0},
    "spectrum": {"up_to": 70.0},
    "scalp map": {"low": 8.0, "high": 13.0},
    "spectrogram": {"up_to": 45.0},
}


@dataclass(frozen=True)
class Family:
    """A family of diffusion models, told by the width of its cross-attention and of its pooled vector (None: takes
    none).
    """

    name: str
    width: int
    pooled: int | None = None


FAMILIES = {
    "sd1": Family("Stable Diffusion 1.x", 768),
    "sd2": Family("Stable Diffusion 2.x", 1024),
    "sdxl": Family("SDXL", 2048, 1280),
    "sdxl-refiner": Family("SDXL refiner", 1280, 1280),
    "sd3": Family("Stable Diffusion 3", 4096, 2048),
    "flux": Family("Flux.1", 4096, 768),
}


def check_steering(mode: str, strength: float) -> None:
    """Raise ValueError for an unknown mode of STEERING, or a strength outside [0, 2] (of `blend` outside [0, 1])."""
    if mode not in STEERING:
        raise ValueError(f"no mode {mode!r}; known: {', '.join(STEERING)}")
    most = 1.0 if mode == "blend" else MAX_STRENGTH
    if not 0 <= strength <= most:
        raise ValueError(f"the strength of {mode!r} lies between 0 and {most:g}, not {strength:g}")
