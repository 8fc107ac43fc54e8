"""The data set `things-eeg2`: ten people, 16,540 pictures of 1,654 kinds of things and 200 others to test, 63 channels.

Gifford, Dwivedi, Roig & Cichy, NeuroImage 264 (2022), 119754. Read from the raw files (osf.io/3jk45), of which no more
than a stretch is held in memory.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from core.channel_groups import pick_channels
from core.montage import MONTAGES
from core.preprocessing.config import PreprocessingConfig
from core.recording import Recording

from ...store.dataset import Cut, Dataset, Session
from .epochs import EPOCH_S, inside, windows_of
from .pictures import Pictures, find_pictures
from .raw import PARTS, RawFile, open_raw
from .whitening import BY, ByEpochs, by_time

WHAT = "the folder of raw_eeg/sub-XX/ses-0Y/raw_eeg_{training,test}.npy"
CREDIT = (
    "Gifford, Dwivedi, Roig & Cichy: A large and rich EEG dataset for modeling human visual object recognition (2022)"
)
N_SESSIONS = 4
KEPT = {"training": 2, "test": 20}  # presentations of a picture in a session that the authors' own recipe keeps
REPETITIONS = ("all", "published")
MISSING = ("refuse", "allow")
STRETCH_S = 120.0  # of a recording that leak checks look at
BETWEEN_S = 10.0  # from the training part's end to the test part's beginning, which no file tells
ENDS = 1 << 20  # bytes at a file's beginning and end that tell it from another


@dataclass(frozen=True)
class Eeg2Options:
    """Whose recordings, and how they are cut."""

    subjects: tuple[int, ...] = ()
    """numbers of people, all that are there by default"""
    sessions: tuple[int, ...] = ()
    """numbers of sessions, all that are there by default"""
    whitening: str = "epochs"
    """what each session's noise covariance is of, for `train.py --whitening prepared`: epochs, time (over a picture's
    presentations) or none; of training pictures alone"""
    sfreq: float = 250.0
    """sampling rate in hertz"""
    window: tuple[float, float] = (0.0, 1.0)
    """seconds about the onset, inside -0.2 to 1.0"""
    channels: str = "things-63"
    """a layout (things-63, things-17), or names and groups of it"""
    repetitions: str = "all"
    """all presentations of a picture, or published: 2 a session in training and 20 in the test, drawn by --seed"""
    seed: int = 20200220
    """of the presentations that are kept"""
    metadata: Path | None = None
    """image_metadata.npy, which names pictures and things; found in the folder or beside it"""
    missing: str = "refuse"
    """where a person's sessions do not show all pictures: refuse or allow"""

    def __post_init__(self) -> None:
        for name, allowed in (("whitening", BY), ("repetitions", REPETITIONS), ("missing", MISSING)):
            if getattr(self, name) not in allowed:
                raise ValueError(f"--{name} is {getattr(self, name)!r}; known: {', '.join(allowed)}")
        if not 1 <= self.sfreq <= 1000:
            raise ValueError(f"--sfreq is {self.sfreq:g}; raw files are at 1000 Hz, so it is 1 to 1000")
        if not EPOCH_S[0] <= self.window[0] < self.window[1] <= EPOCH_S[1]:
            raise ValueError(f"--window is {self.window}; it lies inside {EPOCH_S[0]:g} to {EPOCH_S[1]:g} s and rises")


def channels_of(options: Eeg2Options) -> tuple[str, ...]:
    """Return the wanted channels; ValueError for those that the cap does not have."""
    if options.channels in MONTAGES:
        return MONTAGES[options.channels]
    return pick_channels(MONTAGES["things-63"], options.channels)


def found_sessions(source: Path | None, options: Eeg2Options) -> list[tuple[int, int, Path]]:
    """Return subject, session and folder of each recording asked for, in order.

    Raises ValueError or FileNotFoundError where there is none, or one that was asked for is missing.
    """
    if source is None:
        raise ValueError(f"--source is needed: {WHAT}")
    if not Path(source).is_dir():
        raise FileNotFoundError(f"{source} does not exist; --source must be {WHAT}")
    root = Path(source) / "raw_eeg" if (Path(source) / "raw_eeg").is_dir() else Path(source)
    there = {}
    for folder in sorted(root.glob("sub-*/ses-*")):
        numbers = [text.rpartition("-")[2] for text in (folder.parent.name, folder.name)]
        if all(number.isdigit() for number in numbers) and folder.is_dir():
            there[int(numbers[0]), int(numbers[1])] = folder
    if not there:
        hint = (
            ". It holds preprocessed files: use `things-preprocessed`" if any(root.rglob("preprocessed_eeg_*")) else ""
        )
        raise FileNotFoundError(f"{source} holds no file of sub-XX/ses-0Y; --source must be {WHAT}{hint}")
    for name, wanted, at in (("subjects", options.subjects, 0), ("sessions", options.sessions, 1)):
        if unknown := sorted(set(wanted) - {key[at] for key in there}):
            raise ValueError(f"--{name} {unknown} are not in {source}; it has {sorted({key[at] for key in there})}")
    chosen = [
        (*key, folder)
        for key, folder in there.items()
        if (not options.subjects or key[0] in options.subjects) and (not options.sessions or key[1] in options.sessions)
    ]
    if gone := [folder / f"raw_eeg_{part}.npy" for *_, folder in chosen for part in PARTS
                if not (folder / f"raw_eeg_{part}.npy").is_file()]:  # fmt: skip
        raise FileNotFoundError(
            f"{gone[0]} is missing (one of {len(gone)}); each session has a training and a test file"
        )
    return chosen


def sessions(source: Path | None, options: Eeg2Options) -> list[Session]:
    """Return one session a recording; every file's outline is read first, so that bad input ends before any work."""
    found = found_sessions(source, options)
    pictures = find_pictures(Path(source or "."), options.metadata)
    names = channels_of(options)
    shown: dict[int, dict[str, set[int]]] = {}
    for subject, _, folder in found:
        for part in PARTS:
            raw = open_raw(folder / f"raw_eeg_{part}.npy", names, options.sfreq)
            shown.setdefault(subject, {}).setdefault(part, set()).update(_numbers(raw, part, pictures))
    for subject, parts in shown.items():
        if options.missing == "refuse" and sum(one[0] == subject for one in found) >= N_SESSIONS:
            _check_all_shown(subject, parts, pictures)
    return [
        Session(
            key=f"sub-{subject:02d}-ses-{session:02d}",
            cut=partial(cut_session, folder, subject, session, options, pictures),
            identity={"files": [_identity(folder / f"raw_eeg_{part}.npy") for part in PARTS]},
        )
        for subject, session, folder in found
    ]


def _numbers(raw: RawFile, part: str, pictures: Pictures) -> set[int]:
    numbers = set(raw.codes.tolist())
    if wrong := sorted(number for number in numbers if not 1 <= number <= pictures.count(part)):
        raise ValueError(
            f"{raw.path} marks {wrong[:6]}; {part} pictures are numbered 1 to {pictures.count(part)}. Is it another "
            "part's file, or the metadata another set's (--metadata)?"
        )
    return numbers


def _check_all_shown(subject: int, parts: dict[str, set[int]], pictures: Pictures) -> None:
    for part, numbers in parts.items():
        if missing := sorted(set(range(1, pictures.count(part) + 1)) - numbers):
            raise ValueError(
                f"sub-{subject:02d}: {len(missing)} of {pictures.count(part)} {part} pictures were never shown "
                f"({', '.join(map(str, missing[:6]))}{' ...' if len(missing) > 6 else ''}): a file is cut off or "
                "another's. --missing allow goes on without them"
            )


def cut_session(
    folder: Path, subject: int, session: int, options: Eeg2Options, pictures: Pictures, config: PreprocessingConfig
) -> Cut:
    """Return a recording's rows and, piece by piece, its windows: the training part, then the test part."""
    rows: list[dict[str, Any]] = []
    parts: list[tuple[RawFile, np.ndarray]] = []
    codes: dict[str, np.ndarray] = {}
    start_s, who = 0.0, {"subject": f"sub-{subject:02d}", "session": f"ses-{session:02d}"}
    for part in PARTS:
        raw = open_raw(folder / f"raw_eeg_{part}.npy", config.ch_names, config.sfreq)
        _numbers(raw, part, pictures)
        kept = inside(raw, raw.onsets) & chosen_repetitions(raw.codes, part, options)
        for onset, number, whole in zip(raw.onsets, raw.codes, inside(raw, raw.onsets), strict=True):
            if not whole:
                named = pictures.row(part, int(number))
                rows.append(
                    {"label": named["label"], "onset": start_s + onset / raw.sfreq, "refused": "outside the recording"}
                )
        rows += [
            {**pictures.row(part, int(number)), **who, "run": f"ses-{session:02d}", "onset": start_s + at / raw.sfreq}
            for at, number in zip(raw.onsets[kept].tolist(), raw.codes[kept].tolist(), strict=True)
        ]
        parts.append((raw, raw.onsets[kept]))
        codes[part] = raw.codes[kept]
        start_s += raw.n_times / raw.sfreq + BETWEEN_S
    noise = ByEpochs(codes["training"]) if options.whitening == "epochs" else None

    def pieces() -> Iterator[np.ndarray]:
        for number, (raw, onsets) in enumerate(parts):
            for windows in windows_of(raw, onsets, config):
                if number == 0 and noise is not None:
                    noise.add(windows)
                yield windows

    def covariance(read: Callable[[np.ndarray], np.ndarray]) -> dict[str, Any]:
        found = noise.covariance() if noise is not None else by_time(codes["training"], read)
        return {"covariance": found, "session": f"{who['subject']}/{who['session']}", "by": options.whitening}

    source = {
        "format": "things-eeg2 raw",
        "files": [raw.path.name for raw, _ in parts],
        "units": "V",
        "sfreq": parts[0][0].sfreq,
        "n_times": [raw.n_times for raw, _ in parts],
    }
    stretch = partial(_stretch, *parts[0], config)
    return Cut(rows, source, pieces(), stretch, covariance if options.whitening != "none" else None)


def chosen_repetitions(codes: np.ndarray, part: str, options: Eeg2Options) -> np.ndarray:
    """Return which presentations are kept (n,) bool: all, or those that the authors' recipe draws.

    The draw is that of scikit-learn's `shuffle` for each picture by itself, as the recipe makes it.
    """
    kept = np.ones(len(codes), dtype=bool)
    if options.repetitions == "all":
        return kept
    for number in np.unique(codes):
        where = np.flatnonzero(codes == number)
        order = np.arange(len(where))
        np.random.RandomState(options.seed).shuffle(order)
        kept[where[order[KEPT[part] :]]] = False
    return kept


def _stretch(raw: RawFile, onsets: np.ndarray, config: PreprocessingConfig) -> tuple[Recording, np.ndarray]:
    last = min(raw.n_times, round(STRETCH_S * raw.sfreq))
    data = raw.read(0, last)
    middle = data.mean(axis=1, keepdims=True)
    made = Recording(data=(data - middle).astype(np.float32), sfreq=raw.sfreq, ch_names=config.ch_names)
    return made, onsets[onsets + round(EPOCH_S[1] * raw.sfreq) < last] / raw.sfreq


def _identity(path: Path) -> dict[str, Any]:
    """Return what tells a file from another without reading gigabytes: its size, its beginning and its end."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        digest = hashlib.sha256(file.read(ENDS))
        file.seek(max(size - ENDS, 0))
        digest.update(file.read(ENDS))
    return {"file": path.name, "bytes": size, "sha256_of_ends": digest.hexdigest()}


def preprocessing(source: Path | None, options: Eeg2Options) -> PreprocessingConfig:
    """Return how windows are cut: the baseline is that of the 200 ms before the picture, whatever the window."""
    tmin, tmax = options.window
    return PreprocessingConfig(
        ch_names=channels_of(options),
        sfreq=options.sfreq,
        tmin=tmin,
        tmax=tmax,
        baseline=(EPOCH_S[0], 0.0),
        lead_s=max(0.0, tmin - EPOCH_S[0]),
        scaling="train",
    )


def provenance(source: Path | None, options: Eeg2Options) -> dict[str, Any]:
    """Return the account: what was done, with which options."""
    pictures = find_pictures(Path(source or "."), options.metadata)
    told = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(options).items()}
    # which of them are prepared may grow
    left_out = ("subjects", "sessions", "missing", "metadata")
    return {
        "dataset": "things-eeg2",
        "description": "THINGS-EEG2: pictures of things in rapid succession, test concepts apart, 63 channels",
        "licence": "as its authors publish it (osf.io/3jk45)",
        "credit": CREDIT,
        "options": {name: value for name, value in told.items() if name not in left_out},
        "whitening": {"none": "none"}.get(
            options.whitening, f"covariance by {options.whitening} of each session's training pictures, kept beside it"
        ),
        "pictures": {part: pictures.count(part) for part in PARTS} | {"named": pictures.named},
    }


def told(source: Path | None, options: Eeg2Options) -> str:
    """Return in words what was found."""
    found = found_sessions(source, options)
    named = find_pictures(Path(source or "."), options.metadata).named
    people = sorted({subject for subject, *_ in found})
    names = "" if named else "; without image_metadata.npy pictures are numbers, and no image target can be made"
    return f"THINGS-EEG2: {len(found)} sessions of {_listed(people)}{names}"


def _listed(people: Sequence[int]) -> str:
    return ", ".join(f"sub-{number:02d}" for number in people)


DATASET = Dataset(
    name="things-eeg2",
    description="THINGS-EEG2's raw files: 63 channels, pictures in rapid succession; --source: the folder of raw_eeg",
    options=Eeg2Options,
    sessions=sessions,
    preprocessing=preprocessing,
    provenance=provenance,
    told=told,
)
