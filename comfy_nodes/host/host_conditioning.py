"""Between core's tensors and the host's CONDITIONING and CLIP_VISION_OUTPUT."""

from typing import Any

CONFIDENCE, CHANCE = "eeg_confidence", "eeg_chance"  # ride along in the options; samplers take no notice of them


def as_conditioning(decoded: Any, family: str | None, size: tuple[int, int]) -> list:
    """Return core's Conditioning as the host's CONDITIONING, SDXL's with its sizes (width, height), 0 for none."""
    import comfy.model_management

    device = comfy.model_management.intermediate_device()
    options: dict[str, Any] = {}
    if decoded.pooled is not None:
        options["pooled_output"] = decoded.pooled.to(device)
    if family == "sdxl" and all(size):
        width, height = size
        options |= {"width": width, "height": height, "crop_w": 0, "crop_h": 0}
        options |= {"target_width": width, "target_height": height}
    if decoded.confidence is not None:
        options |= {CONFIDENCE: decoded.confidence.to(device), CHANCE: decoded.chance}
    return [[decoded.context.to(device), options]]


def as_embeds(decoded: Any) -> Any:
    """Return core's image vectors as IP-Adapter's EMBEDS: a plain tensor (batch, width)."""
    import comfy.model_management

    return decoded.image_embeds.to(comfy.model_management.intermediate_device())


def vision_output(image_embeds: Any) -> Any:
    """Return image vectors (batch, width) as the host's CLIP_VISION_OUTPUT.

    It has no hidden states: nodes that ask for them (style models, IP-Adapter Plus) get a sentence that says so.
    """
    import comfy.clip_vision
    import comfy.model_management

    class EegVisionOutput(comfy.clip_vision.Output):
        def __getattr__(self, name: str) -> Any:
            raise AttributeError(
                f"this CLIP vision output was decoded from EEG and holds one vector a picture, no {name!r}; "
                "use it with unCLIPConditioning, or the embeds with IPAdapter Embeds"
            )

    output = EegVisionOutput()
    output["image_embeds"] = image_embeds.to(comfy.model_management.intermediate_device())
    return output


def blend_conditioning(text: list, eeg: list, amount: float, mode: str, *, by_confidence: bool) -> list:
    """Return the text's CONDITIONING blended with the EEG's, entry by entry; `text` itself where nothing is taken.

    by_confidence: scale each row's amount by how sure the decoder was. Neither input is changed. Raises ValueError
    where there are several EEG entries but not one for each of the text's, or shapes are of different families.
    """
    from ...core.conditioning.blending import blend_rows

    if not eeg or (len(eeg) not in (1, len(text))):
        raise ValueError(f"{len(eeg)} EEG conditionings cannot be blended with {len(text)} of text: give one")
    blended = []
    for number, (context, options) in enumerate(text):
        decoded, known = eeg[number if len(eeg) > 1 else 0]
        sure = (known.get(CONFIDENCE), known.get(CHANCE)) if by_confidence else None
        mixed, pooled = blend_rows(
            context, decoded, amount, mode, (options.get("pooled_output"), known.get("pooled_output")), sure
        )
        if mixed is context:
            blended.append([context, options])
        else:
            blended.append([mixed, options if pooled is None else {**options, "pooled_output": pooled}])
    return blended
