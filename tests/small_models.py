"""Random Stable Diffusion and CLIP models of true widths and tiny depth, made on the spot; for tests only, never shown
as models.
"""

from pathlib import Path

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, StableDiffusionXLPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from trainer.phantom_world.denoiser import new_scheduler
from trainer.phantom_world.text import new_tokenizer


def text_config(tokenizer, width: int, projection: int = 512) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=width, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4,
        projection_dim=projection, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip


def small_vae() -> AutoencoderKL:
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 8),
        latent_channels=4, norm_num_groups=4, sample_size=16,
    )  # fmt: skip


def small_unet(width: int, **more) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=8, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, attention_head_dim=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=width, **more,
    )  # fmt: skip


def small_sd1(folder: Path) -> Path:
    """Write a random SD 1.x model (context 77 × 768) as a diffusers folder."""
    torch.manual_seed(0)
    tokenizer = new_tokenizer(folder / "words")
    StableDiffusionPipeline(
        vae=small_vae(), text_encoder=CLIPTextModel(text_config(tokenizer, 768)), tokenizer=tokenizer,
        unet=small_unet(768),
        scheduler=new_scheduler(), safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    ).save_pretrained(folder / "sd1")  # fmt: skip
    return folder / "sd1"


def small_sdxl(folder: Path) -> Path:
    """Write a random SDXL model (context 77 × 2048, pooled 1280) as a diffusers folder."""
    torch.manual_seed(0)
    tokenizer = new_tokenizer(folder / "words")
    unet = small_unet(
        2048,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=1280 + 6 * 8,
    )
    StableDiffusionXLPipeline(
        vae=small_vae(), text_encoder=CLIPTextModel(text_config(tokenizer, 768)), tokenizer=tokenizer, unet=unet,
        text_encoder_2=CLIPTextModelWithProjection(text_config(tokenizer, 1280, 1280)), tokenizer_2=tokenizer,
        scheduler=new_scheduler(), add_watermarker=False,
    ).save_pretrained(folder / "sdxl")  # fmt: skip
    return folder / "sdxl"
