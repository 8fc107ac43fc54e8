"""EEGProject: the whole window through one linear layer and a residual one (Wu et al., CVPR 2025)."""

from dataclasses import dataclass

from torch import Tensor, nn

from ..config_bounds import check_eeg, check_fields, check_weights
from .projector import Projector


@dataclass(frozen=True)
class EegProjectConfig:
    """Sizes of the network; the defaults are the published ones for 17 channels and 1 s at 250 Hz."""

    n_channels: int = 17
    n_times: int = 250
    width: int = 1024
    dropout: float = 0.3

    def __post_init__(self) -> None:
        check_fields(self, n_channels=(1, 1024), n_times=(1, 65536), width=(1, 8192), dropout=(0, 0.95))
        check_weights(self, (self.n_channels * self.n_times + self.width) * self.width)


class EegProject(nn.Module):
    """Map eeg (batch, n_channels, n_times) to one token (batch, 1, width).

    The network of Wu et al., "Bridging the Vision-Brain Gap with an Uncertainty-Aware Blur Prior", CVPR 2025, which
    later work within a person kept: it knows neither time nor place, and needs few channels and averaged repetitions.
    """

    def __init__(self, config: EegProjectConfig) -> None:
        super().__init__()
        self.config = config
        self.n_tokens = 1
        self.width = config.width
        self.project = Projector(config.n_channels * config.n_times, config.width, config.dropout)

    def forward(self, eeg: Tensor, subject: Tensor | None = None) -> Tensor:
        """Return the token of eeg (batch, n_channels, n_times), normalised by the caller."""
        check_eeg(eeg, self.config)
        return self.project(eeg.flatten(1))[:, None]
