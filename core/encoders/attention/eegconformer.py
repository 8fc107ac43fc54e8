"""EEG Conformer: convolutions over time and space, then self-attention between frames (Song et al. 2023)."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from ..config_bounds import check_eeg, check_fields, check_weights, check_window
from ..convolutional.time_space import TimeSpace
from .self_attention import SelfAttention

EXPANSION = 4
MAX_FRAMES = 4096  # memory grows with the square
HIDDEN, HIDDEN_DROPOUT = (256, 32), (0.5, 0.3)  # of the published read-out


@dataclass(frozen=True)
class EegConformerConfig:
    """Sizes of the network; the defaults are the published ones for 63 channels and 1 s at 250 Hz.

    readout: whether the frames go through the published layers of 256 and 32, whose 32 values are the features; without
    it the frames themselves are, one token each.
    """

    n_channels: int = 63
    n_times: int = 250
    width: int = 40
    kernel: int = 25  # samples
    pool: int = 75  # samples
    stride: int = 15  # samples
    depth: int = 6
    n_heads: int = 10
    dropout: float = 0.5
    readout: bool = True

    def __post_init__(self) -> None:
        check_fields(
            self,
            n_channels=(1, 1024),
            n_times=(1, 65536),
            width=(1, 1024),
            kernel=(1, 1024),
            pool=(1, 4096),
            stride=(1, 4096),
            depth=(1, 48),
            n_heads=(1, 64),
            dropout=(0, 0.95),
        )
        if self.width % self.n_heads:
            raise ValueError(
                f"EegConformerConfig.width is {self.width}; it must be a multiple of n_heads, {self.n_heads}."
            )
        check_window(self, self.kernel + self.pool - 1, f"kernel {self.kernel} and pool {self.pool}")
        if self.n_frames > MAX_FRAMES:
            raise ValueError(
                f"EegConformerConfig: {self.n_times} samples with stride {self.stride} are {self.n_frames} frames; at "
                f"most {MAX_FRAMES}. Take a longer stride."
            )
        check_weights(self, self.width * self.width * (self.n_channels + (4 + 2 * EXPANSION) * self.depth))

    @property
    def n_frames(self) -> int:
        """Return how many frames are left after convolution and pooling."""
        return (self.n_times - self.kernel + 1 - self.pool) // self.stride + 1


class EegConformer(nn.Module):
    """Map eeg (batch, n_channels, n_times) to one token (batch, 1, 32), or without read-out to tokens (batch, n_frames,
    width).

    Song et al., "EEG Conformer: Convolutional Transformer for EEG Decoding and Visualization", IEEE TNSRE 31, 2023;
    what is handed on is features, never class probabilities.
    """

    def __init__(self, config: EegConformerConfig) -> None:
        super().__init__()
        width = config.width
        self.config = config
        self.sources = TimeSpace(config.n_channels, width, width, config.kernel, spatial_bias=True)
        self.dropout = nn.Dropout(config.dropout)
        self.mix = nn.Conv1d(width, width, 1)
        self.blocks = nn.ModuleList(ConformerBlock(width, config.n_heads, config.dropout) for _ in range(config.depth))
        self.n_tokens, self.width = (1, HIDDEN[-1]) if config.readout else (config.n_frames, width)
        if config.readout:
            sizes = (width * config.n_frames, *HIDDEN)
            layers = zip(sizes, HIDDEN, HIDDEN_DROPOUT, strict=False)
            self.readout = nn.ModuleList(
                nn.Sequential(nn.Linear(n_in, n_out), nn.ELU(), nn.Dropout(p)) for n_in, n_out, p in layers
            )

    def forward(self, eeg: Tensor, subject: Tensor | None = None) -> Tensor:
        """Return the tokens of eeg (batch, n_channels, n_times), normalised by the caller."""
        config = self.config
        check_eeg(eeg, config)
        means = F.avg_pool1d(F.elu(self.sources(eeg)), config.pool, config.stride)
        tokens = self.mix(self.dropout(means)).transpose(1, 2)
        for block in self.blocks:
            tokens = block(tokens)
        if not config.readout:
            return tokens
        features = tokens.flatten(1)
        for layer in self.readout:
            features = layer(features)
        return features[:, None]


class ConformerBlock(nn.Module):
    """Self-attention and a feed-forward layer, layer norm first: (batch, frames, width) to the same.

    Scores are divided by the root of the whole width, not of a head's, as published.
    """

    def __init__(self, width: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = SelfAttention(width, n_heads, width // n_heads, dropout, scale=width**-0.5)
        self.dropout = nn.Dropout(dropout)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, EXPANSION * width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(EXPANSION * width, width),
            nn.Dropout(dropout),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the block's output."""
        tokens = tokens + self.dropout(self.attention(self.attention_norm(tokens)))
        return tokens + self.feed_forward(tokens)
