"""The data set `n170`: faces and houses seen for 200 ms, Muse 2016, as muse-lsl CSV (eeg-notebooks' visual N170)."""

import re
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from core.loading.load import load_recording
from core.preprocessing.config import PreprocessingConfig
from core.recording import Recording

from ..store.dataset import Dataset, NothingToCut, Session, file_identity, files_in

LABELS = {"1": "house", "2": "face"}
CAPTIONS = {"house": "a photograph of a house", "face": "a photograph of a face"}
CH_NAMES = ("TP9", "AF7", "AF8", "TP10")
NAME = re.compile(r"subject(?P<subject>\d+)_(?P<session>session\d+|[^_]+)_(?P<rest>.+)", re.IGNORECASE)
PERSON = re.compile(r"(?:subject|sub-)_?(\d+)", re.IGNORECASE)
SESSION = re.compile(r"(?:session|ses-)_?(\d+)", re.IGNORECASE)
SUFFIXES = (".csv", ".csv.gz")
EVERYONE = "all"
WANTED = (
    "a folder of muse-lsl CSV files (.csv or .csv.gz) of faces and houses, as eeg-notebooks has them: "
    "subjectN/sessionM/*.csv below any folder, or files named subjectN_sessionM_*"
)

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

    subject: int | Literal["all"] | None = None
    """N of the folders' or files' names, or all; may be left out where there is one person"""
    window: Literal["response", "prestimulus"] = "response"
    """prestimulus: the control, a window of the same length that ends at the picture's onset"""


@dataclass(frozen=True)
class Run:
    """One file: whose it is (None where no name says it), in which session, and a name that is unique."""

    path: Path
    subject: int | None
    session: str
    name: str


def find_runs(source: Path | None) -> list[Run]:
    """Return the runs of a folder and all folders below it, sorted by person, session and name.

    `subjectN/sessionM/x.csv` (any number of zeros before N and M, any folders above) and `subjectN_sessionM_x.csv` say
    whose they are; a run packed and unpacked counts once. Where folders of several experiments lie there, those of N170
    are taken. Raises FileNotFoundError where there is none.
    """
    files = files_in(source, SUFFIXES, WANTED, recursive=True)
    root = Path(source or ".")
    root = root.parent if root.is_file() else root
    inside = [(path, path.relative_to(root).parts) for path in files]
    if of_n170 := [one for one in inside if any("n170" in folder.lower() for folder in one[1][:-1])]:
        inside = of_n170
    once: dict[str, Run] = {}
    for path, parts in inside:
        # the folder that was given may itself be a person's or a session's
        run = _run_of(path, (*root.resolve().parts[-2:], *parts))
        once.setdefault(run.name, run)
    return sorted(once.values(), key=lambda run: (-1 if run.subject is None else run.subject, run.session, run.name))


def _run_of(path: Path, parts: tuple[str, ...]) -> Run:
    name = run_name(path)
    if match := NAME.fullmatch(name):
        return Run(path, int(match["subject"]), _number(match["session"]), name)
    *folders, _ = parts
    at = next((i for i in reversed(range(len(folders))) if PERSON.fullmatch(folders[i])), None)
    if at is None:
        return Run(path, None, "", name)
    found = PERSON.fullmatch(folders[at])
    assert found is not None
    subject, inside = int(found[1]), folders[at + 1 :]
    session = _number(inside[0]) if inside else ""
    called = f"session{session}" if session.isdigit() else session
    return Run(path, subject, session, "_".join(filter(None, (f"subject{subject}", called, *inside[1:], name))))


def _number(session: str) -> str:
    """Return `1` of `session1`, `session001` or `ses-1`; another word stays as it is."""
    match = SESSION.fullmatch(session)
    return str(int(match[1])) if match else session


def runs_of(source: Path | None, subject: int | Literal["all"] | None) -> list[Run]:
    """Return a person's runs, all sessions together; those of all people for "all".

    Where no name says whose a file is, the whole folder is one person's. Raises FileNotFoundError where there are no
    runs, and ValueError listing the people there are where the one asked for is not among them, or none was and there
    are several.
    """
    runs = find_runs(source)
    people = sorted({run.subject for run in runs if run.subject is not None})
    if not people:
        if subject not in (None, EVERYONE):
            raise ValueError(f"{source} has no recording of subject {subject}; no name there says whose a file is")
        return runs
    if subject is None and len(people) > 1:
        raise ValueError(
            f"{source} holds several people: {who_is_there(runs)}. Say whose recordings: --subject {people[0]}, or "
            "--subject all (encoders work for one person)"
        )
    chosen = [
        run for run in runs if run.subject is not None and (subject in (None, EVERYONE) or run.subject == subject)
    ]
    if not chosen:
        raise ValueError(f"{source} has no recording of subject {subject}; it has {who_is_there(runs)}")
    return chosen


def who_is_there(runs: list[Run]) -> str:
    """Return in words the people of some runs, with their sessions and how many runs each has."""
    sessions: dict[tuple[int | None, str], int] = {}
    for run in runs:
        sessions[run.subject, run.session] = sessions.get((run.subject, run.session), 0) + 1
    told = []
    for person in dict.fromkeys(subject for subject, _ in sessions):
        own = {session: n for (subject, session), n in sessions.items() if subject == person}
        each = ", ".join(f"session {session or '?'}: {n} run{'s' * (n != 1)}" for session, n in own.items())
        told.append(f"subject {'of no name' if person is None else person} ({each})")
    return "; ".join(told)


def run_name(path: Path) -> str:
    """Return a file's name without .csv or .csv.gz; the public files have .csv once or twice."""
    return re.sub(r"(\.csv)+(\.gz)?$", "", path.name, flags=re.IGNORECASE)


def sessions(source: Path | None, options: N170Options) -> list[Session]:
    """Return one session a file."""
    return [
        Session(
            key=re.sub(r"[^A-Za-z0-9._-]", "_", run.name),
            load=partial(load_run, run),
            identity=file_identity(run.path),
            sources=(run.path,),
        )
        for run in runs_of(source, options.subject)
    ]


def told(source: Path | None, options: N170Options) -> str:
    """Return who was found in the folder, and whose recordings are taken."""
    found, taken = who_is_there(find_runs(source)), who_is_there(runs_of(source, options.subject))
    return f"found {found}" + ("" if found == taken else f"; taken: {taken}")


def load_run(run: Run) -> tuple[Recording, list[dict]]:
    """Read one file; markers 1 and 2 are presentations. Raises NothingToCut where there is neither."""
    recording = load_recording(run.path)
    rows = [
        {
            "label": LABELS[event.label],
            "image_id": LABELS[event.label],  # which photograph was shown is not recorded
            "caption": CAPTIONS[LABELS[event.label]],
            "subject": "" if run.subject is None else str(run.subject),
            "session": run.session,
            "run": run.name,
            "block": run.name,
            "onset": event.onset,
        }
        for event in recording.events
        if event.label in LABELS
    ]
    if not rows:
        seen = sorted({event.label for event in recording.events})
        raise NothingToCut(f"{run.path}: no marker 1 (house) or 2 (face) in it; its markers are {seen}")
    return recording, rows


def preprocessing(source: Path | None, options: N170Options) -> PreprocessingConfig:
    """Return `PREPROCESSING` with the chosen window."""
    tmin, tmax = WINDOWS[options.window]
    return replace(PREPROCESSING, tmin=tmin, tmax=tmax)


def provenance(source: Path | None, options: N170Options) -> dict[str, Any]:
    """Return what the data are, their licence and credit."""
    people = sorted({str(run.subject) for run in runs_of(source, options.subject) if run.subject is not None})
    return {
        "dataset": "n170",
        "description": "faces and houses for 200 ms, one every 0.5 to 0.7 s, Muse 2016, 256 Hz",
        "licence": "BSD-3-Clause",
        "credit": CREDIT,
        "options": {**asdict(options), "subject": EVERYONE if options.subject == EVERYONE else "".join(people)},
    }


DATASET = Dataset(
    name="n170",
    description="faces and houses, Muse 2016 (eeg-notebooks' visual N170, muse-lsl CSV)",
    options=N170Options,
    sessions=sessions,
    preprocessing=preprocessing,
    provenance=provenance,
    labels=("house", "face"),
    told=told,
)
