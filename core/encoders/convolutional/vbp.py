"""The brain side of Visual Blur Perception: non-negative spatial maps, then two layers over time (AAAI 2026)."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from ..config_bounds import check_eeg, check_fields, check_weights


@dataclass(frozen=True)
class VbpConfig:
    """Sizes of the network; the defaults are the published ones for EEG of 63 channels and 1 s at 250 Hz.

    dropout, second_dropout: behind the first and the second layer over time. positive, norm: weights over channels are
    used by their absolute value, and maps are batch-normalised. The variant for MEG is `n_maps=50 hidden=150
    positive=false norm=false`.
    """

    n_channels: int = 63
    n_times: int = 250
    n_maps: int = 25
    hidden: int = 200
    width: int = 1024
    dropout: float = 0.25
    second_dropout: float = 0.65
    positive: bool = True
    norm: bool = True

    def __post_init__(self) -> None:
        check_fields(
            self,
            n_channels=(1, 1024),
            n_times=(1, 65536),
            n_maps=(1, 1024),
            hidden=(1, 4096),
            width=(1, 8192),
            dropout=(0, 0.95),
            second_dropout=(0, 0.95),
        )
        check_weights(
            self,
            self.n_maps * self.n_channels
            + self.hidden * (self.n_times + self.hidden)
            + self.n_maps * self.hidden * self.width,
        )


class Vbp(nn.Module):
    """Map eeg (batch, n_channels, n_times) to one token (batch, 1, width).

    Channels are summed into maps with weights that cannot cancel one another; every map goes through the same two
    layers over time, then all through one linear layer. From "Visual Blur Perception", AAAI 2026; its learned mix of
    blurred pictures belongs to the targets.
    """

    def __init__(self, config: VbpConfig) -> None:
        super().__init__()
        self.config = config
        self.n_tokens = 1
        self.width = config.width
        self.spatial = nn.Conv1d(config.n_channels, config.n_maps, 1, bias=False)
        self.spatial_norm = nn.BatchNorm1d(config.n_maps) if config.norm else nn.Identity()
        self.over_time = nn.Sequential(
            nn.Linear(config.n_times, config.hidden),
            nn.ELU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, config.hidden),
            nn.ELU(),
            nn.Dropout(config.second_dropout),
        )
        self.last = nn.Linear(config.n_maps * config.hidden, config.width)

    def channel_weights(self) -> Tensor:
        """Return the weights of the channels in each map as they are used (n_maps, n_channels)."""
        weights = self.spatial.weight[:, :, 0]
        return weights.abs() if self.config.positive else weights

    def forward(self, eeg: Tensor, subject: Tensor | None = None) -> Tensor:
        """Return the token of eeg (batch, n_channels, n_times), normalised by the caller."""
        check_eeg(eeg, self.config)
        maps = self.spatial_norm(F.conv1d(eeg, self.channel_weights()[:, :, None]))
        return self.last(self.over_time(maps).flatten(1))[:, None]
