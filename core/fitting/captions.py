"""What each label of a recording means, as a user writes it."""

from collections.abc import Mapping
from dataclasses import replace

from ..files import text_lines
from ..recording import Recording


def parse_captions(text: str) -> dict[str, str]:
    """Return captions by label from lines such as `face = a portrait photo`; ValueError for a line without `=`."""
    captions: dict[str, str] = {}
    for line in text_lines(text):
        if not line.strip():
            continue
        label, equals, caption = line.partition("=")
        if not equals or not label.strip() or not caption.strip():
            raise ValueError(f"cannot read the line {line.strip()!r}; write `label = what it means`, one a line")
        if label.strip() in captions:
            raise ValueError(f"the label {label.strip()!r} has two captions; give each label one line")
        captions[label.strip()] = caption.strip()
    return captions


def one_label_a_caption(recording: Recording, captions: Mapping[str, str]) -> tuple[Recording, dict[str, str]]:
    """Return a recording whose labels of one caption are one label ("cat 1 + cat 2"), and the captions of these.

    Labels that mean the same are drawn alike, so there is nothing to tell apart between them. Raises ValueError where
    all labels have one caption.
    """
    by_caption: dict[str, list[str]] = {}
    for label, caption in captions.items():
        by_caption.setdefault(caption, []).append(label)
    known = {event.label for event in recording.events}
    if len(by_caption) == len(captions) or not known.issuperset(captions):
        return recording, dict(captions)
    if len(by_caption) == 1:
        (caption,) = by_caption
        raise ValueError(
            f"the labels {', '.join(map(repr, captions))} have one caption, {caption!r}: there is nothing to tell "
            "apart; give them captions that differ"
        )
    joined = {" + ".join(labels): caption for caption, labels in by_caption.items()}
    new = {label: " + ".join(labels) for labels in by_caption.values() for label in labels}
    events = tuple(replace(event, label=new.get(event.label, event.label)) for event in recording.events)
    return replace(recording, events=events), joined
