"""Checks of config fields against bounds, so that a mistyped or hostile file cannot make us allocate for ever."""

import math
from dataclasses import fields
from typing import Any

Bound = tuple[float, float] | tuple[str, ...]
MAX_WEIGHTS = 1 << 29  # 2 GiB in single precision


def check_eeg(eeg: Any, config: Any) -> None:
    """Raise ValueError where eeg is not (batch, config.n_channels, config.n_times)."""
    if eeg.ndim != 3 or tuple(eeg.shape[1:]) != (config.n_channels, config.n_times):
        raise ValueError(
            f"eeg has shape {tuple(eeg.shape)}; this encoder takes (batch, {config.n_channels}, {config.n_times})."
        )


def check_window(config: Any, least: int, because: str) -> None:
    """Raise ValueError where config.n_times is below the least number of samples, which `because` explains."""
    if config.n_times < least:
        raise ValueError(
            f"{type(config).__name__}.n_times is {config.n_times} samples; {because} need at least {least}. "
            "Take a longer window, a higher rate, or smaller sizes."
        )


def check_weights(config: Any, n_weights: int) -> None:
    """Raise ValueError where fields that are each within bounds make a network of more weights than are allowed."""
    if n_weights > MAX_WEIGHTS:
        raise ValueError(
            f"{type(config).__name__} asks for {n_weights:,} weights ({config.n_channels} channels x {config.n_times} "
            f"samples among its sizes); at most {MAX_WEIGHTS:,}. Take a lower rate, fewer channels or smaller layers."
        )


def check_fields(config: Any, skipped: tuple[str, ...] = (), **bounds: Bound) -> None:
    """Check the type of each field of a dataclass and that it lies within its bounds, ends included.

    Numbers and tuples of integers take a (lowest, highest) pair, texts the tuple of allowed words; booleans need none.
    skipped: fields that are checked elsewhere.
    Raises ValueError naming the field, what was given and what is allowed.
    """
    for field in fields(config):
        if field.name in skipped:
            continue
        value = getattr(config, field.name)
        where = f"{type(config).__name__}.{field.name}"
        if field.type is bool:
            if not isinstance(value, bool):
                raise ValueError(f"{where} is {value!r}; it must be true or false.")
            continue
        bound = bounds[field.name]
        if field.type is str:
            if value not in bound:
                raise ValueError(f"{where} is {value!r}; known: {', '.join(map(str, bound))}.")
            continue
        low, high = float(bound[0]), float(bound[1])
        if field.type is int:
            check_number(where, value, low, high, whole=True)
        elif field.type is float:
            check_number(where, value, low, high, whole=False)
        else:
            if not isinstance(value, tuple) or not value:
                raise ValueError(f"{where} is {value!r}; it must be a non-empty list of whole numbers.")
            for item in value:
                check_number(where, item, low, high, whole=True)


def check_number(where: str, value: Any, low: float, high: float, *, whole: bool) -> None:
    """Raise ValueError where a value is no number, or outside its bounds."""
    kinds = (int,) if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not math.isfinite(value) or not low <= value <= high:
        kind = "a whole number" if whole else "a number"
        raise ValueError(f"{where} is {value!r}; it must be {kind} from {low:g} to {high:g}.")
