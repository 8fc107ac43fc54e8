"""The data set `recordings`: a folder of recordings whose own events are the labels."""

import re
from collections import Counter
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from core.preprocessing import PreprocessingConfig
from core.recording import Event, Recording, load_recording

from .dataset import Dataset, Session, file_identity, files_in

UNLABELLED = "unlabelled"


@dataclass(frozen=True)
class RecordingsOptions:
    """Which events are trials, and how they are cut."""

    events: tuple[str, ...] = ()
    """labels of the events to keep, or regular expressions that match whole labels (all events)"""
    every: float | None = None
    """cut a window every so many seconds instead of at events: unlabelled, for masked pre-training"""
    tmin: float = -0.1
    """start of the window, seconds from the event"""
    tmax: float = 0.8
    """end of the window, seconds from the event"""
    montage: str | None = None
    """headset whose channels are wanted (those of the first recording)"""
    sfreq: float | None = None
    """sampling rate of the windows in hertz (that of the first recording)"""
    l_freq: float | None = 0.5
    """lower edge of the band-pass in hertz"""
    h_freq: float | None = 40.0
    """upper edge of the band-pass in hertz"""
    notch: tuple[float, ...] = ()
    """mains frequencies to take out, hertz"""
    reference: str = "none"
    """none or average"""
    reject_uv: float | None = None
    """leave out windows of more than this peak to peak, microvolts"""
    units: str | None = None
    """what the files' numbers are, where they do not say: V, mV, uV, nV"""

    def __post_init__(self) -> None:
        if self.every is not None and self.every <= 0:
            raise ValueError(f"--every is {self.every}; it must be above 0 seconds")
        if self.every is not None and self.events:
            raise ValueError("--every cuts without events; leave out --events")
        for pattern in self.events:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"--events {pattern!r} is not a regular expression: {error}") from error


def recording_files(source: Path | None) -> list[Path]:
    """Return every file below the folder that a reader knows."""
    from core.formats import READERS

    suffixes = sorted({suffix for reader in READERS.values() for suffix in reader.suffixes})
    return files_in(source, suffixes, "a recording, or a folder of recordings", recursive=True)


def sessions(source: Path | None, options: RecordingsOptions) -> list[Session]:
    """Return one session a file; its key is its path below the folder."""
    files = recording_files(source)
    root = Path(source) if source is not None and Path(source).is_dir() else files[0].parent
    found = []
    for path in files:
        below = path.relative_to(root)
        key = re.sub(r"[^A-Za-z0-9._-]", "_", "__".join(below.parts)).lstrip(".")
        person = below.parts[0] if len(below.parts) > 1 else ""
        load = partial(load_events, path, options, person, below.as_posix())
        found.append(Session(key=key, load=load, identity=file_identity(path), sources=(path,)))
    return found


def load_events(path: Path, options: RecordingsOptions, subject: str, run: str) -> tuple[Recording, list[dict]]:
    """Read one file and take its events. Raises ValueError listing the labels there are where none matches."""
    recording = load_recording(path, units=options.units)
    if options.every is not None:
        onsets = np.arange(-options.tmin, recording.duration - options.tmax, options.every)
        who = {"subject": subject, "run": run, "block": run}
        # Each window is a picture of its own: no two are repeats, to be averaged or kept on one side of a split.
        return recording, [
            {"label": UNLABELLED, "image_id": f"{run} {onset:.3f} s", "caption": UNLABELLED, "onset": onset, **who}
            for onset in onsets.tolist()
        ]
    kept = [event for event in recording.events if wanted(event, options.events)]
    if not kept:
        there = Counter(event.label for event in recording.events)
        told = ", ".join(f"{label!r} {n}" for label, n in there.most_common(12)) or "none"
        asked = f" that match {list(options.events)}" if options.events else ""
        raise ValueError(f"{path} has no events{asked}; its events are: {told} (choose with --events)")
    return recording, [
        {"label": event.label, "onset": event.onset, "subject": subject, "run": run, "block": run} for event in kept
    ]


def wanted(event: Event, patterns: tuple[str, ...]) -> bool:
    """Say whether an event's label is one of the labels, or matches one of the regular expressions as a whole."""
    return not patterns or any(event.label == p or re.fullmatch(p, event.label) for p in patterns)


def preprocessing(source: Path | None, options: RecordingsOptions) -> PreprocessingConfig:
    """Return the options as a configuration; channels and rate come from the first recording where none are given."""
    from core.montage import MONTAGES

    if options.montage is not None and options.montage not in MONTAGES:
        raise ValueError(f"no montage {options.montage!r}; --montage can be {', '.join(MONTAGES)}")
    names, sfreq = MONTAGES[options.montage] if options.montage else None, options.sfreq
    if names is None or sfreq is None:
        first = load_recording(recording_files(source)[0], units=options.units)
        names, sfreq = names or first.ch_names, sfreq or first.sfreq
    return PreprocessingConfig(
        ch_names=tuple(names),
        sfreq=sfreq,
        tmin=options.tmin,
        tmax=options.tmax,
        l_freq=options.l_freq,
        h_freq=options.h_freq,
        notch=options.notch,
        reference=options.reference,
        reject_uv=options.reject_uv,
    )


def provenance(source: Path | None, options: RecordingsOptions) -> dict[str, Any]:
    """Return what is known of a folder: the options; its licence is for its owner to state."""
    return {"dataset": "recordings", "licence": "not stated", "credit": "", "options": asdict(options)}


DATASET = Dataset(
    name="recordings",
    description="any folder of recordings whose own events are the labels",
    options=RecordingsOptions,
    sessions=sessions,
    preprocessing=preprocessing,
    provenance=provenance,
)
