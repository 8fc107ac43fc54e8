"""What the routes answer: a recording that was kept, and what an encoder says of its windows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..folders.library import Library
from ..folders.recordings import Shelf
from .decoded import load_decoded
from .request import from_mapping

OF_A_PICTURE = ("mode", "strength", "start", "end", "fallback", "negative", "init")


def keep_recording(given: Mapping[str, Any], shelf: Shelf) -> dict[str, Any]:
    """Keep an uploaded recording and say what was read: reference, description, events, channels, rate and length.

    given: `recording` as in `request.from_mapping`, `units` and `reading`. Raises ValueError as reading does.
    """
    from collections import Counter

    from ...core.recording import describe
    from .request import unit_of

    unknown = sorted(set(given) - {"recording", "units", "reading"})
    if unknown or not given.get("recording"):
        raise ValueError(
            f"send `recording` and, where needed, `units` and `reading`; not {', '.join(unknown)[:200] or 'nothing'}"
        )
    request = from_mapping(given, shelf)
    recording = shelf.load(request.recording, units=unit_of(request.units), reading=request.reading)
    return {
        "reference": shelf.reference(shelf.find(request.recording)),
        "description": describe(recording),
        "events": dict(Counter(event.label for event in recording.events)),
        "channels": list(recording.ch_names),
        "sfreq": recording.sfreq,
        "duration": recording.duration,
    }


def readings(given: Mapping[str, Any], shelf: Shelf, library: Library) -> dict[str, Any]:
    """Decode windows without drawing: for each its label, moment, best concepts and confidence.

    given: the fields of a request less those that are about a picture. Raises ValueError or FileNotFoundError as
    `load_decoded` does.
    """
    from ...core.conditioning.nearest_concepts import read_windows
    from ...core.files import text_lines
    from ...core.model.decodable import decodable

    if meant_for_pictures := sorted(set(given) & set(OF_A_PICTURE)):
        raise ValueError(f"{', '.join(meant_for_pictures)} only matter where a picture is drawn; leave them out")
    decoded = load_decoded(from_mapping(given, shelf), shelf, library)
    words = tuple(line.strip() for line in text_lines(decoded.request.prompts) if line.strip()) or None
    found = read_windows(decoded.encoder, decoded.selection, prompts=words)
    return {
        "recording": decoded.recording_name,
        "encoder": decoded.request.encoder,
        "encoder_hash": decoded.encoder_digest,
        "space": decoded.encoder.spaces[0],
        "decodable": decodable(decoded.encoder, decoded.selection).line(),
        "windows": [
            {
                "label": one.label,
                "time": one.onset,
                "averaged": one.averaged,
                "confidence": one.confidence,
                "right": one.right,
                "chance": one.chance,
                "best": [{"text": text, "score": score} for text, score in one.best],
            }
            for one in found
        ],
    }
