"""The training loop: gradient descent on accelerate, selection on validation only, resumable to the bit."""

import math
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from core.model.checkpoint import EegEncoder
from core.model.prediction import encode_ready
from core.preprocessing.trials import Trials

from ..config.options import TrainOptions
from ..losses.batch_transforms import Batch, BatchTransform, transformed, transforms_named
from ..losses.objective import Objective, parse_head_weights
from ..processes.as_one import as_one
from ..processes.in_parts import in_parts
from ..processes.memory import free_bytes, need_of, rows_at_once
from ..processes.together import new_accelerator, on_this_machine, prepared, said_by_first, shares
from ..targets.target import Target
from .batches import Batches
from .run_folder import tell
from .splits import subject_numbers, subjects_of, trials_at_use
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

    def forward(
        self, eeg: Tensor, targets: dict[str, Tensor], index: dict[str, Tensor], subject: Tensor | None = None
    ) -> Tensor:
        """Return the heads' losses for normalised eeg (batch, channels, times), meaned by the objective's weights.

        subject: (batch,), who it is, as the encoder takes it.
        """
        outputs = self.encoder(eeg, subject)
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
    accelerator = new_accelerator(settings.mixed_precision, log_with="tensorboard", project_dir=str(out))
    accelerator.init_trackers("logs")
    head_weights = parse_head_weights(settings.loss_weight, encoder.spaces)
    training = Training(encoder, Objective(settings.loss, settings.temperature, settings.alphas[2], head_weights))
    optimiser = torch.optim.AdamW(parameter_groups(training, options), lr=settings.lr, betas=settings.betas)
    progress, kept = Progress(), {"training": training, "optimiser": optimiser}
    if options.outputs.resume and (out / STATE).is_file():
        progress = load_state(out / STATE, kept)
    model, optimiser = prepared(accelerator, training, optimiser)
    kept["optimiser"] = optimiser
    drawn = Drawn.of(encoder, trials, parts["train"], targets, options, accelerator)
    per_epoch = drawn.batches.count()
    steps_an_epoch = math.ceil(per_epoch / settings.accumulate)
    steps = steps_an_epoch * settings.epochs
    validation = trials_at_use(trials, parts["val"], options.data)
    bar = tqdm(range(progress.epoch, settings.epochs), desc="training", initial=progress.epoch, total=settings.epochs,
               disable=not accelerator.is_main_process)  # fmt: skip
    if progress.part < 0:
        progress.part = int(said_by_first(drawn.part()))
    with (
        as_one(training, progress.part > 0) as dealt,
        in_parts(encoder.backbone, progress.part, dealt, settings.mixed_precision == "no"),
    ):
        for epoch in bar:
            if settings.patience and progress.best_epoch >= 0 and epoch - progress.best_epoch > settings.patience:
                break
            torch.manual_seed((settings.seed * 1_000_003 + epoch) * 97)
            model.train()
            training.objective.epoch = epoch
            if frozen:
                training.encoder.backbone.eval()  # frozen means its batch-norm statistics too
            total = 0.0
            for number, (batch, subject) in enumerate(drawn.epoch(epoch)):
                step = number // settings.accumulate
                for group in optimiser.param_groups:
                    rate = learning_rate(epoch * steps_an_epoch + step, steps, settings)
                    group["lr"] = group["base_lr"] * rate
                # The last step of an epoch is made of the batches that are left, and none is carried into the next.
                shared = min(settings.accumulate, per_epoch - step * settings.accumulate)
                is_last = number + 1 == step * settings.accumulate + shared
                dealt.rows = drawn.batches.sizes[number]
                with nullcontext() if is_last else accelerator.no_sync(model):
                    loss = model(batch.eeg, batch.targets, batch.index, subject)
                    accelerator.backward(loss / shared)
                if is_last:
                    if settings.max_norm:
                        accelerator.clip_grad_norm_(model.parameters(), settings.max_norm)
                    optimiser.step()
                    optimiser.zero_grad(set_to_none=True)
                    training.objective.keep_in_range()
                total += loss.item()
            if not math.isfinite(total):
                raise ValueError(
                    f"the training loss is not a number at epoch {epoch}; lower --lr or look for broken trials"
                )
            row = {"epoch": epoch, "train_loss": total / per_epoch, "lr": optimiser.param_groups[0]["lr"]}
            row["temperature"] = training.objective.temperature.item()
            if len(validation):
                found = evaluate_loss(training, validation, targets, drawn.batches.batch, drawn.subjects)
                row["val_loss"] = said_by_first(found)
            progress.epoch = epoch + 1
            progress.history.append(row)
            if row.get("val_loss", -math.inf) < progress.best or not len(validation):
                progress.best, progress.best_epoch = row.get("val_loss", math.inf), epoch
                progress.best_weights = copied(encoder)
            accelerator.log({name: value for name, value in row.items() if name != "epoch"}, step=epoch)
            shown = {name: f"{row[name]:.4f}" for name in ("train_loss", "val_loss") if name in row}
            bar.set_postfix(shown, refresh=False)
            if accelerator.is_main_process:
                save_state(out / STATE, kept, progress)
                write_history(out / "metrics.jsonl", progress.history)
                if after_epoch is not None:
                    after_epoch(epoch, encoder.eval())
    for tracker in accelerator.trackers:
        tracker.finish()
    if progress.best_weights:
        encoder.load_state_dict(progress.best_weights)
    encoder.eval()
    return progress


@dataclass(frozen=True, eq=False)
class Drawn:
    """The batches of an epoch as this process trains on them: its own rows, with targets, on its device.

    batches: of all processes together. target_rows: for each regression space the target row of every trial. subjects:
    who training knows, sorted.
    """

    batches: Batches
    encoder: EegEncoder
    targets: dict[str, Target]
    target_rows: dict[str, np.ndarray]
    subjects: tuple[str, ...]
    transforms: list[BatchTransform]
    device: torch.device
    rank: int
    world: int

    @staticmethod
    def of(
        encoder: EegEncoder,
        trials: Trials,
        train: np.ndarray,
        targets: dict[str, Target],
        options: TrainOptions,
        accelerator: Any,
    ) -> "Drawn":
        """Return what is drawn from the training split; raises ValueError where that makes no batch."""
        settings, world = options.training, accelerator.num_processes
        made = Batches(trials, train, options.data.average, settings.batch * world, settings.seed, max(2, world))
        if not made.count():
            raise ValueError(
                f"{len(train)} training trials make no batch of at least two; lower --batch or gather more trials"
            )
        if world > 1 and accelerator.is_main_process:
            tell(f"{world} processes train as one on batches of {world} x {settings.batch} = {made.batch} rows")
        rows = {space: target.rows(trials) for space, target in targets.items()}
        transforms = transforms_named(settings.batch_transforms)
        place = (accelerator.device, accelerator.process_index, world)
        return Drawn(made, encoder, targets, rows, subjects_of(trials, train), transforms, *place)

    def part(self) -> int:
        """Return how many rows of a batch go at a time, 0 for all of them; what a step takes is said where it is
        much.
        """
        rows = shares(self.batches.sizes[0], self.world)[0]
        two = encode_ready(self.encoder, np.asarray(self.batches.trials.eeg[self.batches.rows[:2]])).to(self.device)
        part, said = rows_at_once(
            need_of(self.encoder, two), rows, free_bytes(self.device) // max(1, on_this_machine())
        )
        if said:
            tell(said)
        return part

    def epoch(self, number: int) -> Iterator[tuple[Batch, Tensor | None]]:
        """Yield this process's rows of each batch, and who each of them is of."""
        # What mixes the rows of a batch must see all of them.
        rank, world = (0, 1) if self.transforms else (self.rank, self.world)
        trials = self.batches.trials
        for place, (eeg, chosen) in enumerate(self.batches.epoch(number, self.encoder, rank, world)):
            wanted, index = batch_targets(self.encoder, trials, self.target_rows, self.targets, chosen, self.device)
            batch = Batch(eeg.to(self.device), wanted, index, n_classes_of(self.encoder))
            who = subject_numbers(trials, chosen, self.subjects, self.device)
            if self.transforms:
                batch = transformed(batch, self.transforms, (self.batches.seed, number, place, 0))
                batch = own_rows(batch, self.rank, self.world)
                who = None if who is None else who[self.rank :: self.world]
            yield batch, who


def own_rows(batch: Batch, rank: int, world: int) -> Batch:
    """Return one process's rows of a whole batch, dealt out one by one."""
    targets, index = (
        {space: rows[rank::world] for space, rows in part.items()} for part in (batch.targets, batch.index)
    )
    return Batch(batch.eeg[rank::world], targets, index, batch.n_classes)


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
def evaluate_loss(
    training: Training, validation: Trials, targets: dict[str, Target], batch: int, subjects: tuple[str, ...] = ()
) -> float:
    """Return the mean loss over the validation trials in eval mode: no dropout, and batch norm's statistics stay as
    trained.

    batch: rows at once, which a loss that compares them sees. subjects: who training knows.
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
        who = subject_numbers(validation, chosen, subjects, device)
        total += training(eeg, wanted, index, who).item() * len(chosen)
    return total / len(validation)
