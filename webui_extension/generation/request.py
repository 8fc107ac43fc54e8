"""What is asked of one generation, however it was asked: in the accordion, by the API, or by a picture's infotext."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from ...core.choices import AVERAGES, EVENTS, FROM_FILE, HOST_NEGATIVES, NONE, STEERING, TIMES, UNITS, check_steering
from ...core.choices import INITS as HEAD_INITS
from ..folders.recordings import PREFIX, Shelf

CHOOSE = (EVENTS, TIMES)
NEGATIVES = tuple(HOST_NEGATIVES)
INITS = (NONE, *HEAD_INITS)
MAX_TEXT = 20_000


@dataclass(frozen=True)
class EegRequest:
    """One generation's EEG, in the accordion's order.

    recording: a reference that `Shelf.find` takes. encoder: a name of the library. choose: "events" (those with
    `label`, `which` of them, averaged as `average` says) or "times" (seconds, a list). mode, strength: as `steer`
    in core takes them. start, end: part of the sampling, 0 to 1, in which the EEG acts. fallback: fall back to the
    prompt as far as the decoder is unsure. negative: the host's own, or the encoder's train mean. init: which head's
    picture img2img starts from. prompts: a rewording of the encoder's prompts, one a line. units: of the file's
    numbers. reading: what else the file does not say, as `core.loading.options` takes it (`sfreq=250;
    channels=Fp1,Fp2`).
    """

    recording: str = ""
    encoder: str = ""
    choose: str = CHOOSE[0]
    label: str = ""
    which: str = ""
    average: str = AVERAGES[0]
    times: str = ""
    mode: str = STEERING[0]
    strength: float = 1.0
    start: float = 0.0
    end: float = 1.0
    fallback: bool = False
    negative: str = NEGATIVES[0]
    init: str = INITS[0]
    prompts: str = ""
    units: str = FROM_FILE
    reading: str = ""

    def __post_init__(self) -> None:
        for name, allowed in CHOICES.items():
            if (given := getattr(self, name)) not in allowed:
                raise ValueError(f"EEG {name}: {given!r} is not known; allowed: {', '.join(allowed)}")
        check_steering(self.mode, self.strength)
        if not 0 <= self.start < self.end <= 1:
            raise ValueError(f"EEG start and end: 0 <= start < end <= 1 is needed, not {self.start:g} to {self.end:g}")


CHOICES: dict[str, tuple[str, ...]] = {
    "choose": CHOOSE,
    "average": AVERAGES,
    "mode": STEERING,
    "negative": NEGATIVES,
    "init": INITS,
    "units": UNITS,
}
FIELDS = tuple(field.name for field in fields(EegRequest))
DEFAULTS = {field.name: field.default for field in fields(EegRequest)}


def from_args(args: Sequence[Any], shelf: Shelf) -> EegRequest | None:
    """Return what a Script's arguments ask for, None where the EEG is off.

    args: `enabled` and then the fields in their order, as the accordion gives them. By the API the first may also be a
    mapping with the fields (`enabled` is then true unless given), or a recording in base64. Raises ValueError naming
    the field that is wrong and what is allowed.
    """
    if not args:
        return None
    first, rest = args[0], dict(zip(FIELDS, args[1:], strict=False))
    if isinstance(first, Mapping):
        given = dict(first)
        if not _flag("enabled", given.pop("enabled", True)):
            return None
        return from_mapping(given, shelf)
    if isinstance(first, str) and first.strip().lower() not in ("true", "false", ""):
        return from_mapping(rest | {"recording": first}, shelf)
    return from_mapping(rest, shelf) if _flag("enabled", first) else None


def from_mapping(given: Mapping[str, Any], shelf: Shelf) -> EegRequest:
    """Return the request that a mapping of fields describes; what is left out has its default.

    `recording` may be a reference, base64, a mapping {"name", "data"} with base64, or a list of such for the files of
    one set. Raises ValueError naming the field that is wrong and what is allowed.
    """
    if unknown := sorted(set(map(str, given)) - set(FIELDS)):
        raise ValueError(f"there is no field {', '.join(unknown)[:200]}; the fields are {', '.join(FIELDS)}")
    found = {name: _typed(name, value) for name, value in given.items() if value is not None and name != "recording"}
    return EegRequest(recording=_reference(given.get("recording"), shelf), **found)


def changed(request: EegRequest, changes: Mapping[str, Any]) -> EegRequest:
    """Return the request with some fields changed, for instance by an axis of a grid."""
    return replace(request, **{name: _typed(name, value) for name, value in changes.items()})


def _reference(given: Any, shelf: Shelf) -> str:
    if given is None or given == "":
        return ""
    if isinstance(given, str):
        looks_like_data = given.startswith("data:") or (len(given) > 300 and not given.startswith(PREFIX))
        if looks_like_data or _is_base64_of_file(given):
            return shelf.keep_base64(given)
        return given
    parts = [given] if isinstance(given, Mapping) else given
    if not isinstance(parts, Sequence) or not all(isinstance(part, Mapping) for part in parts) or not parts:
        raise ValueError('EEG recording: send a reference, base64, or {"name": "a.edf", "data": "<base64>"}')
    for part in parts:
        if set(part) != {"name", "data"} or not all(isinstance(value, str) for value in part.values()):
            raise ValueError('EEG recording: each file is {"name": "a.edf", "data": "<base64>"}, both texts')
    return shelf.keep_base64_set([(part["name"], part["data"]) for part in parts])


def _is_base64_of_file(text: str) -> bool:
    """Tell base64 from the name of a file: names have a dot or a slash, or are short."""
    return len(text) > 100 and "." not in text and not text.startswith(("/", PREFIX))


def _typed(name: str, value: Any) -> Any:
    default = DEFAULTS[name]
    if isinstance(default, bool):
        return _flag(name, value)
    if isinstance(default, float):
        try:
            number = float(value) if not isinstance(value, bool) else math.nan
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise ValueError(f"EEG {name}: a number is needed, not {value!r:.80}")
        return number
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = in_digits(value)
    if not isinstance(value, str):
        raise ValueError(f"EEG {name}: a text is needed, not {json.dumps(value, default=str)[:80]}")
    if len(value) > MAX_TEXT:
        raise ValueError(f"EEG {name}: {len(value)} letters are too many; at most {MAX_TEXT}")
    return value


def in_digits(number: float) -> str:
    """Return a number as text that reads back as the same number, as short as that goes."""
    if isinstance(number, int):
        return str(number)
    short = f"{number:g}"
    return short if float(short) == number else repr(number)


def _flag(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in ("true", "false", ""):
        return value.strip().lower() == "true"
    if value is None or value in (0, 1):
        return bool(value)
    raise ValueError(f"EEG {name}: true or false is needed, not {value!r:.80}")


def unit_of(units: str) -> str | None:
    """Return the unit to read a file's numbers in, None for the file's own."""
    return None if units == FROM_FILE else units
