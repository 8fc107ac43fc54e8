"""A batch that goes through a network's blocks in parts, with the result it has as a whole: less memory, more time.

Nothing inside a block is kept for the way back but what its batch norms are given: the rest is computed again, some
rows at a time (Chen et al., "Training Deep Nets with Sublinear Memory Cost", arXiv 1604.06174). Batch norm's mean,
variance and gradient are those of the whole batch, which plain accumulation of gradients would not give.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from .as_one import Dealt
from .together import sum_over_all


def blocks_of(network: nn.Module) -> list[nn.Module]:
    """Return the blocks a network is a row of: the members of its longest list of modules; none where it has none."""
    lists = [list(child) for child in network.children() if isinstance(child, (nn.Sequential, nn.ModuleList))]
    return max(lists, key=len, default=[])


@contextmanager
def in_parts(network: nn.Module, rows: int, dealt: Dealt, exact: bool = True) -> Iterator[None]:
    """Let a network's blocks take `rows` rows of a batch at a time where they train; 0 leaves them as they are.

    exact: false under mixed precision, where blocks with batch norm are computed again as a whole.
    """
    changed: list[nn.Module] = []

    def change(part: nn.Module, forward: Callable[..., Tensor]) -> None:
        part.__dict__["forward"] = forward
        changed.append(part)

    for block in blocks_of(network) if rows else []:
        if not any(isinstance(part, _BatchNorm) for part in block.modules()):
            change(block, _ByRows(block.forward, rows, dealt))
            continue
        again = _Again()
        for part in block.modules():
            if exact and isinstance(part, nn.Sequential) and _can_be_cut(part):
                change(part, _Cut(list(part), rows, again))
        if not any(part in changed for part in block.modules()):
            for norm in (part for part in block.modules() if isinstance(part, _BatchNorm)):
                again.norms.append(norm)
        change(block, _Whole(block.forward, again))
    try:
        yield
    finally:
        for part in changed:
            del part.__dict__["forward"]


class _Again:
    """Whether a block is being computed again; its batch norms have counted the batch by then."""

    def __init__(self) -> None:
        self.is_on = False
        self.norms: list[_BatchNorm] = []

    @contextmanager
    def on(self) -> Iterator[None]:
        """Be on for the block, in which batch norms leave their running statistics alone."""
        kept = [(norm, norm.momentum, norm.num_batches_tracked) for norm in self.norms]
        for norm, _, counted in kept:
            # Their backward pass checks that nobody has written to the running statistics, so they are not put back.
            norm.momentum = 0.0
            norm.num_batches_tracked = None if counted is None else counted.clone()
        self.is_on = True
        try:
            yield
        finally:
            self.is_on = False
            for norm, momentum, counted in kept:
                norm.momentum, norm.num_batches_tracked = momentum, counted


class _Whole:
    """A block that is computed again as a whole on the way back."""

    def __init__(self, forward: Callable[..., Tensor], again: _Again) -> None:
        self.run, self.again = forward, again

    def __call__(self, x: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            return self.run(x)
        return checkpoint(self.run, x, use_reentrant=False, context_fn=lambda: (nullcontext(), self.again.on()))


class _ByRows:
    """A block whose rows do not see each other, some rows at a time; its dropouts draw for all rows each time."""

    def __init__(self, forward: Callable[..., Tensor], rows: int, dealt: Dealt) -> None:
        self.run, self.rows, self.dealt = forward, rows, dealt

    def __call__(self, x: Tensor) -> Tensor:
        if not torch.is_grad_enabled() or len(x) <= self.rows:
            return self.run(x)
        drawn = _random_state(x)
        found: list[Tensor] = []
        for start in range(0, len(x), self.rows):
            _set_random_state(x, drawn)
            part = slice(start, start + self.rows)
            found.append(checkpoint(self.part, x[part], part, use_reentrant=False))
        return torch.cat(found)

    def part(self, x: Tensor, part: slice) -> Tensor:
        """Return the block's output for the rows of a part."""
        self.dealt.part = part
        try:
            return self.run(x)
        finally:
            self.dealt.part = None


class _Cut:
    """A sequence of modules cut in front of every batch norm: a norm is of all rows, what follows it goes by rows."""

    def __init__(self, modules: Sequence[nn.Module], rows: int, again: _Again) -> None:
        self.modules, self.rows, self.again = modules, rows, again

    def __call__(self, x: Tensor) -> Tensor:
        pieces: list[list[nn.Module]] = []
        for module in self.modules:
            if isinstance(module, _BatchNorm) or not pieces:
                pieces.append([])
            pieces[-1].append(module)
        for norm, *rest in pieces:
            if not torch.is_grad_enabled() or not norm.training or not isinstance(norm, _BatchNorm):
                for module in (norm, *rest):
                    x = module(x)
                continue
            own = [parameter for module in rest for parameter in module.parameters()]
            x = _NormAndRest.apply(x, norm, rest, self.rows, not self.again.is_on, norm.weight, norm.bias, *own)
        return x


def _can_be_cut(modules: nn.Sequential) -> bool:
    norms = [part for part in modules if isinstance(part, _BatchNorm)]
    within = [part for part in modules.modules() if isinstance(part, _BatchNorm)]
    draws = any(isinstance(part, nn.Dropout) and part.p for part in modules.modules())
    affine = all(norm.affine and norm.track_running_stats and norm.momentum is not None for norm in norms)
    return bool(norms) and len(norms) == len(within) and not draws and affine


class _NormAndRest(torch.autograd.Function):
    """Batch norm over all rows of all processes and the modules behind it, of which only the norm's input is kept."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, norm: _BatchNorm, rest: list[nn.Module], rows: int, first: bool, *parameters: Tensor
    ) -> Tensor:
        mean, variance, n = _moments(x, rows)
        scale = (variance + norm.eps).rsqrt()
        if first and norm.running_mean is not None and norm.running_var is not None:
            share = norm.momentum or 0.0
            norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), share)
            norm.running_var.lerp_((variance * (n / max(1.0, n - 1))).to(norm.running_var.dtype), share)
            if norm.num_batches_tracked is not None:
                norm.num_batches_tracked.add_(1)
        ctx.save_for_backward(x, mean.to(x.dtype), scale.to(x.dtype), *parameters)
        ctx.rest, ctx.rows, ctx.n = rest, rows, n
        weight, bias, *_ = parameters
        found: list[Tensor] = []
        for part in x.split(rows):
            y = _along(weight, x) * (part - _along(mean.to(x.dtype), x)) * _along(scale.to(x.dtype), x)
            y += _along(bias, x)
            for module in rest:
                y = module(y)
            found.append(y)
        return torch.cat(found)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, mean, scale, weight, bias, *own = ctx.saved_tensors
        trained = [parameter for parameter in own if parameter.requires_grad]
        sums: list[Tensor | None] = [None] * len(trained)
        total, product = (torch.zeros_like(mean, dtype=torch.float64) for _ in range(2))
        back = torch.empty_like(x)
        over = [0, *range(2, x.ndim)]
        for part, gradient, into in zip(
            x.split(ctx.rows), gradients[0].split(ctx.rows), back.split(ctx.rows), strict=True
        ):
            unit = (part - _along(mean, x)) * _along(scale, x)
            with torch.enable_grad():
                start = (unit * _along(weight, x) + _along(bias, x)).detach().requires_grad_()
                y = start
                for module in ctx.rest:
                    y = module(y)
                found = torch.autograd.grad(y, [start, *trained], gradient)
            into.copy_(found[0])
            total += into.sum(over)
            product += unit.mul_(into).sum(over)
            for place, value in enumerate(found[1:]):
                before = sums[place]
                sums[place] = value if before is None else before + value
        both = (sum_over_all(torch.stack([total, product])) / ctx.n).to(x.dtype)
        for part, into in zip(x.split(ctx.rows), back.split(ctx.rows), strict=True):
            unit = (part - _along(mean, x)) * _along(scale, x)
            into.sub_(_along(both[0], x)).sub_(unit.mul_(_along(both[1], x))).mul_(_along(scale * weight, x))
        given = iter(sums)
        others = [next(given) if parameter.requires_grad else None for parameter in own]
        return back, None, None, None, None, product.to(weight.dtype), total.to(bias.dtype), *others


def _moments(x: Tensor, rows: int) -> tuple[Tensor, Tensor, float]:
    """Return mean and variance (features,) in double precision over all rows of all processes, and of how many values
    they are.
    """
    over = [0, *range(2, x.ndim)]
    parts = [torch.var_mean(part, over, correction=0) for part in x.split(rows)]
    counts = [part.numel() / x.shape[1] for part in x.split(rows)]
    zeros = x.new_zeros(x.shape[1], dtype=torch.float64)
    summed = sum((n * mean.double() for n, (_, mean) in zip(counts, parts, strict=True)), zeros)
    sums = sum_over_all(torch.cat([summed, summed.new_tensor([sum(counts)])]))
    mean = sums[:-1] / sums[-1]
    apart = (n * (var.double() + (own - mean).square()) for n, (var, own) in zip(counts, parts, strict=True))
    return mean, sum_over_all(sum(apart, zeros)) / sums[-1], float(sums[-1])


def _along(values: Tensor, x: Tensor) -> Tensor:
    return values.view(1, -1, *(1,) * (x.ndim - 2))


def _random_state(x: Tensor) -> tuple[Tensor, Tensor | None]:
    return torch.get_rng_state(), torch.cuda.get_rng_state(x.device) if x.is_cuda else None


def _set_random_state(x: Tensor, state: tuple[Tensor, Tensor | None]) -> None:
    torch.set_rng_state(state[0])
    if state[1] is not None:
        torch.cuda.set_rng_state(state[1], x.device)
