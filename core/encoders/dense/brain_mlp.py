"""A wide residual multilayer perceptron on the flattened window (after Scotti et al., MindEye, NeurIPS 2023)."""

from dataclasses import dataclass

from torch import Tensor, nn

from ..config_bounds import check_eeg, check_fields, check_weights


@dataclass(frozen=True)
class BrainMlpConfig:
    """Sizes of the network; the defaults are the published ones for 63 channels and 1 s at 250 Hz."""

    n_channels: int = 63
    n_times: int = 250
    width: int = 4096
    depth: int = 4
    dropout: float = 0.5  # behind the first layer
    block_dropout: float = 0.15

    def __post_init__(self) -> None:
        check_fields(
            self,
            n_channels=(1, 1024),
            n_times=(1, 65536),
            width=(1, 8192),
            depth=(1, 16),
            dropout=(0, 0.95),
            block_dropout=(0, 0.95),
        )
        check_weights(self, (self.n_channels * self.n_times + self.depth * self.width) * self.width)


class BrainMlp(nn.Module):
    """Map eeg (batch, n_channels, n_times) to one token (batch, 1, width).

    Scotti et al., "Reconstructing the Mind's Eye", NeurIPS 2023, made for voxels; the linear map to the target is the
    head's.
    """

    def __init__(self, config: BrainMlpConfig) -> None:
        super().__init__()
        self.config = config
        self.n_tokens = 1
        self.width = config.width
        self.enter = layer(config.n_channels * config.n_times, config.width, config.dropout)
        self.blocks = nn.ModuleList(ResidualLayer(config.width, config.block_dropout) for _ in range(config.depth))

    def forward(self, eeg: Tensor, subject: Tensor | None = None) -> Tensor:
        """Return the token of eeg (batch, n_channels, n_times), normalised by the caller."""
        check_eeg(eeg, self.config)
        found = self.enter(eeg.flatten(1))
        for block in self.blocks:
            found = block(found)
        return found[:, None]


class ResidualLayer(nn.Module):
    """A layer whose output is added to what comes in: (batch, width) to the same."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.change = layer(width, width, dropout)

    def forward(self, features: Tensor) -> Tensor:
        """Return the features with the layer's change."""
        return features + self.change(features)


def layer(n_features: int, width: int, dropout: float) -> nn.Sequential:
    """Return linear, layer norm, GELU and dropout: (batch, n_features) to (batch, width)."""
    return nn.Sequential(nn.Linear(n_features, width), nn.LayerNorm(width), nn.GELU(), nn.Dropout(dropout))
