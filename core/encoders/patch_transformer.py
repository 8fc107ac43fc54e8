"""A transformer over patches of time: what masked pre-training trains (after He et al. 2022; Chen et al. 2023)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config_bounds import check_eeg, check_fields

EXPANSION = 4
MAX_PATCHES = 4096  # memory grows with the square


@dataclass(frozen=True)
class PatchTransformerConfig:
    """Sizes of the network; the defaults are small ones for 14 channels and 0.75 s at 128 Hz."""

    n_channels: int = 14
    n_times: int = 96
    patch: int = 8  # samples
    width: int = 64
    depth: int = 3
    n_heads: int = 4
    dropout: float = 0.1

    def __post_init__(self) -> None:
        check_fields(
            self,
            n_channels=(1, 1024),
            n_times=(1, 65536),
            patch=(1, 4096),
            width=(1, 2048),
            depth=(1, 48),
            n_heads=(1, 64),
            dropout=(0, 0.95),
        )
        if self.width % self.n_heads:
            raise ValueError(
                f"PatchTransformerConfig.width is {self.width}; it must be a multiple of n_heads, {self.n_heads}."
            )
        if self.n_patches > MAX_PATCHES:
            raise ValueError(
                f"PatchTransformerConfig: {self.n_times} samples in patches of {self.patch} are {self.n_patches} "
                f"tokens; at most {MAX_PATCHES}. Take a longer patch."
            )

    @property
    def n_patches(self) -> int:
        """Return how many patches a window is cut into; the last is filled up with zeros."""
        return -(-self.n_times // self.patch)


class PatchTransformer(nn.Module):
    """Map eeg (batch, n_channels, n_times) to tokens (batch, n_patches, width), one for each patch of time.

    A patch is all channels over a few samples, as in Chen et al., "DreamDiffusion" (arXiv 2306.16934), through a linear
    layer; blocks with layer-norm first as in He et al., "Masked Autoencoders Are Scalable Vision Learners", CVPR 2022.
    Masked pre-training calls `patches`, `embed` and `encode` in turn, for patches of `patch_values` numbers, and makes
    its decoder of one more `block`.
    """

    def __init__(self, config: PatchTransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.n_tokens = config.n_patches
        self.width = config.width
        self.patch_values = config.n_channels * config.patch
        self.embedding = nn.Linear(self.patch_values, config.width)
        self.positions = nn.Parameter(0.02 * torch.randn(config.n_patches, config.width))
        self.blocks = nn.Sequential(
            *(TransformerBlock(config.width, config.n_heads, config.dropout) for _ in range(config.depth))
        )
        self.norm = nn.LayerNorm(config.width)

    def block(self) -> nn.Module:
        """Return a new block like the network's own, without dropout."""
        return TransformerBlock(self.config.width, self.config.n_heads, 0.0)

    def patches(self, eeg: Tensor) -> Tensor:
        """Cut eeg (batch, n_channels, n_times) into patches (batch, n_patches, n_channels * patch)."""
        config = self.config
        check_eeg(eeg, config)
        filled = F.pad(eeg, (0, config.n_patches * config.patch - config.n_times))
        return filled.unflatten(2, (config.n_patches, config.patch)).transpose(1, 2).flatten(2)

    def embed(self, patches: Tensor) -> Tensor:
        """Return tokens (batch, n_patches, width), places added, of patches (batch, n_patches, n_channels * patch)."""
        return self.embedding(patches) + self.positions

    def encode(self, tokens: Tensor) -> Tensor:
        """Return what the blocks make of tokens (batch, any number, width)."""
        return self.norm(self.blocks(tokens))

    def forward(self, eeg: Tensor, subject: Tensor | None = None) -> Tensor:
        """Return the tokens of eeg (batch, n_channels, n_times), normalised by the caller."""
        return self.encode(self.embed(self.patches(eeg)))


class TransformerBlock(nn.Module):
    """Self-attention and a feed-forward layer, layer-norm first: (batch, n, width) to the same."""

    def __init__(self, width: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.attention_norm = nn.LayerNorm(width)
        self.to_qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
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
        query, key, value = (
            self.to_qkv(self.attention_norm(tokens)).unflatten(2, (3, self.n_heads, -1)).permute(2, 0, 3, 1, 4)
        )
        attended = F.scaled_dot_product_attention(query, key, value)
        tokens = tokens + self.dropout(self.project(attended.transpose(1, 2).flatten(2)))
        return tokens + self.feed_forward(tokens)
