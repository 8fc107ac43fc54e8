"""Everything that is known of a recording, as plain JSON values and as text."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.choices import BANDS
from core.files import sha256_of
from core.loading.judgement.gaps_and_amplitudes import robust_uv
from core.montage import is_eeg_name
from core.plots.power_spectrum import power_spectrum
from core.recording import Event, Recording

from .line_noise import STRONG_DB, excerpt, line_noise
from .quality_text import rate_text

MAX_LISTED_EVENTS = 10_000
MAX_LABELS = 40
# shown under names of their own
_TOLD = {
    "file", "format", "units", "sfreq", "dropped", "repaired", "timing", "reference", "montage", "n_events", "notes",
    "offsets_uv",
}  # fmt: skip


def facts_of(recording: Recording, path: Path | None = None) -> dict[str, Any]:
    """Return what the loader knows and what a first look tells, as JSON holds it: volts are shown in microvolts.

    path: the file that it was read from, whose size and SHA-256 are told; None for a folder, and for what is in memory.
    """
    source = dict(recording.source)
    few = excerpt(recording)
    spectrum = _spectrum(few)
    noise = line_noise(recording)
    dropped: dict[str, list[str]] = {}
    for name, reason in dict(source.get("dropped", {})).items():
        dropped.setdefault(str(reason), []).append(str(name))
    return _plain(
        {
            "file": source.get("file", "recording"),
            "format": source.get("format", "in memory"),
            "bytes": None if path is None else path.stat().st_size,
            "sha256": None if path is None else sha256_of(path),
            "simulated": is_simulated(recording),
            "n_channels": recording.n_channels,
            "sfreq": recording.sfreq,
            "duration_s": recording.duration,
            "n_times": recording.n_times,
            "segments": _segments(recording),
            "units": source.get("units", ""),
            "reference": source.get("reference", ""),
            "montage": source.get("montage", ""),
            "timing": source.get("timing", {}),
            "channels": _channels(recording, few, spectrum),
            "line_noise": noise,
            "bands": {
                name: round(float(np.median(_band_uv(spectrum, band))), 3)
                for name, band in BANDS.items()
                if spectrum is not None and band[1] <= recording.sfreq / 2
            },
            "dropped": dropped,
            "repaired": [str(sentence) for sentence in source.get("repaired", [])],
            "notes": [str(note) for note in source.get("notes", [])],
            "events": {
                "n": len(recording.events),
                "labels": event_table(recording.events),
                "list": [
                    [round(e.onset, 6), round(e.duration, 6), e.label] for e in recording.events[:MAX_LISTED_EVENTS]
                ],
            },
            "source": {key: value for key, value in source.items() if key not in _TOLD},
        }
    )


def is_simulated(recording: Recording) -> bool:
    """Say whether a recording comes from the phantom."""
    source = recording.source
    said = [str(note) for note in source.get("notes", ())] + [
        str(source.get(key, "")) for key in ("format", "units", "file")
    ]
    return any("simulated" in text for text in said)


def event_table(events: Sequence[Event]) -> list[dict[str, Any]]:
    """Return a row for each label, most frequent first: how many, first, last, usual step between them, in seconds."""
    onsets: dict[str, list[Event]] = {}
    for event in events:
        onsets.setdefault(event.label, []).append(event)
    rows = []
    for label, own in sorted(onsets.items(), key=lambda pair: (-len(pair[1]), pair[0])):
        times = np.sort([event.onset for event in own])
        steps = np.diff(times)
        rows.append(
            {
                "label": label,
                "count": len(own),
                "first_s": round(float(times[0]), 3),
                "last_s": round(float(times[-1]), 3),
                "step_s": round(float(np.median(steps)), 3) if len(steps) else None,
                "least_step_s": round(float(steps.min()), 3) if len(steps) else None,
                "duration_s": round(float(np.median([event.duration for event in own])), 3),
            }
        )
    return rows


def facts_text(facts: dict[str, Any]) -> str:
    """Return the facts in readable lines."""
    phantom = "PHANTOM: simulated EEG, not brain data" if facts["simulated"] else ""
    size = f", {facts['bytes'] / 1e6:.2f} MB" if facts["bytes"] else ""
    found = f", recognised {facts['source']['recognised']}" if facts["source"].get("recognised") else ""
    pieces = facts["segments"]
    channels = facts["channels"]
    removed = [one["offset_removed_uv"] for one in channels if one["offset_removed_uv"] is not None]
    lines = [
        *([phantom] if phantom else []),
        f"{facts['file']} ({facts['format']}{found}{size})",
        f"{facts['n_channels']} channels, {length_text(facts['duration_s'])}, {facts['n_times']} samples at "
        f"{facts['sfreq']:g} Hz"
        + (
            f", in {pieces['n']} segments of {pieces['shortest_s']:.3g} to {pieces['longest_s']:.3g} s"
            if pieces["n"] > 1
            else ""
        ),
        f"channels: {' '.join(one['name'] for one in channels)}",
        f"units: {facts['units'] or 'not said'}",
        f"rate: {rate_text(facts['timing'], facts['sfreq'])}",
        *(f"{key}: {facts[key]}" for key in ("reference", "montage") if facts[key]),
        f"amplitude: {_range([one['amplitude_uv'] for one in channels])} uV robust standard deviation above 0.5 Hz; "
        f"offsets {_range([one['offset_uv'] for one in channels])} uV"
        + (f", after {_range(removed)} uV were taken off" if removed else ""),
    ]
    if facts["bands"]:
        lines.append("bands: " + ", ".join(f"{name} {value:.3g} uV" for name, value in facts["bands"].items()))
    lines.append(f"line noise: {noise_text(facts['line_noise'])}")
    if facts["events"]["n"]:
        lines.append(f"events: {facts['events']['n']}")
        for row in facts["events"]["labels"][:MAX_LABELS]:
            step = f", every {row['step_s']:g} s (median)" if row["step_s"] else ""
            lines.append(f"  {row['label']} x {row['count']}, {row['first_s']:g} to {row['last_s']:g} s{step}")
        if len(facts["events"]["labels"]) > MAX_LABELS:
            lines.append(f"  and {len(facts['events']['labels']) - MAX_LABELS} more labels")
    else:
        lines.append("events: none")
    for reason, names in facts["dropped"].items():
        more = f" and {len(names) - 12} more" if len(names) > 12 else ""
        lines.append(f"dropped {', '.join(names[:12])}{more}: {reason}")
    lines += [f"repaired: {sentence}" for sentence in facts["repaired"]]
    lines += [f"note: {note}" for note in facts["notes"]]
    for key, value in facts["source"].items():
        if key != "recognised" and value not in (None, "", [], {}):
            lines.append(f"{key}: {_short(value)}")
    if facts["sha256"]:
        lines.append(f"sha256: {facts['sha256']}")
    return "\n".join(lines)


def length_text(seconds: float) -> str:
    """Return a length as `1 h 2 min 3 s`, in seconds with two decimals below two minutes."""
    if seconds < 120:
        return f"{seconds:.2f} s"
    hours, rest = divmod(round(seconds), 3600)
    return (f"{hours} h " if hours else "") + f"{rest // 60} min {rest % 60} s"


def noise_text(noise: dict[str, Any]) -> str:
    """Return how far the mains stand out, in words."""
    known = {line: one for line, one in noise.items() if one is not None}
    if not known:
        return "not measured: 50 and 60 Hz lie beyond the recording's band, or no stretch is long enough"
    told = []
    for line, one in known.items():
        strong = ", strong" if one["median_db"] >= STRONG_DB else ""
        told.append(
            f"{line} Hz {one['median_db']:+.1f} dB over its neighbours (median; worst {one['worst_channel']} "
            f"{one['worst_db']:+.1f}{strong})"
        )
    return "; ".join(told)


def _plain(value: Any) -> Any:
    """Return a value as JSON holds it: numbers for numpy's, None for what is not finite, text for whatever else."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(one) for one in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_short(one)}" for key, one in value.items())
    if isinstance(value, list):
        return ", ".join(_short(one) for one in value[:12]) + (
            f" and {len(value) - 12} more" if len(value) > 12 else ""
        )
    return str(value)


def _range(values: list[float]) -> str:
    return f"{min(values):.3g} to {max(values):.3g}" if len(values) > 1 else f"{values[0]:.3g}"


def _segments(recording: Recording) -> dict[str, Any]:
    lengths = [(stop - start) / recording.sfreq for start, stop in recording.spans]
    return {"n": len(lengths), "shortest_s": round(min(lengths), 4), "longest_s": round(max(lengths), 4)}


def _spectrum(few: Recording) -> tuple[np.ndarray, np.ndarray] | None:
    try:
        return power_spectrum(few)
    except ValueError:
        return None


def _band_uv(spectrum: tuple[np.ndarray, np.ndarray] | None, band: tuple[float, float]) -> np.ndarray:
    if spectrum is None:
        return np.zeros(1)
    freqs, power = spectrum
    inside = (freqs >= band[0]) & (freqs <= band[1])
    return np.sqrt(power[:, inside].sum(axis=1) * freqs[1]) * 1e6


def _channels(
    recording: Recording, few: Recording, spectrum: tuple[np.ndarray, np.ndarray] | None
) -> list[dict[str, Any]]:
    spread = robust_uv(recording.data, recording.sfreq, recording.segments)
    removed = dict(recording.source.get("offsets_uv", {}))
    offsets = np.median(few.data, axis=1) * 1e6
    peaks = np.ptp(few.data, axis=1) * 1e6
    bands = {name: _band_uv(spectrum, band) for name, band in BANDS.items() if band[1] <= recording.sfreq / 2}
    own = recording.ch_positions
    rows = []
    for i, name in enumerate(recording.ch_names):
        place = "unknown"
        if own is not None and np.isfinite(own[i]).all():
            place = "in the file"
        elif is_eeg_name(name):
            place = "10-05 system"
        row = {
            "name": name,
            "place": place,
            "amplitude_uv": round(float(spread[i]), 3),
            "offset_uv": round(float(offsets[i]), 3),
            "offset_removed_uv": round(float(removed[name]), 3) if name in removed else None,
            "peak_to_peak_uv": round(float(peaks[i]), 3),
        }
        if spectrum is not None:
            row["bands_uv"] = {band: round(float(values[i]), 3) for band, values in bands.items()}
        rows.append(row)
    return rows
