"""The training loop: gradient descent on accelerate, selection on validation only, resumable to the bit."""

import math
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from core.model.checkpoint import EegEncoder
from core.model.prediction import encode_ready
from core.preprocessing.trials import Trials

from ..config.options import TrainOptions
from ..losses.objective import Objective, objective_of
from ..processes.as_one import as_one
from ..processes.in_parts import in_parts
from ..processes.together import new_accelerator, prepared, said_by_first
from ..targets.mixes.layer_mix import LayerMix
from ..targets.mixes.picture_side import sides_of
from ..targets.target import Target
from .batches import Drawn, batch_targets
from .run_folder import tell
from .splits import subject_numbers, subjects_of, trials_at_use
from .stage_state import Progress, copied, load_state, rate_at, save_state, write_history

STATE = "state.pt"
SIDES = "sides."  # before the names of the pictures' side among the best weights


class Training(nn.Module):
    """Encoder, objective and what is trained on the pictures' side (by space) in one module, so that every trained
    parameter is in one place for optimiser, processes and resume.
    """

    def __init__(self, encoder: EegEncoder, objective: Objective, sides: Mapping[str, nn.Module] | None = None) -> None:
        super().__init__()
        self.encoder = encoder
        self.objective = objective
        self.spaces = tuple(sides or {})
        self.sides = nn.ModuleList((sides or {}).values())

    def forward(
        self,
        eeg: Tensor,
        targets: dict[str, Tensor],
        index: dict[str, Tensor],
        subject: Tensor | None = None,
        shares: Tensor | None = None,
    ) -> Tensor:
        """Return the heads' losses for normalised eeg (batch, channels, times), meaned by the objective's weights.

        subject: (batch,), who it is, as the encoder takes it. shares: as `LossInput` has them.
        """
        outputs = self.encoder(eeg, subject)
        for space, side in zip(self.spaces, self.sides, strict=True):
            targets = {**targets, space: side(targets[space], subject)}
        return self.objective.together(
            {
                space: self.objective(
                    self.encoder.head(space), outputs[space].float(), targets[space], index[space], shares, subject
                )
                for space in outputs
            }
        )


def parameter_groups(training: Training, options: TrainOptions) -> list[dict]:
    """Return optimiser groups: backbone, heads, pictures' side with their own learning rates, decay on matrices only.

    Norms, biases, the temperature and layers a person do not decay, the last so that people who are not there keep
    theirs. A frozen backbone is left out.
    """
    settings, start = options.training, options.stages.finetune
    backbone_lr = start.backbone_lr or settings.lr
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in training.named_parameters():
        if start.freeze == "backbone" and name.startswith("encoder.backbone."):
            parameter.requires_grad_(False)
        if not parameter.requires_grad:
            continue
        side_lr = settings.side_lr if name.startswith("sides.") else 0.0
        lr = side_lr or (backbone_lr if name.startswith("encoder.backbone.") else settings.lr)
        decays = parameter.ndim > 1 and not name.startswith("encoder.personal.")
        decay = settings.weight_decay if decays else 0.0
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
    validation split or with `--keep last`).

    after_epoch: called on the main process with the epoch's number and the encoder in eval mode. Writes state.pt after
    every epoch; with `--resume` goes on from it, and since order, subsets and dropout follow from the seed and the
    epoch's number alone, the result equals that of an unbroken run, bit for bit on a CPU.
    """
    settings, frozen = options.training, options.stages.finetune.freeze == "backbone"
    accelerator = new_accelerator(settings.mixed_precision, log_with="tensorboard", project_dir=str(out))
    accelerator.init_trackers("logs")
    objective, said = objective_of(settings, encoder.spaces, {s: len(t.names) for s, t in targets.items() if t.levels})
    if objective.compares_people and not any(subjects_of(trials, parts["train"])):
        raise ValueError("--loss cross-person needs to know who each trial is of: a store with a column `subject`")
    training = Training(encoder, objective, sides_of(targets))
    if said:
        tell(said)
    optimiser = torch.optim.AdamW(parameter_groups(training, options), lr=settings.lr, betas=settings.betas)
    progress, kept = Progress(), {"training": training, "optimiser": optimiser}
    if options.outputs.resume and (out / STATE).is_file():
        progress = load_state(out / STATE, kept)
    model, optimiser = prepared(accelerator, training, optimiser)
    kept["optimiser"] = optimiser
    if accelerator.num_processes > 1 and any(isinstance(side, LayerMix) for side in training.sides):
        raise ValueError("--mix layers draws each row's people bias by itself and trains in one process only")
    drawn = Drawn.of(encoder, objective, trials, parts["train"], targets, options, accelerator)
    per_epoch = drawn.batches.count()
    steps_an_epoch = math.ceil(per_epoch / settings.accumulate)
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
            objective.begin_epoch(epoch)
            if settings.second_stage and epoch == settings.second_stage:
                optimiser.state.clear()  # a fresh one, as it was when the training began
            if settings.second_stage and epoch >= settings.second_stage:
                for side in training.sides:
                    if isinstance(side, LayerMix):
                        side.freeze_share()
            if frozen:
                training.encoder.backbone.eval()  # frozen means its batch-norm statistics too
            total = 0.0
            for number, (batch, subject) in enumerate(drawn.epoch(epoch)):
                step = number // settings.accumulate
                for group in optimiser.param_groups:
                    rate = rate_at(epoch, step, steps_an_epoch, settings, progress.history)
                    group["lr"] = group["base_lr"] * rate
                # The last step of an epoch is made of the batches that are left, and none is carried into the next.
                shared = min(settings.accumulate, per_epoch - step * settings.accumulate)
                is_last = number + 1 == step * settings.accumulate + shared
                dealt.rows = drawn.batches.sizes[number]
                with nullcontext() if is_last else accelerator.no_sync(model):
                    loss = model(batch.eeg, batch.targets, batch.index, subject, batch.shares)
                    accelerator.backward(loss / shared)
                if is_last:
                    if settings.max_norm:
                        accelerator.clip_grad_norm_(model.parameters(), settings.max_norm)
                    optimiser.step()
                    optimiser.zero_grad(set_to_none=True)
                    objective.keep_in_range()
                total += loss.item()
            if not math.isfinite(total):
                raise ValueError(
                    f"the training loss is not a number at epoch {epoch}; lower --lr or look for broken trials"
                )
            row = {"epoch": epoch, "train_loss": total / per_epoch, "lr": optimiser.param_groups[0]["lr"]}
            row["temperature"] = objective.temperature.item()
            if len(validation):
                found = evaluate_loss(training, validation, targets, drawn.batches.batch, drawn.subjects)
                row["val_loss"] = said_by_first(found)
            progress.epoch = epoch + 1
            progress.history.append(row)
            if row.get("val_loss", -math.inf) < progress.best or not len(validation) or settings.keep == "last":
                progress.best, progress.best_epoch = row.get("val_loss", math.inf), epoch
                beside = {SIDES + name: tensor for name, tensor in copied(training.sides).items()}
                progress.best_weights = {**copied(encoder), **beside}
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
        beside = {name for name in progress.best_weights if name.startswith(SIDES)}
        encoder.load_state_dict({n: t for n, t in progress.best_weights.items() if n not in beside})
        training.sides.load_state_dict({n.removeprefix(SIDES): progress.best_weights[n] for n in beside})
    encoder.eval()
    return progress


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
