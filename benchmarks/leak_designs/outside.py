"""OUTSIDE: leaks planted by somebody who had not seen the checks, in forms that real data sets show them in."""

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO

import numpy as np

from core.recording import Event

from .design import NAMES, SFREQ, Design, experiment, made_recording, noise, plain, relabelled
from .planted import COPY, LEAKS, Leak, Plant, copied, ordered

TRIGGER = ("channel that carries the trigger", "before the picture")
MUSCLE_OR_EYE = ("implausibly large class difference",)


def permuted(one, rows, rng):
    """The channels stand under each other's names."""
    return replace(one, data=one.data[[2, 0, 3, 1]]), rows


def reversed_in_time(one, rows, rng):
    return replace(one, data=np.ascontiguousarray(one.data[:, ::-1])), rows


def one_missing(one, rows, rng):
    """A channel is left out and interpolated, the others are in whole microvolts."""
    data = np.rint(one.data * 1e6) * 1e-6
    data[1] = (data[0] + data[3]) / 2
    return replace(one, data=data), rows


def slow_only(one, rows, rng):
    from scipy.signal import butter, sosfiltfilt

    low = butter(4, 6, "lowpass", fs=one.sfreq, output="sos")
    return replace(one, data=sosfiltfilt(low, one.data, axis=1)), rows


def bipolar_and_cut(one, rows, rng):
    """The first three seconds are missing, each channel is the difference to its neighbour."""
    n = round(3.0 * one.sfreq)
    data = (one.data - np.roll(one.data, 1, axis=0))[:, n:]
    kept = [{**row, "onset": round(row["onset"] - 3.0, 4)} for row in rows if row["onset"] > 3.5]
    return replace(one, data=data), kept


def joined(one, rows, rng):
    """It is the end of a longer file that begins with two minutes of its own."""
    before = noise(rng, len(NAMES), round(120 * SFREQ))
    late = [{**row, "onset": round(row["onset"] + 120, 4)} for row in rows]
    return replace(one, data=np.concatenate([before, one.data], axis=1)), late


def noisy(one, rows, rng):
    """As much noise as signal."""
    return replace(one, data=one.data + noise(rng, *one.data.shape)), rows


def disguised_pictures(change: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> Plant:
    """Natural-looking pictures (pink, smooth), eight of which return under another name in the test."""

    def plant(rng: np.random.Generator) -> Design:
        design = plain(rng, each=24)
        for row in design.rows:
            row["split"] = "test" if row["file"] == "run4.safetensors" else "train"
            design.pictures[row["image"]] = pink_picture(rng)
        first, last = design.of("run1.safetensors"), design.of("run4.safetensors")
        for a, b in list(zip(first, last, strict=True))[:8]:
            design.pictures[b["image"]] = change(design.pictures[a["image"]], rng)
        return design

    return plant


def pink_picture(rng: np.random.Generator, side: int = 96) -> np.ndarray:
    """Return a picture with the spectrum of natural ones, uint8 (side, side, 3)."""
    hertz = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    white = rng.standard_normal((3, side, side // 2 + 1)) + 1j * rng.standard_normal((3, side, side // 2 + 1))
    found = np.fft.irfft2(white / np.maximum(hertz, 1 / side), (side, side))
    found = found + 2 * found.mean(axis=0)
    found = (found - found.min()) / np.ptp(found)
    return (found.transpose(1, 2, 0) * 255).astype(np.uint8)


def jpeg(picture, rng):
    from PIL import Image

    out = BytesIO()
    Image.fromarray(picture).save(out, "JPEG", quality=15)
    return np.asarray(Image.open(BytesIO(out.getvalue())))


def cropped(n: int):
    return lambda picture, rng: np.ascontiguousarray(picture[n:, n:])


def framed(picture, rng):
    """A grey frame about it, as a screen shows it."""
    return np.pad(picture, ((10, 10), (10, 10), (0, 0)), constant_values=128)


def upside_down(picture, rng):
    return np.ascontiguousarray(picture[::-1])


def turned(picture, rng):
    return np.ascontiguousarray(np.rot90(picture))


def negative(picture, rng):
    return 255 - picture


def grey(picture, rng):
    one = picture[:, :, 1:2] // 2 + 60
    return np.repeat(one, 3, axis=2)


def artefact(
    shape: np.ndarray, start_s: float, volts: tuple[float, ...], share: float = 1.0, runs: int = 4, both: bool = False
) -> Plant:
    """A shape from `start_s` after the onsets of class 1, by channel, in a share of its trials.

    both: class 0 has it too, upside down.
    """

    def plant(rng: np.random.Generator) -> Design:
        design = plain(rng)
        for number, (file, one) in enumerate(design.recordings.items()):
            for row in design.of(file):
                sign = 1.0 if row["label"] == "class 1" else -1.0 if both else 0.0
                if number < runs and sign and rng.random() < share:
                    at = round((row["onset"] + start_s) * SFREQ)
                    own = shape[: one.n_times - at]
                    for channel, height in enumerate(volts):
                        one.data[channel, at : at + len(own)] += sign * height * own
        return design

    return plant


def photodiode(delay_s: float) -> Plant:
    """A light sensor under an EEG name: bright pictures of class 1, dark ones of class 0, after a lag."""

    def plant(rng: np.random.Generator) -> Design:
        design = plain(rng)
        for file, one in design.recordings.items():
            light = 5e-7 * rng.standard_normal(one.n_times)
            for row in design.of(file):
                at = round((row["onset"] + delay_s) * SFREQ)
                light[at : at + round(0.3 * SFREQ)] += 5e-5 if row["label"] == "class 1" else 3e-5
            one.data[2] = light
        return design

    return plant


def interval_after(longer_s: float) -> Plant:
    """Pictures of one class stay longer, so that the next one comes later."""

    def plant(rng: np.random.Generator) -> Design:
        design = plain(rng)
        found, rows = {}, []
        for file in design.recordings:
            own = design.of(file)
            classes = np.array([int(row["label"][-1]) for row in own])
            onsets = np.round(2 + np.cumsum(0.42 + 0.2 * rng.random(len(own)) + longer_s * np.r_[0, classes[:-1]]), 4)
            found[file] = made_recording(rng, onsets, classes.tolist())
            rows += [{**row, "onset": float(onset)} for row, onset in zip(own, onsets, strict=True)]
        return Design(found, rows)

    return plant


def cue_event(place: str) -> Plant:
    """What tells the class beforehand, not as the kind of the last event: by when it is, or two events back."""

    def plant(rng: np.random.Generator) -> Design:
        design = plain(rng)
        for file, one in design.recordings.items():
            found = list(one.events)
            for row in design.of(file):
                own = int(row["label"][-1])
                if place == "when":
                    found.append(Event(row["onset"] - (0.3, 0.5)[own] - 0.02 * rng.random(), 0.0, "tone"))
                else:
                    found.append(Event(row["onset"] - 0.6, 0.0, f"arrow {own}"))
                    found.append(Event(row["onset"] - 0.3, 0.0, "fixation"))
            design.recordings[file] = replace(one, events=tuple(sorted(found, key=lambda event: event.onset)))
        return design

    return plant


def fatigue(end: float) -> Plant:
    """One class becomes more frequent over the session, alpha too."""

    def plant(rng: np.random.Generator) -> Design:
        share = np.linspace(1 - end, end, 4)
        labels = [(rng.random(48) < one).astype(int) for one in share]
        design = relabelled(plain(rng), labels, rng)
        for number, one in enumerate(design.recordings.values()):
            t = np.arange(one.n_times) / SFREQ
            one.data[:] += (number * 3e-6 * np.sin(2 * np.pi * 10.3 * t)).astype(np.float32)
        return design

    return plant


def previous_class(share: float) -> Plant:
    """Of three classes the next is mostly the one after the last."""

    def plant(rng: np.random.Generator) -> Design:
        labels = []
        for _ in range(4):
            steps = np.where(rng.random(60) < share, 1, rng.integers(3, size=60))
            labels.append(np.cumsum(steps) % 3)
        return experiment(rng, labels)

    return plant


def twice_in_a_run(close_s: float) -> Plant:
    """Some trials stand in the table twice, again a little later (oversampling)."""

    def plant(rng: np.random.Generator) -> Design:
        design = plain(rng)
        own = [row for row in design.rows if row["label"] == "class 1"]
        design.rows += [
            {**own[i], "onset": round(own[i]["onset"] + close_s, 4), "image": f"again {i}"}
            for i in rng.permutation(len(own))[:30]
        ]
        for row in design.rows:
            row["split"] = "test" if rng.random() < 0.3 else "train"
        return design

    return plant


def long_list(rng: np.random.Generator) -> Design:
    """Many classes, each shown in neighbouring trials of one run."""
    labels = [np.repeat(rng.permutation(10) + 10 * (run % 2), 6) for run in range(4)]
    return experiment(rng, labels)


STEP = np.ones(int(0.3 * SFREQ))
BLINK = np.hanning(int(0.35 * SFREQ))
SLOW = np.hanning(int(0.9 * SFREQ))
MUSCLE = np.random.default_rng(5).standard_normal(int(0.5 * SFREQ))

OUTSIDE: dict[str, Leak] = {
    "copy, channels permuted": Leak(copied(permuted), COPY),
    "copy, reversed in time": Leak(copied(reversed_in_time), COPY),
    "copy, a channel interpolated, rounded": Leak(copied(one_missing), COPY),
    "copy, below 6 Hz only": Leak(copied(slow_only), COPY),
    "copy, bipolar and cut by 3 s": Leak(copied(bipolar_and_cut), COPY),
    "copy, at the end of a longer file": Leak(copied(joined), COPY),
    "copy, as much noise": Leak(copied(noisy), COPY),
    **{
        f"picture again, {name}": Leak(
            disguised_pictures(change), ("same picture under two names",), "given-split", pictures=True
        )
        for name, change in {
            "JPEG of quality 15": jpeg,
            "cropped by 2 pixels": cropped(2),
            "cropped by 8 pixels": cropped(8),
            "framed": framed,
            "upside down": upside_down,
            "turned": turned,
            "negative": negative,
            "grey": grey,
        }.items()
    },
    "trigger after 15 ms, 30 uV": Leak(artefact(STEP, 0.016, (0, 0, 3e-5, 0)), TRIGGER),
    "trigger after 23 ms, 15 uV": Leak(artefact(STEP, 0.0235, (0, 0, 1.5e-5, 0)), TRIGGER),
    "trigger of 8 ms after 15 ms": Leak(artefact(np.ones(1), 0.016, (0, 3e-5, 0, 0)), TRIGGER),
    "trigger spread over two, opposite": Leak(artefact(STEP, 0.0, (5e-6, -5e-6, 0, 0)), TRIGGER),
    "trigger in a third of the trials": Leak(artefact(STEP, 0.0, (0, 0, 0, 6e-5), 0.33), TRIGGER),
    "trigger in both, opposite, 10 uV": Leak(artefact(STEP, 0.0, (0, 0, 0, 1e-5), both=True), TRIGGER),
    "light sensor, no lag": Leak(photodiode(0.0), TRIGGER, one=True),
    "light sensor, lag of 20 ms": Leak(photodiode(0.02), TRIGGER, one=True),
    "blinks with one class": Leak(artefact(BLINK, 0.15, (0, 1e-4, 1e-4, 0), 0.8), MUSCLE_OR_EYE, one=True),
    "blinks with one class, in a third of its trials": Leak(
        artefact(BLINK, 0.15, (0, 1e-4, 1e-4, 0), 0.35), MUSCLE_OR_EYE
    ),
    "jaw with one class": Leak(artefact(MUSCLE, 0.1, (3e-5, 0, 0, 3e-5)), MUSCLE_OR_EYE),
    "gaze to a side by class": Leak(artefact(STEP, 0.18, (0, 3e-5, -3e-5, 0), both=True), MUSCLE_OR_EYE),
    "slow wave before the picture": Leak(artefact(SLOW, -0.8, (8e-6, 8e-6, 8e-6, 8e-6)), ("before the picture",)),
    "interval after the picture": Leak(interval_after(0.3), ("class against interval",)),
    "interval after the picture, 60 ms": Leak(interval_after(0.06), ("class against interval",)),
    "cue, told by when": Leak(cue_event("when"), ("cue before the picture",)),
    "cue, two events back": Leak(cue_event("two back"), ("cue before the picture",)),
    "fatigue": Leak(fatigue(0.9), ("class against recording block",)),
    "fatigue, 0.3 to 0.7": Leak(fatigue(0.72), ("class against recording block",)),
    "previous class of three": Leak(previous_class(0.6), ("class against order",)),
    "previous class of three, weak": Leak(previous_class(0.4), ("class against order",)),
    "trials twice, 8 ms later": Leak(twice_in_a_run(0.008), ("overlapping windows",), "given-split"),
    "trials twice, 200 ms later": Leak(twice_in_a_run(0.2), ("overlapping windows",), "given-split"),
    "ABBA": Leak(ordered(lambda rng, n: np.array([0, 1, 1, 0])[np.arange(n) % 4]), ("class against order",), one=True),
    "classes six times in a row": Leak(long_list, ("class against time", "class against order")),
}

ALL = LEAKS | OUTSIDE
