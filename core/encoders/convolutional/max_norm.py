"""A convolution whose filters keep to a largest length: the max-norm constraint of EEGNet."""

import torch
from torch import Tensor, nn

JUST_BELOW = 1 - 1e-6  # so that a filter that was shortened is not found too long by rounding


class MaxNormConv2d(nn.Conv2d):
    """A Conv2d whose filters are no longer than `max_norm`: where a step of training made one longer, it is shortened
    before its next use.

    The weights themselves are kept within the bound (projected gradient descent), also when training ends and the
    module is put into eval mode; so what a file holds is what is used.
    """

    def __init__(self, *sizes: int | tuple[int, int], max_norm: float, groups: int = 1, bias: bool = True) -> None:
        super().__init__(*sizes, groups=groups, bias=bias)  # pyright: ignore[reportArgumentType]  # how many sizes there are
        self.max_norm = max_norm

    @torch.no_grad()
    def shorten(self) -> None:
        """Bring filters that are too long back to the bound."""
        if self.weight.is_meta:
            return
        lengths = self.weight.flatten(1).norm(dim=1)
        # Left alone where nothing is too long: a weight written to between forward and backward has no gradient.
        if bool((lengths > self.max_norm).any()):
            factors = (self.max_norm * JUST_BELOW / lengths).clamp(max=1)
            self.weight.mul_(factors[:, None, None, None])

    def train(self, mode: bool = True) -> "MaxNormConv2d":
        """Set training or eval mode, the filters within the bound in either."""
        self.shorten()
        return super().train(mode)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
        """Return the convolution of input (batch, channels, height, width)."""
        if self.training:
            self.shorten()
        return super().forward(input)
