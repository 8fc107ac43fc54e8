"""The data set `n170`: faces and houses seen for 200 ms, Muse 2016, as muse-lsl CSV (eeg-notebooks' visual N170)."""

import re
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from core.loading.load import load_recording
from core.preprocessing.config import PreprocessingConfig
from core.recording import Recording

from ..store.dataset import Dataset, Session, file_identity, files_in

LABELS = {"1": "house", "2": "face"}
CAPTIONS = {"house": "a photograph of a house", "face": "a photograph of a face"}
CH_NAMES = ("TP9", "AF7", "AF8", "TP10")
NAME = re.compile(r"subject(?P<subject>\d+)_session(?P<session>\d+)_(?P<rest>.+)", re.IGNORECASE)
SUFFIXES = (".csv", ".csv.gz")
WANTED = "a folder of muse-lsl CSV files (.csv or .csv.gz) of faces and houses, named subjectN_sessionM_*"

PREPROCESSING = PreprocessingConfig(
    ch_names=CH_NAMES,
    sfreq=256.0,
    tmin=-0.1,
    tmax=0.8,
    l_freq=2.0,
    h_freq=30.0,
    reject_uv=75.0,
)
"""The recipe the figures are made with; change it here only."""

WINDOWS: dict[str, tuple[float, float]] = {"response": (-0.1, 0.8), "prestimulus": (-0.9, 0.0)}
"""Seconds about the onset. The control ends where the picture appears and is as long as the response's window: pictures
follow one another after 0.5 to 0.7 s, so it holds answers to the pictures before, whose order is random."""

CREDIT = (
    "Visual N170 recordings (Muse 2016) of the eeg-notebooks project (NeuroTechX), "
    "Copyright (c) 2017 Alexandre Barachant, BSD 3-Clause License"
)


@dataclass(frozen=True)
class N170Options:
    """Whose recordings, and which window."""

    subject: int | None = None
    """N of the files' names; may be left out where the folder holds one person (with several, 1 is taken)"""
    window: Literal["response", "prestimulus"] = "response"
    """prestimulus: the control, a window of the same length that ends at the picture's onset"""


def runs_of(source: Path | None, subject: int | None) -> tuple[str, list[Path]]:
    """Return the person and their files, one a run, sorted by name.

    Where no file is named subjectN_*, the whole folder is one person's. Raises FileNotFoundError where there are
    none, and ValueError listing the subjects there are.
    """
    files = files_in(source, SUFFIXES, WANTED)
    once: dict[str, Path] = {}
    for path in files:  # a run may lie there packed and unpacked
        once.setdefault(run_name(path), path)
    people: dict[int, list[Path]] = {}
    for name, path in sorted(once.items()):
        if match := NAME.fullmatch(name):
            people.setdefault(int(match["subject"]), []).append(path)
    if not people and subject is None:
        return "", [path for _, path in sorted(once.items())]
    if subject is None:
        subject = next(iter(people)) if len(people) == 1 else 1
    if subject not in people:
        known = f"it has subjects {sorted(people)}" if people else f"no file there is named {NAME.pattern!r}"
        raise ValueError(f"{source} has no recording of subject {subject}; {known} (choose with --subject)")
    return str(subject), people[subject]


def run_name(path: Path) -> str:
    """Return a file's name without .csv or .csv.gz."""
    return re.sub(r"\.csv(\.gz)?$", "", path.name, flags=re.IGNORECASE)


def sessions(source: Path | None, options: N170Options) -> list[Session]:
    """Return one session a file."""
    subject, files = runs_of(source, options.subject)
    return [
        Session(
            key=re.sub(r"[^A-Za-z0-9._-]", "_", run_name(path)),
            load=partial(load_run, path, subject),
            identity=file_identity(path),
            sources=(path,),
        )
        for path in files
    ]


def load_run(path: Path, subject: str) -> tuple[Recording, list[dict]]:
    """Read one file; markers 1 and 2 are presentations. Raises ValueError where there is neither."""
    recording = load_recording(path)
    name = run_name(path)
    match = NAME.fullmatch(name)
    rows = [
        {
            "label": LABELS[event.label],
            "image_id": LABELS[event.label],  # which photograph was shown is not recorded
            "caption": CAPTIONS[LABELS[event.label]],
            "subject": subject,
            "session": match["session"] if match else "",
            "run": name,
            "block": name,
            "onset": event.onset,
        }
        for event in recording.events
        if event.label in LABELS
    ]
    if not rows:
        seen = sorted({event.label for event in recording.events})
        raise ValueError(f"{path} has no marker 1 (house) or 2 (face); its markers are {seen}")
    return recording, rows


def preprocessing(source: Path | None, options: N170Options) -> PreprocessingConfig:
    """Return `PREPROCESSING` with the chosen window."""
    tmin, tmax = WINDOWS[options.window]
    return replace(PREPROCESSING, tmin=tmin, tmax=tmax)


def provenance(source: Path | None, options: N170Options) -> dict[str, Any]:
    """Return what the data are, their licence and credit."""
    subject, _ = runs_of(source, options.subject)
    return {
        "dataset": "n170",
        "description": "faces and houses for 200 ms, one every 0.5 to 0.7 s, Muse 2016, 256 Hz",
        "licence": "BSD-3-Clause",
        "credit": CREDIT,
        "options": {**asdict(options), "subject": subject},
    }


DATASET = Dataset(
    name="n170",
    description="faces and houses, Muse 2016 (eeg-notebooks' visual N170, muse-lsl CSV)",
    options=N170Options,
    sessions=sessions,
    preprocessing=preprocessing,
    provenance=provenance,
    labels=("house", "face"),
)
