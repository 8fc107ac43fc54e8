"""What a picture says of the EEG it was drawn from, and how a picture's words fill the accordion again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .request import DEFAULTS, FIELDS, in_digits

if TYPE_CHECKING:
    from .decoded import Decoded

# The names in infotext; a picture names its recording by content and never says where a file lay.
NAMES = {
    "recording": "EEG recording",
    "encoder": "EEG encoder",
    "choose": "EEG windows",
    "label": "EEG label",
    "which": "EEG which",
    "average": "EEG average",
    "times": "EEG times",
    "mode": "EEG mode",
    "strength": "EEG strength",
    "start": "EEG start",
    "end": "EEG end",
    "fallback": "EEG fallback",
    "negative": "EEG negative",
    "init": "EEG init",
    "prompts": "EEG prompts",
    "units": "EEG units",
    "reading": "EEG reading",
}
ALWAYS = ("recording", "encoder", "choose", "mode", "strength")


def version() -> str:
    """Return the extension's version, from pyproject.toml."""
    text = (Path(__file__).resolve().parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    return next(line.split('"')[1] for line in text.splitlines() if line.startswith("version"))


def infotext(decoded: Decoded) -> dict[str, Any]:
    """Return a job's generation parameters; what differs from picture to picture is a function that the host calls."""
    request = decoded.request
    found: dict[str, Any] = {"EEG version": version(), "EEG encoder hash": decoded.encoder_digest}
    for name in FIELDS:
        value = decoded.recording_name if name == "recording" else getattr(request, name)
        if name in ALWAYS or value != DEFAULTS[name]:
            found[NAMES[name]] = in_digits(value) if isinstance(value, float) else quoted(value)
    if request.fallback:
        found["EEG decodable"] = decoded.verdict()
    found["EEG window"] = lambda **given: quoted(decoded.window_text(picture_of(**given)))
    found["EEG embedding"] = lambda **given: decoded.digest_of(picture_of(**given))
    return found


def quoted(value: Any) -> Any:
    """Return a value as its words stand in a picture: where a text begins with a quotation mark, which the host reads
    as one around the whole but does not write, in JSON.
    """
    hosts_own = any(mark in str(value) for mark in ",:\n")
    return json.dumps(value, ensure_ascii=False) if str(value).startswith('"') and not hosts_own else value


def picture_of(p: Any, index: int, all_seeds: Any = None, use_main_prompt: bool = False, **_: Any) -> int:
    """Return which picture of the job the host asks about.

    While it draws, the host hands on the lists of the present batch, and `index` counts from that batch's first; once
    all is drawn, the lists are the whole job's. A grid of all pictures is named by the job's first.
    """
    in_batch = not use_main_prompt and all_seeds is not None and all_seeds is getattr(p, "seeds", None)
    return p.iteration * p.batch_size + index if in_batch else index


def remove_infotext(parameters: dict[str, Any]) -> None:
    """Take our generation parameters out, for a host hands them on from job to job."""
    for name in ("EEG version", "EEG encoder hash", "EEG window", "EEG embedding", "EEG decodable", *NAMES.values()):
        parameters.pop(name, None)


def paste_function(name: str) -> Callable[[Mapping[str, str]], Any]:
    """Return what gives a field's value from a picture's parameters: its default where the picture leaves it out, and
    None (leave the field alone) where the picture has no EEG.
    """

    def value(parameters: Mapping[str, str]) -> Any:
        if NAMES["encoder"] not in parameters:
            return None
        given = parameters.get(NAMES[name])
        if f"{NAMES[name]}-1" in parameters:  # the host takes `64x64` for a size and splits it
            given = "x".join(parameters[f"{NAMES[name]}-{part}"] for part in (1, 2))
        default = DEFAULTS[name]
        if given is None:
            return default
        if isinstance(default, bool):
            return given == "True"
        return float(given) if isinstance(default, float) else given

    return value


def has_eeg(parameters: Mapping[str, str]) -> bool:
    """Return whether a picture's parameters say that it was drawn with EEG; without, pasting switches it off."""
    return NAMES["encoder"] in parameters
