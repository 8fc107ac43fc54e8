"""The quality of a folder of recordings that was cut into a trial store: what was kept, what it is worth, and leaks."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from fractions import Fraction
from typing import Any

import numpy as np

from core.files import write_atomically
from core.leaks import check as leak_check
from core.leaks.evidence.windows_before import LEAST_S, seconds_before, windows_before
from core.leaks.registry import run_checks
from core.montage import map_channels
from core.preprocessing.config import PreprocessingConfig
from core.preprocessing.trials import Trials
from core.recording import Recording

from ..evaluation.leaks.store_checks import leak_input
from ..store.dataset import Session
from ..store.store import TrialStore, plain, without_numbers
from .decodability import MAX_TRIALS, Decodability, decode_labels
from .line_noise import line_noise

QUALITY = "quality.json"
DECODED_SFREQ = 128.0  # answers to pictures end below 45 Hz
THRESHOLDS_UV = (75.0, 100.0, 150.0, 200.0)
ODD = 3.0  # times the usual amplitude of the channels, or a third of it
LEVEL = 0.05


def write_quality(
    store: TrialStore,
    sessions: Sequence[Session],
    left_out: dict[str, str] | None = None,
    *,
    jobs: int = 1,
    seed: int = 0,
) -> dict[str, Any]:
    """Measure the quality of a store's recordings, write quality.json into the store and return it.

    sessions: those the store was made of, which are read once more as they are: line noise and the time before a
    picture are not in the store. left_out: what in the folder is no recording of the store, with the reason.
    """
    from joblib import Parallel, delayed

    trials = store.trials()
    keys = store.recordings()
    wanted = [session for session in sessions if session.key in store.info["sessions"]]
    # a recording that has left the folder since is in the store, but cannot be looked at
    chosen = np.flatnonzero(np.isin(keys, [session.key for session in wanted]))
    if len(chosen) > MAX_TRIALS:
        chosen = chosen[np.linspace(0, len(chosen) - 1, MAX_TRIALS).astype(int)]
    seconds = max(store.config.tmax - max(store.config.tmin, 0.0), 0.0)
    # joblib's types do not say what its jobs return
    looked: Any = Parallel(n_jobs=jobs)(
        delayed(_look)(session, store.config, trials.onset[chosen[keys[chosen] == session.key]], seconds)
        for session in wanted
    )
    found = {session.key: one for session, one in zip(wanted, looked, strict=True)}
    before = _joined([found[key]["before"] for key in sorted(found)])
    recordings = {
        key: {**_of_entry(entry), **found.get(key, {}).get("about", {})}
        for key, entry in sorted(store.info["sessions"].items())
    }
    report: dict[str, Any] = {
        "recordings": recordings,
        "channels": _channels(store, trials, recordings),
        "trials": _trials(store, trials),
        "left_out": {**(left_out or {}), **store.info["failed"]},
    }
    report |= _worth(trials, chosen, store.config, before, seconds, seed)
    report["checks"] = [asdict(check) for check in run_checks(leak_input(store, trials, seed=seed))]
    simulated = any("simulated" in note for one in report["recordings"].values() for note in one["notes"])
    report["simulated"] = simulated
    report = {"verdict": verdict(report), **report}
    with write_atomically(store.folder / QUALITY) as beside:
        beside.write_text(json.dumps(_finite(plain(report)), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return report


def verdict(report: dict[str, Any]) -> str:
    """Return in one line what the leak checks found, and whether the labels can be decoded."""
    before, after = report["before"], report["after"]
    phantom = "Phantom, simulated EEG. " if report.get("simulated") else ""
    first = phantom + leak_check.verdict(report["checks"])
    if after["value"] is None:
        return f"{first} Decodability was not measured ({after['note']})."
    if before["value"] is not None:
        first += f" Before the picture ROC-AUC is {before['value']:.3f} (p = {before['p_value']:.2g})."
    told = "the labels can be decoded" if after["p_value"] <= LEVEL else "THE LABELS CANNOT BE TOLD APART"
    return f"{first} After it {after['value']:.3f} (p = {after['p_value']:.2g}): {told}."


def _look(session: Session, config: PreprocessingConfig, onsets: np.ndarray, seconds: float) -> dict[str, Any]:
    """Return what one recording tells: its facts, and the windows before its pictures with how long they could be."""
    recording, _ = session.load()
    room = seconds_before(recording, onsets) if len(onsets) else np.zeros(0)
    length = seconds
    if len(room):  # epochs begin shortly before their picture: then what most of them have is looked at
        length = min(seconds, float(np.quantile(room, 0.2)))
    rate = min(config.sfreq, DECODED_SFREQ)
    windows = None
    if length >= LEAST_S and len(onsets):
        windows = windows_before(recording, onsets, config, length, rate)
    return {"about": _about(recording, config), "before": (windows, length, rate, len(onsets))}


def _about(recording: Recording, config: PreprocessingConfig) -> dict[str, Any]:
    places = None if config.ch_positions is None else np.asarray(config.ch_positions)
    mapped = map_channels(
        recording.ch_names, config.ch_names, recording.ch_positions, places, min_matched=config.min_matched_channels
    )
    return {
        "interpolated": list(mapped.interpolated),
        "unused": list(mapped.unused),
        "duration_s": round(recording.duration, 3),
        "segments": len(recording.segments),
        "sfreq": recording.sfreq,
        "line_noise": line_noise(recording),
    }


def _joined(parts: list[tuple[np.ndarray | None, float, float, int]]) -> tuple[np.ndarray | None, float, str]:
    """Return the windows before all onsets, cut to the length that every recording has, that length, and why not."""
    lengths = [length for windows, length, _, n in parts if n]
    if not lengths:
        return None, 0.0, "there are no trials"
    length = min(lengths)
    if length < LEAST_S:
        return None, length, f"only {max(length, 0):.3g} s lie before the onsets"
    rate = parts[0][2]
    n_times = max(int(length * rate + 1e-6), 1)
    joined = [windows[:, :, -n_times:] for windows, _, _, n in parts if n and windows is not None]
    return np.concatenate(joined), length, ""


def _worth(
    trials: Trials,
    chosen: np.ndarray,
    config: PreprocessingConfig,
    before: tuple[np.ndarray | None, float, str],
    seconds: float,
    seed: int,
) -> dict[str, Any]:
    """Return decodability after and before the picture."""
    columns = trials.select_columns(np.arange(len(trials))).select(chosen)
    run = columns.groups("subject", "session", "run", "block")
    names = [columns.run[i] or columns.block[i] or "recording" for i in run[0]]
    names = names if len(set(names)) == len(names) else [f"{name} ({i + 1})" for i, name in enumerate(names)]
    label, person, part, onset = columns.label, columns.subject, np.array(names)[run[1]], columns.onset
    windows, length, why = before
    after = Decodability(None, note="the window ends before the onset")
    if seconds >= LEAST_S:
        first = max(round((0.0 - config.tmin) * config.sfreq), 0)
        shown = _resampled(np.asarray(trials.eeg[chosen])[:, :, first:], config.sfreq)
        after = decode_labels(shown, label, trials.labels, person, part, onset, seconds, seed)
    earlier = Decodability(None, note=why)
    if windows is not None:
        there = np.isfinite(windows).all(axis=(1, 2))
        columns_there = (label[there], trials.labels, person[there], part[there], onset[there])
        earlier = decode_labels(windows[there], *columns_there, length, seed)
    return {
        "after": {**after.to_dict(), "window_s": [max(config.tmin, 0.0), config.tmax]},
        "before": {**earlier.to_dict(), "window_s": [-length, 0.0]},
    }


def _resampled(windows: np.ndarray, sfreq: float) -> np.ndarray:
    from scipy.signal import resample_poly

    if sfreq <= DECODED_SFREQ * 1.5:
        return windows
    ratio = Fraction(DECODED_SFREQ / sfreq).limit_denominator(1000)
    return resample_poly(windows.astype(np.float64), ratio.numerator, ratio.denominator, axis=2, padtype="line")


def _of_entry(entry: dict[str, Any]) -> dict[str, Any]:
    """Return what the store knows of one recording."""
    source = entry["recording"]
    return {
        "file": source.get("file", ""),
        "format": source.get("format", ""),
        "units": source.get("units", ""),
        "timing": source.get("timing", {}),
        "dropped": source.get("dropped", {}),
        "repaired": list(source.get("repaired", [])),
        "notes": [str(note) for note in source.get("notes", [])],
        "kept": entry["n_trials"],
        "rejected": dict(Counter(without_numbers(trial["reason"]) for trial in entry["rejected"])),
    }


def _channels(store: TrialStore, trials: Trials, recordings: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the channels that were kept, how large each is, and which were not and why, with how many recordings."""
    dropped: dict[str, Counter] = {}
    interpolated: Counter = Counter()
    for one in recordings.values():
        for name, reason in one["dropped"].items():
            dropped.setdefault(reason, Counter())[name] += 1
        for name in one.get("unused", ()):
            dropped.setdefault("not among the store's channels", Counter())[name] += 1
        interpolated.update(one.get("interpolated", ()))
    rows = np.unique(np.linspace(0, len(trials) - 1, min(len(trials), 600)).astype(int))
    usual = np.median(np.asarray(trials.eeg[rows]).std(axis=2), axis=0) * 1e6
    middle = float(np.median(usual))
    odd = [
        f"{name} varies by {value:.3g} uV in a window, the median channel by {middle:.3g} uV"
        for name, value in zip(store.config.ch_names, usual, strict=True)
        if not middle / ODD <= value <= middle * ODD
    ]
    return {
        "kept": list(store.config.ch_names),
        "amplitude_uv": {name: round(float(v), 3) for name, v in zip(store.config.ch_names, usual, strict=True)},
        "dropped": {reason: dict(names) for reason, names in dropped.items()},
        "interpolated": dict(interpolated),
        "odd": odd,
    }


def _trials(store: TrialStore, trials: Trials) -> dict[str, Any]:
    rejected = store.rejected()
    about: dict[str, Any] = {
        "kept": len(trials),
        "rejected": dict(rejected),
        "labels": store.info["label_counts"],
        "window_s": [store.config.tmin, store.config.tmax],
    }
    if store.config.reject_uv is None and len(trials):
        peaks = np.concatenate(
            [np.ptp(np.asarray(trials.eeg[i : i + 256]), axis=2).max(axis=1) for i in range(0, len(trials), 256)]
        )
        about["over_uv"] = {f"{limit:g}": round(float((peaks * 1e6 > limit).mean()), 4) for limit in THRESHOLDS_UV}
    return about


def _finite(value: Any) -> Any:
    """Return JSON values with None where a number is not finite."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
