"""Rows of all processes in one batch, for losses that compare every row with every other."""

from typing import Any

import torch
from torch import Tensor


class _Gathered(torch.autograd.Function):
    """All processes' rows, in the processes' order; each process's own rows have a gradient.

    Every process computes the loss of the whole batch, and training means the processes' gradients. A row's gradient
    reaches its own process only, so it counts as many times as there are processes; what all of them hold, such as
    the temperature, has its whole gradient everywhere and is meaned as it is.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, rank: int, world: int) -> Tensor:
        from accelerate.utils import gather

        ctx.place, ctx.world = slice(rank * len(rows), (rank + 1) * len(rows)), world
        found = gather(rows.contiguous())
        assert isinstance(found, Tensor)
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return gradients[0][ctx.place] * ctx.world, None, None


def gather_rows(rows: Tensor) -> Tensor:
    """Return the rows (batch, ...) of all processes of `accelerate launch` as (processes * batch, ...), one process's
    as they are.

    Every process must give as many rows as the others.
    """
    from accelerate import PartialState
    from accelerate.state import is_initialized

    if not is_initialized():
        return rows
    state = PartialState()
    if state.num_processes == 1:
        return rows
    return _Gathered.apply(rows, state.process_index, state.num_processes)
