"""The quality report of a folder of recordings as lines of text; its first line is the verdict."""

from collections.abc import Sequence
from typing import Any

from .line_noise import STRONG_DB

MAX_RECORDINGS, MAX_NAMES = 40, 12
EFFECTIVE_OFF = 1e-4


def quality_text(report: dict[str, Any]) -> str:
    """Return a report as `recording_quality.write_quality` makes it in readable lines."""
    trials, channels = report["trials"], report["channels"]
    low, high = report["after"]["window_s"]
    early = report["before"]["window_s"][0]
    lines = [
        report["verdict"],
        "",
        "Expected decodability (each run tested by a decoder fitted to the person's other runs)",
        f"  after the picture, {low:g} to {high:g} s      {_decoded(report['after'])}",
        *(f"    {name}: {value:.3f}" for name, value in list(report["after"]["each"].items())[:MAX_RECORDINGS]),
        f"  before the picture, {early:.3g} to 0 s      {_decoded(report['before'])}",
        *(f"  {_mark(check)} {check['sentence'].strip()}" for check in report["checks"]),
        "",
        "Recordings",
        *_recordings(report["recordings"]),
        "",
        f"Channels  {len(channels['kept'])} kept: {_listed(channels['kept'], 40)}",
    ]
    n = len(report["recordings"])
    for reason, names in channels["dropped"].items():
        told = _listed([name if count == n else f"{name} (in {count} of {n})" for name, count in names.items()])
        lines.append(f"  dropped  {told}: {reason}")
    if channels["interpolated"]:
        told = _listed([f"{name} (in {count} of {n})" for name, count in channels["interpolated"].items()])
        lines.append(f"  rebuilt  {told}: missing there, interpolated from the other channels")
    lines += [f"  look at  {sentence}" for sentence in channels["odd"]]
    lines += ["", f"Trials  {trials['kept']} kept, {sum(trials['rejected'].values())} rejected"]
    lines += [f"  rejected  {count} x {reason}" for reason, count in _most(trials["rejected"])]
    if trials.get("over_uv"):
        shares = ", ".join(f"{limit} uV {share:.1%}" for limit, share in trials["over_uv"].items())
        lines.append(f"  no limit was set (--reject-uv); over it would be: {shares}")
    lines.append(f"  labels  {_listed([f'{label} {count}' for label, count in trials['labels'].items()])}")
    for key, one in report["recordings"].items():
        lines += [f"  {key}: {sentence}" for sentence in [*one["repaired"], *one["notes"]]]
    if report["left_out"]:
        lines += ["", "Left out of the folder"]
        lines += [f"  {name}: {reason}" for name, reason in list(report["left_out"].items())[:MAX_RECORDINGS]]
    return "\n".join(lines)


def rate_text(timing: dict[str, Any], sfreq: float | None = None) -> str:
    """Return in a few words what a file states of its rate, what its timestamps tell, and what was lost."""
    stated = timing.get("stated_hz", sfreq)
    told = [f"{stated:g} Hz {timing.get('stated_by', '')}".rstrip() if stated else "no rate"]
    measured, effective = timing.get("measured_hz"), timing.get("effective_hz")
    if measured:
        drift = timing.get("drift_ppm")
        told.append(f"{measured:.3f} Hz measured" + (f" ({drift:+.0f} ppm)" if drift is not None else ""))
    else:
        told.append("no timestamps to measure it by")
    if effective and (not measured or abs(effective / measured - 1) > EFFECTIVE_OFF):
        told.append(f"{effective:.3f} Hz effective, gaps counted")
    if timing.get("gaps"):
        told.append(f"{timing['gaps']} gaps of {timing.get('gap_s', 0):.3g} s in all")
    if timing.get("lost_samples") is not None:
        told.append(f"{timing['lost_samples']} samples lost")
    return ", ".join(told)


def _decoded(one: dict[str, Any]) -> str:
    if one["value"] is None:
        return f"not measured: {one['note']}"
    low, high = one["interval"] if one["interval"] and one["interval"][0] is not None else (float("nan"),) * 2
    note = f"; {one['note']}" if one["note"] else ""
    kind = "ROC-AUC" if len(one["labels"]) == 2 else f"ROC-AUC of {len(one['labels'])} labels, each against the rest,"
    return (
        f"{kind} {one['value']:.3f} (95 % {low:.3f} to {high:.3f}, chance 0.5, p = {one['p_value']:.2g}, "
        f"{one['n_trials']} trials){note}"
    )


def _mark(check: dict[str, Any]) -> str:
    return {True: "passed:", False: "FAILED:", None: "not checked:"}[check["passed"]]


def _recordings(recordings: dict[str, dict[str, Any]]) -> list[str]:
    lines = []
    for key, one in list(recordings.items())[:MAX_RECORDINGS]:
        rejected = sum(one["rejected"].values())
        minutes = one.get("duration_s")
        parts = [
            f"{minutes:.1f} s" if minutes else "",
            f"in {one['segments']} segments" if one.get("segments", 1) > 1 else "",
            rate_text(one["timing"], one.get("sfreq")),
            _mains(one.get("line_noise") or {}),
            f"{one['kept']} trials kept" + (f", {rejected} rejected" if rejected else ""),
        ]
        lines += [f"  {key}", f"    {'; '.join(part for part in parts if part)}"]
    if len(recordings) > MAX_RECORDINGS:
        lines.append(f"  and {len(recordings) - MAX_RECORDINGS} more (quality.json)")
    return lines


def _mains(noise: dict[str, Any]) -> str:
    known = {line: one for line, one in noise.items() if one is not None}
    if not known:
        return "mains not measured (beyond its band, or too short)"
    told = []
    for line, one in known.items():
        strong = " STRONG" if one["median_db"] >= STRONG_DB else ""
        told.append(
            f"{line} Hz {one['median_db']:+.0f} dB{strong} (worst {one['worst_channel']} {one['worst_db']:+.0f})"
        )
    return "line noise " + ", ".join(told)


def _most(counts: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda pair: -pair[1])[:MAX_NAMES]


def _listed(names: Sequence[str], most: int = MAX_NAMES) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
