"""TAESD's own files (Bohan's Tiny AutoEncoder for Stable Diffusion) as diffusers' AutoencoderTiny."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportPrivateImportUsage=false

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from diffusers import AutoencoderTiny

ENCODER, DECODER = "taesd_encoder.safetensors", "taesd_decoder.safetensors"
BEFORE_DECODER = 1  # the files' decoder begins with a clamp that has no weights; in diffusers it is no layer


def is_taesd(folder: str | Path) -> bool:
    """Tell whether a folder holds TAESD's own two files."""
    return (Path(folder) / ENCODER).is_file() and (Path(folder) / DECODER).is_file()


def load_taesd(folder: str | Path) -> AutoencoderTiny:
    """Load taesd_encoder.safetensors and taesd_decoder.safetensors of a folder, in float32 and eval mode.

    Its latents (batch, 4, height / 8, width / 8) are as SD 1.x's sampler has them: its scaling factor is 1. Raises
    FileNotFoundError where one is missing, and ValueError where they are not TAESD for SD 1.x.
    """
    from diffusers import AutoencoderTiny

    folder = Path(folder)
    if not is_taesd(folder):
        raise FileNotFoundError(f"no TAESD in {folder}; it needs both {ENCODER} and {DECODER}")
    weights = _renamed(folder / ENCODER, "encoder", 0) | _renamed(folder / DECODER, "decoder", BEFORE_DECODER)
    model = AutoencoderTiny()
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"{folder} is not TAESD for SD 1.x: {str(error).splitlines()[-1].strip()}") from error
    return model.eval().requires_grad_(False)


def _renamed(path: Path, part: str, before: int) -> dict[str, Tensor]:
    """Return a file's tensors under diffusers' names, `3.conv.0.weight` becoming `decoder.layers.2.conv.0.weight`."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        stored = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is no safetensors file or is cut short ({error})") from error
    found: dict[str, Tensor] = {}
    for name, tensor in stored.items():
        number, dot, rest = name.partition(".")
        if not number.isdecimal() or not dot:
            raise ValueError(f"{path} holds {name!r}, which TAESD does not have")
        found[f"{part}.layers.{int(number) - before}.{rest}"] = tensor.float()
    return found
