"""What is asked of the host's own objects; everything here is the same in AUTOMATIC1111, Forge, Neo and reForge."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core.choices import FAMILIES
from ..folders.library import SHIPPED_ENCODERS, Library
from ..folders.recordings import Shelf

if TYPE_CHECKING:
    from ...core.model.spaces import EncodePrompts

FOLDER_OPTION = "sd_eeg_encoder_folder"
RECORDINGS_OPTION = "sd_eeg_recording_folders"
SIZE_OPTION = "sd_eeg_max_upload_mib"
MAX_UPLOAD_MIB = 512


def option(key: str, default: Any) -> Any:
    """Return a setting of the host, the default where it was never set."""
    from modules import shared

    return getattr(shared.opts, key, default) or default


def library() -> Library:
    """Return the encoder files: the setting's folder or models/eeg_encoders, then the ones shipped with us."""
    from modules import paths

    chosen = option(FOLDER_OPTION, "") or Path(paths.models_path) / "eeg_encoders"
    return Library((Path(chosen), SHIPPED_ENCODERS))


def shelf() -> Shelf:
    """Return the recordings: uploads of this process, and the folders of the setting, else eeg_recordings."""
    from modules import paths

    from ...core.files import text_lines
    from ..folders.kept_folder import kept_folder
    from ..gradio_versions import upload_folders

    named = [Path(line.strip()) for line in text_lines(option(RECORDINGS_OPTION, "")) if line.strip()]
    folders = tuple(named) or (Path(paths.data_path) / "eeg_recordings",)
    temp = option("temp_dir", "")
    uploads = (*upload_folders(), *((Path(temp),) if temp else ()))
    return Shelf(kept_folder(), folders, uploads, int(option(SIZE_OPTION, MAX_UPLOAD_MIB)) << 20)


def family_of(cond: Any) -> str:
    """Return the model family, a key of core's FAMILIES, that takes a conditioning like the host's own.

    cond: a tensor (..., width) or a mapping with `crossattn` and, for families that take one, `vector`. Raises
    ValueError naming the widths where no family is known to have them.
    """
    context, vector = parts_of(cond)
    width, extra = context.shape[-1], 0 if vector is None else vector.shape[-1]
    # SDXL's vector also holds sizes, 256 numbers each: six of them, in the refiner five.
    wanted = {"sdxl": 6 * 256, "sdxl-refiner": 5 * 256}
    for name, family in FAMILIES.items():
        if family.width == width and (vector is None or (family.pooled or 0) + wanted.get(name, 0) == extra):
            return name
    for name, family in FAMILIES.items():
        if family.width == width and family.pooled is None:
            return name
    raise ValueError(
        f"the loaded model takes text of width {width}"
        + (f" with a vector of {extra}" if vector is not None else "")
        + ", which no known family has: "
        + ", ".join(f"{one.name} {one.width}" for one in FAMILIES.values())
    )


def parts_of(cond: Any) -> tuple[Any, Any]:
    """Return the context and the vector (or None) of a host's conditioning, which is a tensor or a mapping."""
    if isinstance(cond, dict):
        return cond["crossattn"], cond.get("vector")
    return cond, None


def prompt_encoder(p: Any) -> Callable[[], EncodePrompts]:
    """Return a function that gives the loaded checkpoint's text encoder as core takes it."""

    def make() -> EncodePrompts:
        import torch
        from modules import devices, prompt_parser

        from ...core.conditioning.blending import pad_tokens

        model = current_model(p)

        def encode_one(prompt: str) -> tuple[Any, Any]:
            words = prompt_parser.SdConditioning([prompt], width=p.width, height=p.height)
            with torch.no_grad(), devices.autocast():
                found = model.get_learned_conditioning(words)
            context, vector = parts_of(found)
            pooled = FAMILIES[family_of(found)].pooled
            return context, None if vector is None or pooled is None else vector[:, :pooled]

        def encode(prompts: list[str]) -> tuple[Any, Any]:
            contexts, pooled = zip(*map(encode_one, prompts), strict=True)
            longest = max(context.shape[1] for context in contexts)
            together = torch.cat([pad_tokens(context, longest) for context in contexts])
            return together, None if any(one is None for one in pooled) else torch.cat(pooled)

        return encode

    return make


def current_model(p: Any) -> Any:
    """Return the model that samples now: the host's loaded one, which a refiner or hires checkpoint replaces."""
    from modules import shared

    return shared.sd_model if getattr(shared, "sd_model", None) is not None else p.sd_model


def decode_latent(latent: Any) -> Any:
    """Return the picture, a PIL image, of a latent (4, height, width) through the loaded checkpoint's VAE."""
    import torch
    from modules import devices, sd_samplers_common

    with torch.no_grad():
        return sd_samplers_common.single_sample_to_image(latent.to(devices.device, devices.dtype_vae), approximation=0)
