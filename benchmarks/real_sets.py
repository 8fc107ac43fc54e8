"""The labelled real recordings that `real_eeg.py` decodes: files, what their markers mean, windows, folds."""

import gzip
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from core.leaks.evidence.recording_evidence import RecordingEvidence, evidence_of
from core.loading.load import load_recording
from core.preprocessing.config import PreprocessingConfig
from core.preprocessing.continuous import prepare_continuous
from core.preprocessing.windows import cut_windows
from core.recording import Event, Recording

ARTEFACT = 5.0  # times the median peak to peak of a set, whatever the label: left out for everyone
STRETCHES = 5
EYES_S = 2.0


@dataclass(frozen=True)
class RealSet:
    """One experiment: its recordings (each a run) with two labels, seconds of the window and of the one before;
    filtered: whether a band is kept; by: what is left out; clocked: windows follow the clock and no marker;
    known: what its data's account says is wrong with it.
    """

    name: str
    recordings: Callable[[], list[Recording]]
    labels: tuple[str, str]
    window: tuple[float, float] = (-0.1, 0.8)
    before: tuple[float, float] | None = (-0.9, 0.0)
    filtered: bool = True
    by: str = "run"
    clocked: bool = False
    known: str = ""


@dataclass(frozen=True, eq=False)
class Cut:
    """Windows (n, n_channels, n_times) in volts, label (n,), run (n,), person (n,) and onset (n,) in seconds."""

    eeg: np.ndarray
    label: np.ndarray
    run: np.ndarray
    person: np.ndarray
    onset: np.ndarray
    config: PreprocessingConfig

    def take(self, rows: np.ndarray) -> "Cut":
        """Return some of the windows."""
        return Cut(self.eeg[rows], self.label[rows], self.run[rows], self.person[rows], self.onset[rows], self.config)


def data_folder() -> Path:
    """Return where the real recordings lie; raises FileNotFoundError where $SD_EEG_DATA does not say."""
    folder = os.environ.get("SD_EEG_DATA", "")
    if not folder or not Path(folder).is_dir():
        raise FileNotFoundError("set SD_EEG_DATA to the folder of the real recordings")
    return Path(folder)


def cut(
    real: RealSet, band: tuple[float, float], window: tuple[float, float] | None = None
) -> tuple[Cut, dict[str, RecordingEvidence]]:
    """Return a set's windows in a band (hertz), all that can be cut, and what leak checks need of each recording."""
    parts, evidence = [], {}
    for number, recording in enumerate(real.recordings()):
        sfreq = min(recording.sfreq, 128.0)
        tmin, tmax = window or real.window
        low, high = band if real.filtered else (None, None)
        config = PreprocessingConfig(recording.ch_names, sfreq, tmin, tmax, low, high)
        events = [event for event in recording.events if event.label in real.labels]
        windows = cut_windows(prepare_continuous(recording, config), [event.onset for event in events], config)
        kept = [event for event, is_kept in zip(events, windows.kept, strict=True) if is_kept]
        person = str(recording.source.get("person", ""))
        n = len(kept)
        label = np.array([real.labels.index(event.label) for event in kept], dtype=np.int64)
        onset = np.array([event.onset for event in kept])
        parts.append(Cut(windows.data, label, np.full(n, f"run {number:02d}"), np.full(n, person), onset, config))
        try:
            evidence[f"run {number:02d}"] = evidence_of(recording, [event.onset for event in events], config)
        except ValueError:  # too slow or too short: those checks cannot be made
            continue
    eeg, label, run, person, onset = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("eeg", "label", "run", "person", "onset")
    )
    return Cut(eeg, label, run, person, onset, parts[0].config), evidence


def usable(windows: Cut) -> np.ndarray:
    """Return which windows are not far larger than usual (n,), looking at no label."""
    if not len(windows.eeg):
        return np.zeros(0, dtype=bool)
    peaks = np.ptp(windows.eeg, axis=2).max(axis=1)
    return peaks <= ARTEFACT * np.median(peaks)


def folds_of(real: RealSet, windows: Cut) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Return each fold's name, the windows trained on and those tested: runs, people, pairs of files, or stretches
    without what overlaps them.
    """
    if real.by == "person":
        names = windows.person
    elif real.by == "pair of files":
        names = np.array([f"pair {int(run.split()[1]) % STRETCHES}" for run in windows.run])
    elif len(np.unique(windows.run)) > 1:
        names = windows.run
    else:
        order, length = np.argsort(windows.onset, kind="stable"), windows.config.tmax - windows.config.tmin
        found = []
        for number, held in enumerate(np.array_split(order, STRETCHES)):
            low, high = windows.onset[held].min() - length, windows.onset[held].max() + length
            apart = (windows.onset[order] < low) | (windows.onset[order] > high)
            found.append((f"stretch {number + 1}", order[apart], held))
        return found
    return [(str(n), np.flatnonzero(names != n), np.flatnonzero(names == n)) for n in np.unique(names)]


def _csv(files: str, *, person: str = "", **reading: object) -> Callable[[], list[Recording]]:
    def load() -> list[Recording]:
        paths = sorted(data_folder().glob(files))
        if not paths:
            raise FileNotFoundError(f"no recording matches {files} in {data_folder()}")
        return [_of_person(load_recording(path, **reading), person) for path in paths]  # pyright: ignore

    return load


def _of_person(recording: Recording, person: str) -> Recording:
    return replace(recording, source={**recording.source, "person": person})


def _three_people() -> list[Recording]:
    return [one for n in ("1", "2", "11") for one in _csv(f"n170_muse/subject{n}_*", person=f"subject {n}")()]


def _squares() -> tuple[Recording, list[float], list[int]]:
    from scipy.io import loadmat

    path = data_folder() / "eeg_formats/eeglab/eeglab_data.set"
    recording = load_recording(path)
    events = loadmat(path, squeeze_me=True, struct_as_record=False)["EEG"].event
    position = [int(event.position) for event in events if event.type == "square"]
    return recording, [event.onset for event in recording.events if event.label == "square"], position


def _places() -> list[Recording]:
    recording, onsets, position = _squares()
    pairs = zip(onsets, position, strict=True)
    return [replace(recording, events=tuple(Event(at, 0.0, f"place {where}") for at, where in pairs))]


def _stimuli() -> list[Recording]:
    recording, onsets, _ = _squares()
    events = [Event(at, 0.0, "stimulus") for at in onsets] + [Event(at - 0.9, 0.0, "before") for at in onsets]
    return [replace(recording, events=tuple(sorted(events, key=lambda event: event.onset)))]


def _words() -> list[Recording]:
    return [load_recording(data_folder() / "eeg_formats/fif/wmvanvliet_subject04-epo.fif")]


def _eyes() -> list[Recording]:
    path = data_folder() / "eeg_formats/emotiv/brain_download_baseline_insight5.zip"
    with zipfile.ZipFile(path) as archive:
        members = sorted(name for name in archive.namelist() if name.endswith(".csv"))
    found = []
    for kind in ("Closed", "Open"):
        for member in [name for name in members if f"{kind}_" in name]:
            recording = load_recording(path, member=member)
            starts = range(int(recording.duration // EYES_S))
            found.append(replace(recording, events=tuple(Event(EYES_S * i, 0.0, kind.lower()) for i in starts)))
    return found


def _eye_state() -> list[Recording]:
    """Return the one recording cut each second, labelled by the state that its last column says at the cut's middle."""
    path = data_folder() / "eeg_formats/emotiv/EEG_Eye_State.arff.gz"
    recording = load_recording(path)
    with gzip.open(path, "rt") as file:
        lines = [line.strip() for line in file]
    rows = [line for line in lines[lines.index("@DATA") + 1 :] if line]
    closed = np.array([int(row.rsplit(",", 1)[1]) for row in rows])
    starts = range(int(len(closed) / recording.sfreq))
    state = [int(closed[round((i + 0.5) * recording.sfreq)]) for i in starts]
    events = tuple(Event(float(i), 0.0, ("open", "closed")[of]) for i, of in zip(starts, state, strict=True))
    return [replace(recording, events=events)]


_HOUSE_FACE, _FLICKER = ("1", "2"), ("1", "2")
_NOTHING = "its account says that nothing is locked to its markers"
SETS = (
    RealSet("n170, subject 1", _csv("n170_muse/subject1_*"), _HOUSE_FACE),
    RealSet("n170, subject 2", _csv("n170_muse/subject2_*"), _HOUSE_FACE),
    RealSet("n170, subject 11", _csv("n170_muse/subject11_*"), _HOUSE_FACE),
    RealSet("n170, unseen person", _three_people, _HOUSE_FACE, by="person"),
    RealSet("left or right", _csv("left_right_muse/*"), ("1", "2")),
    RealSet("gratings", _csv("gratings_muse/*", events=["Marker0@1=low", "Marker0@2=high"]), ("low", "high")),
    RealSet(
        "flicker, subject 1", _csv("ssvep_muse/subject1_*", keep=("Right AUX",)), _FLICKER, (0.0, 3.0), (-3.0, 0.0)
    ),
    RealSet("cats among dogs", _csv("p300_muse/*"), ("1", "2")),
    RealSet("place of a square", _places, ("place 1", "place 2")),
    RealSet("square or nothing", _stimuli, ("before", "stimulus"), (0.0, 0.8), None),
    RealSet("word pairs", _words, ("related", "unrelated"), (-0.1, 0.9), None, filtered=False),
    RealSet("eyes, by file", _eyes, ("closed", "open"), (0.0, EYES_S), None, by="pair of files", clocked=True),
    RealSet(
        "flicker, subject 4",
        _csv("ssvep_muse/subject4_*", keep=("Right AUX",)),
        _FLICKER,
        (0.0, 3.0),
        (-3.0, 0.0),
        known=_NOTHING,
    ),
    RealSet("cueing, subject 101", _csv("broken_markers/cueing_subject101_*"), ("1", "2"), known=_NOTHING),
    RealSet("cueing, subject 102", _csv("broken_markers/cueing_subject102_*"), ("1", "2"), known=_NOTHING),
    RealSet("n170, subject 10", _csv("broken_markers/n170_*"), ("1", "2"), known="one marker in the whole file"),
    RealSet(
        "eye state",
        _eye_state,
        ("open", "closed"),
        (0.0, 1.0),
        None,
        clocked=True,
        known="one recording of 117 s whose states last seconds: neighbours leak",
    ),
)
