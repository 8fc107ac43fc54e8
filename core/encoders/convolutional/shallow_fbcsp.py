"""ShallowFBCSPNet: filters over time and space, squared and averaged to band power (Schirrmeister et al. 2017)."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from ..config_bounds import check_eeg, check_fields, check_weights, check_window
from .time_space import TimeSpace

LEAST_POWER = 1e-6  # of which a logarithm is taken


@dataclass(frozen=True)
class ShallowFbcspConfig:
    """Sizes of the network; the defaults are the published ones.

    power: squares, means and logarithms; without, ELUs and means. `power=false spatial_bias=true pool=51 stride=5` is
    the "Shallownet" of UBP (Wu et al., CVPR 2025).
    """

    n_channels: int = 63
    n_times: int = 250
    n_filters: int = 40
    n_sources: int = 40
    kernel: int = 25  # samples
    pool: int = 75  # samples
    stride: int = 15  # samples
    dropout: float = 0.5
    power: bool = True
    spatial_bias: bool = False

    def __post_init__(self) -> None:
        check_fields(
            self,
            n_channels=(1, 1024),
            n_times=(1, 65536),
            n_filters=(1, 512),
            n_sources=(1, 512),
            kernel=(1, 1024),
            pool=(1, 4096),
            stride=(1, 4096),
            dropout=(0, 0.95),
        )
        check_window(self, self.kernel + self.pool - 1, f"kernel {self.kernel} and pool {self.pool}")
        check_weights(self, self.n_sources * self.n_channels * max(self.n_filters, self.kernel))

    @property
    def n_frames(self) -> int:
        """Return how many frames are left after convolution and pooling."""
        return (self.n_times - self.kernel + 1 - self.pool) // self.stride + 1


class ShallowFbcsp(nn.Module):
    """Map eeg (batch, n_channels, n_times) to one token (batch, 1, n_sources * n_frames): log power in each frame.

    Schirrmeister et al., "Deep learning with convolutional neural networks for EEG decoding and visualization", Human
    Brain Mapping 38(11), 2017; the classifier is the head.
    """

    def __init__(self, config: ShallowFbcspConfig) -> None:
        super().__init__()
        self.config = config
        self.n_tokens = 1
        self.width = config.n_sources * config.n_frames
        sizes = (config.n_channels, config.n_filters, config.n_sources, config.kernel)
        self.sources = TimeSpace(*sizes, spatial_bias=config.spatial_bias)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, eeg: Tensor, subject: Tensor | None = None) -> Tensor:
        """Return the token of eeg (batch, n_channels, n_times), normalised by the caller."""
        config = self.config
        check_eeg(eeg, config)
        sources = self.sources(eeg)
        sources = sources.square() if config.power else F.elu(sources)
        means = F.avg_pool1d(sources, config.pool, config.stride)
        if config.power:
            means = means.clamp(min=LEAST_POWER).log()
        return self.dropout(means).reshape(len(eeg), 1, self.width)
