"""The phantom's image encoder: a CLIPModel of 0.4 million parameters, trained on drawn scenes and captions."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F
from tqdm import tqdm

from core.phantom.scenes import Scene, all_scenes, draw, split_scenes

from .pictures import draw_many
from .text import MAX_TOKENS, TRAIN_TOKENS, tokenize

WIDTH = 64  # of a block's tokens, and of the vectors
BLOCKS = 6
PATCH = 8


def new_image_encoder(tokenizer: Any) -> Any:
    """Return an untrained CLIPModel: six blocks over 64 patches of 8 × 8 pixels, and one block over the caption."""
    from transformers import CLIPConfig, CLIPModel

    blocks = {"hidden_size": WIDTH, "intermediate_size": 4 * WIDTH, "num_attention_heads": 4, "projection_dim": WIDTH}
    words = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    text = {
        **blocks, **words, "vocab_size": len(tokenizer), "max_position_embeddings": MAX_TOKENS,
        "num_hidden_layers": 1, "pad_token_id": tokenizer.pad_token_id,
    }  # fmt: skip
    vision = {**blocks, "num_hidden_layers": BLOCKS, "image_size": 64, "patch_size": PATCH}
    return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=WIDTH))


def to_normalised(pictures: torch.Tensor) -> torch.Tensor:
    """Return uint8 pictures as CLIP takes them: scaled to [0, 1], less CLIP's mean, over its deviation."""
    from transformers.utils.constants import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

    mean, std = (torch.tensor(values).reshape(3, 1, 1) for values in (OPENAI_CLIP_MEAN, OPENAI_CLIP_STD))
    return (pictures.float() / 255 - mean) / std


def train_image_encoder(
    tokenizer: Any, steps: int = 1500, batch: int = 96, seed: int = 0, variants: int = 16
) -> tuple[Any, float]:
    """Train picture and text side with CLIP's symmetric contrastive loss (Radford et al., ICML 2021).

    Only training scenes are seen, each in several variants, some of them blurred, so that blurred pictures still mean
    something. Returns the model in eval mode and the 200-way top-1 of held-out pictures against held-out captions.
    """
    torch.manual_seed(seed)
    scenes = split_scenes()["train"]
    model = new_image_encoder(tokenizer)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.02, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-3, total_steps=steps, pct_start=0.1)
    pictures, _ = draw_many(scenes, variants=variants, seed=11)
    ids = tokenize(tokenizer, [scene.caption for scene in scenes], TRAIN_TOKENS)
    target = torch.arange(batch)
    bar = tqdm(range(steps), desc="image encoder", mininterval=10)
    for _ in bar:
        chosen = torch.randperm(len(scenes))[:batch]
        seen = to_normalised(pictures[chosen * variants + torch.randint(variants, (batch,))])
        if torch.rand(()) < 0.25:
            seen = F.avg_pool2d(F.pad(seen, (2, 2, 2, 2), mode="replicate"), 5, stride=1)
        logits = model(input_ids=ids[chosen], pixel_values=seen).logits_per_image
        loss = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        with torch.no_grad():
            model.logit_scale.clamp_(max=4.6052)  # at most 100, as CLIP's
        bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
    model.eval()
    return model, caption_top1(model, tokenizer, split_scenes()["test"])


@torch.no_grad()
def caption_top1(model: Any, tokenizer: Any, scenes: list[Scene]) -> float:
    """Return how often a drawn scene's own caption is the nearest one among those of all `scenes`."""
    pictures, _ = draw_many(scenes, variants=1, seed=12)
    ids = tokenize(tokenizer, [scene.caption for scene in scenes], TRAIN_TOKENS)
    nearest = model(input_ids=ids, pixel_values=to_normalised(pictures)).logits_per_image.argmax(-1)
    return (nearest == torch.arange(len(scenes))).float().mean().item()


@torch.no_grad()
def scene_vectors(folder: Path, n_axes: int = 32) -> torch.Tensor:
    """Return how the saved encoder sees the clean drawings of all 864 scenes, (864, n_axes): a geometry for a person.

    Unit vectors on their first principal axes, centred, scaled to a mean squared length of 3.
    """
    from transformers import CLIPVisionModelWithProjection

    model = CLIPVisionModelWithProjection.from_pretrained(folder, dtype=torch.float32).eval()
    pictures = torch.from_numpy(np.stack([draw(scene) for scene in all_scenes()])).permute(0, 3, 1, 2)
    seen = torch.cat([model(to_normalised(part)).image_embeds for part in pictures.split(100)])
    seen = F.normalize(seen.double(), dim=-1)
    seen = seen - seen.mean(0)
    axes = torch.linalg.svd(seen, full_matrices=False)[2][:n_axes]
    found = seen @ axes.T
    return (found * (3.0 / found.square().sum(-1).mean()).sqrt()).float()
