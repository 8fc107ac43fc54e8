"""Pictures to latents and back, through the autoencoder of a model, a tiny one, or TAESD's own files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.conditioning.taesd import is_taesd, load_taesd

from .features.computing import Model
from .features.pictures import Picture
from .saliency_targets import as_tensor, resized

WAY = (
    "give --vae (or --clip) TAESD's folder (taesd_encoder.safetensors, taesd_decoder.safetensors), an autoencoder or a "
    "Stable Diffusion model in diffusers' format, a .safetensors checkpoint, or a hub id such as madebyollin/taesd"
)


def load_autoencoder(where: str, config: str = "") -> Any:
    """Return diffusers' AutoencoderKL or AutoencoderTiny from a folder, a checkpoint or a hub id, in eval mode.

    config: of a checkpoint's family, a diffusers folder. Raises FileNotFoundError saying what would do.
    """
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
    from diffusers.utils import logging

    logging.disable_progress_bar()
    path = Path(where)
    if path.is_dir() and is_taesd(path):
        return load_taesd(path)
    if path.is_file():
        return _of_checkpoint(path, config).eval()
    is_model = not path.is_dir() or (path / "vae").is_dir()
    tries = [(AutoencoderKL, "vae"), (AutoencoderTiny, "vae")] if is_model else []
    tries += [(AutoencoderKL, ""), (AutoencoderTiny, "")] if not (path / "vae").is_dir() else []
    for made, subfolder in tries:
        try:
            found: Any = made.load_config(where, **({"subfolder": subfolder} if subfolder else {}))
            if found.get("_class_name", made.__name__) != made.__name__:
                continue
            return made.from_pretrained(where, **({"subfolder": subfolder} if subfolder else {})).eval()
        except (OSError, ValueError):
            continue
    raise FileNotFoundError(f"no autoencoder at {where!r}; {WAY}")


def _of_checkpoint(path: Path, config: str) -> Any:
    """Return the autoencoder of a checkpoint of Stable Diffusion, or of a file that holds nothing else."""
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    if path.suffix != ".safetensors":
        raise ValueError(f"{path.name}: only .safetensors checkpoints are read, since others can run code")
    try:
        return AutoencoderKL.from_single_file(str(path), **({"config": config, "subfolder": "vae"} if config else {}))
    except OSError as error:
        raise FileNotFoundError(
            f"{path.name} is a single file, and its family's configuration is not on this computer. Go online once, or "
            "give the folder of any model of that family in diffusers' format (--clip-config)"
        ) from error


def load_latents(where: str, size: int, device: str, config: str = "") -> Model:
    """Load what gives the latents (n, 4, h, w) of pictures, stretched to `size` pixels a side; 0 keeps them."""
    vae = load_autoencoder(where, config).to(device)

    def encode(pictures: list[Any]) -> Tensor:
        return to_latents(vae, torch.stack(pictures).to(device))

    return Model(lambda picture: as_tensor(resized(picture, size) if size else picture), encode)


def common_size(pictures: Sequence[Picture]) -> tuple[int, int]:
    """Return the height and width that all pictures have; ValueError where they differ."""
    sizes = sorted({picture.size() for picture in pictures})
    if len(sizes) != 1:
        raise ValueError(f"pictures of {sizes} make no one shape of latents; give --latent-size, for example 256")
    return sizes[0]


@torch.no_grad()
def to_latents(vae: Any, pictures: Tensor) -> Tensor:
    """Return the latents (n, 4, h, w) of pictures (n, 3, H, W) in [0, 1], scaled as the model's sampler has them.

    Of an autoencoder that gives a distribution it is the mean.
    """
    encoded = vae.encode(pictures * 2 - 1)
    found = encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.mean
    return found * vae.config.scaling_factor


@torch.no_grad()
def to_pictures(vae: Any, latents: Tensor) -> Tensor:
    """Return the pictures (n, 3, H, W) in [0, 1] that latents (n, 4, h, w) in the sampler's scale decode to."""
    return (vae.decode(latents / vae.config.scaling_factor).sample / 2 + 0.5).clamp(0, 1)
