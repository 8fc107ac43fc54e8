"""Ridge regression in closed form, its strength chosen by cross-validation that needs no refitting."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

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
def fit_ridge(x: Tensor, y: Tensor, alphas: Sequence[float] = ALPHAS, groups: Tensor | None = None) -> RidgeFit:
    """Fit y (n, k) to x (n, d) by ridge regression with a free intercept, choosing the strength of the penalty.

    The alpha with the smallest mean squared error over all targets is taken; each sample is predicted without itself,
    or with `groups` (n,) without its whole group (a run, a picture). Both errors are exact and come from one
    eigendecomposition of the smaller of x'x and xx', with no refitting. alpha is scikit-learn's: |y - xw|^2 + alpha
    |w|^2. Raises ValueError for shapes that disagree, values that are not finite, or alphas that are not positive.
    """
    x, y = torch.as_tensor(x).double(), torch.as_tensor(y).double()
    check(x, y, alphas, groups)
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
def choose_alpha(
    features_without: Callable[[Tensor], Tensor], y: Tensor, groups: Tensor, alphas: Sequence[float] = ALPHAS
) -> tuple[float, tuple[float, ...]]:
    """Return the best alpha, and the mean squared error of each, where the features themselves are fitted to the data.

    `features_without` takes a mask (n,) of rows to leave out and returns the features (n, d) of all rows from a
    backbone fitted to the others. `fit_ridge` alone would see features that already know the left-out targets, and
    choose too little shrinkage. y is (n, k), groups (n,); each group is left out once, at the cost of one
    eigendecomposition. Raises ValueError as `fit_ridge` does.
    """
    y, groups = torch.as_tensor(y).double(), torch.as_tensor(groups)
    errors = torch.zeros(len(alphas), dtype=torch.float64)
    for group in torch.unique(groups):
        out = groups == group
        x = torch.as_tensor(features_without(out)).double()
        check(x, y, alphas, groups)
        check(x[~out], y[~out], alphas, None)
        x_mean, y_mean = x[~out].mean(0), y[~out].mean(0)
        split = decompose(x[~out] - x_mean)
        scores, wanted = (x[out] - x_mean) @ split.back, y[out] - y_mean
        inner = split.onto.mT @ (y[~out] - y_mean)
        for index, alpha in enumerate(alphas):
            found = scores @ ((1 / (split.values + alpha))[:, None] * inner)
            errors[index] += (found - wanted).square().sum()
    errors /= y.numel()
    return float(alphas[int(errors.argmin())]), tuple(errors.tolist())


def check(x: Tensor, y: Tensor, alphas: Sequence[float], groups: Tensor | None) -> None:
    """Raise ValueError where the arguments of `fit_ridge` cannot be used."""
    if x.ndim != 2 or y.ndim != 2 or len(x) != len(y) or len(x) < 2:
        raise ValueError(
            f"Ridge takes x (n, d) and y (n, k) with one n of at least 2, not {tuple(x.shape)} and {tuple(y.shape)}."
        )
    if not bool(torch.isfinite(x).all()) or not bool(torch.isfinite(y).all()):
        raise ValueError("Ridge was given values that are not finite; drop or repair those samples first.")
    if not alphas or not all(0 < alpha < float("inf") for alpha in alphas):
        raise ValueError(f"Ridge was given alphas {tuple(alphas)}; give one or more positive numbers.")
    if groups is not None and (groups.shape != x.shape[:1] or len(torch.unique(groups)) < 2):
        raise ValueError(f"Ridge needs one group for each of the {len(x)} samples and at least two groups.")
