"""The phantom's autoencoder: 64 × 64 pictures to 4 × 8 × 8 latents, in diffusers' AutoencoderKL."""

from typing import Any

import torch
from torch.nn import functional as F
from tqdm import tqdm

from core.phantom.scenes import Scene, split_scenes

from .pictures import draw_many, to_unit

KL_WEIGHT = 1e-5


def new_autoencoder() -> Any:
    """Return an untrained AutoencoderKL of about a million parameters with SD 1.x's 4 latent channels."""
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    # diffusers' types want exactly one level
    levels: dict[str, Any] = {
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "block_out_channels": (24, 32, 48, 64),
    }
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=64,
        **levels,
    )


def train_autoencoder(steps: int = 2000, batch: int = 32, seed: int = 0) -> tuple[Any, float]:
    """Train on the drawn training scenes and set `scaling_factor` so that latents have unit variance.

    Returns the autoencoder in eval mode and its reconstruction PSNR in dB on the held-out test scenes.
    """
    torch.manual_seed(seed)
    scenes = split_scenes()
    pictures, _ = draw_many(scenes["train"], variants=8, seed=1)
    vae = new_autoencoder().to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(vae.parameters(), lr=2e-3, weight_decay=1e-4, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps, pct_start=0.1)
    bar = tqdm(range(steps), desc="autoencoder", mininterval=10)
    for _ in bar:
        x = to_unit(pictures[torch.randint(len(pictures), (batch,))]).to(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            posterior = vae.encode(x).latent_dist
            decoded = vae.decode(posterior.sample()).sample.float()
        kl = posterior.kl().mean() / x[0].numel()
        # The square drives PSNR, the absolute error keeps edges crisp.
        loss = F.mse_loss(decoded, x) + 0.1 * F.l1_loss(decoded, x) + KL_WEIGHT * kl
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        bar.set_postfix(mse=f"{F.mse_loss(decoded, x).item():.5f}", refresh=False)
    vae = vae.eval().to(memory_format=torch.contiguous_format)
    vae.register_to_config(scaling_factor=1.0 / encode_pictures(vae, pictures[::8]).std().item())
    return vae, reconstruction_psnr(vae, scenes["test"])


@torch.no_grad()
def encode_pictures(vae: Any, pictures: torch.Tensor, batch: int = 100) -> torch.Tensor:
    """Return the unscaled latent means (n, 4, 8, 8) of uint8 pictures (n, 3, 64, 64)."""
    return torch.cat([vae.encode(to_unit(part)).latent_dist.mean for part in pictures.split(batch)])


@torch.no_grad()
def reconstruction_psnr(vae: Any, scenes: list[Scene]) -> float:
    """Return the PSNR in dB of pictures of `scenes` through the autoencoder, pictures in [0, 1]."""
    pictures, _ = draw_many(scenes, variants=1, seed=2)
    decoded = torch.cat([vae.decode(part).sample for part in encode_pictures(vae, pictures).split(100)])
    error = F.mse_loss(decoded.clamp(-1, 1), to_unit(pictures)).item() / 4.0
    return 10 * torch.log10(torch.tensor(1.0 / error)).item()
