"""Excerpts of long recordings, and how far the mains stand out of a recording's spectrum."""

from dataclasses import replace

import numpy as np

from core.plots.power_spectrum import power_spectrum
from core.recording import Recording

MAINS = (50.0, 60.0)
NEAR_HZ, FROM_HZ, TO_HZ = 0.75, 1.5, 5.0  # the line itself, and where its neighbours lie on both sides
STRETCH_S, WINDOW_S = 12.0, 4.0
STRONG_DB = 10.0


def excerpt(recording: Recording, seconds: float = 180.0) -> Recording:
    """Return stretches of twelve seconds spread evenly over a recording, each a segment; a shorter one as it is.

    Events are left out. What takes minutes for an hour then takes seconds.
    """
    if recording.duration <= seconds:
        return recording
    length = max(round(STRETCH_S * recording.sfreq), 1)
    starts = [(at, min(at + length, end)) for begin, end in recording.spans for at in range(begin, end, length)]
    if max(stop - start for start, stop in starts) >= length:
        starts = [span for span in starts if span[1] - span[0] >= length]
    wanted = max(1, round(seconds * recording.sfreq / max(np.mean([stop - start for start, stop in starts]), 1)))
    chosen = [starts[i] for i in np.unique(np.linspace(0, len(starts) - 1, min(wanted, len(starts))).astype(int))]
    edges = np.concatenate([[0], np.cumsum([stop - start for start, stop in chosen])])
    data = np.concatenate([recording.data[:, start:stop] for start, stop in chosen], axis=1)
    return replace(recording, data=data, events=(), segments=tuple(int(edge) for edge in edges[:-1]))


def line_noise(recording: Recording) -> dict[str, dict[str, float | str] | None]:
    """Return for 50 and 60 Hz the power over that of the neighbouring frequencies in dB: median and worst channel.

    0 dB is no line at all. None where the recording's rate does not hold the frequencies about the line, or no stretch
    is long enough to tell them apart.
    """
    few = excerpt(recording)
    found: dict[str, dict[str, float | str] | None] = {}
    try:
        freqs, power = power_spectrum(few, WINDOW_S)
    except ValueError:
        return {f"{line:g}": None for line in MAINS}
    for line in MAINS:
        off = np.abs(freqs - line)
        near, beside = off <= NEAR_HZ, (off >= FROM_HZ) & (off <= TO_HZ)
        if freqs[1] > NEAR_HZ or line + FROM_HZ > freqs[-1] or not near.any() or beside.sum() < 3:
            found[f"{line:g}"] = None
            continue
        floor = np.maximum(np.median(power[:, beside], axis=1), 1e-30)
        over = 10 * np.log10(np.maximum(power[:, near].mean(axis=1), 1e-30) / floor)
        worst = int(over.argmax())
        found[f"{line:g}"] = {
            "median_db": round(float(np.median(over)), 2),
            "worst_db": round(float(over[worst]), 2),
            "worst_channel": recording.ch_names[worst],
        }
    return found
