"""Masked pre-training: patches of a window are hidden and predicted from the others; no label is read.

He et al., "Masked Autoencoders Are Scalable Vision Learners" (CVPR 2022); Chen et al., "DreamDiffusion" (arXiv
2306.16934) for EEG. Channels are scaled robustly first, here and wherever the backbone is used, so that recordings of
other amplitudes look alike to it.
"""

import math
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from core.encoders import ENCODERS, build_encoder, encoder_named
from core.encoders.patch_transformer import PatchTransformer
from core.model.backbone_file import save_backbone
from core.model.checkpoint import Backbone
from core.preprocessing.config import PreprocessingConfig
from core.preprocessing.normaliser import Normaliser, normalise
from core.preprocessing.trials import Trials

from ..config.options import TrainOptions
from ..processes.together import new_accelerator
from .batches import Batches
from .build import backbone_config, fit_training_normaliser, preprocessing_of, training_context
from .stage_state import Progress, copied, decayed, learning_rate, load_state, save_state, write_history

STATE = "masked.pt"
FILE = "backbone.safetensors"


class MaskedModel(nn.Module):
    """A patch transformer with a small decoder that predicts hidden patches.

    preprocessing, normaliser: how windows in volts become the backbone's input.
    """

    def __init__(self, backbone: PatchTransformer, preprocessing: PreprocessingConfig, normaliser: Normaliser) -> None:
        super().__init__()
        self.backbone = backbone
        self.preprocessing = preprocessing
        self.normaliser = normaliser
        self.placeholder = nn.Parameter(0.02 * torch.randn(backbone.width))
        self.positions = nn.Parameter(0.02 * torch.randn(backbone.n_tokens, backbone.width))
        self.decoder = backbone.block()
        self.norm = nn.LayerNorm(backbone.width)
        self.last = nn.Linear(backbone.width, backbone.patch_values)

    def forward(self, eeg: Tensor, order: Tensor, n_seen: int) -> tuple[Tensor, Tensor]:
        """Predict hidden patches of eeg (batch, n_channels, n_times).

        order: (batch, n_patches), a permutation of the patches in each row; the first n_seen are seen, the others
        hidden from the backbone. Returns predicted and true hidden patches, each (batch, n_hidden, n_channels * patch).
        """
        patches = self.backbone.patches(eeg)
        hidden = order[:, n_seen:]
        seen = _take(self.backbone.embed(patches), order[:, :n_seen])
        encoded = self.backbone.encode(seen)
        tokens = torch.cat([encoded, self.placeholder.expand(len(eeg), hidden.shape[1], -1)], dim=1)
        tokens = self.decoder(tokens + self.positions[order])
        return self.last(self.norm(tokens[:, n_seen:])), _take(patches, hidden)


def _take(tokens: Tensor, index: Tensor) -> Tensor:
    return tokens.gather(1, index[..., None].expand(-1, -1, tokens.shape[-1]))


def masked_loss(model: MaskedModel, eeg: Tensor, ratio: float, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return the loss on hidden patches of eeg (batch, channels, times), and what predicting zero would lose.

    The loss is Huber's: squared below one robust standard deviation, absolute above, so that blinks, ten times the
    EEG's size, do not decide it.
    """
    n = model.backbone.n_tokens
    n_seen = min(n - 1, max(1, round(n * (1 - ratio))))
    order = torch.rand(len(eeg), n, generator=draw).argsort(1).to(eeg.device)
    predicted, true = model(eeg, order, n_seen)
    predicted = predicted.float()
    return F.smooth_l1_loss(predicted, true), F.smooth_l1_loss(torch.zeros_like(true), true)


def build_masked(trials: Trials, train: np.ndarray, stored: PreprocessingConfig, options: TrainOptions) -> MaskedModel:
    """Return an untrained model for a store's windows; raises ValueError for a backbone without patches, or volts."""
    if not encoder_named(options.encoder.name).patches:
        raise ValueError(
            f"masked pre-training hides patches, which {options.encoder.name!r} has none of; "
            f"use --encoder {' or '.join(name for name, row in ENCODERS.items() if row.patches)}"
        )
    if options.data.scaling == "none":
        raise ValueError("masked pre-training needs scaled channels: use --scaling train or window")
    if options.data.normalise == "session":
        raise ValueError("a backbone's file holds no sessions: pre-train with --normalise pooled")
    config = preprocessing_of(stored, options.data)
    torch.manual_seed(options.training.seed)
    context = training_context(trials, train, config)
    made = build_encoder(options.encoder.name, backbone_config(options.encoder, context))
    backbone = cast(PatchTransformer, made)  # what a row with `patches` makes has its methods
    if backbone.n_tokens < 2:
        raise ValueError(f"a window of {config.n_times} samples is one patch; take a smaller one (--set patch=8)")
    return MaskedModel(backbone, config, fit_training_normaliser(trials, train, config, options.training.seed))


def pretrain(
    trials: Trials, parts: dict[str, np.ndarray], stored: PreprocessingConfig, options: TrainOptions, card: dict
) -> Path:
    """Train for `--masked` epochs on the training split and return the backbone file's path.

    The backbone with the lowest loss on the validation split is kept (without one, the last). Rows go to metrics.jsonl
    under the stage "masked"; an interrupted run goes on with --resume to the same result.
    """
    model = build_masked(trials, parts["train"], stored, options)
    settings, stage, out = options.training, options.stages.masked, options.outputs.out
    accelerator = new_accelerator(settings.mixed_precision)
    device = accelerator.device
    model.to(device)
    optimiser = torch.optim.AdamW(decayed(model, settings.weight_decay), lr=settings.lr, betas=settings.betas)
    progress, kept = Progress(), {"model": model, "optimiser": optimiser}
    if options.outputs.resume and (out / STATE).is_file():
        progress = load_state(out / STATE, kept)
    optimiser = kept["optimiser"] = accelerator.prepare(optimiser)
    batches = Batches(
        trials, parts["train"], options.data.average, settings.batch * accelerator.num_processes, settings.seed
    )
    per_epoch = batches.count()
    if not per_epoch:
        raise ValueError(f"{len(parts['train'])} training windows make no batch of at least two; gather more")
    steps = per_epoch * stage.epochs
    for epoch in tqdm(range(progress.epoch, stage.epochs), desc="masked", initial=progress.epoch,
                      total=stage.epochs, disable=not accelerator.is_main_process):  # fmt: skip
        seed = (settings.seed * 1_000_003 + epoch) * 83
        torch.manual_seed(seed)
        draw = torch.Generator().manual_seed(seed + 1)
        model.train()
        total = 0.0
        for number, (eeg, _) in enumerate(batches.epoch(epoch, model)):  # type: ignore[arg-type]  # has what it reads
            for group in optimiser.param_groups:
                group["lr"] = settings.lr * learning_rate(epoch * per_epoch + number, steps, settings)
            with accelerator.autocast():
                loss, _ = masked_loss(model, eeg.to(device), stage.mask_ratio, draw)
            accelerator.backward(loss)
            if settings.max_norm:
                accelerator.clip_grad_norm_(model.parameters(), settings.max_norm)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            total += loss.item()
        if not math.isfinite(total):
            raise ValueError(f"the masked loss is not a number at epoch {epoch}; lower --lr or look for broken windows")
        row = {"stage": "masked", "epoch": epoch, "train_loss": total / per_epoch}
        row |= held_out_loss(model, trials, parts["val"], options, batches.batch)
        progress.epoch = epoch + 1
        progress.history.append(row)
        if row.get("val_loss", -math.inf) < progress.best:
            progress.best, progress.best_epoch = row.get("val_loss", math.inf), epoch
            progress.best_weights = copied(model)
        if accelerator.is_main_process:
            save_state(out / STATE, kept, progress)
            write_history(out / "metrics.jsonl", progress.history, "masked")
    if progress.best_weights:
        model.load_state_dict(progress.best_weights)
    path = out / FILE
    if accelerator.is_main_process:
        chosen = progress.history[progress.best_epoch]
        measured = {name: chosen[name] for name in ("val_loss", "val_loss_of_zero") if name in chosen}
        # what the registry makes has a backbone's attributes, whatever its class
        made = cast("Backbone", model.backbone)
        save_backbone(made, options.encoder.name, model.preprocessing, path, {**card, "masked": measured})
    return path


@torch.no_grad()
def held_out_loss(
    model: MaskedModel, trials: Trials, rows: np.ndarray, options: TrainOptions, batch: int
) -> dict[str, float]:
    """Return `val_loss` over rows (n,) with the same patches hidden every time, beside that of predicting zero."""
    if not len(rows):
        return {}
    model.eval()
    device = model.placeholder.device
    draw = torch.Generator().manual_seed(options.training.seed)
    losses = np.zeros(2)
    for start in range(0, len(rows), batch):
        cut = np.asarray(trials.eeg[rows[start : start + batch]])
        eeg = torch.as_tensor(normalise(cut, model.preprocessing, model.normaliser), dtype=torch.float32)
        pair = masked_loss(model, eeg.to(device), options.stages.masked.mask_ratio, draw)
        losses += len(cut) * np.array([loss.item() for loss in pair])
    return dict(zip(("val_loss", "val_loss_of_zero"), (losses / len(rows)).tolist(), strict=True))
