"""Cleaning a recording as a whole: bad channels, reference, filters, rate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from ..channel_groups import named_channels
from ..recording import Recording
from .config import PreprocessingConfig
from .continuous import prepare_continuous

MAX_SAMPLES = 400_000_000  # channels times samples after resampling, 3 GB while it is worked on
AVERAGE = ("average", "common average", "car", "avg")


def clean(
    recording: Recording,
    *,
    bad_channels: str | Sequence[str] = (),
    interpolate: bool = True,
    reference: str = "",
    l_freq: float | None = None,
    h_freq: float | None = None,
    notch: Sequence[float] = (),
    sfreq: float | None = None,
) -> Recording:
    """Return a cleaned copy of a recording, with a sentence in `source` for each thing that was done to it.

    bad_channels: names in any common spelling ("T7, F8"), taken out first, then rebuilt from the others by spherical
    splines, or left out where `interpolate` is False. reference: empty (as recorded), "average", or names ("TP9,
    TP10") whose mean is subtracted. l_freq, h_freq, notch, sfreq: hertz; filters are Butterworth, zero-phase, within
    each segment. Places, events and segments stay. A notch that the recording's rate leaves no room for is skipped with
    a note. Raises ValueError for channels that do not exist or cannot be rebuilt, and frequencies that cannot be.
    """
    bad = named_channels(recording.ch_names, bad_channels)
    good = tuple(name for name in recording.ch_names if name not in bad)
    if not good:
        raise ValueError(f"every channel is named bad ({', '.join(bad)}); at least one must be good")
    rest = recording.pick(good) if bad else recording
    kept = recording if interpolate else rest
    referenced = _reference(reference, kept, bad)
    notches = [float(line) for line in notch]
    _check_frequencies(recording, l_freq, h_freq, notches, sfreq)
    filtered = [line for line in notches if line < recording.sfreq / 2]
    places = (
        None if kept.ch_positions is None else tuple((float(x), float(y), float(z)) for x, y, z in kept.ch_positions)
    )
    config = PreprocessingConfig(
        ch_names=kept.ch_names,
        sfreq=float(sfreq or recording.sfreq),
        tmin=0.0,
        tmax=1 / float(sfreq or recording.sfreq),  # nothing is cut here
        l_freq=l_freq,
        h_freq=h_freq,
        notch=tuple(filtered),
        reference=referenced,
        min_matched_channels=1e-9,
        ch_positions=places,
    )
    prepared = prepare_continuous(rest, config)

    source = {key: value for key, value in prepared.source.items() if key != "prepared"}
    repaired, notes = list(source.get("repaired", [])), list(source.get("notes", []))
    if bad and interpolate:
        repaired.append(f"{', '.join(bad)} rebuilt from the other {len(good)} channels by spherical splines")
    elif bad:
        source["dropped"] = {**source.get("dropped", {}), **dict.fromkeys(bad, "bad channels, left out in cleaning")}
    if referenced != "none":
        source["reference"] = f"average of {kept.n_channels} channels"
        if referenced != "average":
            source["reference"] = ", ".join(referenced)
        notes.append(f"re-referenced to {'the ' * (referenced == 'average')}{source['reference']}")
        if len(referenced) == 1:
            notes.append(f"{referenced[0]} is flat now, as it is the reference")
    notes += _filter_notes(l_freq, h_freq, filtered)
    if skipped := [f"{line:g}" for line in notches if line not in filtered]:
        half = recording.sfreq / 2
        notes.append(f"no notch at {', '.join(skipped)} Hz: half of the recording's rate is {half:g} Hz")
    if config.sfreq != recording.sfreq:
        notes.append(f"resampled from {recording.sfreq:g} to {config.sfreq:g} Hz")
        source["sfreq"] = config.sfreq
    source |= {"repaired": repaired, "notes": notes}
    return replace(prepared, ch_positions=kept.ch_positions, source=source)


def _reference(reference: str, kept: Recording, bad: tuple[str, ...]) -> str | tuple[str, ...]:
    text = reference.strip()
    if text.lower() in ("", "none"):
        return "none"
    if text.lower() in AVERAGE:
        if kept.n_channels < 2:
            raise ValueError(f"an average reference needs two channels or more; there is only {kept.ch_names[0]}")
        return "average"
    try:
        names = named_channels(kept.ch_names + tuple(name for name in bad if name not in kept.ch_names), text)
    except ValueError as error:
        raise ValueError(f"reference: {error}, or `average` for the mean of all channels") from None
    if broken := [name for name in names if name in bad]:
        raise ValueError(f"{', '.join(broken)} cannot be the reference and a bad channel; choose another reference")
    return names


def _check_frequencies(
    recording: Recording, low: float | None, high: float | None, notch: Sequence[float], sfreq: float | None
) -> None:
    for name, value in (
        ("high-pass", low),
        ("low-pass", high),
        ("sampling rate", sfreq),
        *(("notch", n) for n in notch),
    ):
        if value is not None and not (math.isfinite(value) and value > 0):
            raise ValueError(f"the {name} must be above 0 Hz; got {value:g}")
    if low is not None and high is not None and low >= high:
        raise ValueError(f"the high-pass must lie below the low-pass; got {low:g} and {high:g} Hz")
    rates = [(recording.sfreq, "the recording's rate", "or to 0 for none")]
    if sfreq is not None and sfreq < recording.sfreq:
        rates.append((sfreq, "the new sampling rate", f"or the sampling rate above {2 * (high or 0):g} Hz"))
    for rate, whose, instead in rates:
        holds = f"{whose}, {rate:g} Hz, holds only what lies below {rate / 2:g} Hz"
        if high is not None and high >= rate / 2:
            say = f"{0.45 * rate:.3g} Hz, say"
            raise ValueError(f"no low-pass at {high:g} Hz: {holds}. Set the low-pass below that ({say}), {instead}")
        if low is not None and low >= rate / 2:
            raise ValueError(f"a high-pass at {low:g} Hz would leave nothing: {holds}. Set the high-pass below that")
    if (
        sfreq is not None
        and sfreq > recording.sfreq
        and recording.n_channels * recording.duration * sfreq > MAX_SAMPLES
    ):
        raise ValueError(
            f"{recording.n_channels} channels of {recording.duration:.4g} s are too many samples at {sfreq:g} Hz; "
            f"choose a sampling rate near the recording's, {recording.sfreq:g} Hz"
        )


def _filter_notes(low: float | None, high: float | None, notch: Sequence[float]) -> list[str]:
    passed = {
        (True, True): f"{low or 0:g} to {high or 0:g} Hz kept",
        (True, False): f"{low or 0:g} Hz and above kept",
        (False, True): f"{high or 0:g} Hz and below kept",
        (False, False): "",
    }[low is not None, high is not None]
    cut = f"notch at {', '.join(f'{line:g}' for line in notch)} Hz" if notch else ""
    return [f"filtered: {'; '.join(filter(None, (passed, cut)))}"] if passed or cut else []
