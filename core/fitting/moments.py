"""Sums over rows that regression needs, gathered in blocks so that memory does not grow with the number of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

BLOCK = 4096  # rows in double precision at once


@dataclass(frozen=True, eq=False)
class Rows:
    """A matrix (n, d) whose rows are made from `inputs` (n, ...) when they are read, in double precision."""

    inputs: Tensor
    make: Callable[[Tensor], Tensor]
    width: int

    @staticmethod
    def of(x: Tensor | Rows) -> Rows:
        """Return a tensor (n, d) as rows that are read as they are."""
        if isinstance(x, Rows):
            return x
        x = torch.as_tensor(x)
        return Rows(x, lambda part: part, x.shape[1] if x.ndim == 2 else -1)

    @property
    def shape(self) -> tuple[int, int]:
        """Return how many rows and columns there are; -1 columns for what is no matrix."""
        return len(self.inputs), self.width

    def read(self, rows: slice | Tensor) -> Tensor:
        """Return some rows (m, d)."""
        return self.make(self.inputs[rows]).double()

    def all(self) -> Tensor:
        """Return every row (n, d)."""
        n = len(self.inputs)
        return torch.cat([self.read(block) for block in blocks(n)]) if n else self.read(slice(0, 0))


def blocks(n: int) -> Iterator[slice]:
    """Yield slices of at most `BLOCK` that cover n rows."""
    return (slice(start, min(start + BLOCK, n)) for start in range(0, n, BLOCK))


@dataclass(frozen=True, eq=False)
class Moments:
    """How many rows there are, their sums and the sums of their products: x (d,), y (k,), xx (d, d), xy (d, k), and of
    y's squares the sum over all targets.
    """

    n: int
    x: Tensor
    y: Tensor
    xx: Tensor
    xy: Tensor
    yy: float

    def __add__(self, other: Moments) -> Moments:
        """Return the moments of both sets of rows together."""
        return Moments(
            self.n + other.n,
            self.x + other.x,
            self.y + other.y,
            self.xx + other.xx,
            self.xy + other.xy,
            self.yy + other.yy,
        )

    def __sub__(self, other: Moments) -> Moments:
        """Return the moments without some of the rows."""
        return Moments(
            self.n - other.n,
            self.x - other.x,
            self.y - other.y,
            self.xx - other.xx,
            self.xy - other.xy,
            self.yy - other.yy,
        )

    def about(self, x: Tensor, y: Tensor) -> Moments:
        """Return the moments of the same rows less x (d,) and y (k,)."""
        return Moments(
            self.n,
            self.x - self.n * x,
            self.y - self.n * y,
            self.xx - torch.outer(self.x, x) - torch.outer(x, self.x) + self.n * torch.outer(x, x),
            self.xy - torch.outer(self.x, y) - torch.outer(x, self.y) + self.n * torch.outer(x, y),
            self.yy - 2 * float(self.y @ y) + self.n * float(y @ y),
        )


def moments_of(x: Rows, y: Tensor, part: Tensor, n_parts: int) -> list[Moments]:
    """Return the moments of each part of the rows of x (n, d) and y (n, k); part: (n,), numbers from 0."""
    d, k = x.shape[1], y.shape[1]

    def zeros(*shape: int) -> list[Tensor]:
        return [torch.zeros(shape, dtype=torch.float64, device=y.device) for _ in range(n_parts)]

    counts, sums_x, sums_y, xx, xy, yy = [0] * n_parts, zeros(d), zeros(k), zeros(d, d), zeros(d, k), [0.0] * n_parts
    for block in blocks(len(y)):
        some, wanted, of = x.read(block), y[block], part[block]
        for number in torch.unique(of).tolist():
            member = of == number
            a, b = some[member], wanted[member]
            counts[number] += len(a)
            sums_x[number] += a.sum(0)
            sums_y[number] += b.sum(0)
            xx[number].addmm_(a.mT, a)
            xy[number].addmm_(a.mT, b)
            yy[number] += float(b.square().sum())
    return [Moments(*of) for of in zip(counts, sums_x, sums_y, xx, xy, yy, strict=True)]
