"""What an encoder can give a host: which of its heads fits the model, and what they say of the selected windows."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..choices import FAMILIES, Family
from ..files import text_lines
from ..model.checkpoint import EegEncoder
from ..model.decodable import Decodable, decodable
from ..model.prediction import encoder_input, outputs_of
from ..model.spaces import EncodePrompts, check_fits, find_space
from ..preprocessing.selection import Selection, prepared
from .conditioning import Conditioning, condition

# Which image vectors each family takes as a CLIP vision output, the better one first: unCLIP's are of the encoder it
# was trained with, SDXL's stands in for the pooled text.
VISION = {"sd2": ("clip-h.image", "clip-l.image"), "sdxl": ("clip-g.image",)}
EMBEDS = ("clip-h.image", "clip-g.image")  # what IP-Adapters were trained with
MAX_ROWS = 4096


@dataclass(frozen=True)
class Answer:
    """Everything a host can condition on; what is None has its reason beside it.

    text: with a context. vision, embeds: with image_embeds, for CLIP vision outputs and for IP-Adapter. family: a key
    of FAMILIES, or None where it is not known. confidence: the mean over windows, 0 where nothing is decodable
    or the encoder cannot tell, so that a graph falls back to text.
    """

    text: Conditioning | None
    vision: Conditioning | None
    embeds: Conditioning | None
    family: str | None
    confidence: float
    report: str
    why_no_text: str = ""
    why_no_vision: str = ""
    why_no_embeds: str = ""


def answer(
    encoder: EegEncoder,
    selection: Selection,
    *,
    family: str | None = None,
    strength: float = 1.0,
    restore_spread: float = 1.0,
    prompts: str = "",
    encode_prompts: EncodePrompts | None = None,
    judged: Decodable | None = None,
) -> Answer:
    """Decode the selected windows with every head that a model of this family can use.

    family: a key of FAMILIES; None takes the encoder's first usable head. prompts: a rewording, one a line, empty for
    the encoder's own. encode_prompts: the host's text encoder, for a `prompts` head. judged: whether anything is
    decodable, where that was asked of a larger selection that this one is a part of. One row comes out for each window.

    Raises ValueError for an unknown family, more windows than pictures can be made of, recordings that do not fit the
    encoder, a rewording with another number of prompts, or a text encoder of another family than the model.
    """
    if family is not None and family not in FAMILIES:
        raise ValueError(f"no model family {family!r}; known: {', '.join(FAMILIES)}")
    if len(selection) > MAX_ROWS:
        raise ValueError(f"{len(selection)} windows would be as many pictures; select at most {MAX_ROWS}")
    spaces = encoder.spaces
    text_space, why_no_text = text_head(spaces, family, encode_prompts is not None)
    vision_space, why_no_vision = image_head(spaces, VISION.get(family or "", ()), family, "a CLIP vision output")
    embeds_space, why_no_embeds = image_head(spaces, EMBEDS, None, "IP-Adapter embeds")
    words = tuple(line.strip() for line in text_lines(prompts) if line.strip()) or None
    decoded: dict[str, Conditioning] = {}
    main = "prompts" if text_space is None and "prompts" in spaces else text_space or spaces[0]
    wanted = tuple(dict.fromkeys(s for s in (main, text_space, vision_space, embeds_space) if s))
    eeg = encoder_input(selection, encoder)
    outputs = outputs_of(encoder, eeg, wanted)
    judged = decodable(encoder, selection) if judged is None else judged
    for space in wanted:
        decoded[space] = condition(
            encoder,
            eeg,
            space=space,
            strength=strength,
            restore_spread=restore_spread,
            prompts=words,
            encode_prompts=encode_prompts,
            outputs=outputs,
            decodable=judged,
            averaged=repeats_of(selection),
        )
    text = decoded.get(text_space or "")
    if text is not None and family is not None:
        check_conditioning(text, FAMILIES[family])
    first = decoded[main]
    report = [*selection_lines(selection, encoder), *confidence_lines(first), f"head: {main}", first.report]
    return Answer(
        text=text,
        vision=decoded.get(vision_space or ""),
        embeds=decoded.get(embeds_space or ""),
        family=family,
        confidence=0.0 if first.confidence is None else float(first.confidence.mean()),
        report="\n".join(report),
        why_no_text=why_no_text,
        why_no_vision=why_no_vision,
        why_no_embeds=why_no_embeds,
    )


def text_head(spaces: Sequence[str], family: str | None, has_text_encoder: bool) -> tuple[str | None, str]:
    """Return the encoder's first head that gives a context to this family, or None and a sentence that says why not."""
    usable = [
        name
        for name in spaces
        if (name == "prompts" and has_text_encoder)
        or (find_space(name).kind == "text" and (family is None or family in find_space(name).families))
    ]
    if usable:
        return usable[0], ""
    if "prompts" in spaces:
        return None, (
            "this encoder answers with weights over prompts, which the checkpoint's own text encoder has to read: "
            "connect the checkpoint's CLIP to the `clip` input"
        )
    texts = [find_space(name) for name in spaces if find_space(name).kind == "text"]
    if not texts or family is None:
        return None, (
            f"this encoder has no head for text conditioning, only {', '.join(spaces)}: use the clip vision output or "
            "the embeds, or load an encoder with a `prompts` head, which fits every family"
        )
    shapes = ", ".join(
        f"{space.name} gives {' x '.join(map(str, space.shape or ()))} for "
        f"{' or '.join(FAMILIES[key].name for key in space.families)}"
        for space in texts
    )
    return None, (
        f"this encoder does not fit the model: its head {shapes}; the model takes {described(FAMILIES[family])}. Load "
        "a model of the encoder's family, or an encoder with a `prompts` head, which fits every family"
    )


def image_head(spaces: Sequence[str], wanted: Sequence[str], family: str | None, what: str) -> tuple[str | None, str]:
    """Return the first of the wanted heads that the encoder has, or None and a sentence that says why not.

    Where nothing particular is wanted, the encoder's first head for an image vector is taken.
    """
    images = [name for name in spaces if find_space(name).kind == "image" and find_space(name).families]
    found = next((name for name in wanted if name in images), None)
    if not wanted and images:
        found = images[0]
    if found:
        return found, ""
    needs = " or ".join(f"{name} ({(find_space(name).shape or (0,))[0]})" for name in wanted) or "an image vector"
    takes = f"{FAMILIES[family].name} takes" if family and wanted else f"{what} needs"
    return None, f"{takes} {needs}; this encoder has {', '.join(spaces)}. Load an encoder with such a head"


def described(family: Family) -> str:
    """Return what a family takes, in words: tokens x width, and the pooled vector where it needs one."""
    pooled = f" and a pooled vector of {family.pooled}" if family.pooled else ""
    return f"tokens x {family.width}{pooled} ({family.name})"


def check_conditioning(found: Conditioning, family: Family) -> None:
    """Raise ValueError, naming both shapes, where a model of this family cannot take the context or pooled vector."""
    assert found.context is not None
    check_fits(found.context, family.width, "the conditioning")
    width = None if found.pooled is None else found.pooled.shape[-1]
    if family.pooled is not None and width != family.pooled:
        given = "no pooled vector" if width is None else f"a pooled vector of {width}"
        raise ValueError(
            f"the conditioning has {given}; the model takes {described(family)}. "
            "Connect the CLIP of the same checkpoint"
        )


def repeats_of(selection: Selection) -> tuple[int, ...]:
    """Return of how many moments each selected window is the mean."""
    return tuple(len(group) for group in selection.groups)


def confidence_lines(decoded: Conditioning) -> list[str]:
    """Return lines that say whether anything is decodable, how sure the decoder is if so, and what guessing gets."""
    judged = [] if decoded.decodable is None else [decoded.decodable.line()]
    if decoded.confidence is None or decoded.right is None:
        return [*judged, "confidence: unknown, this encoder was never calibrated"]
    chance = "" if decoded.chance is None else f" (guessing: {decoded.chance:.2f})"
    right = f"right with probability {decoded.right.mean().item():.2f} if anything is decodable"
    sure = f"confidence: {decoded.confidence.mean().item():.2f}{chance}; {right}"
    return [*judged, sure, *([decoded.unmeasured] if decoded.unmeasured else [])]


def selection_lines(selection: Selection, encoder: EegEncoder) -> list[str]:
    """Return lines that say what was decoded: how many windows of how many moments, and which channels were made up."""
    moments = sum(len(group) for group in selection.groups)
    config = encoder.preprocessing
    lines = [
        f"{len(selection)} window{'s' if len(selection) > 1 else ''} of {moments} moment{'s' if moments > 1 else ''}, "
        f"{config.tmin:g} to {config.tmax:g} s about each"
    ]
    done = prepared(selection.recording, config).source.get("prepared", {})
    if done.get("interpolated"):
        lines.append(f"interpolated channels: {', '.join(done['interpolated'])}")
    notes = selection.recording.source.get("notes", [])
    return lines + ([selection.note] if selection.note else []) + [note for note in notes if "simulated" in note]
