"""Honest experiments that look odd: no leak check may fail on them."""

from dataclasses import replace

import numpy as np

from core.recording import Event

from .design import SFREQ, Design, experiment, noise
from .outside import pink_picture

KINDS = (
    "random order",
    "several people",
    "pictures repeated",
    "70 to 30",
    "weak answer",
    "strong answer",
    "ten trials",
    "many classes",
    "trials rejected",
    "uneven runs",
    "slow drifts",
    "alpha bursts",
    "wide jitter",
    "drop-outs",
    "fast, even intervals",
    "uninformative cue",
    "keys after the picture",
    "blinks at random",
    "related pictures",
    "one list for five people",
)


def outside_honest(seed: int) -> Design:
    """Return an experiment without a leak of the kind KINDS[seed % len(KINDS)]."""
    kind = KINDS[seed % len(KINDS)]
    rng = np.random.default_rng([seed, 43])

    def orders(runs: int = 4, each: int = 48, classes: int = 2, share: float | None = None) -> list[np.ndarray]:
        if share is not None:
            return [(rng.random(each) < share).astype(int) for _ in range(runs)]
        return [rng.integers(classes, size=each) for _ in range(runs)]

    if kind == "several people":
        return experiment(rng, orders(6), ["a", "a", "b", "b", "c", "c"])
    if kind == "pictures repeated":
        return _repeated(rng)
    if kind == "70 to 30":
        return experiment(rng, orders(share=0.3))
    if kind == "weak answer":
        return experiment(rng, orders(), own_v=1e-6)
    if kind == "strong answer":
        return experiment(rng, orders(), own_v=1.2e-5)
    if kind == "ten trials":
        return experiment(rng, orders(2, 5))
    if kind == "many classes":
        return experiment(rng, [rng.permutation(50) for _ in range(5)])
    if kind == "uneven runs":
        return experiment(rng, [rng.integers(2, size=n) for n in (9, 70, 31, 52)])
    if kind == "wide jitter":
        return experiment(rng, orders(), jitter_s=1.5)
    if kind == "one list for five people":
        return _same_jitter(rng)
    design = experiment(rng, orders(), jitter_s=0.0) if kind == "fast, even intervals" else experiment(rng, orders())
    if kind == "trials rejected":
        design.rows = [row for row in design.rows if rng.random() < 0.75]
    for file, one in design.recordings.items():
        own = design.of(file)
        t = np.arange(one.n_times) / SFREQ
        if kind == "slow drifts":
            one.data[:] += 4e-5 * np.sin(2 * np.pi * (t / rng.uniform(20, 60) + rng.random()))
        if kind == "alpha bursts":
            for at in rng.integers(0, one.n_times - 300, size=one.n_times // 600):
                wave = np.hanning(256) * np.sin(2 * np.pi * 10 * np.arange(256) / SFREQ)
                one.data[:, at : at + 256] += 3e-5 * wave * rng.uniform(0.5, 1, size=(4, 1))
        if kind == "drop-outs":
            for at in rng.integers(0, one.n_times - 100, size=4):
                one.data[int(rng.integers(4)), at : at + 64] = 0.0
        if kind == "blinks at random":
            for at in rng.integers(0, one.n_times - 100, size=len(own) // 3):
                one.data[1:3, at : at + 45] += 1e-4 * np.hanning(45)
        if kind in ("uninformative cue", "keys after the picture"):
            found = list(one.events)
            for row in own:
                if kind == "uninformative cue":
                    name, when = f"tone {rng.integers(2)}", row["onset"] - rng.uniform(0.2, 0.5)
                else:  # the key is right, and slower for one class
                    label = int(row["label"][-1])
                    name, when = f"key {label}", row["onset"] + rng.uniform(0.4, 0.6) + 0.1 * label
                found.append(Event(float(when), 0.0, name))
            design.recordings[file] = replace(one, events=tuple(sorted(found, key=lambda event: event.onset)))
    if kind == "related pictures":
        # one picture a class, with details of its own for each trial: alike, and not the same
        base = {f"class {label}": pink_picture(rng).astype(np.float64) for label in range(2)}
        for row in design.rows:
            mixed = 0.5 * base[row["label"]] + 0.5 * pink_picture(rng)
            design.pictures[row["image"]] = mixed.astype(np.uint8)
    return design


def _repeated(rng: np.random.Generator) -> Design:
    """Every run shows twenty-four pictures of its own, twice."""
    shown = [rng.permutation(np.repeat(np.arange(24), 2)) + 24 * run for run in range(4)]
    design = experiment(rng, [numbers % 2 for numbers in shown])
    for row, number in zip(design.rows, np.concatenate(shown).tolist(), strict=True):
        row["image"] = f"picture {number}"
    return design


def _same_jitter(rng: np.random.Generator) -> Design:
    """Five people saw the same list at the same moments: their answers are alike, their EEG is not the same."""
    design = experiment(rng, [rng.integers(2, size=48) for _ in range(2)])
    for row in design.rows:
        row["block"] = f"block {design.of(row['file']).index(row) // 12}"
    for person, file in [(person, file) for person in range(4) for file in list(design.recordings)[:2]]:
        one, name = design.recordings[file], f"other{person}_{file}"
        data = noise(rng, *one.data.shape)
        for row in design.of(file):
            at, label = round(row["onset"] * SFREQ), int(row["label"][-1])
            t = np.arange(90) / SFREQ
            data[:, at : at + 90] += 8e-6 * np.exp(-(((t - 0.12) / 0.04) ** 2) / 2)
            data[label, at : at + 90] += 4e-6 * np.exp(-(((t - 0.22) / 0.04) ** 2) / 2)
            design.rows.append({**row, "file": name, "subject": f"person {person}"})
        design.recordings[name] = replace(one, data=data)
    return design
