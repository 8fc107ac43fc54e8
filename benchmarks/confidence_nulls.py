"""What `confidence.py` makes of a recording of the encoder's own person so that nothing is decodable."""

from dataclasses import replace

import numpy as np

from core.recording import Recording


def shifted(recording: Recording, rng: np.random.Generator) -> Recording:
    """Return the recording with all events moved together, by two seconds at least, round its end."""
    by, length = rng.uniform(2.0, recording.duration - 2.0), recording.duration
    return with_onsets(recording, [(event.onset + by) % length for event in recording.events])


def scattered(recording: Recording, rng: np.random.Generator) -> Recording:
    """Return the recording with its events at any moments."""
    return with_onsets(recording, rng.uniform(0.5, recording.duration - 1.5, len(recording.events)).tolist())


def with_onsets(recording: Recording, onsets: list[float]) -> Recording:
    events = [replace(event, onset=onset) for event, onset in zip(recording.events, onsets, strict=True)]
    return replace(recording, events=tuple(sorted(events, key=lambda event: event.onset)))


def white_noise(recording: Recording, rng: np.random.Generator) -> Recording:
    """Return white noise as strong as the recording's channels."""
    spread = recording.data.std(axis=1, keepdims=True)
    return replace(recording, data=(spread * rng.standard_normal(recording.data.shape)).astype(np.float32))


def pink_noise(recording: Recording, rng: np.random.Generator) -> Recording:
    """Return noise with each channel's own spectrum, its phases drawn anew: as like as noise can be."""
    spectrum = np.fft.rfft(recording.data.astype(np.float64), axis=1)
    turned = np.abs(spectrum) * np.exp(2j * np.pi * rng.random(spectrum.shape))
    return replace(recording, data=np.fft.irfft(turned, recording.n_times, axis=1).astype(np.float32))


def channels_shuffled(recording: Recording, rng: np.random.Generator) -> Recording:
    """Return the recording with its channels' data at other channels, none at its own, and not each at that of the
    other side: what both sides do alike stays decodable then.
    """
    n = recording.n_channels
    order, mirrored = np.arange(n), mirror(recording.ch_names)
    while (order == np.arange(n)).any() or (order == mirrored).all():
        order = rng.permutation(n)
    return replace(recording, data=np.ascontiguousarray(recording.data[order]))


def another_montage(recording: Recording, rng: np.random.Generator) -> Recording:
    """Return the recording with its channels named in another order: each by the name of one so many further on."""
    by = int(rng.integers(1, recording.n_channels))
    return replace(recording, data=np.ascontiguousarray(np.roll(recording.data, by, axis=0)))


def sides_swapped(recording: Recording, rng: np.random.Generator) -> Recording:
    """Return the recording with left and right electrodes exchanged."""
    return replace(recording, data=np.ascontiguousarray(recording.data[mirror(recording.ch_names)]))


def mirror(names: tuple[str, ...]) -> np.ndarray:
    """Return where each channel's counterpart on the other side stands, its own place where there is none: odd numbers
    of the 10-20 system are left, the next even ones right.
    """
    found: list[int] = []
    for place, name in enumerate(names):
        letters = name.rstrip("0123456789")
        number = int(name[len(letters) :] or 0)
        other = f"{letters}{number + 1 if number % 2 else number - 1}"
        found.append(names.index(other) if number and other in names else place)
    return np.array(found)


MIRRORED = "left and right swapped"

# What is made, by its name; draws of what stands under REARRANGED are of one brain's noise
MADE = {
    "time-shifted": shifted,
    "random moments": scattered,
    "white noise": white_noise,
    "pink noise": pink_noise,
    "channels shuffled": channels_shuffled,
    "another montage": another_montage,
    MIRRORED: sides_swapped,
}
REARRANGED = ("channels shuffled", "another montage", MIRRORED)
