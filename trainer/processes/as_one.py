"""Modules that look at the whole batch: made to look at the batch of all processes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from core.encoders.nice import Nice
from core.model.picture_generator import Generator

from .together import rank_and_world, sum_over_all


@dataclass
class Dealt:
    """How the batch at hand is dealt out: `rows` of it in all processes together, of this one's now those of `part`."""

    rows: int = 0
    part: slice | None = None

    def own(self, whole: Tensor) -> Tensor:
        """Return this process's rows of what was drawn for the whole batch."""
        rank, world = rank_and_world()
        mine = whole[rank::world]
        return mine if self.part is None else mine[self.part]


@contextmanager
def as_one(module: nn.Module, parts: bool = False) -> Iterator[Dealt]:
    """Let a module's batch norms, dropouts and drawn noise be those of the whole batch of all processes, as if one had
    it; where one process is alone nothing changes.

    parts: dropouts are given parts of a batch, also where one process is alone. Yields what must be told the rows of
    each batch. Every process must draw from the same seed.
    """
    dealt = Dealt()
    undo: list[tuple[nn.Module, type]] = []
    hooks: list[Any] = []
    several = rank_and_world()[1] > 1
    if several or parts:
        whole = ((_BatchNorm, WholeBatchNorm), (nn.Dropout, WholeDropout)) if several else ((nn.Dropout, WholeDropout),)
        for part in module.modules():
            for known, made in whole:
                if isinstance(part, known) and not isinstance(part, nn.SyncBatchNorm):
                    undo.append((part, type(part)))
                    # The class and not the module is exchanged: whoever holds the module holds the new one.
                    object.__setattr__(part, "__class__", made)
                    part.__dict__["dealt"] = dealt
            if several and isinstance(part, Nice):
                part.moments_of_all = moments_of_all
            if several and isinstance(part, Generator):
                hooks.append(part.register_forward_pre_hook(_drawn_for_all(dealt)))
    try:
        yield dealt
    finally:
        for part, before in undo:
            object.__setattr__(part, "__class__", before)
            del part.__dict__["dealt"]
        for part in module.modules():
            if isinstance(part, Nice):
                part.moments_of_all = None
        for hook in hooks:
            hook.remove()


class WholeBatchNorm(_BatchNorm):
    """Batch norm over the rows of all processes, on any backend (torch's own `SyncBatchNorm` needs a GPU)."""

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002 (torch's name)
        if input.ndim < 2:
            raise ValueError(f"batch norm takes (batch, features, ...), not {tuple(input.shape)}")

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """Return the normalised input (batch, features, ...)."""
        if not self.training:
            return super().forward(input)
        self._check_input_dim(input)
        with torch.autocast(input.device.type, enabled=False):
            exact = input.to(torch.promote_types(input.dtype, torch.float32))
            if not (input.ndim == 4 and input.is_contiguous(memory_format=torch.channels_last)):
                exact = exact.contiguous()  # as torch's own leaves it, so that dropout behind it draws the same
            found, mean, variance, n = _Normalised.apply(exact, self.weight, self.bias, self.eps)
        if self.track_running_stats and self.running_mean is not None and self.running_var is not None:
            with torch.no_grad():
                if self.num_batches_tracked is not None:
                    self.num_batches_tracked.add_(1)
                counted = self.num_batches_tracked
                share = self.momentum if self.momentum is not None else 1 / float(counted if counted is not None else 1)
                self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
                self.running_var.lerp_((variance * (n / (n - 1).clamp(min=1))).to(self.running_var.dtype), share)
        return found.to(input.dtype)


class _Normalised(torch.autograd.Function):
    """(x - mean) / sqrt(variance + eps) * weight + bias with the mean and variance of all processes' rows.

    Returns it with mean, variance and how many values they are of. Sums are taken in double precision: a difference in
    rounding between one process and several is multiplied by every step that follows.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> tuple[Tensor, ...]:
        over = [0, *range(2, x.ndim)]
        shape = (1, -1, *(1,) * (x.ndim - 2))
        counted = x.new_full((1,), x.numel() / x.shape[1], dtype=torch.float64)
        sums = sum_over_all(torch.cat([x.sum(over, dtype=torch.float64), counted]))
        n = sums[-1]
        mean = sums[:-1] / n
        centred = x - mean.to(x.dtype).view(shape)
        variance = sum_over_all(centred.square().sum(over, dtype=torch.float64)) / n
        scale = (variance + eps).rsqrt().to(x.dtype)
        unit = centred.mul_(scale.view(shape))
        ctx.save_for_backward(unit, weight, scale)
        ctx.n, ctx.has_bias = n, bias is not None
        found = unit if weight is None else unit * weight.view(shape)
        found = found.clone() if weight is None else found
        mean, variance = mean.to(x.dtype), variance.to(x.dtype)
        ctx.mark_non_differentiable(mean, variance, n)
        return found if bias is None else found + bias.view(shape), mean, variance, n

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        unit, weight, scale = ctx.saved_tensors
        gradient = gradients[0]
        over = [0, *range(2, unit.ndim)]
        shape = (1, -1, *(1,) * (unit.ndim - 2))
        own_sum = gradient.sum(over, dtype=torch.float64)
        own_product = (gradient * unit).sum(over, dtype=torch.float64)
        total, product = (sum_over_all(torch.stack([own_sum, own_product])) / ctx.n).to(unit.dtype)
        back = gradient - total.view(shape) - unit * product.view(shape)
        back = back * (scale if weight is None else scale * weight).view(shape)
        return (
            back,
            None if weight is None else own_product.to(weight.dtype),
            own_sum.to(unit.dtype) if ctx.has_bias else None,
            None,
        )


class WholeDropout(nn.Dropout):
    """Dropout whose mask is this process's rows of the mask that one process would draw for the whole batch."""

    dealt: Dealt

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
        """Return the input (batch, ...), its rows in the order they were dealt out."""
        if not self.training or not self.p or self.dealt.rows < len(input):
            return super().forward(input)
        # In the input's own order in memory, in which a mask is drawn.
        sizes = (self.dealt.rows, *input.shape[1:])
        order = sorted(range(input.ndim), key=lambda axis: -input.stride(axis))
        whole = input.new_ones([sizes[axis] for axis in order]).permute(
            [order.index(axis) for axis in range(input.ndim)]
        )
        return input * self.dealt.own(F.dropout(whole, self.p, True))


def moments_of_all(mean: Tensor, covariance: Tensor, n: int) -> tuple[Tensor, Tensor, int]:
    """Return mean (k,), covariance (k, k) and number of the rows of all processes, from those of each one's own rows.

    Without gradient: they are of what comes in.
    """
    with torch.no_grad():
        counted = mean.new_full((1,), n, dtype=torch.float64)
        sums = sum_over_all(torch.cat([n * mean.double(), counted]))
        total = sums[-1]
        whole = sums[:-1] / total
        apart = mean.double() - whole
        own = n * (covariance.double() + apart[:, None] * apart)
        return whole.to(mean.dtype), (sum_over_all(own) / total).to(covariance.dtype), int(total)


def _drawn_for_all(dealt: Dealt) -> Any:
    """Return a hook that gives a generator in training its rows of the noise drawn for the whole batch."""

    def before(part: Generator, given: tuple[Any, ...]) -> tuple[Any, ...] | None:
        features, *others = given
        if not part.training or (len(others) > 1 and others[1] is not None):
            return None
        width = part.inference_noise.shape[1]
        noise = dealt.own(torch.randn(dealt.rows, width, device=features.device))
        return features, others[0], noise

    return before
