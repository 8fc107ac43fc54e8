"""Which model family a loaded MODEL belongs to, told from the host's own classes and configuration."""

from typing import Any

WIDTHS = {768: "sd1", 1024: "sd2"}


def family_of(model: Any) -> str | None:
    """Return the key in core's FAMILIES of a MODEL, or None where it is of another family."""
    if model is None:
        return None
    import comfy.model_base as known

    inner = model.model
    by_class = (
        ("SDXLRefiner", "sdxl-refiner"),
        ("SDXL", "sdxl"),
        ("SD3", "sd3"),
        ("Flux", "flux"),
    )
    for name, family in by_class:
        made = getattr(known, name, None)
        if made is not None and isinstance(inner, made):
            # Families that were derived from Flux (Flux 2, Chroma) take other text encoders.
            return family if type(inner) is made or family.startswith("sdxl") else None
    settings = getattr(getattr(inner, "model_config", None), "unet_config", {})
    return WIDTHS.get(settings.get("context_dim") or 0)
