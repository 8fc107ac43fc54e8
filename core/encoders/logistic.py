"""Logistic regression of each class against the others, by a few steps of Newton's method: the same on any machine."""

import torch
from torch import Tensor

STEPS, TOLERANCE = 25, 1e-8
MOST_LOGISTIC = 8  # classes that are each fitted to the end; more share one matrix and take one step


@torch.no_grad()
def fit_logistic(x: Tensor, y: Tensor, n_classes: int, penalty: float = 1.0) -> tuple[Tensor, Tensor]:
    """Return weights (d, n_classes) and biases (n_classes,) whose x @ weights + biases are log odds of each class
    against the others.

    x: (n, d), float64. y: (n,), class numbers. penalty: of half the squared weights, beside the sum of the losses; the
    bias is free. With more than eight classes it is the first Newton step from equal chances, which is linear
    regression on the classes. Classes that y lacks have weight zero and a low bias.
    """
    n = len(x)
    mean = x.mean(0)
    x = x - mean
    back = None
    if x.shape[1] > n:
        # the weights lie in the span of the rows, whatever their number of values
        back = torch.linalg.svd(x, full_matrices=False).Vh
        x = x @ back.mT
    weights = torch.zeros(x.shape[1], n_classes, dtype=x.dtype)
    bias = torch.full((n_classes,), -float(torch.log(torch.tensor(2.0 * n + 2))), dtype=x.dtype)
    present = torch.unique(y).tolist()
    if len(present) > MOST_LOGISTIC:
        chance = 1 / len(present)
        hessian = chance * (1 - chance) * (x.mT @ x)
        hessian.diagonal().add_(penalty)
        onehot = torch.nn.functional.one_hot(y, n_classes).to(x.dtype)
        share = onehot.mean(0)
        weights = torch.linalg.solve(hessian, x.mT @ (onehot - share))
        bias = torch.where(share > 0, (share / (1 - share).clamp_min(1 / n)).clamp_min(1e-12).log(), bias)
    elif len(present) == 2:
        # two classes are one question
        weights[:, present[1]], bias[present[1]] = _newton(x, (y == present[1]).to(x.dtype), penalty)
        weights[:, present[0]], bias[present[0]] = -weights[:, present[1]], -bias[present[1]]
    else:
        for number in present:
            weights[:, number], bias[number] = _newton(x, (y == number).to(x.dtype), penalty)
    if back is not None:
        weights = back.mT @ weights
    return weights, bias - mean @ weights


def _newton(x: Tensor, y: Tensor, penalty: float) -> tuple[Tensor, Tensor]:
    """Return the weights (d,) and the bias of one class (y is 1) against the others, for centred x (n, d)."""
    n, d = x.shape
    share = float(y.mean().clamp(0.5 / n, 1 - 0.5 / n))
    full = torch.cat((x, torch.ones(n, 1, dtype=x.dtype)), 1)
    cost = torch.full((d + 1,), penalty, dtype=x.dtype)
    cost[-1] = 1e-9  # the bias is free, and finite where there is one class only
    at = torch.zeros(d + 1, dtype=x.dtype)
    at[-1] = float(torch.logit(torch.tensor(share, dtype=torch.float64)))

    def loss(of: Tensor) -> Tensor:
        scores = full @ of
        return torch.nn.functional.softplus(scores).sum() - y @ scores + 0.5 * (cost * of.square()).sum()

    value = loss(at)
    for _ in range(STEPS):
        chance = torch.sigmoid(full @ at)
        slope = full.mT @ (chance - y) + cost * at
        hessian = (full * (chance * (1 - chance))[:, None]).mT @ full
        hessian.diagonal().add_(cost)
        step = torch.linalg.solve(hessian, slope)
        size = 1.0
        while size > 1e-4 and loss(at - size * step) > value:
            size /= 2
        at = at - size * step
        before, value = value, loss(at)
        if float(before - value) <= TOLERANCE * float(value.abs() + 1):
            break
    return at[:-1], at[-1]
