"""Several processes that train as one: who is who, what they tell each other, rows of all of them in one batch."""

import os
import sys
import warnings
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist


def rank_and_world() -> tuple[int, int]:
    """Return the number of this process and how many train together: (0, 1) where it is alone."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def on_this_machine() -> int:
    """Return how many of the processes share this machine's memory; 1 where each has a GPU of its own."""
    if rank_and_world()[1] == 1 or dist.get_backend() == "nccl":
        return 1
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def new_accelerator(mixed_precision: str, **more: Any) -> Any:
    """Return accelerate's `Accelerator` for this process, with gloo between several on processors alone.

    Raises ValueError where several were asked for and one was started.
    """
    from accelerate import Accelerator, DistributedDataParallelKwargs
    from accelerate.state import AcceleratorState

    check_launch()
    AcceleratorState._reset_state()  # another stage, or a host's next training, may have another precision
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1
    # Left to itself accelerate makes each of several processes on processors a training of its own.
    on_cpu = several and not (torch.cuda.is_available() or (hasattr(torch, "xpu") and torch.xpu.is_available()))
    # Statistics are those of all processes already; a head that a loss leaves out has parameters without gradient.
    parallel = DistributedDataParallelKwargs(broadcast_buffers=False, find_unused_parameters=True)
    return Accelerator(mixed_precision=mixed_precision, cpu=on_cpu, kwargs_handlers=[parallel], **more)


def prepared(accelerator: Any, *parts: Any) -> tuple[Any, ...]:
    """Return networks and optimisers as accelerate prepares them, without what torch says of accelerate's arguments."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated", FutureWarning)
        return accelerator.prepare(*parts)


def check_launch() -> None:
    """Raise ValueError where `accelerate launch` was asked for several processes and has started one.

    It does so on a machine without an accelerator. It then names a meeting point, and nobody's number.
    """
    by_accelerate = "ACCELERATE_MIXED_PRECISION" in os.environ
    if by_accelerate and "MASTER_PORT" in os.environ and "WORLD_SIZE" not in os.environ:
        raise ValueError(
            "accelerate launch was asked for several processes and has started one, as it does without a GPU; "
            f"start them with torchrun --nproc_per_node N {sys.argv[0]} ..."
        )


def leave() -> None:
    """Leave the other processes; called once, when the command is done."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


def said_by_first(value: float) -> float:
    """Return the first process's number, so that all decide alike by it."""
    if rank_and_world()[1] == 1:
        return value
    told = torch.tensor([value], dtype=torch.float64, device=_device())
    dist.broadcast(told, 0)
    return float(told)


def shares(rows: int, world: int) -> list[int]:
    """Return how many of a batch's rows each process has, where they are dealt out one by one."""
    return [(rows - rank + world - 1) // world for rank in range(world)]


def gather_rows(rows: Tensor) -> Tensor:
    """Return the rows (n, ...) of all processes, one process's as they are.

    Rows were dealt out one by one, and come back in the order they had; so one process may have one row more than
    another. Each process's own rows have a gradient.
    """
    return rows if rank_and_world()[1] == 1 else _Gathered.apply(rows)


def sum_over_all(values: Tensor) -> Tensor:
    """Return the sum of every process's values, without gradient."""
    total = values.detach().clone()
    if rank_and_world()[1] > 1:
        dist.all_reduce(total)
    return total


class _Gathered(torch.autograd.Function):
    """All processes' rows in the order of the whole batch; each process's own rows have a gradient.

    Every process computes the loss of the whole batch, and training means the processes' gradients. A row's gradient
    reaches its own process only, so it counts as many times as there are processes; what all of them hold, such as
    the temperature, has its whole gradient everywhere and is meaned as it is.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        rank, world = rank_and_world()
        ctx.rank, ctx.world = rank, world
        sizes = torch.zeros(world, dtype=torch.int64, device=rows.device)
        sizes[rank] = len(rows)
        counts = sum_over_all(sizes).tolist()
        padded = rows.new_zeros(max(counts), *rows.shape[1:])
        padded[: len(rows)] = rows
        found = [torch.empty_like(padded) for _ in range(world)]
        dist.all_gather(found, padded)
        whole = rows.new_empty(sum(counts), *rows.shape[1:])
        for other, count in enumerate(counts):
            whole[other::world] = found[other][:count]
        return whole

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0][ctx.rank :: ctx.world] * ctx.world


def _device() -> torch.device:
    return torch.device("cuda", torch.cuda.current_device()) if dist.get_backend() == "nccl" else torch.device("cpu")
