"""The phantom's tokenizer and text encoder: real CLIP classes, trained against the drawn pictures."""

import json
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F
from tqdm import tqdm

from core.phantom.judge import Judge
from core.phantom.scenes import all_scenes, split_scenes

from .pictures import draw_many, to_unit

MAX_TOKENS = 77
WIDTH = 768
TRAIN_TOKENS = 16  # a caption has at most 11 tokens with its two ends; the rest is padding
START, END = "<|startoftext|>", "<|endoftext|>"


def write_tokenizer(folder: Path) -> None:
    """Write vocab.json and merges.txt of a byte-pair tokenizer in which every word of the captions is one token.

    Any other text still tokenizes, byte by byte.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = sorted({word for scene in all_scenes() for word in scene.caption.split()})
    learner = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    learner.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.BpeTrainer(vocab_size=4000, initial_alphabet=alphabet, end_of_word_suffix="</w>")
    learner.train_from_iterator([" ".join(words)] * 4, trainer)
    merges = json.loads(learner.to_str())["model"]["merges"]
    pairs = [pair if isinstance(pair, list) else pair.split(" ") for pair in merges]
    tokens = alphabet + [f"{letter}</w>" for letter in alphabet] + ["".join(pair) for pair in pairs] + [START, END]
    vocabulary = {token: i for i, token in enumerate(dict.fromkeys(tokens))}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(pair) for pair in pairs)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def new_tokenizer(folder: Path) -> Any:
    """Return the CLIPTokenizer of `write_tokenizer`'s files."""
    from transformers import CLIPTokenizer

    write_tokenizer(folder)
    return CLIPTokenizer(
        str(folder / "vocab.json"),
        str(folder / "merges.txt"),
        model_max_length=MAX_TOKENS,
        bos_token=START,
        eos_token=END,
        unk_token=END,
        pad_token=END,
    )


def new_text_encoder(tokenizer: Any) -> Any:
    """Return an untrained CLIPTextModel, 77 × 768 like SD 1.x but one layer deep."""
    from transformers import CLIPTextConfig, CLIPTextModel

    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            intermediate_size=256,
            num_hidden_layers=1,
            num_attention_heads=12,
            max_position_embeddings=MAX_TOKENS,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def tokenize(tokenizer: Any, captions: list[str], length: int = MAX_TOKENS) -> torch.Tensor:
    """Return token ids (n, length), padded and cut as Stable Diffusion's pipelines do."""
    return tokenizer(captions, padding="max_length", max_length=length, truncation=True, return_tensors="pt").input_ids


def train_text_encoder(tokenizer: Any, steps: int = 400, batch: int = 96, seed: int = 0) -> tuple[Any, float]:
    """Train the text encoder and a small picture network with CLIP's symmetric contrastive loss (Radford et al. 2021).

    Only training scenes are seen. Returns the text encoder in eval mode and the 200-way top-1 of held-out captions
    against held-out pictures.
    """
    torch.manual_seed(seed)
    scenes = split_scenes()
    text, picture_net = new_text_encoder(tokenizer), Judge(width=48, outputs=256)
    project = torch.nn.Linear(WIDTH, 256, bias=False)
    log_scale = torch.nn.Parameter(torch.tensor(2.66))  # 1 / 0.07, as CLIP starts
    modules = torch.nn.ModuleList([text, picture_net, project])
    optimiser = torch.optim.AdamW([*modules.parameters(), log_scale], lr=5e-4, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 5e-4, total_steps=steps, pct_start=0.1)
    pictures, index = draw_many(scenes["train"], variants=4, seed=3)
    ids = tokenize(tokenizer, [scene.caption for scene in scenes["train"]], TRAIN_TOKENS)

    def embed(pictures: torch.Tensor, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        seen = F.normalize(picture_net.features(to_unit(pictures) * 0.5 + 0.5), dim=-1)
        return seen, F.normalize(project(text(ids).pooler_output), dim=-1)

    bar = tqdm(range(steps), desc="text encoder", mininterval=10)
    for _ in bar:
        chosen = torch.randperm(len(scenes["train"]))[:batch]
        variant = torch.randint(4, (batch,))
        seen, said = embed(pictures[chosen * 4 + variant], ids[index[chosen * 4]])
        logits = log_scale.exp().clamp(max=100) * seen @ said.T
        target = torch.arange(batch)
        loss = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
    modules.eval()
    with torch.no_grad():
        held_out, _ = draw_many(scenes["test"], variants=1, seed=4)
        seen, said = embed(held_out, tokenize(tokenizer, [s.caption for s in scenes["test"]], TRAIN_TOKENS))
    top1 = ((seen @ said.T).argmax(-1) == torch.arange(len(seen))).float().mean().item()
    return text.eval(), top1


@torch.no_grad()
def encode_captions(text: Any, tokenizer: Any, captions: list[str], batch: int = 50) -> torch.Tensor:
    """Return the text states (n, 77, 768) that Stable Diffusion's cross-attention takes."""
    ids = tokenize(tokenizer, captions)
    return torch.cat([text(part).last_hidden_state for part in ids.split(batch)])
