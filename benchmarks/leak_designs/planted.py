"""LEAKS: ways in which an experiment leaks, by name; each is planted at two strengths, or in disguise."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import gcd

import numpy as np

from core.recording import Event, Recording

from .design import NAMES, SFREQ, Design, experiment, made_recording, noise, plain, relabelled, row_of

Plant = Callable[[np.random.Generator], Design]
COPY = ("same recording twice", "same EEG in two trials")


@dataclass(frozen=True)
class Leak:
    """A planted leak: how it is made, the checks of which one has to name it, and how it is tested.

    protocol: of cross_validate.py. one: the leak shows in a single recording too, so the trainer in the hosts must name
    it. pictures: only commands that know the folder of pictures can.
    """

    plant: Plant
    named: tuple[str, ...]
    protocol: str = "leave-one-run-out"
    one: bool = False
    pictures: bool = False


def copied(change: Callable[[Recording, list[dict], np.random.Generator], tuple[Recording, list[dict]]]) -> Plant:
    """Return an experiment in which a fifth run is the second one again, changed."""

    def plant(rng: np.random.Generator) -> Design:
        design = plain(rng)
        twin, rows = change(design.recordings["run2.safetensors"], design.of("run2.safetensors"), rng)
        design.recordings["visit_b.safetensors"] = twin
        for i, row in enumerate(rows):
            design.rows.append(
                {**row, "file": "visit_b.safetensors", "run": "run 9", "session": "", "image": f"other {i}"}
            )
        return design

    return plant


def _with(one: Recording, data: np.ndarray, sfreq: float | None = None) -> Recording:
    return replace(one, data=data.astype(np.float32), sfreq=sfreq or one.sfreq)


def renamed(one, rows, rng):
    return one, rows


def rescaled(one, rows, rng):
    return _with(one, -2.5 * one.data + 3e-6), rows


def resampled(one, rows, rng):
    from scipy.signal import resample_poly

    rate = 100
    common = gcd(rate, int(one.sfreq))
    return _with(one, resample_poly(one.data, rate // common, int(one.sfreq) // common, axis=1), float(rate)), rows


def rereferenced(one, rows, rng):
    return _with(one, one.data - one.data.mean(axis=0) + 1e-6 * rng.standard_normal(one.data.shape)), rows


def filtered(one, rows, rng):
    from scipy.signal import butter, sosfiltfilt

    band = butter(2, (2, 12), "bandpass", fs=one.sfreq, output="sos")
    return _with(one, sosfiltfilt(band, one.data, axis=1) + 5e-7 * rng.standard_normal(one.data.shape)), rows


def cut(one, rows, rng):
    start = rows[len(rows) // 3]["onset"] - 1.0
    kept = [{**row, "onset": row["onset"] - start} for row in rows[len(rows) // 3 :]]
    return _with(one, one.data[:, round(start * one.sfreq) :]), kept


def other_markers(one, rows, rng):
    given = rng.permutation([row["label"] for row in rows])
    return one, [
        {**row, "onset": row["onset"] + 0.21, "label": str(label)} for row, label in zip(rows, given, strict=True)
    ]


def one_channel(one, rows, rng):
    data = noise(rng, len(NAMES), one.n_times)
    data[2] = one.data[2]
    return _with(one, data), rows


def two_channels(one, rows, rng):
    data = noise(rng, len(NAMES), one.n_times)
    data[1:3] = one.data[1:3] + 2e-6 * rng.standard_normal((2, one.n_times))
    return _with(one, data), rows


def wrong_rate(one, rows, rng):
    """The file says 125 Hz where 128 Hz were meant; markers are samples."""
    return _with(one, one.data, 125.0), [{**row, "onset": row["onset"] * one.sfreq / 125.0} for row in rows]


def a_quarter(one, rows, rng):
    """A stretch of a run stands in a run of its own noise."""
    onsets = np.array([row["onset"] for row in rows])
    twin = made_recording(rng, onsets, [int(row["label"][-1]) for row in rows])
    n = one.n_times // 3
    twin.data[:, n : 2 * n] = one.data[:, n : 2 * n]
    return twin, rows


def two_splits(share: float) -> Plant:
    def plant(rng: np.random.Generator) -> Design:
        design = _split(plain(rng))
        train = [row for row in design.rows if row["split"] == "train"]
        chosen = rng.permutation(len(train))[: max(int(share * len(train)), 2)]
        design.rows += [{**train[i], "split": "test", "image": f"again {i}"} for i in chosen]
        return design

    return plant


def _split(design: Design) -> Design:
    last = list(design.recordings)[-1]
    for row in design.rows:
        row["split"] = "test" if row["file"] == last else "train"
    return design


def overlapping(close_s: float, share: float) -> Plant:
    def plant(rng: np.random.Generator) -> Design:
        design = experiment(rng, [rng.permutation(np.arange(48) % 2) for _ in range(4)])
        for file in design.recordings:
            own = design.of(file)
            for row in own:
                row["split"] = "test" if file == "run4.safetensors" else "train"
            if file == "run4.safetensors":
                chosen = rng.permutation(len(own))[: max(int(share * len(own)), 2)]
                design.rows += [
                    {**own[i], "split": "train", "onset": round(own[i]["onset"] + close_s, 4), "image": f"again {i}"}
                    for i in chosen
                ]
        return design

    return plant


def shared_pictures(n: int) -> Plant:
    def plant(rng: np.random.Generator) -> Design:
        design = _split(plain(rng))
        first, last = design.of("run1.safetensors"), design.of("run4.safetensors")
        for a, b in list(zip(first, last, strict=True))[:n]:
            b["image"] = a["image"]
        return design

    return plant


def two_names(disguised: bool) -> Plant:
    def plant(rng: np.random.Generator) -> Design:
        design = _split(plain(rng, each=24))
        for row in design.rows:
            coarse = rng.integers(0, 255, size=(7, 7, 3))
            design.pictures[row["image"]] = np.kron(coarse, np.ones((12, 12, 1))).astype(np.uint8)
        first, last = design.of("run1.safetensors"), design.of("run4.safetensors")
        for a, b in list(zip(first, last, strict=True))[: 3 if disguised else 12]:
            picture = design.pictures[a["image"]]
            design.pictures[b["image"]] = (picture[::2, ::-2] * 0.7 + 20).astype(np.uint8) if disguised else picture
        return design

    return plant


def shares(of_first: tuple[float, ...], column: str = "run") -> Plant:
    """Classes unevenly dealt to runs, blocks, sessions or people."""

    def plant(rng: np.random.Generator) -> Design:
        design = plain(rng)
        labels = [(rng.random(48) < share).astype(int) for share in of_first]
        design = relabelled(design, labels, rng)
        for number, file in enumerate(design.recordings):
            for row in design.of(file):
                if column != "run":
                    row[column] = f"{column} {number % 2}"
        return design

    return plant


def blocks(share: float) -> Plant:
    """Blocks inside runs that are told by a column only, mixed in time."""

    def plant(rng: np.random.Generator) -> Design:
        design = plain(rng)
        for row in design.rows:
            own = int(row["label"][-1]) if rng.random() < share else int(rng.integers(2))
            row["block"] = f"list {own}"
        return design

    return plant


def ordered(order: Callable[[np.random.Generator, int], np.ndarray], only_runs: int = 4) -> Plant:
    """An order of classes in the first few runs."""

    def plant(rng: np.random.Generator) -> Design:
        design = plain(rng, each=64)
        labels = [order(rng, 64) if run < only_runs else rng.permutation(np.arange(64) % 2) for run in range(4)]
        return relabelled(design, labels, rng)

    return plant


def markov(stay: float) -> Callable[[np.random.Generator, int], np.ndarray]:
    def order(rng: np.random.Generator, n: int) -> np.ndarray:
        return (np.cumsum(rng.random(n) > stay) + rng.integers(2)) % 2

    return order


def halves(share: float) -> Plant:
    def plant(rng: np.random.Generator) -> Design:
        first = np.arange(48) < 24
        labels = [(rng.random(48) < np.where(first, share, 1 - share)).astype(int) for _ in range(4)]
        return relabelled(plain(rng), labels, rng)

    return plant


def intervals(longer_s: float) -> Plant:
    def plant(rng: np.random.Generator) -> Design:
        recordings, rows = {}, []
        for run in range(4):
            classes = rng.permutation(np.arange(48) % 2)
            onsets = np.round(2 + np.cumsum(0.95 + 0.2 * rng.random(48) + longer_s * classes), 4)
            file = f"run{run + 1}.safetensors"
            recordings[file] = made_recording(rng, onsets, classes)
            rows += [
                row_of(file, float(o), f"class {c}", f"picture {run}-{i}", subject="one", run=f"run {run + 1}")
                for i, (o, c) in enumerate(zip(onsets, classes, strict=True))
            ]
        return Design(recordings, rows)

    return plant


def cues(right: float) -> Plant:
    def plant(rng: np.random.Generator) -> Design:
        design = plain(rng)
        for file, one in design.recordings.items():
            found = list(one.events)
            for row in design.of(file):
                own = int(row["label"][-1])
                told = own if rng.random() < right else int(rng.integers(2))
                found.append(Event(row["onset"] - 0.4, 0.0, f"arrow {['left', 'right'][told]}"))
            design.recordings[file] = replace(one, events=tuple(sorted(found, key=lambda event: event.onset)))
        return design

    return plant


def added(
    shape: np.ndarray,
    start_s: float,
    volts: float,
    channels: tuple[int, ...] = (3,),
    jitter_s: float = 0.0,
    runs: int = 4,
) -> Plant:
    """A shape (n_times,) in the EEG of one class, from `start_s` after its onsets, in some channels and runs."""

    def plant(rng: np.random.Generator) -> Design:
        design = plain(rng)
        for number, (file, one) in enumerate(design.recordings.items()):
            if number >= runs:
                continue
            for row in design.of(file):
                if row["label"] == "class 1":
                    at = round((row["onset"] + start_s + jitter_s * rng.random()) * SFREQ)
                    phase = rng.integers(12) if len(shape) > 60 else 0
                    own = np.roll(shape, phase)
                    one.data[list(channels), at : at + len(own)] += (volts * own[: one.n_times - at]).astype(np.float32)
        return design

    return plant


def rolled(seconds: float) -> Plant:
    def plant(rng: np.random.Generator) -> Design:
        design = plain(rng, each=64)
        for file, one in design.recordings.items():
            for row in design.of(file):
                row["onset"] = round((row["onset"] + seconds) % (one.duration - 1.5) + 0.5, 4)
        return design

    return plant


def anywhere(rng: np.random.Generator) -> Design:
    design = plain(rng, each=64)
    for file, one in design.recordings.items():
        own = design.of(file)
        for row, onset in zip(own, np.sort(rng.uniform(1, one.duration - 1.5, len(own))), strict=True):
            row["onset"] = round(float(onset), 4)
    return design


def commonest(share: float) -> Plant:
    def plant(rng: np.random.Generator) -> Design:
        labels = [(rng.permutation(64) >= share * 64).astype(int) for _ in range(4)]
        return relabelled(plain(rng, each=64), labels, rng)

    return plant


def some_new(rng: np.random.Generator) -> Design:
    design = _split(experiment(rng, [rng.permutation(np.arange(48) % 3) for _ in range(4)]))
    design.rows = [row for row in design.rows if not (row["split"] == "train" and row["label"] == "class 2")]
    return design


ALPHA_WAVE = np.sin(2 * np.pi * 10 * np.arange(int(0.9 * SFREQ)) / SFREQ)
BUMP = np.hanning(int(0.25 * SFREQ))
STEP, PULSE = np.ones(int(0.3 * SFREQ)), np.ones(3)
LONG_BLOCKS = ("class against time", "class against recording block", "class against position")

LEAKS: dict[str, Leak] = {
    "recording twice, renamed": Leak(copied(renamed), COPY),
    "recording twice, other scale and sign": Leak(copied(rescaled), COPY),
    "recording twice, resampled": Leak(copied(resampled), COPY),
    "recording twice, re-referenced and noisy": Leak(copied(rereferenced), COPY),
    "recording twice, filtered and noisy": Leak(copied(filtered), COPY),
    "recording twice, cut": Leak(copied(cut), COPY),
    "recording twice, other markers and labels": Leak(copied(other_markers), COPY),
    "recording twice, one channel": Leak(copied(one_channel), COPY),
    "recording twice, two channels and noise": Leak(copied(two_channels), COPY),
    "recording twice, read at another rate": Leak(copied(wrong_rate), COPY),
    "recording twice, a third of it": Leak(copied(a_quarter), COPY),
    "presentations in two splits": Leak(two_splits(0.5), ("test presentations",), "given-split"),
    "presentations in two splits, two of them": Leak(two_splits(0.0), ("test presentations",), "given-split"),
    "overlapping windows": Leak(overlapping(0.1, 0.8), ("overlapping windows",), "given-split"),
    "overlapping windows, two, by a fifth": Leak(overlapping(0.5, 0.0), ("overlapping windows",), "given-split"),
    "test pictures trained on": Leak(shared_pictures(48), ("test pictures",), "given-split"),
    "test pictures trained on, three": Leak(shared_pictures(3), ("test pictures",), "given-split"),
    "pictures under two names": Leak(two_names(False), ("same picture under two names",), "given-split", pictures=True),
    "pictures under two names, disguised": Leak(
        two_names(True), ("same picture under two names",), "given-split", pictures=True
    ),
    "class = run": Leak(shares((0.0, 1.0, 0.0, 1.0)), LONG_BLOCKS[1:2]),
    "class by run, uneven": Leak(shares((0.75, 0.25, 0.75, 0.25)), LONG_BLOCKS[1:2]),
    "class by run, one run of four": Leak(shares((0.5, 0.5, 0.5, 0.92)), LONG_BLOCKS[1:2]),
    "class by session": Leak(shares((0.8, 0.25, 0.8, 0.25), "session"), LONG_BLOCKS[1:2]),
    "class = person": Leak(shares((0.95, 0.05, 0.95, 0.05), "subject"), ("class against person",)),
    "class by person, uneven": Leak(shares((0.7, 0.3, 0.7, 0.3), "subject"), ("class against person",)),
    "class = block": Leak(blocks(1.0), LONG_BLOCKS[1:2]),
    "class by block, uneven": Leak(blocks(0.35), LONG_BLOCKS[1:2]),
    "long rows of a class": Leak(ordered(lambda rng, n: np.arange(n) // 16 % 2), LONG_BLOCKS, one=True),
    "long rows of a class, uneven": Leak(ordered(markov(0.8)), (*LONG_BLOCKS, "class against order"), one=True),
    "first half": Leak(halves(0.95), LONG_BLOCKS, one=True),
    "first half, uneven": Leak(halves(0.75), LONG_BLOCKS),
    "alternation": Leak(ordered(lambda rng, n: np.arange(n) % 2), ("class against order",), one=True),
    "alternation, uneven": Leak(ordered(markov(0.2)), ("class against order",)),
    "alternation, one run of four": Leak(ordered(lambda rng, n: np.arange(n) % 2, 1), ("class against order",)),
    "pairs": Leak(ordered(lambda rng, n: np.arange(n) // 2 % 2), ("class against order",), one=True),
    "pairs, a tenth changed": Leak(
        ordered(lambda rng, n: (np.arange(n) // 2 + (rng.random(n) < 0.1)) % 2), ("class against order",)
    ),
    "threes and a cycle of seven": Leak(
        ordered(lambda rng, n: np.array([0, 1, 1, 0, 1, 0, 0])[np.arange(n) % 7]), ("class against order",)
    ),
    "interval": Leak(intervals(0.3), ("class against interval",)),
    "interval, 60 ms": Leak(intervals(0.06), ("class against interval",)),
    "cue before the picture": Leak(cues(1.0), ("cue before the picture",)),
    "cue before the picture, right half the time": Leak(cues(0.5), ("cue before the picture",)),
    "trigger in a channel, 100 uV": Leak(added(STEP, 0.0, 1e-4), ("channel that carries the trigger",), one=True),
    "trigger in a channel, 15 uV": Leak(added(STEP, 0.0, 1.5e-5), ("channel that carries the trigger",)),
    "trigger in a channel, 25 ms": Leak(added(PULSE, 0.0, 3e-5), ("channel that carries the trigger",)),
    "trigger in a channel, onsets jittered": Leak(
        added(STEP, -0.004, 6e-5, (1,), 0.015), ("channel that carries the trigger",)
    ),
    "answer before the picture": Leak(added(BUMP, -0.4, 2e-5, (0, 3)), ("before the picture",), one=True),
    "answer before the picture, 8 uV": Leak(added(BUMP, -0.35, 8e-6, (0, 1, 3)), ("before the picture",)),
    "answer before the picture, one run of four": Leak(
        added(BUMP, -0.35, 3e-5, (0, 3), runs=1), ("before the picture",)
    ),
    "rhythm before the picture": Leak(
        added(np.sin(2 * np.pi * 10 * np.arange(61) / SFREQ), -0.49, 1.2e-5, (1, 2)), ("before the picture",)
    ),
    "markers rolled by 3.7 s": Leak(rolled(3.7), ("markers locked to the EEG",)),
    "markers rolled by 1.4 s": Leak(rolled(1.4), ("markers locked to the EEG",)),
    "markers anywhere": Leak(anywhere, ("markers locked to the EEG",)),
    "alpha of 40 uV in one class": Leak(
        added(ALPHA_WAVE, 0.0, 4e-5, (0, 1, 2, 3)), ("implausibly large class difference",), one=True
    ),
    "alpha of 20 uV in one class": Leak(
        added(ALPHA_WAVE, 0.0, 2e-5, (1,)), ("implausibly large class difference",), one=True
    ),
    "alpha of 40 uV in one class, one run of four": Leak(
        added(ALPHA_WAVE, 0.0, 4e-5, (1, 2), runs=1), ("implausibly large class difference",)
    ),
    "nineteen of twenty of one class": Leak(commonest(0.95), ("majority class",)),
    "nine of ten of one class": Leak(commonest(0.9), ("majority class",)),
    "some test classes new": Leak(some_new, ("test concepts",), "given-split"),
}
