"""A residual network over time (Ribeiro et al. 2020, made for ECG), for windows of any length."""

from dataclasses import dataclass
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from ..config_bounds import check_eeg, check_fields, check_weights

MAX_BLOCKS = 8


@dataclass(frozen=True)
class Resnet1dConfig:
    """Sizes of the network; the defaults are the published filters.

    n_filters: of the first convolution and of each block; every block halves the frames, rounding up, so that 256
    samples become 128, 64, 32 and 16. kernel: samples, an odd number.
    """

    n_channels: int = 63
    n_times: int = 250
    n_filters: tuple[int, ...] = (64, 128, 196, 256, 320)
    kernel: int = 17
    dropout: float = 0.5

    def __post_init__(self) -> None:
        check_fields(
            self,
            n_channels=(1, 1024),
            n_times=(1, 65536),
            n_filters=(1, 2048),
            kernel=(1, 255),
            dropout=(0, 0.95),
        )
        if not 2 <= len(self.n_filters) <= MAX_BLOCKS + 1:
            raise ValueError(
                f"Resnet1dConfig.n_filters has {len(self.n_filters)} numbers; it must have 2 to {MAX_BLOCKS + 1}, of "
                "the first convolution and of each block."
            )
        if not self.kernel % 2:
            raise ValueError(f"Resnet1dConfig.kernel is {self.kernel}; it must be odd, so that it has a middle.")
        sizes = (self.n_channels, *self.n_filters)
        check_weights(self, sum((a + b) * b * self.kernel for a, b in pairwise(sizes)))

    @property
    def n_frames(self) -> int:
        """Return how many frames the last block leaves."""
        return -(-self.n_times // 2 ** (len(self.n_filters) - 1))


class Resnet1d(nn.Module):
    """Map eeg (batch, n_channels, n_times) to one token (batch, 1, n_filters[-1] * n_frames).

    Ribeiro et al., "Automatic diagnosis of the 12-lead ECG using a deep neural network", Nature Communications 11,
    2020: in every block the sum of both ways goes on as the next shortcut, its normalised and rectified copy through
    the next convolutions.
    """

    def __init__(self, config: Resnet1dConfig) -> None:
        super().__init__()
        self.config = config
        self.n_tokens = 1
        self.width = config.n_filters[-1] * config.n_frames
        first = config.n_filters[0]
        self.enter = nn.Conv1d(config.n_channels, first, config.kernel, padding=config.kernel // 2, bias=False)
        self.enter_norm = nn.BatchNorm1d(first)
        self.steps = nn.ModuleList(
            ResidualStep(*pair, config.kernel, config.dropout, is_first=number == 0)
            for number, pair in enumerate(pairwise(config.n_filters))
        )
        self.leave = activation(config.n_filters[-1], config.dropout)

    def forward(self, eeg: Tensor, subject: Tensor | None = None) -> Tensor:
        """Return the token of eeg (batch, n_channels, n_times), normalised by the caller."""
        check_eeg(eeg, self.config)
        total = F.relu(self.enter_norm(self.enter(eeg)))
        for step in self.steps:
            total = step(total)
        return self.leave(total).reshape(len(eeg), 1, self.width)


class ResidualStep(nn.Module):
    """Two convolutions beside a shortcut, half as many frames: the sum so far (batch, n_in, frames) to the next one
    (batch, n_out, frames / 2).

    is_first: what comes in has been normalised and rectified.
    """

    def __init__(self, n_in: int, n_out: int, kernel: int, dropout: float, *, is_first: bool) -> None:
        super().__init__()
        self.enter = nn.Identity() if is_first else activation(n_in, dropout)
        self.first = nn.Conv1d(n_in, n_out, kernel, padding=kernel // 2, bias=False)
        self.between = activation(n_out, dropout)
        self.second = nn.Conv1d(n_out, n_out, kernel, stride=2, padding=kernel // 2, bias=False)
        self.shortcut = nn.Conv1d(n_in, n_out, 1, bias=False) if n_in != n_out else nn.Identity()

    def forward(self, total: Tensor) -> Tensor:
        """Return the next sum."""
        kept = self.shortcut(F.max_pool1d(total, 2, ceil_mode=True))
        return self.second(self.between(self.first(self.enter(total)))) + kept


def activation(n_filters: int, dropout: float) -> nn.Sequential:
    """Return batch norm, rectifier and dropout of (batch, n_filters, frames)."""
    return nn.Sequential(nn.BatchNorm1d(n_filters), nn.ReLU(), nn.Dropout(dropout))
