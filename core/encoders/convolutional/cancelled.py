"""Parameters that a batch norm behind them takes away again."""

import torch
from torch import Tensor


def without_gradient(*parameters: Tensor | None) -> None:
    """Let biases in front of a batch norm have a gradient of zero.

    What they add the norm takes away, so their gradient would be rounding alone, which an optimiser that scales
    gradients turns into steps of full length; the running mean, which is used in evaluation, would lag behind them.
    """
    for parameter in parameters:
        if parameter is not None and parameter.requires_grad:
            parameter.register_hook(torch.zeros_like)
