"""EEGNet-8,2: a few temporal filters, spatial filters for each, a separable convolution (Lawhern et al. 2018)."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from ..config_bounds import check_eeg, check_fields, check_weights, check_window
from .cancelled import without_gradient
from .max_norm import MaxNormConv2d

POOLS = (4, 8)  # samples
MAX_NORM = 1.0


@dataclass(frozen=True)
class EegnetConfig:
    """Sizes of the network; the defaults are those of EEGNet-8,2 for 63 channels and 1 s at 250 Hz.

    kernel: samples, half the rate in the publication (64 at 128 Hz). The published dropout is 0.5 within a person and
    0.25 across people.
    """

    n_channels: int = 63
    n_times: int = 250
    n_filters: int = 8
    depth: int = 2  # spatial filters for each temporal one
    kernel: int = 64
    separable_kernel: int = 16
    dropout: float = 0.5

    def __post_init__(self) -> None:
        check_fields(
            self,
            n_channels=(1, 1024),
            n_times=(1, 65536),
            n_filters=(1, 256),
            depth=(1, 16),
            kernel=(1, 2048),
            separable_kernel=(1, 1024),
            dropout=(0, 0.95),
        )
        check_window(self, POOLS[0] * POOLS[1], f"pools of {POOLS[0]} and {POOLS[1]}")
        check_weights(self, self.n_sources * (self.n_channels + self.n_sources))

    @property
    def n_sources(self) -> int:
        """Return how many spatially filtered signals there are."""
        return self.n_filters * self.depth

    @property
    def n_frames(self) -> int:
        """Return how many frames are left after both pools."""
        return self.n_times // POOLS[0] // POOLS[1]


class Eegnet(nn.Module):
    """Map eeg (batch, n_channels, n_times) to one token (batch, 1, n_sources * n_frames): 112 values at 250 samples.

    Lawhern et al., "EEGNet: a compact convolutional neural network for EEG-based brain-computer interfaces", J. Neural
    Eng. 15(5), 2018. The spatial filters keep to the published max-norm of 1; the last linear layer, and so its own
    max-norm of 0.25, is the head's and has none.
    """

    def __init__(self, config: EegnetConfig) -> None:
        super().__init__()
        n_filters, n_sources = config.n_filters, config.n_sources
        self.config = config
        self.n_tokens = 1
        self.width = n_sources * config.n_frames
        self.temporal = nn.Conv2d(1, n_filters, (1, config.kernel), bias=False)
        self.temporal_norm = norm(n_filters)
        sizes = (n_filters, n_sources, (config.n_channels, 1))
        self.spatial = MaxNormConv2d(*sizes, groups=n_filters, bias=False, max_norm=MAX_NORM)
        self.spatial_norm = norm(n_sources)
        self.dropout = nn.Dropout(config.dropout)
        self.depthwise = nn.Conv2d(n_sources, n_sources, (1, config.separable_kernel), groups=n_sources, bias=False)
        self.pointwise = nn.Conv2d(n_sources, n_sources, 1, bias=False)
        self.separable_norm = norm(n_sources)
        without_gradient(self.temporal_norm.bias)

    def forward(self, eeg: Tensor, subject: Tensor | None = None) -> Tensor:
        """Return the token of eeg (batch, n_channels, n_times), normalised by the caller."""
        config = self.config
        check_eeg(eeg, config)
        filtered = self.temporal_norm(self.temporal(padded(eeg[:, None], config.kernel)))
        sources = F.elu(self.spatial_norm(self.spatial(filtered)))
        sources = self.dropout(F.avg_pool2d(sources, (1, POOLS[0])))
        sources = self.pointwise(self.depthwise(padded(sources, config.separable_kernel)))
        sources = F.elu(self.separable_norm(sources))
        return self.dropout(F.avg_pool2d(sources, (1, POOLS[1]))).reshape(len(eeg), 1, self.width)


def norm(n_filters: int) -> nn.BatchNorm2d:
    """Return a batch norm as Keras has it by default, with which the network was published."""
    return nn.BatchNorm2d(n_filters, eps=1e-3, momentum=0.01)


def padded(signal: Tensor, kernel: int) -> Tensor:
    """Return signal (..., times) with zeros around, so that a kernel leaves as many samples; the odd one behind."""
    return F.pad(signal, ((kernel - 1) // 2, kernel // 2))
