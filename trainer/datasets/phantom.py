"""The data set `phantom`: simulated sittings in which drawn scenes are shown. Simulated, never brain data."""

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from core.phantom.brain import simulate_recording
from core.phantom.brain_config import BrainConfig
from core.phantom.scenes import Scene, class_names, split_scenes
from core.preprocessing.config import PreprocessingConfig
from core.recording import Recording

from ..store.dataset import Dataset, Session

DESIGNS = ("shuffled", "blocks")
CREDIT = "phantom: simulated by sd-eeg itself, not brain data"


@dataclass(frozen=True)
class PhantomOptions:
    """What is simulated."""

    montage: str = "epoc-14"
    """headset: epoc-14, muse-4, insight-5, 10-20-17, 10-20-32, things-63, 10-05-128"""
    sfreq: float = 128.0
    """sampling rate in hertz"""
    snr: float = BrainConfig.snr
    """feature-dependent response over background, root mean squares of one trial; 0 is the null"""
    subject: int = 0
    """seed of the simulated person"""
    train_repeats: int = 4
    """presentations of each training scene"""
    val_repeats: int = 8
    """presentations of each validation scene"""
    test_repeats: int = 8
    """presentations of each test scene"""
    train_scenes: int | None = None
    """how many of the 600 training scenes are shown (all)"""
    val_scenes: int | None = None
    """how many of the 64 validation scenes are shown (all)"""
    test_scenes: int | None = None
    """how many of the 200 test scenes are shown (all)"""
    scenes_per_run: int = 282
    """presentations in one recording"""
    classes: int | None = None
    """label scenes by this many classes of colour and shape, at most 48, and show those only (each scene is its own)"""
    design: str = "shuffled"
    """order of presentation: shuffled, or blocks (with --classes: each class in a recording of its own, the confound)
    """
    drift_uv: float = 0.0
    """root mean square of the electrodes' slow drift, microvolts; a recording has its own"""
    l_freq: float = 0.5
    """lower edge of the band-pass in hertz; 0 for none, which lets drift through"""
    geometry: str = ""
    """what the person finds alike shapes the responses: perceptual (colour counts most, size hardly), encoder (as the
    phantom's image encoder does), or neither"""
    seed: int = 0
    """of the order, the noise and the onsets"""

    def __post_init__(self) -> None:
        counts = ("train_repeats", "val_repeats", "test_repeats", "seed", "train_scenes", "val_scenes", "test_scenes")
        for name in counts:
            if (value := getattr(self, name)) is not None and value < 0:
                raise ValueError(f"--{name.replace('_', '-')} is {value}; it must not be negative")
        if self.scenes_per_run < 1:
            raise ValueError(f"--scenes-per-run is {self.scenes_per_run}; at least 1 is needed")
        if self.l_freq < 0:
            raise ValueError(f"--l-freq is {self.l_freq}; it must not be negative (0: no high-pass)")
        if self.design not in DESIGNS:
            raise ValueError(f"--design is {self.design!r}; known: {', '.join(DESIGNS)}")
        if self.classes is not None:
            class_names(self.classes)
        elif self.design == "blocks":
            raise ValueError("--design blocks puts each class into a recording of its own; say how many with --classes")
        self.brain()

    def brain(self) -> BrainConfig:
        """Return the simulated person, headset and sitting."""
        names = ("montage", "sfreq", "snr", "subject", "drift_uv", "geometry")
        return BrainConfig(**{name: getattr(self, name) for name in names})


def brain_config(provenance: dict[str, Any]) -> BrainConfig:
    """Return the simulation that a store's provenance records, to build its ideal observer from.

    Raises ValueError where the store is not of the phantom.
    """
    if provenance.get("dataset") != "phantom":
        raise ValueError(f"an ideal observer needs a phantom store; this one is of {provenance.get('dataset')!r}")
    return BrainConfig(**provenance["brain"])


def presentations(options: PhantomOptions) -> list[list[tuple[Scene, str]]]:
    """Return each run's scenes with their splits, in order of presentation.

    All presentations of the sitting are shuffled together before they are dealt to runs, so that neither split, nor
    scene, nor repeat goes with a run or with a place in it. In the design `blocks` a run holds one class, shuffled.
    """
    shown: list[tuple[Scene, str]] = []
    kept = class_names(options.classes) if options.classes else ()
    for split, scenes in split_scenes().items():
        scenes = [scene for scene in scenes if not kept or scene.class_name in kept]
        wanted = getattr(options, f"{split}_scenes")
        if wanted is not None and wanted > len(scenes):
            of = f" of {options.classes} classes" if kept else ""
            raise ValueError(f"--{split}-scenes is {wanted}; the phantom has {len(scenes)} {split} scenes{of}")
        shown += [(scene, split) for scene in scenes[:wanted] for _ in range(getattr(options, f"{split}_repeats"))]
    if not shown:
        raise ValueError("no scene would be shown; give at least one of --train-repeats, --val-repeats, --test-repeats")
    order = np.random.default_rng([options.seed, 9]).permutation(len(shown))
    if options.design == "blocks":
        turns = np.random.default_rng([options.seed, 10]).permutation(len(kept))
        runs = [[shown[i] for i in order if shown[i][0].class_name == kept[turn]] for turn in turns]
        return [run for run in runs if run]
    n_runs = -(-len(shown) // options.scenes_per_run)
    return [[shown[i] for i in part] for part in np.array_split(order, n_runs)]


def sessions(source: Path | None, options: PhantomOptions) -> list[Session]:
    """Return one session a simulated run; `source` is not used."""
    runs = presentations(options)
    identity = _told(options)
    return [
        Session(
            key=f"subject-{options.subject}-run-{number + 1:03d}",
            load=partial(simulate_run, run, options, number),
            identity={**identity, "run": number + 1, "of": len(runs)},
        )
        for number, run in enumerate(runs)
    ]


def simulate_run(run: list[tuple[Scene, str]], options: PhantomOptions, number: int) -> tuple[Recording, list[dict]]:
    """Simulate one run and say what was shown when."""
    seed = int(np.random.SeedSequence([options.seed, options.subject, number]).generate_state(1)[0])
    recording = simulate_recording([scene for scene, _ in run], options.brain(), seed)
    coarse = options.classes is not None
    rows = [
        {
            "label": scene.class_name if coarse else scene.id,
            "image_id": scene.id,
            "caption": f"a {scene.class_name}" if coarse else scene.caption,
            "subject": f"phantom-{options.subject}",
            "session": f"seed-{options.seed}",
            "run": f"run-{number + 1:03d}",
            "block": f"run-{number + 1:03d}",
            "split": split,
            "onset": event.onset,
        }
        for (scene, split), event in zip(run, recording.events, strict=True)
    ]
    return recording, rows


def preprocessing(source: Path | None, options: PhantomOptions) -> PreprocessingConfig:
    """Return how the phantom is prepared: below the mains, the span of the response, every trial kept."""
    from core.montage import MONTAGES

    return PreprocessingConfig(
        ch_names=tuple(MONTAGES[options.montage]),
        sfreq=options.sfreq,
        tmin=0.0,
        tmax=0.75,
        l_freq=options.l_freq or None,
        h_freq=min(40.0, 0.4 * options.sfreq),
        scaling="train",
        clip=10.0,
    )


def provenance(source: Path | None, options: PhantomOptions) -> dict[str, Any]:
    """Return the simulation's account, from which `brain_config` rebuilds it."""
    return {
        "dataset": "phantom",
        "simulated": True,
        "licence": "Apache-2.0 (made by this program)",
        "credit": CREDIT,
        "options": _told(options),
        "brain": _told(options.brain()),
    }


def _told(values: PhantomOptions | BrainConfig) -> dict[str, Any]:
    """Return options as a store says them; without a geometry there is none, so that older stores are the same."""
    return {name: value for name, value in asdict(values).items() if name != "geometry" or value}


DATASET = Dataset(
    name="phantom",
    description="simulated recordings of drawn scenes (not brain data); needs no --source",
    options=PhantomOptions,
    sessions=sessions,
    preprocessing=preprocessing,
    provenance=provenance,
    needs_source=False,
)
