"""Ridge regression in closed form, its strength chosen by cross-validation that needs no refitting."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .moments import Moments, Rows, blocks, moments_of

ALPHAS = tuple(10.0**power for power in range(-3, 9))
COLUMNS = 4096  # targets handled at once while choosing the strength, so that memory does not grow with them


@dataclass(frozen=True)
class RidgeFit:
    """A fitted map: y = x @ weights + bias, with weights (d, k) and bias (k,) in float64; `errors` per tried alpha."""

    weights: Tensor
    bias: Tensor
    alpha: float
    errors: tuple[float, ...]


@torch.no_grad()
def fit_ridge(x: Tensor | Rows, y: Tensor, alphas: Sequence[float] = ALPHAS, groups: Tensor | None = None) -> RidgeFit:
    """Fit y (n, k) to x (n, d) by ridge regression with a free intercept, choosing the strength of the penalty.

    The alpha with the smallest mean squared error over all targets is taken; each sample is predicted without itself,
    or with `groups` (n,) without its whole group (a run, a picture). Both errors are exact. Where there are more
    samples than values in one, x is read in blocks and only sums over them are kept; its rows may then be computed as
    they are read. alpha is scikit-learn's: |y - xw|^2 + alpha |w|^2. Raises ValueError for shapes that disagree, values
    that are not finite, or alphas that are not positive.
    """
    x, y = Rows.of(x), torch.as_tensor(y).double()
    check(x.shape, y, alphas, groups)
    n, d = x.shape
    _, part, sizes = torch.unique(
        torch.zeros(n) if groups is None else groups.cpu(), return_inverse=True, return_counts=True
    )
    if n <= d or (groups is not None and len(alphas) > 1 and int(sizes.max()) <= d):
        return _fit_whole(finite(x.all()), y, alphas, groups)
    mean = torch.zeros(d, dtype=torch.float64, device=y.device), y.mean(0)
    for block in blocks(n):
        mean[0].add_(finite(x.read(block)).sum(0) / n)
    centred = Rows(x.inputs, lambda some: x.make(some).double() - mean[0], d)
    y = y - mean[1]
    parts = moments_of(centred, y, part, len(sizes))
    total = parts[0]
    for more in parts[1:]:
        total = total + more
    split = split_of(total)
    errors = [0.0] * len(alphas)
    if len(alphas) > 1 and groups is None:
        errors = _errors_one_out(centred, y, split, total, alphas)
    elif len(alphas) > 1:
        errors = _errors_parts_out(parts, total, alphas)
    best = min(range(len(alphas)), key=errors.__getitem__)
    weights = weights_of(split, alphas[best])
    return RidgeFit(weights, mean[1] - mean[0] @ weights, float(alphas[best]), tuple(errors))


def _fit_whole(x: Tensor, y: Tensor, alphas: Sequence[float], groups: Tensor | None) -> RidgeFit:
    """Return the fit from one decomposition of the smaller of x'x and xx', for x (n, d) that fits into memory."""
    x_mean, y_mean = x.mean(0), y.mean(0)
    x, y = x - x_mean, y - y_mean
    split = decompose(x)
    inner = split.scores.mT @ y
    errors = []
    for alpha in alphas:
        shrink = 1 / (split.values + alpha)
        errors.append(held_out_error(split.scores, shrink, inner, y, groups) if len(alphas) > 1 else 0.0)
    best = min(range(len(alphas)), key=errors.__getitem__)
    weights = split.back @ ((1 / (split.values + alphas[best]))[:, None] * (split.onto.mT @ y))
    return RidgeFit(weights, y_mean - x_mean @ weights, float(alphas[best]), tuple(errors))


@dataclass(frozen=True)
class Split:
    """Centred moments in the basis where x'x is diagonal: values (d,), back (d, d), onto = back' x'y (d, k)."""

    values: Tensor
    back: Tensor
    onto: Tensor


def split_of(centred: Moments) -> Split:
    """Return the eigendecomposition of moments about their means."""
    values, back = torch.linalg.eigh(centred.xx)
    return Split(values.clamp_min(0), back, back.mT @ centred.xy)


def weights_of(split: Split, alpha: float) -> Tensor:
    """Return the ridge's weights (d, k)."""
    return split.back @ (split.onto / (split.values + alpha)[:, None])


def _errors_parts_out(parts: Sequence[Moments], total: Moments, alphas: Sequence[float]) -> list[float]:
    """Return for each alpha the mean squared error of predicting each part by a fit to the moments of the others."""
    errors = [0.0] * len(alphas)
    for own in parts:
        others = total - own
        mean = others.x / others.n, others.y / others.n
        split, left = split_of(others.about(*mean)), own.about(*mean)
        squares, cross = split.back.mT @ left.xx @ split.back, split.back.mT @ left.xy
        for i, alpha in enumerate(alphas):
            weights = split.onto / (split.values + alpha)[:, None]
            errors[i] += left.yy - 2 * float((weights * cross).sum()) + float((weights * (squares @ weights)).sum())
    return [error / (total.n * total.y.numel()) for error in errors]


def _errors_one_out(x: Rows, y: Tensor, split: Split, total: Moments, alphas: Sequence[float]) -> list[float]:
    """Return for each alpha the mean squared error of predicting each row of centred x and y without it."""
    errors = [0.0] * len(alphas)
    for block in blocks(total.n):
        scores = x.read(block) @ split.back
        for i, alpha in enumerate(alphas):
            shrink = 1 / (split.values + alpha)
            leverage = 1 / total.n + (scores.square() * shrink).sum(1)
            solve = 1 / (1 - leverage).clamp_min(1e-12)[:, None]
            for start in range(0, y.shape[1], COLUMNS):
                columns = slice(start, start + COLUMNS)
                residual = y[block, columns] - scores @ (shrink[:, None] * split.onto[:, columns])
                errors[i] += float((residual * solve).square().sum())
    return [error / y.numel() for error in errors]


@dataclass(frozen=True)
class Decomposition:
    """Centred x (n, d) taken apart once for every alpha, with r the smaller of n and d.

    The hat matrix is scores diag(1 / (values + alpha)) scores', the weights back diag(1 / (values + alpha)) onto' y:
    values (r,), scores (n, r), back (d, r), onto (n, r).
    """

    values: Tensor
    scores: Tensor
    back: Tensor
    onto: Tensor


def decompose(x: Tensor) -> Decomposition:
    """Return the eigendecomposition of the smaller of x'x and xx', for centred x (n, d)."""
    n, d = x.shape
    if d <= n:
        values, back = torch.linalg.eigh(x.mT @ x)
        scores = x @ back
        return Decomposition(values.clamp_min(0), scores, back, scores)
    values, vectors = torch.linalg.eigh(x @ x.mT)
    values = values.clamp_min(0)
    return Decomposition(values, vectors * values.sqrt(), x.mT @ vectors, vectors)


def held_out_error(scores: Tensor, shrink: Tensor, inner: Tensor, y: Tensor, groups: Tensor | None) -> float:
    """Return the mean squared error of predicting centred y (n, k) with samples or groups left out.

    The intercept counts as fitted without them too. For a linear smoother with hat matrix H, the residuals of a
    left-out group are (I - H_gg)^-1 times the ordinary ones.
    """
    n, k = y.shape
    total = 0.0
    if groups is None:
        leverage = 1 / n + (scores.square() * shrink).sum(1)
        # A sample that the fit passes through exactly tells nothing; rounding must not make it infinite.
        solve = 1 / (1 - leverage).clamp_min(1e-12)[:, None]
        for start in range(0, k, COLUMNS):
            columns = slice(start, start + COLUMNS)
            residual = y[:, columns] - scores @ (shrink[:, None] * inner[:, columns])
            total += float((residual * solve).square().sum())
        return total / (n * k)
    for group in torch.unique(groups):
        member = torch.nonzero(groups == group)[:, 0]
        own = scores[member]
        hat = 1 / n + own * shrink @ own.mT
        factor = torch.linalg.lu_factor(torch.eye(len(member), dtype=y.dtype, device=y.device) - hat)
        for start in range(0, k, COLUMNS):
            columns = slice(start, start + COLUMNS)
            residual = y[member, columns] - own @ (shrink[:, None] * inner[:, columns])
            total += float(torch.linalg.lu_solve(*factor, residual).square().sum())
    return total / (n * k)


@torch.no_grad()
def choose_alphas(
    features_without: Callable[[Tensor], Tensor],
    targets: Sequence[Tensor],
    groups: Tensor,
    alphas: Sequence[float] = ALPHAS,
) -> list[tuple[float, tuple[float, ...]]]:
    """Return for each of the targets the best alpha and the mean squared error of each, where the features themselves
    are fitted to the data.

    `features_without` takes a mask (n,) of rows to leave out and returns the features (n, d) of all rows from a
    backbone fitted to the others. `fit_ridge` alone would see features that already know the left-out targets, and
    choose too little shrinkage. targets: each (n, k); groups: (n,), each left out once, at the cost of one fit of the
    features and one eigendecomposition for all targets. Raises ValueError as `fit_ridge` does.
    """
    wanted, groups = [torch.as_tensor(y).double() for y in targets], torch.as_tensor(groups)
    errors = torch.zeros(len(wanted), len(alphas), dtype=torch.float64)
    for group in torch.unique(groups):
        out = groups == group
        x = finite(torch.as_tensor(features_without(out)).double())
        for y in wanted:
            check(tuple(x.shape), y, alphas, groups)
            check(tuple(x[~out].shape), y[~out], alphas, None)
        x_mean = x[~out].mean(0)
        split = decompose(x[~out] - x_mean)
        scores = (x[out] - x_mean) @ split.back
        for row, y in enumerate(wanted):
            y_mean = y[~out].mean(0)
            left, inner = y[out] - y_mean, split.onto.mT @ (y[~out] - y_mean)
            for index, alpha in enumerate(alphas):
                found = scores @ ((1 / (split.values + alpha))[:, None] * inner)
                errors[row, index] += (found - left).square().sum()
    for row, y in enumerate(wanted):
        errors[row] /= y.numel()
    return [(float(alphas[int(of.argmin())]), tuple(of.tolist())) for of in errors]


def choose_alpha(
    features_without: Callable[[Tensor], Tensor], y: Tensor, groups: Tensor, alphas: Sequence[float] = ALPHAS
) -> tuple[float, tuple[float, ...]]:
    """Return the best alpha for one set of targets (n, k), and the mean squared error of each; see `choose_alphas`."""
    return choose_alphas(features_without, [y], groups, alphas)[0]


def finite(x: Tensor) -> Tensor:
    """Return x; raise ValueError where it holds values that are not finite."""
    if not bool(torch.isfinite(x).all()):
        raise ValueError("Ridge was given values that are not finite; drop or repair those samples first.")
    return x


def check(shape: tuple[int, ...], y: Tensor, alphas: Sequence[float], groups: Tensor | None) -> None:
    """Raise ValueError where the arguments of `fit_ridge` cannot be used; shape: of x."""
    if len(shape) != 2 or shape[1] < 0 or y.ndim != 2 or shape[0] != len(y) or len(y) < 2:
        raise ValueError(
            f"Ridge takes x (n, d) and y (n, k) with one n of at least 2, not {shape} and {tuple(y.shape)}."
        )
    finite(y)
    if not alphas or not all(0 < alpha < float("inf") for alpha in alphas):
        raise ValueError(f"Ridge was given alphas {tuple(alphas)}; give one or more positive numbers.")
    if groups is not None and (tuple(groups.shape) != shape[:1] or len(torch.unique(groups)) < 2):
        raise ValueError(f"Ridge needs one group for each of the {shape[0]} samples and at least two groups.")
