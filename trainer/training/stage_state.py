"""What the stages of a training share: where one stands, its optimiser's groups, its state on disk."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from core.files import text_lines, write_atomically

from ..config.training_options import TrainingOptions

BY_EPOCH = ("cosine-by-epoch", "plateau")


@dataclass
class Progress:
    """Where a stage stands; everything a resumed one needs beside its parts' own states.

    best: the lowest validation figure so far, of `best_epoch`, whose weights are `best_weights` (none yet: empty).
    part: rows of a batch at a time, 0 for all of them, -1 where that is not yet chosen; another one rounds otherwise.
    """

    epoch: int = 0
    best: float = math.inf
    best_epoch: int = -1
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    history: list[dict] = field(default_factory=list)
    part: int = -1


def decayed(module: nn.Module, weight_decay: float) -> list[dict]:
    """Return optimiser groups with weight decay on matrices only."""
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    matrices = [parameter for parameter in trained if parameter.ndim > 1]
    others = [parameter for parameter in trained if parameter.ndim <= 1]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def save_state(path: Path, parts: Mapping[str, Any], progress: Progress) -> None:
    """Write everything a resumed stage needs, beside the old state and then renamed.

    parts: networks and optimisers by name.
    """
    state = {name: part.state_dict() for name, part in parts.items()}
    with write_atomically(path) as beside:
        torch.save({"parts": state, "progress": vars(progress)}, beside)


def load_state(path: Path, parts: Mapping[str, Any]) -> Progress:
    """Read a stage's state into networks and optimisers; raises ValueError where it belongs to another run."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    try:
        for name, part in parts.items():
            part.load_state_dict(state["parts"][name])
    except (RuntimeError, KeyError, ValueError) as error:
        raise ValueError(
            f"{path} does not belong to these options: resume with the run's own, or choose another --out"
        ) from error
    return Progress(**{"part": 0, **state["progress"]})  # earlier versions had none


def copied(module: nn.Module) -> dict:
    """Return a module's state on the CPU, apart from the module."""
    return {name: tensor.detach().cpu().clone() for name, tensor in module.state_dict().items()}


def learning_rate(step: int, steps: int, options: TrainingOptions) -> float:
    """Return the share of the base learning rate at a step: a linear rise, then a cosine to zero or constant."""
    rise = max(1, round(options.warmup * steps))
    if options.warmup and step < rise:
        return (step + 1) / rise
    if options.schedule == "constant":
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rise) / max(1, steps - rise))))


def rate_at(
    epoch: int, step: int, steps_an_epoch: int, options: TrainingOptions, history: Sequence[Mapping[str, float]]
) -> float:
    """Return the share of the base learning rate at a step of an epoch.

    Beside `learning_rate`'s schedules, which change with every step: "cosine-by-epoch" falls once an epoch, "plateau"
    by a factor after so many epochs without a better validation loss (without validation, training loss), told by the
    rows of the epochs before, so that a resumed run has the same. From `second_stage` on all is lower by
    `second_lr` / `lr`.
    """
    share, steps = 1.0, steps_an_epoch * options.epochs
    if options.second_stage and epoch >= options.second_stage:
        share = options.second_lr / options.lr
    number, rise = epoch * steps_an_epoch + step, max(1, round(options.warmup * steps))
    if options.schedule not in BY_EPOCH:
        return share * learning_rate(number, steps, options)
    if options.warmup and number < rise:
        return share * (number + 1) / rise
    if options.schedule == "plateau":
        return share * options.plateau_factor ** _plateaus(history[:epoch], options.plateau_patience)
    return share * 0.5 * (1 + math.cos(math.pi * epoch / options.epochs))


def _plateaus(history: Sequence[Mapping[str, float]], patience: int) -> int:
    """Return how often the loss has not become better for more than `patience` epochs."""
    best, waited, found = math.inf, 0, 0
    for row in history:
        loss = row.get("val_loss", row["train_loss"])
        waited = 0 if loss < best else waited + 1
        best = min(best, loss)
        if waited > patience:
            found, waited = found + 1, 0
    return found


def write_history(path: Path, history: list[dict], stage: str = "") -> None:
    """Write one JSON object an epoch to metrics.jsonl, after the rows of other stages that stand there.

    stage: what the rows have under "stage"; the loop that trains the heads has none.
    """
    written = text_lines(path.read_text(encoding="utf-8")) if path.is_file() else []
    others = [line for line in written if json.loads(line).get("stage", "") != stage]
    with write_atomically(path) as beside:
        beside.write_text("".join(line + "\n" for line in [*others, *(json.dumps(row) for row in history)]))
