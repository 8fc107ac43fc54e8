"""The phantom's U-Net: SD 1.x's conditioning (77 × 768) over 4 × 8 × 8 latents, in diffusers' UNet2DConditionModel."""

import copy
from typing import Any

import torch
from torch.nn import functional as F
from tqdm import tqdm

UNCONDITIONAL_SHARE = 0.1  # captions replaced by the empty prompt, for classifier-free guidance
EMA_DECAY = 0.995


def new_denoiser() -> Any:
    """Return an untrained UNet2DConditionModel of about four million parameters."""
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        mid_block_type="UNetMidBlock2DCrossAttn",
        block_out_channels=(96, 128),
        layers_per_block=1,
        cross_attention_dim=768,
        attention_head_dim=6,
        norm_num_groups=16,
    )


def new_scheduler() -> Any:
    """Return the DDIM scheduler with SD 1.x's noise schedule."""
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler

    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


def train_denoiser(
    latents: torch.Tensor,
    index: torch.Tensor,
    states: torch.Tensor,
    empty: torch.Tensor,
    steps: int = 3000,
    batch: int = 64,
    seed: int = 0,
) -> Any:
    """Train the U-Net to predict the noise under frozen text states, the loss weighted by min-SNR (Hang et al. 2023).

    latents: (n, 4, 8, 8), already scaled. index: (n,) row of `states` for each latent. states: (n_captions, 77, 768).
    empty: (1, 77, 768), the state of the empty prompt. Returns the moving average of the U-Net, in eval mode.
    """
    torch.manual_seed(seed)
    unet, scheduler = new_denoiser(), new_scheduler()
    average = copy.deepcopy(unet).eval().requires_grad_(False)
    optimiser = torch.optim.AdamW(unet.parameters(), lr=1.5e-3, weight_decay=1e-4, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1.5e-3, total_steps=steps, pct_start=0.05)
    kept = scheduler.alphas_cumprod
    bar = tqdm(range(steps), desc="u-net", mininterval=10)
    running = 0.0
    for step in bar:
        chosen = torch.randint(len(latents), (batch,))
        clean, context = latents[chosen], states[index[chosen]]
        context = torch.where(torch.rand(batch, 1, 1) < UNCONDITIONAL_SHARE, empty, context)
        time = torch.randint(1000, (batch,))
        noise = torch.randn_like(clean)
        with torch.autocast("cpu", torch.bfloat16):
            guess = unet(scheduler.add_noise(clean, noise, time), time, context).sample.float()
        snr = kept[time] / (1 - kept[time])
        weight = snr.clamp(max=5.0) / snr
        loss = (weight * F.mse_loss(guess, noise, reduction="none").mean((1, 2, 3))).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        decay = min(EMA_DECAY, (1 + step) / (10 + step))
        with torch.no_grad():
            for slow, fast in zip(average.parameters(), unet.parameters(), strict=True):
                slow.lerp_(fast, 1 - decay)
        running += (loss.item() - running) * 0.02
        bar.set_postfix(loss=f"{running:.4f}", refresh=False)
    return average
