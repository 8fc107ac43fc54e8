"""Geometry of covariance matrices: a matrix logarithm that can be trained through, their mean."""

from typing import Any

import torch
from torch import Tensor


class MatrixLog(torch.autograd.Function):
    """Logarithm of symmetric positive definite matrices; its gradient is finite where eigenvalues coincide."""

    @staticmethod
    def forward(ctx: Any, matrices: Tensor) -> Tensor:
        """Return log(matrices), (batch, n, n) to (batch, n, n); eigenvalues below rounding are raised to it."""
        values, vectors = torch.linalg.eigh(matrices)
        floor = values[..., -1:].clamp_min(torch.finfo(values.dtype).tiny) * torch.finfo(values.dtype).eps
        values = values.clamp_min(0) + (floor - values.clamp_min(0)).clamp_min(0)
        ctx.save_for_backward(values, vectors)
        return vectors * values.log()[..., None, :] @ vectors.mT

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        """Return the gradient by divided differences of the logarithm (Daleckii and Krein)."""
        values, vectors = ctx.saved_tensors
        row, column = values[..., :, None], values[..., None, :]
        # log(a / b) / (a - b) with a = b (1 + 2 x / (1 - x)): atanh keeps its precision where the two are close.
        x = (row - column) / (row + column)
        slope = torch.where(x.abs() > 1e-8, torch.atanh(x) / x.where(x.abs() > 1e-8, 1.0), 1.0) * 2 / (row + column)
        symmetric = (grad + grad.mT) / 2
        return vectors @ (slope * (vectors.mT @ symmetric @ vectors)) @ vectors.mT


def upper_triangle(matrices: Tensor) -> Tensor:
    """Return symmetric (batch, n, n) as vectors (batch, n (n + 1) / 2) of the same norm: off-diagonal times sqrt(2)."""
    n = matrices.shape[-1]
    rows, columns = torch.triu_indices(n, n, device=matrices.device)
    weight = torch.where(rows == columns, 1.0, 2**0.5).to(matrices.dtype)
    return matrices[..., rows, columns] * weight


def power(matrix: Tensor, exponent: float) -> Tensor:
    """Return a symmetric positive definite matrix (n, n) raised to a power; ValueError if singular."""
    values, vectors = torch.linalg.eigh(matrix)
    if not bool(values[..., 0] > values[..., -1] * 1e-14):
        raise ValueError(
            "The covariance matrices are singular (repeated or dependent channels or filters). Take the estimator "
            "'oas' or 'lwf', or fewer filters."
        )
    return vectors * values.pow(exponent) @ vectors.mT


def riemann_mean(matrices: Tensor, *, tolerance: float = 1e-8, max_steps: int = 50) -> Tensor:
    """Return the affine-invariant mean (n, n) of positive definite matrices (batch, n, n).

    Gradient descent with the step rule of Congedo et al., PLOS ONE 10(4), 2015. Raises ValueError for singular
    matrices.
    """
    mean = matrices.mean(0)
    step, last = 1.0, float("inf")
    for _ in range(max_steps):
        root, whitener = power(mean, 0.5), power(mean, -0.5)
        tangent = matrix_log(whitener @ matrices @ whitener).mean(0)
        mean = root @ torch.linalg.matrix_exp(step * tangent) @ root
        mean = (mean + mean.mT) / 2
        size = float(torch.linalg.matrix_norm(tangent))
        if step * size < last:
            last, step = step * size, 0.95 * step
        else:
            step = 0.5 * step
        if size <= tolerance or step <= tolerance:
            break
    return mean


def matrix_log(matrices: Tensor) -> Tensor:
    """Return the logarithm of symmetric positive definite matrices (batch, n, n)."""
    return MatrixLog.apply(matrices)
