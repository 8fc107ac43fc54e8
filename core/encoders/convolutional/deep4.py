"""Deep4Net: four blocks of convolution and max pooling (Schirrmeister et al. 2017), sized to the window."""

from dataclasses import dataclass
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from ..config_bounds import check_eeg, check_fields, check_weights, check_window
from ..context import BuildContext, Settings, eeg_values
from ..nice import before
from .time_space import TimeSpace

KERNEL, POOL = 10, 3  # samples, as published
SMALL_POOL, LEAST_KERNEL = 2, 2
N_BLOCKS = 4


@dataclass(frozen=True)
class Deep4Config:
    """Sizes of the network; the defaults are the published ones, which need 441 samples.

    n_filters: of each of the four blocks. bias: whether the convolutions behind the first have one (UBP's variant,
    with pool 2). Built for a window, kernel and pool follow from its length unless they are set: see `values`.
    """

    n_channels: int = 22
    n_times: int = 1000
    n_filters: tuple[int, ...] = (25, 50, 100, 200)
    kernel: int = KERNEL
    pool: int = POOL  # samples, and its stride
    dropout: float = 0.5
    bias: bool = False

    def __post_init__(self) -> None:
        check_fields(
            self,
            n_channels=(1, 1024),
            n_times=(1, 65536),
            n_filters=(1, 1024),
            kernel=(1, 512),
            pool=(1, 512),
            dropout=(0, 0.95),
        )
        if len(self.n_filters) != N_BLOCKS:
            raise ValueError(f"Deep4Config.n_filters is {self.n_filters}; it must be {N_BLOCKS} whole numbers.")
        check_window(
            self, least_times(self.kernel, self.pool), f"{N_BLOCKS} kernels of {self.kernel} and pools of {self.pool}"
        )
        later = sum(a * b * self.kernel for a, b in pairwise(self.n_filters))
        check_weights(self, self.n_filters[0] ** 2 * self.n_channels + later)

    @property
    def n_frames(self) -> int:
        """Return how many frames are left after the last pool."""
        frames = self.n_times
        for _ in range(N_BLOCKS):
            frames = (frames - self.kernel + 1) // self.pool
        return frames


def least_times(kernel: int, pool: int) -> int:
    """Return the shortest window, in samples, that leaves one frame after four kernels and pools."""
    frames = 1
    for _ in range(N_BLOCKS):
        frames = frames * pool + kernel - 1
    return frames


def values(context: BuildContext, settings: Settings) -> Settings:
    """Return a config's values: the published kernel and pool where the window holds them, else a pool of 2 and the
    longest kernel that fits, unless they are set.
    """
    found = eeg_values(context, settings)
    if "kernel" in found or "pool" in found or context.n_times >= least_times(KERNEL, POOL):
        return found
    fitting = [k for k in range(LEAST_KERNEL, KERNEL + 1) if least_times(k, SMALL_POOL) <= context.n_times]
    return {**found, "pool": SMALL_POOL, "kernel": max(fitting, default=LEAST_KERNEL)}


class Deep4(nn.Module):
    """Map eeg (batch, n_channels, n_times) to one token (batch, 1, n_filters[3] * n_frames).

    Schirrmeister et al., "Deep learning with convolutional neural networks for EEG decoding and visualization", Human
    Brain Mapping 38(11), 2017; the classifier is the head.
    """

    def __init__(self, config: Deep4Config) -> None:
        super().__init__()
        self.config = config
        self.n_tokens = 1
        self.width = config.n_filters[-1] * config.n_frames
        first = config.n_filters[0]
        self.sources = TimeSpace(config.n_channels, first, first, config.kernel, spatial_bias=config.bias)
        self.blocks = nn.ModuleList(Deep4Block(*pair, config) for pair in pairwise(config.n_filters))

    def forward(self, eeg: Tensor, subject: Tensor | None = None) -> Tensor:
        """Return the token of eeg (batch, n_channels, n_times), normalised by the caller."""
        check_eeg(eeg, self.config)
        found = F.max_pool1d(F.elu(self.sources(eeg)), self.config.pool)
        for block in self.blocks:
            found = block(found)
        return found.reshape(len(eeg), 1, self.width)


class Deep4Block(nn.Module):
    """Dropout, convolution, batch norm, ELU and max pooling: (batch, n_in, frames) to (batch, n_out, fewer frames)."""

    def __init__(self, n_in: int, n_out: int, config: Deep4Config) -> None:
        super().__init__()
        self.pool = config.pool
        self.dropout = nn.Dropout(config.dropout)
        self.convolution = nn.Conv1d(n_in, n_out, config.kernel, bias=config.bias)
        self.norm = nn.BatchNorm1d(n_out)

    def forward(self, signal: Tensor) -> Tensor:
        """Return the block's output."""
        bias = before(self.norm, self.convolution)
        found = F.conv1d(self.dropout(signal), self.convolution.weight, bias)
        return F.max_pool1d(F.elu(self.norm(found)), self.pool)
