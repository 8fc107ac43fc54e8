"""The training loop: gradient descent on accelerate, selection on validation only, resumable to the bit."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from tqdm import tqdm

from core.model.checkpoint import EegEncoder
from core.model.prediction import encode_ready
from core.preprocessing.trials import Trials

from ..config.options import TrainOptions
from ..losses.batch_transforms import Batch, transformed, transforms_named
from ..losses.objective import Objective, parse_head_weights
from ..targets.target import Target
from .batches import Batches
from .splits import trials_at_use
from .stage_state import Progress, copied, learning_rate, load_state, save_state, write_history

STATE = "state.pt"


class Training(nn.Module):
    """Encoder and objective in one module, so that every trained parameter is in one place for optimiser, processes
    and resume.
    """

    def __init__(self, encoder: EegEncoder, objective: Objective) -> None:
        super().__init__()
        self.encoder = encoder
        self.objective = objective

    def forward(self, eeg: Tensor, targets: dict[str, Tensor], index: dict[str, Tensor]) -> Tensor:
        """Return the heads' losses for normalised eeg (batch, channels, times), meaned by the objective's weights."""
        outputs = self.encoder(eeg)
        return self.objective.together(
            {
                space: self.objective(self.encoder.head(space), outputs[space].float(), targets[space], index[space])
                for space in outputs
            }
        )


def parameter_groups(training: Training, options: TrainOptions) -> list[dict]:
    """Return optimiser groups: backbone and heads with their own learning rates, weight decay on matrices only.

    Norms, biases and the temperature do not decay. A frozen backbone is left out.
    """
    settings, start = options.training, options.stages.finetune
    backbone_lr = start.backbone_lr or settings.lr
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in training.named_parameters():
        if start.freeze == "backbone" and name.startswith("encoder.backbone."):
            parameter.requires_grad_(False)
        if not parameter.requires_grad:
            continue
        lr = backbone_lr if name.startswith("encoder.backbone.") else settings.lr
        decay = settings.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((lr, decay), []).append(parameter)
    return [
        {"params": members, "lr": lr, "base_lr": lr, "weight_decay": decay} for (lr, decay), members in groups.items()
    ]


def train_loop(
    encoder: EegEncoder,
    trials: Trials,
    parts: dict[str, np.ndarray],
    targets: dict[str, Target],
    options: TrainOptions,
    out: Path,
    after_epoch: Callable[[int, EegEncoder], None] | None = None,
) -> Progress:
    """Train an encoder in place; afterwards it holds the weights of the best validation epoch (the last, without a
    validation split).

    after_epoch: called on the main process with the epoch's number and the encoder in eval mode. Writes state.pt after
    every epoch; with `--resume` goes on from it, and since order, subsets and dropout follow from the seed and the
    epoch's number alone, the result equals that of an unbroken run, bit for bit on a CPU.
    """
    settings, frozen = options.training, options.stages.finetune.freeze == "backbone"
    accelerator = Accelerator(
        mixed_precision=settings.mixed_precision,
        gradient_accumulation_steps=settings.accumulate,
        log_with="tensorboard",
        project_dir=str(out),
    )
    accelerator.init_trackers("logs")
    transforms = transforms_named(settings.batch_transforms)
    head_weights = parse_head_weights(settings.loss_weight, encoder.spaces)
    training = Training(encoder, Objective(settings.loss, settings.temperature, settings.alphas[2], head_weights))
    optimiser = torch.optim.AdamW(parameter_groups(training, options), lr=settings.lr, betas=settings.betas)
    progress, kept = Progress(), {"training": training, "optimiser": optimiser}
    if options.outputs.resume and (out / STATE).is_file():
        progress = load_state(out / STATE, kept)
    model, optimiser = accelerator.prepare(training, optimiser)
    kept["optimiser"] = optimiser
    rank, world = accelerator.process_index, accelerator.num_processes
    batches = Batches(trials, parts["train"], options.data.average, settings.batch, settings.seed)
    per_epoch = batches.count(world)
    if not per_epoch:
        raise ValueError(
            f"{len(parts['train'])} training trials make no batch of at least two; lower --batch or gather more trials"
        )
    steps = math.ceil(per_epoch / settings.accumulate) * settings.epochs
    target_rows = {space: target.rows(trials) for space, target in targets.items()}
    validation = trials_at_use(trials, parts["val"], options.data)
    bar = tqdm(range(progress.epoch, settings.epochs), desc="training", initial=progress.epoch, total=settings.epochs,
               disable=not accelerator.is_main_process)  # fmt: skip
    for epoch in bar:
        if settings.patience and progress.best_epoch >= 0 and epoch - progress.best_epoch > settings.patience:
            break
        torch.manual_seed((settings.seed * 1_000_003 + epoch) * 97 + rank)
        model.train()
        training.objective.epoch = epoch
        if frozen:
            training.encoder.backbone.eval()  # frozen means its batch-norm statistics too
        total = 0.0
        for number, (eeg, chosen) in enumerate(batches.epoch(epoch, encoder, rank, world)):
            step = epoch * math.ceil(per_epoch / settings.accumulate) + number // settings.accumulate
            for group in optimiser.param_groups:
                group["lr"] = group["base_lr"] * learning_rate(step, steps, settings)
            with accelerator.accumulate(model):
                wanted, index = batch_targets(encoder, trials, target_rows, targets, chosen, accelerator.device)
                drawn = Batch(eeg.to(accelerator.device), wanted, index, n_classes_of(encoder))
                drawn = transformed(drawn, transforms, (settings.seed, epoch, number, rank))
                loss = model(drawn.eeg, drawn.targets, drawn.index)
                accelerator.backward(loss)
                if settings.max_norm and accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(model.parameters(), settings.max_norm)
                optimiser.step()
                optimiser.zero_grad(set_to_none=True)
            total += loss.item()
        row = {"epoch": epoch, "train_loss": total / per_epoch, "lr": optimiser.param_groups[0]["lr"]}
        if not math.isfinite(total):
            raise ValueError(
                f"the training loss is not a number at epoch {epoch}; lower --lr or look for broken trials"
            )
        row["temperature"] = training.objective.temperature.item()
        if len(validation):
            row["val_loss"] = evaluate_loss(training, validation, targets, settings.batch)
        progress.epoch = epoch + 1
        progress.history.append(row)
        if row.get("val_loss", -math.inf) < progress.best or not len(validation):
            progress.best, progress.best_epoch = row.get("val_loss", math.inf), epoch
            progress.best_weights = copied(encoder)
        accelerator.log({name: value for name, value in row.items() if name != "epoch"}, step=epoch)
        bar.set_postfix({name: f"{row[name]:.4f}" for name in ("train_loss", "val_loss") if name in row}, refresh=False)
        if accelerator.is_main_process:
            save_state(out / STATE, kept, progress)
            write_history(out / "metrics.jsonl", progress.history)
            if after_epoch is not None:
                after_epoch(epoch, encoder.eval())
    accelerator.end_training()
    if progress.best_weights:
        encoder.load_state_dict(progress.best_weights)
    encoder.eval()
    return progress


def batch_targets(
    encoder: EegEncoder,
    trials: Trials,
    rows: dict[str, np.ndarray],
    targets: dict[str, Target],
    chosen: np.ndarray,
    device: torch.device,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return each space's targets and target numbers for the chosen trials, on the device.

    rows: for each regression space the target row of every trial; a `prompts` head takes the trials' labels.
    """
    wanted, index = {}, {}
    for space in encoder.spaces:
        number = torch.from_numpy(rows[space][chosen] if space in targets else trials.label[chosen])
        wanted[space] = (targets[space].values[number] if space in targets else number).to(device)
        index[space] = number.to(device)
    return wanted, index


def n_classes_of(encoder: EegEncoder) -> dict[str, int]:
    """Return of how many classes each `prompts` head chooses, by space."""
    return {
        space: len(encoder.head(space).config.prompts)
        for space in encoder.spaces
        if encoder.head(space).config.kind == "prompts"
    }


@torch.no_grad()
def evaluate_loss(training: Training, validation: Trials, targets: dict[str, Target], batch: int) -> float:
    """Return the mean loss over the validation trials in eval mode: no dropout, and batch norm's statistics stay as
    trained.
    """
    training.eval()
    encoder = training.encoder
    device = next(encoder.heads.parameters()).device
    rows = {space: target.rows(validation) for space, target in targets.items()}
    total = 0.0
    for start in range(0, len(validation), batch):
        chosen = np.arange(start, min(start + batch, len(validation)))
        wanted, index = batch_targets(encoder, validation, rows, targets, chosen, device)
        eeg = encode_ready(encoder, validation.eeg[chosen]).to(device)
        total += training(eeg, wanted, index).item() * len(chosen)
    return total / len(validation)
