"""The contrastive stage: a triplet loss on the backbone's features, semi-hard negatives, class-balanced batches.

Schroff, Kalenichenko & Philbin, "FaceNet" (CVPR 2015) for semi-hard mining; Lan et al., "Seeing through the Brain"
(arXiv 2308.02510) and Singh et al., "EEG2Image" (ICASSP 2023) for its use on EEG.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from core.encoders import by_gradient_descent, encoder_named
from core.model.checkpoint import EegEncoder
from core.preprocessing.trials import Trials

from ..config.options import TrainOptions
from ..processes.together import new_accelerator
from .class_batches import ClassBatches
from .probes import features, probe_scores
from .splits import subject_numbers, subjects_of, trials_at_use
from .stage_state import Progress, copied, decayed, learning_rate, load_state, save_state, write_history

STATE = "contrastive.pt"
PROBE_EVERY = 5
PROBE_TRIALS = 4000  # enough for a probe; keeps memory flat on large stores


class Triplets(nn.Module):
    """The mean over mined triplets of max(0, margin + |f(a) - f(p)|² - |f(a) - f(n)|²).

    mining: "semihard" takes for each positive pair every negative that is farther than the positive but within the
    margin, and for pairs without one the nearest negative; "hardest" takes the nearest negative for every pair. unit:
    features are scaled to length one first.
    """

    def __init__(self, margin: float, mining: str, unit: bool = True) -> None:
        super().__init__()
        from pytorch_metric_learning.distances import LpDistance
        from pytorch_metric_learning.losses import TripletMarginLoss
        from pytorch_metric_learning.miners import TripletMarginMiner
        from pytorch_metric_learning.reducers import MeanReducer

        # power=2 squares the distances in mining and loss alike; both default to plain ones.
        self.distance = LpDistance(normalize_embeddings=unit, p=2, power=2)
        self.miner = TripletMarginMiner(margin, "semihard", distance=self.distance) if mining == "semihard" else None
        self.loss = TripletMarginLoss(margin, distance=self.distance, reducer=MeanReducer())

    def forward(self, found: Tensor, label: Tensor) -> Tensor:
        """Return the loss of features (batch, width) with classes (batch,)."""
        return self.loss(found, label, self.mine(found, label))

    @torch.no_grad()
    def mine(self, found: Tensor, label: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the triplets' anchors, positives and negatives, as indices into the batch."""
        found = found.detach()
        between = self.distance(found)
        same = label[:, None] == label
        nearest = between.masked_fill(same, math.inf).argmin(1)
        anchor, positive = (same & ~torch.eye(len(label), dtype=torch.bool, device=same.device)).nonzero(as_tuple=True)
        has_negative = ~same.all(1)
        anchor, positive = anchor[has_negative[anchor]], positive[has_negative[anchor]]
        if self.miner is None:
            return anchor, positive, nearest[anchor]
        a, p, n = self.miner(found, label)
        # The miner keeps a negative exactly at the margin, which adds nothing to the loss.
        pair = torch.zeros_like(same)
        pair[a, p] = True
        without = ~pair[anchor, positive]
        lone, partner = anchor[without], positive[without]
        return torch.cat([a, lone]), torch.cat([p, partner]), torch.cat([n, nearest[lone]])


def train_contrastive(
    encoder: EegEncoder, trials: Trials, parts: dict[str, np.ndarray], options: TrainOptions, out: Path
) -> Progress:
    """Train an encoder's backbone in place for `--contrastive` epochs; its heads are not touched.

    Every few epochs probes are fitted on training features and scored on validation ones; the backbone ends with the
    weights whose linear probe had the lowest validation loss (where no class is shared: the lowest validation triplet
    loss; without a validation split: the last). Rows go to metrics.jsonl under the stage "contrastive". The state is
    written after every epoch; an interrupted stage goes on from it to the same result, a finished one is not repeated.
    """
    check_contrastive(encoder)
    settings, stage = options.training, options.stages.contrastive
    accelerator = new_accelerator(settings.mixed_precision)
    device = accelerator.device
    encoder.to(device)
    # Every process takes the same steps on the whole batch, so that all have one backbone, and the one of a single one.
    optimiser = torch.optim.AdamW(
        decayed(encoder.backbone, settings.weight_decay), lr=settings.lr, betas=settings.betas
    )
    if encoder.personal is not None:  # trained with the heads, not here
        encoder.personal.requires_grad_(False)
    progress, parts_kept = Progress(), {"backbone": encoder.backbone, "optimiser": optimiser}
    if options.outputs.resume and (out / STATE).is_file():
        progress = load_state(out / STATE, parts_kept)
    optimiser = parts_kept["optimiser"] = accelerator.prepare(optimiser)
    triplets = Triplets(stage.margin, stage.mining, stage.unit_features)
    classes = class_numbers(trials, parts["train"], stage.contrast)
    whole = settings.batch * accelerator.num_processes
    batches = ClassBatches(trials, parts["train"], classes, options.data.average, whole, settings.seed)
    subjects = encoder.people or subjects_of(trials, parts["train"])
    steps = batches.per_epoch * stage.epochs
    held_out = Validation.of(trials, parts, options)
    bar = tqdm(range(progress.epoch, stage.epochs), desc="contrastive", initial=progress.epoch,
               total=stage.epochs, disable=not accelerator.is_main_process)  # fmt: skip
    for epoch in bar:
        torch.manual_seed((settings.seed * 1_000_003 + epoch) * 89)
        encoder.train()
        total = 0.0
        for number, ((items, _), (eeg, label)) in enumerate(
            zip(batches.draw(epoch), batches.epoch(epoch, encoder), strict=True)
        ):
            for group in optimiser.param_groups:
                group["lr"] = settings.lr * learning_rate(epoch * batches.per_epoch + number, steps, settings)
            who = subject_numbers(trials, np.array([rows[0] for rows in items]), subjects, device)
            with accelerator.autocast():
                found = encoder.tokens(eeg.to(device), who)
            loss = triplets(found.flatten(1).float(), torch.from_numpy(label).to(device))
            accelerator.backward(loss)
            if settings.max_norm:
                accelerator.clip_grad_norm_(encoder.backbone.parameters(), settings.max_norm)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            total += loss.item()
        if not math.isfinite(total):
            raise ValueError(f"the triplet loss is not a number at epoch {epoch}; lower --lr or look for broken trials")
        row = {"stage": "contrastive", "epoch": epoch, "train_loss": total / batches.per_epoch}
        last = epoch == stage.epochs - 1
        if last or epoch % PROBE_EVERY == PROBE_EVERY - 1:
            row |= held_out.scores(encoder, triplets, options)
            score = row.get("probe_loss", row.get("val_loss"))
            if score is not None and score < progress.best:
                progress.best, progress.best_epoch = score, epoch
                progress.best_weights = copied(encoder.backbone)
        progress.epoch = epoch + 1
        progress.history.append(row)
        shown = {name: f"{row[name]:.3f}" for name in ("train_loss", "probe") if name in row}
        bar.set_postfix(shown, refresh=False)
        if accelerator.is_main_process:
            save_state(out / STATE, parts_kept, progress)
            write_history(out / "metrics.jsonl", progress.history, "contrastive")
    if progress.best_weights:
        encoder.backbone.load_state_dict(progress.best_weights)
    if encoder.personal is not None:
        encoder.personal.requires_grad_(True)
    encoder.eval()
    return progress


def check_contrastive(encoder: EegEncoder) -> None:
    """Raise ValueError for a backbone that is fitted in closed form and has nothing to train."""
    if encoder_named(encoder.architecture).fit is not None:
        raise ValueError(
            f"--contrastive trains a backbone by gradient descent, and {encoder.architecture!r} is fitted in closed "
            f"form; use --encoder {' or '.join(by_gradient_descent())}"
        )


def class_numbers(trials: Trials, rows: np.ndarray, contrast: str) -> np.ndarray:
    """Return what makes rows (n,) positive pairs, as numbers (n,): their label, or their picture."""
    if contrast == "label":
        return trials.label[rows]
    return np.unique(trials.image_id[rows], return_inverse=True)[1].reshape(-1)


@dataclass(frozen=True)
class Validation:
    """What the stage is watched on: training and validation trials as they are decoded, and validation trials in pairs.

    pairs: the validation trials with each picture's repeats averaged into two halves, so that a picture has a positive.
    """

    train: Trials
    trials: Trials
    pairs: Trials

    @staticmethod
    def of(trials: Trials, parts: dict[str, np.ndarray], options: TrainOptions) -> "Validation":
        """Return the trials of the split's parts."""
        single, train = trials.select(parts["val"]), parts["train"]
        if len(train) > PROBE_TRIALS:  # whole pictures, so that their repeats can be averaged
            pictures = np.random.default_rng([options.training.seed, 29]).permutation(np.unique(trials.image_id[train]))
            place = {name: number for number, name in enumerate(pictures.tolist())}
            order = np.argsort([place[name] for name in trials.image_id[train].tolist()], kind="stable")
            train = np.sort(train[order[:PROBE_TRIALS]])
        whole = trials_at_use(trials, parts["val"], options.data)
        pairs = single
        if options.data.average != "none" and len(single):
            pairs = single.average_repeats(max(1, round(len(single) / len(whole) / 2)), options.training.seed)
        return Validation(trials_at_use(trials, train, options.data), whole, pairs)

    def scores(self, encoder: EegEncoder, triplets: Triplets, options: TrainOptions) -> dict[str, float]:
        """Return the triplet loss over the pairs as `val_loss` and the probes' scores; each where it can be had."""
        found: dict[str, float] = {}
        if not len(self.trials):
            return found
        classes = class_numbers(self.pairs, np.arange(len(self.pairs)), options.stages.contrastive.contrast)
        own = torch.from_numpy(features(encoder, self.pairs.eeg))
        if len(np.unique(classes)) > 1 and len(np.unique(classes)) < len(classes):
            found["val_loss"] = triplets(own, torch.from_numpy(classes)).item()
        seen, whole = features(encoder, self.train.eeg), features(encoder, self.trials.eeg)
        return found | probe_scores(
            seen, self.train.label, whole, self.trials.label, len(self.trials.labels), options.training.seed
        )
