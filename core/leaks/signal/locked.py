"""Markers locked to nothing: does the EEG answer to the markers, or to a moment seconds away from them?"""

import numpy as np

from ..check import Check, not_checked
from ..evidence.recording_evidence import LOCKED_HZ, LOCKED_WINDOW_S, N_FLIPS
from ..leak_input import LeakInput

NAME = "markers locked to the EEG"
DRAWS, LEVEL = 999, 0.05
FAR = 1.1  # times the strongest of all draws
MIN_EVENTS, MIN_SECONDS = 60, 20.0
AWAY_S = 1.0


def check_locked(given: LeakInput) -> Check:
    """Check that the mean EEG about the markers is stronger than about circularly shifted ones, and nowhere stronger.

    The strength is the power of the mean from 40 to 500 ms after the markers, over channels (global field power). Each
    recording's markers are shifted by themselves.
    """
    known = {name: one for name, one in given.evidence.items() if one.locked.shape[1] >= MIN_SECONDS * LOCKED_HZ}
    n_events = sum(one.n_locked for one in known.values())
    if not known:
        return not_checked(NAME, "the recordings are not at hand, or too short")
    if n_events < MIN_EVENTS:
        return not_checked(NAME, f"{n_events} markers are too few to see an answer to them")
    n_channels = min(one.locked.shape[0] for one in known.values())
    means = [one.locked[:n_channels].astype(np.float64) for one in known.values()]
    weights = [one.n_locked / n_events for one in known.values()]
    first, last = (round(s * LOCKED_HZ) for s in LOCKED_WINDOW_S)
    rng = np.random.default_rng([given.seed, 9])

    def power(parts: list[np.ndarray]) -> float:
        total = sum(weight * part for weight, part in zip(weights, parts, strict=True))
        return float(((total - np.mean(total, axis=1, keepdims=True)) ** 2).mean())

    def strength(shifts: list[int]) -> float:
        here = np.arange(first, last)
        return power([mean.take(here + shift, axis=1, mode="wrap") for mean, shift in zip(means, shifts, strict=True)])

    observed = strength([0] * len(means))
    # what a trial holds later on, such as its end, may be answered more than its onset: that is not elsewhere
    away = round(max(AWAY_S, _usual_interval(given)) * LOCKED_HZ)
    away = min(away, min(mean.shape[1] for mean in means) // 3)
    drawn = np.array(
        [strength([int(rng.integers(away, mean.shape[1] - away)) for mean in means]) for _ in range(DRAWS)]
    )
    p = (1 + (drawn >= observed).sum()) / (1 + DRAWS)
    # markers at even intervals are as good as any shifted ones; half of the answers upside down leave nothing of them
    flips = [one.flipped[:, :n_channels] for one in known.values()]
    upside = [power([flip[rng.integers(N_FLIPS)] for flip in flips]) for _ in range(DRAWS)]
    p = min(p, LEVEL) if observed > FAR * max(upside) else p
    reach = min(round(30 * LOCKED_HZ), min(mean.shape[1] for mean in means) // 3)
    shifts = [shift for shift in range(-reach, reach + 1, 2) if abs(shift) >= away]
    elsewhere = np.array([strength([shift] * len(means)) for shift in shifts])
    best, where = (float(elsewhere.max()), shifts[int(elsewhere.argmax())] / LOCKED_HZ) if shifts else (0.0, 0.0)
    within = max(strength([shift] * len(means)) for shift in range(0, away + 1, 2))
    usual = max(float(np.median(drawn)), 1e-30)
    figures = f"{observed / usual:.1f} times what shifted markers have, p = {p:.2g}; {n_events} markers"
    told = f"strongest {where:+.1f} s from them, {best / usual:.1f} times"
    stands_out = best > 2 * np.quantile(elsewhere, 0.9) and best > np.quantile(drawn, 0.99) if shifts else False
    if p > LEVEL:
        also = f"; {told}" if stands_out else ""
        return Check(NAME, False, float(p), f"No response is locked to these markers ({figures}{also}).")
    if stands_out and best - usual > 2 * (observed - usual) and best > within:
        return Check(
            NAME, False, float(p), f"The EEG answers elsewhere than at these markers ({told}; at them {figures})."
        )
    return Check(NAME, True, float(p), f"The EEG answers to the markers ({figures}).")


def _usual_interval(given: LeakInput) -> float:
    """Return the interval between onsets that few exceed, in seconds."""
    rows = given.used[np.lexsort((given.trials.onset[given.used], given.file[given.used]))]
    apart = np.diff(given.trials.onset[rows])[np.diff(given.file[rows]) == 0]
    return float(np.quantile(apart, 0.8)) if len(apart) else 0.0
