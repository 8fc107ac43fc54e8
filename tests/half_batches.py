"""One process of a training step: its share of a batch, the gradients of all processes meaned by accelerate.

python -m tests.half_batches LOSS FILE, with RANK and WORLD_SIZE set; the first process writes loss and gradients.
"""

import sys

import torch

from core.model.heads import HeadConfig
from tests.small_encoders import small_encoder
from trainer.losses.objective import Objective
from trainer.training.loop import Training

ROWS = 12


def training_of(loss: str) -> Training:
    """An encoder whose rows do not see each other before the loss (no batch norm, no dropout), and the loss."""
    heads = (
        HeadConfig("clip-l.image", "basis", rank=6),
        HeadConfig("sd1.latent", "linear", shape=(4, 2, 2)),
        HeadConfig("prompts", "prompts", prompts=("a face", "a house", "a hand")),
    )
    config = {"patch": 16, "width": 16, "depth": 1, "n_heads": 2, "dropout": 0.0}
    encoder = small_encoder(*heads, architecture="patch-transformer", config=config)
    return Training(encoder, Objective(loss, temperature=0.2)).train()


def batch() -> tuple[torch.Tensor, dict[str, torch.Tensor], dict[str, torch.Tensor], torch.Tensor]:
    """Twelve rows of nine targets, three of them shown twice, to two people, so that the halves share targets."""
    draw = torch.Generator().manual_seed(3)
    number = torch.tensor([0, 1, 2, 3, 4, 5, 0, 1, 2, 6, 7, 8])
    wide = {"clip-l.image": 768, "sd1.latent": 16}
    targets = {space: torch.randn(9, size, generator=draw)[number] for space, size in wide.items()}
    index = dict.fromkeys((*wide, "prompts"), number)
    people = torch.arange(ROWS) // 6
    return torch.randn(ROWS, 8, 128, generator=draw), {**targets, "prompts": number % 3}, index, people


def main() -> None:
    """Take this process's rows, one step backwards, and write what came of it."""
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    training = training_of(sys.argv[1])
    model = accelerator.prepare(training)
    eeg, targets, index, people = batch()
    mine = torch.arange(ROWS)[accelerator.process_index :: accelerator.num_processes]
    own = ({space: rows[mine] for space, rows in part.items()} for part in (targets, index))
    loss = model(eeg[mine], *own, people[mine])
    accelerator.backward(loss)
    mean = accelerator.reduce(loss.detach(), "mean")
    if accelerator.is_main_process:
        gradients = {name: p.grad for name, p in training.named_parameters() if p.grad is not None}
        torch.save({"loss": mean, "gradients": gradients, "processes": accelerator.num_processes}, sys.argv[2])
    accelerator.end_training()


if __name__ == "__main__":
    main()
