"""Checks of config fields against bounds, so that a mistyped or hostile file cannot make us allocate for ever."""

import math
from dataclasses import fields
from typing import Any

Bound = tuple[float, float] | tuple[str, ...]


def check_eeg(eeg: Any, config: Any) -> None:
    """Raise ValueError where eeg is not (batch, config.n_channels, config.n_times)."""
    if eeg.ndim != 3 or tuple(eeg.shape[1:]) != (config.n_channels, config.n_times):
        raise ValueError(
            f"eeg has shape {tuple(eeg.shape)}; this encoder takes (batch, {config.n_channels}, {config.n_times})."
        )


def check_fields(config: Any, **bounds: Bound) -> None:
    """Check the type of each field of a dataclass and that it lies within its bounds, ends included.

    Numbers and tuples of integers take a (lowest, highest) pair, texts the tuple of allowed words; booleans need none.
    Raises ValueError naming the field, what was given and what is allowed.
    """
    for field in fields(config):
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
            _check_number(where, value, low, high, whole=True)
        elif field.type is float:
            _check_number(where, value, low, high, whole=False)
        else:
            if not isinstance(value, tuple) or not value:
                raise ValueError(f"{where} is {value!r}; it must be a non-empty list of whole numbers.")
            for item in value:
                _check_number(where, item, low, high, whole=True)


def _check_number(where: str, value: Any, low: float, high: float, *, whole: bool) -> None:
    kinds = (int,) if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not math.isfinite(value) or not low <= value <= high:
        kind = "a whole number" if whole else "a number"
        raise ValueError(f"{where} is {value!r}; it must be {kind} from {low:g} to {high:g}.")
