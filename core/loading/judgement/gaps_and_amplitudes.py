"""Mending gaps, setting aside bad channels, and refusing amplitudes that are not those of EEG."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ...formats.contract.signals import Signals
from ...formats.contract.units import VOLTS
from ...recording import Event

SHORT_GAP_S = 0.1
# robust standard deviations after a 0.5 Hz high-pass, in uV; EEG lies between 1 and 200. A channel beyond the first two
# is bad; a recording whose median channel lies beyond PLAUSIBLE_UV is refused, unless the user says the unit
LEAST_UV, MOST_UV = 0.01, 5000.0
PLAUSIBLE_UV = (0.1, 2000.0)
USUAL_UV = (0.5, 500.0)
# what a recording's float32 cannot hold is missing like what is no number
_MOST = float(np.finfo(np.float32).max)
_BLOCKS, _BLOCK_S = 12, 5.0
_GLANCE = 1024
# of a long recording's stretches every fourth sample on average makes the quartiles
_SHARE = 4


def mend_gaps(signals: Signals) -> tuple[Signals, dict[str, str], list[str]]:
    """Interpolate missing samples up to 0.1 s, set aside channels that are mostly missing, cut longer gaps out.

    Returns the signals (events and segments moved with the cuts), the channels set aside with the reason, and what
    was mended in words.
    """
    # also False for what is no number
    if all(row.min(initial=0) >= -_MOST and row.max(initial=0) <= _MOST for row in signals.data):
        return signals, {}, []
    missing = ~(np.abs(signals.data) <= _MOST)
    shares = missing.mean(axis=1)
    bad = {
        name: f"bad: {share:.0%} of its samples are missing (NaN)"
        for name, share in zip(signals.ch_names, shares, strict=True)
        if share > 0.5 and not np.all(shares > 0.5)
    }
    rows = [i for i, name in enumerate(signals.ch_names) if name not in bad]
    data, missing = signals.data[rows].copy(), missing[rows]
    n_times, limit = data.shape[1], round(SHORT_GAP_S * signals.sfreq)
    said: list[str] = []
    cut = np.zeros(n_times, dtype=bool)
    # a gap is not mended across the edge of a segment
    edges = np.asarray(signals.segments)
    for name, row, gone in zip((signals.ch_names[i] for i in rows), data, missing, strict=True):
        n_short = 0
        for start, stop in _runs(gone):
            at_edge = start == 0 or stop == n_times or bool(((edges >= start) & (edges <= stop)).any())
            if stop - start <= limit and not at_edge:
                row[start:stop] = np.interp(np.arange(start, stop), [start - 1, stop], [row[start - 1], row[stop]])
                n_short += 1
            else:
                cut[start:stop] = True
        if n_short:
            said.append(f"{name}: {n_short} gaps of at most {SHORT_GAP_S:g} s filled by a straight line")
    kept = replace(
        signals,
        data=data,
        ch_names=[signals.ch_names[i] for i in rows],
        ch_types=[signals.ch_types[i] for i in rows],
        units=[signals.units[i] for i in rows],
        positions=None if signals.positions is None else signals.positions[rows],
    )
    if cut.any():
        kept, sentence = _without(kept, cut)
        said.append(sentence)
    return kept, bad, said


def _without(signals: Signals, cut: np.ndarray) -> tuple[Signals, str]:
    """Return signals without the samples marked in `cut`; what follows a cut is a new segment."""
    stay = ~cut
    gaps = _runs(cut)
    new_index = np.concatenate([[0], np.cumsum(stay)])
    starts = {0, *(int(new_index[start]) for start in signals.segments), *(int(new_index[stop]) for _, stop in gaps)}
    events, lost = [], 0
    for event in signals.events:
        sample = int(event.onset * signals.sfreq + 1e-6)
        if 0 <= sample < cut.size and cut[sample]:
            lost += 1
            continue
        before = min(max(sample, 0), cut.size)
        shift = (before - int(new_index[before])) / signals.sfreq
        events.append(Event(event.onset - shift, event.duration, event.label))
    n_left = int(stay.sum())
    sentence = (
        f"{len(gaps)} gaps, {cut.sum() / signals.sfreq:.3g} s in all, cut out: the recording is in segments there"
    )
    if lost:
        sentence += f"; {lost} events inside them are gone"
    segments = tuple(sorted(start for start in starts if start == 0 or start < n_left))
    return replace(signals, data=signals.data[:, stay], events=events, segments=segments), sentence


def robust_uv(data: np.ndarray, sfreq: float, segments: tuple[int, ...] = (0,)) -> np.ndarray:
    """Return each row's robust standard deviation (IQR / 1.349) in uV after a 0.5 Hz high-pass; `data` in volts.

    Long recordings are judged by 12 stretches of 5 s spread over them, so that an hour costs what a minute does.
    """
    from scipy.signal import butter, sosfiltfilt

    n_times = data.shape[1]
    sos = butter(2, min(0.5, 0.2 * sfreq), "highpass", fs=sfreq, output="sos")
    spans = list(zip(segments, (*segments[1:], n_times), strict=True))
    block = max(int(_BLOCK_S * sfreq), 1)
    long = n_times > _BLOCKS * block
    if long:
        spans = [
            (start + at, min(start + at + block, stop)) for start, stop in spans for at in range(0, stop - start, block)
        ]
        spans = [spans[i] for i in np.linspace(0, len(spans) - 1, min(len(spans), _BLOCKS * 5)).astype(int)]
        spans = spans[:: max(1, sum(b - a for a, b in spans) // (_BLOCKS * block))]
    pieces = []
    rng = np.random.default_rng(0)
    for start, stop in spans:
        if stop - start < 4:
            continue
        # at random: at even steps line noise can meet the same two phases again and again
        picked = np.flatnonzero(rng.random(stop - start) * _SHARE < 1) if stop - start > 64 and long else slice(None)
        piece = data[:, start:stop]
        piece = piece - np.median(piece[:, :: _SHARE if long else 1], axis=1, keepdims=True)
        pieces.append(sosfiltfilt(sos, piece, axis=1, padlen=min(int(sfreq), stop - start - 1))[:, picked])
    if not pieces:
        return np.ptp(data, axis=1) * 1e6
    joined = np.concatenate(pieces, axis=1)
    low, high = np.percentile(joined, [25, 75], axis=1)
    return (high - low) / 1.349 * 1e6


def judge_amplitudes(path: Path, signals: Signals, unit: str, units_text: str, *, sure: bool = False) -> dict[str, str]:
    """Return the channels to set aside as flat or absurd, with the reason.

    sure: the user said the unit (or it was judged before), so that only the impossible is refused. Raises ValueError
    where the median channel is not EEG (units wrong, or everything flat), naming the file, the channel, the value seen,
    the likely cause and the option that settles it.
    """
    # numbers that no amplifier gives overflow on the way, and are infinitely far from EEG
    with np.errstate(over="ignore", invalid="ignore"):
        constant = np.array([_is_constant(row) for row in signals.data])
        spread = robust_uv(signals.data, signals.sfreq, signals.segments)
    spread = np.where(np.isfinite(spread), spread, np.inf)
    if constant.all():
        raise ValueError(
            f"{path}: every channel is flat ({', '.join(signals.ch_names[:8])}): nothing was connected, or the "
            "recording is empty"
        )
    alive = ~constant
    middle = float(np.median(spread[alive]))
    least, most = (LEAST_UV, MOST_UV) if sure else PLAUSIBLE_UV
    if not least <= middle <= most:
        with np.errstate(invalid="ignore"):
            away = np.nan_to_num(np.abs(spread - middle), nan=0.0)
        worst = int(np.argmin(np.where(alive, away, np.inf)))
        raise ValueError(
            f"{path}: channel {signals.ch_names[worst]} varies by {spread[worst]:.3g} uV (median over {alive.sum()} "
            f"channels {middle:.3g} uV) after a 0.5 Hz high-pass, where EEG varies by 1 to 200 uV. "
            f"{_likely(middle, unit, units_text)}"
        )
    if not USUAL_UV[0] <= middle <= USUAL_UV[1]:
        signals.notes.append(
            f"channels vary by {middle:.3g} uV (median), where EEG varies by 1 to 200 uV: units right?"
        )
    bad = {}
    for name, value, flat in zip(signals.ch_names, spread, constant, strict=True):
        if flat or value < LEAST_UV * 1e-3:
            bad[name] = "bad: flat"
        elif value < LEAST_UV:
            bad[name] = f"bad: varies by {value:.2g} uV only"
        elif value > MOST_UV:
            bad[name] = f"bad: varies by {value:.3g} uV, where the median channel varies by {middle:.3g} uV"
    if len(bad) == len(signals.ch_names):
        raise ValueError(f"{path}: every channel is bad: {bad}")
    return bad


def _is_constant(row: np.ndarray) -> bool:
    # hardly any row needs to be looked at as a whole
    return bool(np.ptp(row[:_GLANCE]) == 0 and np.ptp(row) == 0)


def _likely(middle_uv: float, unit: str, units_text: str) -> str:
    number = middle_uv * 1e-6 / VOLTS[unit]
    fits = [name for name, volts in VOLTS.items() if name != unit and 0.5 <= number * volts * 1e6 <= 500]
    known = "the file names no unit" if units_text.startswith("inferred") else units_text
    read_as = f"Its numbers were read as {unit} ({known})"
    if fits:
        return f"{read_as}; likely they are {fits[0]}: load it with units={fits[0]!r} (--units {fits[0]})."
    return (
        f"{read_as}, and none of V, mV, uV, nV makes them EEG: likely raw counts of the amplifier, or nothing "
        "connected. If you know the unit, say it with units= (--units)."
    )


def _runs(mask: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
