"""What UBP, SAMGA and VBP call EEGNet: full instead of depthwise convolutions, no padding (Wu et al., CVPR 2025)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config_bounds import check_eeg, check_fields, check_weights, check_window
from .cancelled import without_gradient

POOL = 2  # samples


@dataclass(frozen=True)
class UbpEegnetConfig:
    """Sizes of the network; the defaults are the published ones for 17 channels and 1 s at 250 Hz."""

    n_channels: int = 17
    n_times: int = 250
    n_filters: int = 8
    n_sources: int = 16
    kernel: int = 64  # samples
    second_kernel: int = 16  # samples, after the pool of 2
    dropout: float = 0.5

    def __post_init__(self) -> None:
        check_fields(
            self,
            n_channels=(1, 1024),
            n_times=(1, 65536),
            n_filters=(1, 256),
            n_sources=(1, 1024),
            kernel=(1, 2048),
            second_kernel=(1, 1024),
            dropout=(0, 0.95),
        )
        least = self.kernel - 1 + POOL * self.second_kernel
        check_window(self, least, f"kernels of {self.kernel} and {self.second_kernel} and a pool of {POOL}")
        check_weights(self, self.n_sources * (self.n_filters * self.n_channels + self.n_sources * self.second_kernel))

    @property
    def n_frames(self) -> int:
        """Return how many frames are left after both convolutions and the pool."""
        return (self.n_times - self.kernel + 1) // POOL - self.second_kernel + 1


class UbpEegnet(nn.Module):
    """Map eeg (batch, n_channels, n_times) to one token (batch, 1, n_sources * n_frames): 1248 at 250 samples.

    Wu et al., "Bridging the Vision-Brain Gap with an Uncertainty-Aware Blur Prior", CVPR 2025. It shares EEGNet's
    outline alone: see `Eegnet` for the network of that name.
    """

    def __init__(self, config: UbpEegnetConfig) -> None:
        super().__init__()
        self.config = config
        self.n_tokens = 1
        self.width = config.n_sources * config.n_frames
        self.temporal = nn.Conv2d(1, config.n_filters, (1, config.kernel))
        self.temporal_norm = nn.BatchNorm2d(config.n_filters)
        self.spatial = nn.Conv2d(config.n_filters, config.n_sources, (config.n_channels, 1))
        self.spatial_norm = nn.BatchNorm2d(config.n_sources)
        self.second = nn.Conv2d(config.n_sources, config.n_sources, (1, config.second_kernel))
        self.second_norm = nn.BatchNorm2d(config.n_sources)
        self.dropout = nn.Dropout(config.dropout)
        without_gradient(self.temporal.bias, self.temporal_norm.bias, self.spatial.bias, self.second.bias)

    def forward(self, eeg: Tensor, subject: Tensor | None = None) -> Tensor:
        """Return the token of eeg (batch, n_channels, n_times), normalised by the caller."""
        config = self.config
        check_eeg(eeg, config)
        filtered = self.temporal_norm(self.temporal(eeg[:, None]))
        sources = F.elu(self.spatial_norm(self.spatial(filtered)))
        sources = self.dropout(F.avg_pool2d(sources, (1, POOL)))
        sources = F.elu(self.second_norm(self.second(sources)))
        # Whole signals are dropped here, not single samples.
        whole = self.dropout(torch.ones_like(sources[..., :1]))
        return (sources * whole).reshape(len(eeg), 1, self.width)
