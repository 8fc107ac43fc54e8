"""The sampling rate that a file states against the one its timestamps tell: drift, lost samples, gaps, lies."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...formats.contract.clock import FASTEST_HZ, GAP_S, MOST_OFF, SLOWEST_HZ, Clock, read_clock, usual_rate
from ...formats.contract.signals import Signals


def settle_rate(path: Path, signals: Signals, given: float | None) -> dict[str, Any]:
    """Set the rate and the segments of `signals`; return what is known of its timing.

    The keys are `stated_hz`, `stated_by` and, with timestamps, `measured_hz` (samples that a counter saw missing are
    counted), `effective_hz` (what arrived, over everything), `drift_ppm`, `gaps`, `gap_s`, and `lost_samples` where a
    counter or gaps tell. Jumps of the stamps become segments. A rate that the user gives is taken; events keep their
    samples. Raises ValueError naming both rates and the option that settles it where the file states one rate and its
    timestamps (or `rates_told`) tell another (more than 1 % apart, beyond what their jitter explains), and where there
    is no rate at all.
    """
    if given is not None and not (math.isfinite(given) and given > 0):
        raise ValueError(f"sfreq={given} (--sfreq) is no rate; it must be above 0 Hz")
    if signals.stamps is not None and len(signals.stamps) != signals.data.shape[1]:
        signals.notes.append(
            f"{len(signals.stamps)} timestamps for {signals.data.shape[1]} samples: they were not used"
        )
        signals.stamps = None
    stated = float(signals.sfreq)
    known = math.isfinite(stated) and stated > 0
    about: dict[str, Any] = {"stated_hz": stated if known else None, "stated_by": signals.sfreq_said}
    clock = None if signals.stamps is None else read_clock(signals.stamps, signals.segments)
    measured = _take_clock(signals, clock, about) if clock is not None else math.nan
    if signals.lost is not None:
        about["lost_samples"] = max(int(signals.lost), about.get("lost_samples", 0))

    slack = max(MOST_OFF, signals.stamps_jitter_s / clock.length) if clock is not None else math.inf
    if given is not None:
        signals.sfreq, about["stated_by"], about["stated_hz"] = float(given), "given", float(given)
        if abs(measured / given - 1) > slack:
            signals.notes.append(f"sfreq={given:g} was given, though its timestamps tell {measured:.5g} Hz")
    elif known and signals.sfreq_said == "declared":
        if clock is not None and abs(measured / stated - 1) > slack:
            raise ValueError(_two_rates(path, stated, "timestamps tell", measured, f" ({clock.length:.4g} s)"))
    elif math.isfinite(measured) and (
        not known or abs(measured / stated - 1) > slack or signals.sfreq_said == "measured"
    ):
        signals.sfreq = usual_rate(measured)
        if known and signals.sfreq_said == "documented":
            signals.notes.append(
                f"its timestamps tell {measured:.5g} Hz, not the {stated:g} Hz that the maker documents: taken"
            )
        about["stated_by"] = "measured"
    elif not known:
        raise ValueError(f"{path}: it states no sampling rate, and no timestamps tell it: say it with sfreq= (--sfreq)")
    _hold_against(path, signals, given)
    if not SLOWEST_HZ <= signals.sfreq <= FASTEST_HZ:
        raise ValueError(
            f"{path}: a sampling rate of {signals.sfreq:g} Hz ({about['stated_by']}), which no EEG has: say it with "
            "sfreq= (--sfreq)"
        )
    if math.isfinite(measured):
        about["drift_ppm"] = round((measured / signals.sfreq - 1) * 1e6)
    if known and signals.sfreq != stated:
        _keep_samples(signals, stated / signals.sfreq)
    return about


def _hold_against(path: Path, signals: Signals, given: float | None) -> None:
    """Raise ValueError where another place in the file or beside it tells another rate; where one is given, note it."""
    for place, rate in signals.rates_told.items():
        if not (math.isfinite(rate) and rate > 0) or abs(rate / signals.sfreq - 1) <= MOST_OFF:
            continue
        if given is None:
            raise ValueError(_two_rates(path, signals.sfreq, f"{place} tells", rate))
        signals.notes.append(f"sfreq={given:g} was given, though its {place} tells {rate:.5g} Hz")


def _two_rates(path: Path, declared: float, told: str, rate: float, more: str = "") -> str:
    return (
        f"{path}: it declares {declared:g} Hz, but its {told} {rate:.5g} Hz{more}. "
        f"Say which is right: sfreq={usual_rate(rate):.5g} or sfreq={declared:g} (--sfreq)"
    )


def _take_clock(signals: Signals, clock: Clock, about: dict[str, Any]) -> float:
    """Put the clock's jumps into the segments, its figures into `about`, and return the rate that it tells."""
    n_times = signals.data.shape[1]
    gaps = [(at, shift) for at, shift in clock.jumps if shift > 0]
    in_gaps = sum(round(shift / clock.period) for _, shift in gaps)
    inside = max((signals.lost or 0) - in_gaps, 0)
    measured = (1 + inside / max(n_times, 1)) / clock.period
    about["measured_hz"] = round(measured, 4)
    if clock.span > 0:
        about["effective_hz"] = round((n_times - 1) / clock.span, 4)
    if clock.jumps:
        signals.segments = tuple(sorted({*signals.segments, *(at for at, _ in clock.jumps)}))
        about["gaps"], about["gap_s"] = len(gaps), round(sum(shift for _, shift in gaps), 3)
        about["lost_samples"] = in_gaps
        back = len(clock.jumps) - len(gaps)
        signals.notes.append(
            f"{len(gaps)} gaps of {GAP_S:g} s and more in the timestamps, {about['gap_s']:g} s in all: the recording "
            "is in segments there" + (f"; {back} times the clock goes back" if back else "")
        )
    return measured


def _keep_samples(signals: Signals, factor: float) -> None:
    """Move events with a rate that was changed: they belong to samples."""

    def moved(events: list) -> list:
        return [replace(event, onset=event.onset * factor, duration=event.duration * factor) for event in events]

    signals.events = moved(signals.events)
    signals.marker_events = {name: moved(events) for name, events in signals.marker_events.items()}
