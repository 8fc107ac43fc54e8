"""NICE's TSConv: a temporal filter bank, pooling, a spatial filter bank (Song et al., ICLR 2024)."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from .bounds import check_fields


@dataclass(frozen=True)
class NiceConfig:
    """Sizes of the network; the defaults are the published ones for THINGS-EEG2 (63 channels, 1 s at 250 Hz)."""

    n_channels: int = 63
    n_times: int = 250
    n_filters: int = 40
    kernel: int = 25  # samples
    pool: int = 51  # samples
    stride: int = 5  # samples
    dropout: float = 0.5
    folded: bool = True  # same function and parameters either way; folded is several times faster

    def __post_init__(self) -> None:
        check_fields(
            self,
            n_channels=(1, 1024),
            n_times=(1, 65536),
            n_filters=(1, 512),
            kernel=(1, 4096),
            pool=(1, 4096),
            stride=(1, 4096),
            dropout=(0, 0.95),
        )
        if self.n_times < self.min_times:
            raise ValueError(
                f"NiceConfig.n_times is {self.n_times} samples; kernel {self.kernel} and pool {self.pool} need at "
                f"least {self.min_times}. Take a longer window, a higher rate, or a smaller kernel or pool."
            )

    @property
    def min_times(self) -> int:
        """Return the shortest window, in samples, that the kernel and the pool fit into."""
        return self.kernel + self.pool - 1

    @property
    def n_frames(self) -> int:
        """Return how many frames are left after convolution and pooling."""
        return (self.n_times - self.min_times) // self.stride + 1


class Nice(nn.Module):
    """Map eeg (batch, n_channels, n_times) to tokens (batch, 1, n_filters * n_frames): 1440 at the published sizes.

    The features come as one token because the filters are shared by all frames and the published network reads them
    flattened; the projector belongs to the head. Song et al., "Decoding Natural Images from EEG for Object
    Recognition", ICLR 2024.

    The temporal convolution and the average pooling behind it are both linear, so with `folded` they run as one strided
    convolution whose kernel (kernel + pool - 1 taps) is composed from the same weights on every call: the intermediate
    signal, `stride` times longer, is never made.
    """

    def __init__(self, config: NiceConfig) -> None:
        super().__init__()
        self.config = config
        self.n_tokens = 1
        self.width = config.n_filters * config.n_frames
        self.temporal = nn.Conv1d(1, config.n_filters, config.kernel)
        self.temporal_norm = nn.BatchNorm1d(config.n_filters)
        # (n_channels, n_filters) merged, in the order in which the temporal stage leaves them in memory.
        self.spatial = nn.Conv1d(config.n_channels * config.n_filters, config.n_filters, 1)
        self.spatial_norm = nn.BatchNorm1d(config.n_filters)
        self.dropout = nn.Dropout(config.dropout)
        self.mix = nn.Conv1d(config.n_filters, config.n_filters, 1)

    def folded_kernel(self) -> Tensor:
        """Return the temporal kernel smoothed by the pooling window: (n_filters, 1, kernel + pool - 1)."""
        pool = self.config.pool
        box = self.temporal.weight.new_full((1, 1, pool), 1.0 / pool)
        return F.conv1d(self.temporal.weight, box, padding=pool - 1)

    def forward(self, eeg: Tensor) -> Tensor:
        """Return the tokens of eeg (batch, n_channels, n_times); any unit, normalised by the caller."""
        config = self.config
        if eeg.ndim != 3 or tuple(eeg.shape[1:]) != (config.n_channels, config.n_times):
            raise ValueError(
                f"eeg has shape {tuple(eeg.shape)}; this encoder takes (batch, {config.n_channels}, {config.n_times})."
            )
        lines = eeg.reshape(-1, 1, config.n_times)
        if config.folded:
            pooled = F.conv1d(lines, self.folded_kernel(), self.temporal.bias, stride=config.stride)
        else:
            pooled = F.avg_pool1d(self.temporal(lines), config.pool, config.stride)
        pooled = F.elu(self.temporal_norm(pooled))
        sources = pooled.reshape(len(eeg), -1, config.n_frames)
        sources = F.elu(self.spatial_norm(self.spatial(sources)))
        return self.mix(self.dropout(sources)).reshape(len(eeg), 1, self.width)
