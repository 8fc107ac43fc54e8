"""A CoAtNet of convolution and transformer stages over spectrogram pictures (Dai et al. 2021; Braincoder's sizes)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config_bounds import check_fields
from .context import BuildContext, Settings

EXPANSION = 4
SQUEEZE = 0.25
MAX_ATTENTION = 4096  # grid positions in the first transformer stage: memory grows with the square
MAX_PARAMETERS = 500_000_000


@dataclass(frozen=True)
class CoatnetConfig:
    """Sizes of the network; the defaults are Braincoder's own (42 channels of 240 x 320, 300 tokens of 768)."""

    in_channels: int = 42
    image_height: int = 240
    image_width: int = 320
    stages: str = "CCTT"  # C convolution, T transformer; every stage halves the picture, rounding up
    depths: tuple[int, ...] = (2, 2, 2, 4)
    widths: tuple[int, ...] = (64, 196, 384, 768)
    n_heads: int = 8
    head_width: int = 32
    dropout: float = 0.2

    def __post_init__(self) -> None:
        known = tuple("C" * c + "T" * t for c in range(5) for t in range(5) if c + t)
        check_fields(
            self,
            in_channels=(1, 4096),
            image_height=(1, 2048),
            image_width=(1, 2048),
            stages=known,
            depths=(1, 32),
            widths=(1, 2048),
            n_heads=(1, 64),
            head_width=(1, 256),
            dropout=(0, 0.95),
        )
        if not len(self.stages) == len(self.depths) == len(self.widths):
            raise ValueError(
                f"CoatnetConfig has {len(self.stages)} stages ({self.stages}), {len(self.depths)} depths and "
                f"{len(self.widths)} widths; give one depth and one width for each stage."
            )
        first = self.stages.find("T")
        if first >= 0 and (area := self.grids[first][0] * self.grids[first][1]) > MAX_ATTENTION:
            raise ValueError(
                f"CoatnetConfig: the first transformer stage would attend over {area} positions; at most "
                f"{MAX_ATTENTION}. Take a smaller picture than {self.image_height} x {self.image_width} or more "
                "convolution stages before it."
            )
        # An upper bound by a block's matrices alone; enough to refuse a file that asks for the whole memory.
        sizes = zip((self.in_channels, *self.widths), self.widths, self.depths, strict=False)
        bound = sum(
            depth * max(a, b) * (2 * EXPANSION * max(a, b) + 4 * self.n_heads * self.head_width)
            for a, b, depth in sizes
        )
        if bound > MAX_PARAMETERS:
            raise ValueError(
                f"CoatnetConfig asks for up to {bound / 1e6:.0f} M parameters (widths {self.widths}, depths "
                f"{self.depths}); at most {MAX_PARAMETERS / 1e6:.0f} M."
            )

    @property
    def grids(self) -> tuple[tuple[int, int], ...]:
        """Return (rows, columns) after each stage."""
        rows, columns, grids = self.image_height, self.image_width, []
        for _ in self.stages:
            rows, columns = -(-rows // 2), -(-columns // 2)
            grids.append((rows, columns))
        return tuple(grids)


def values(context: BuildContext, settings: Settings) -> dict[str, object]:
    """Return a config's values: the picture's sizes from the context, everything else from the settings."""
    assert context.picture is not None
    channels, height, width = context.picture
    return {**settings, "in_channels": channels, "image_height": height, "image_width": width}


class Coatnet(nn.Module):
    """Map spec (batch, in_channels, image_height, image_width) to tokens (batch, rows * columns, widths[-1]).

    Tokens run row by row. Stages without a stem as Braincoder (github.com/yoonhero/Braincoder) arranges them; blocks
    after Dai et al., "CoAtNet: Marrying Convolution and Attention for All Data Sizes", NeurIPS 2021. Any picture size
    works: sides are halved rounding up. Braincoder's projection of 300 positions to 77 text tokens belongs to the head.
    """

    def __init__(self, config: CoatnetConfig) -> None:
        super().__init__()
        self.config = config
        rows, columns = config.grids[-1]
        self.n_tokens = rows * columns
        self.width = config.widths[-1]
        blocks: list[nn.Module] = []
        width = config.in_channels
        for kind, depth, out, grid in zip(config.stages, config.depths, config.widths, config.grids, strict=True):
            for index in range(depth):
                if kind == "C":
                    blocks.append(ConvolutionBlock(width, out, halve=index == 0))
                else:
                    blocks.append(TransformerBlock(width, out, grid, config, halve=index == 0))
                width = out
        self.blocks = nn.Sequential(*blocks)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, spec: Tensor, subject: Tensor | None = None) -> Tensor:
        """Return the tokens of spec (batch, in_channels, image_height, image_width) with values in [0, 1]."""
        config = self.config
        if spec.ndim != 4 or tuple(spec.shape[1:]) != (config.in_channels, config.image_height, config.image_width):
            raise ValueError(
                f"spec has shape {tuple(spec.shape)}; this encoder takes (batch, "
                f"{config.in_channels}, {config.image_height}, {config.image_width})."
            )
        return self.blocks(spec).flatten(2).transpose(1, 2)


class ConvolutionBlock(nn.Module):
    """Inverted bottleneck (MBConv) with batch-norm first and a gate: (batch, inp, h, w) to (batch, out, h', w')."""

    def __init__(self, inp: int, out: int, *, halve: bool) -> None:
        super().__init__()
        hidden = EXPANSION * inp
        self.shortcut = shortcut(inp, out, halve)
        self.residual = nn.Sequential(
            nn.BatchNorm2d(inp),
            nn.Conv2d(inp, hidden, 1, 2 if halve else 1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.GELU(),
            nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden, bias=False),
            nn.BatchNorm2d(hidden),
            nn.GELU(),
            SqueezeExcitation(hidden, max(1, int(SQUEEZE * inp))),
            nn.Conv2d(hidden, out, 1, bias=False),
            nn.BatchNorm2d(out),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        return self.shortcut(x) + self.residual(x)


class SqueezeExcitation(nn.Module):
    """Scale each channel of (batch, width, h, w) by a gate computed from all channels' means."""

    def __init__(self, width: int, squeezed: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.Linear(width, squeezed, bias=False), nn.GELU(), nn.Linear(squeezed, width, bias=False), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return x with its channels scaled."""
        return x * self.gate(x.mean((2, 3)))[:, :, None, None]


class TransformerBlock(nn.Module):
    """Relative attention and a feed-forward layer, layer-norm first: (batch, inp, h, w) to (batch, out, *grid)."""

    def __init__(self, inp: int, out: int, grid: tuple[int, int], config: CoatnetConfig, *, halve: bool) -> None:
        super().__init__()
        self.grid = grid
        self.shortcut = shortcut(inp, out, halve)
        self.pool = nn.MaxPool2d(3, 2, 1) if halve else nn.Identity()
        self.norm = nn.LayerNorm(inp)
        self.attention = RelativeAttention(inp, out, grid, config)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(out),
            nn.Linear(out, EXPANSION * inp),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(EXPANSION * inp, out),
            nn.Dropout(config.dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        tokens = self.pool(x).flatten(2).transpose(1, 2)
        tokens = self.shortcut(x).flatten(2).transpose(1, 2) + self.attention(self.norm(tokens))
        tokens = tokens + self.feed_forward(tokens)
        return tokens.transpose(1, 2).unflatten(2, self.grid)


class RelativeAttention(nn.Module):
    """Self-attention over a grid with a learned bias for each relative position: (batch, n, inp) to (batch, n, out)."""

    relative_index: Tensor

    def __init__(self, inp: int, out: int, grid: tuple[int, int], config: CoatnetConfig) -> None:
        super().__init__()
        rows, columns = grid
        inner = config.n_heads * config.head_width
        self.n_heads = config.n_heads
        self.dropout = nn.Dropout(config.dropout)
        self.to_qkv = nn.Linear(inp, 3 * inner, bias=False)
        self.project = nn.Linear(inner, out)
        self.bias_table = nn.Parameter(torch.zeros((2 * rows - 1) * (2 * columns - 1), config.n_heads))
        row = torch.arange(rows).repeat_interleave(columns)
        column = torch.arange(columns).repeat(rows)
        index = (row[:, None] - row + rows - 1) * (2 * columns - 1) + column[:, None] - column + columns - 1
        self.register_buffer("relative_index", index, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the attended tokens."""
        query, key, value = self.to_qkv(tokens).unflatten(2, (3, self.n_heads, -1)).permute(2, 0, 3, 1, 4)
        bias = self.bias_table[self.relative_index].permute(2, 0, 1)[None]
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=bias.to(query.dtype))
        return self.dropout(self.project(attended.transpose(1, 2).flatten(2)))


def shortcut(inp: int, out: int, halve: bool) -> nn.Module:
    """Return the path around a block: the identity, or pooling to half the size and a 1 x 1 convolution."""
    return nn.Sequential(nn.MaxPool2d(3, 2, 1), nn.Conv2d(inp, out, 1, bias=False)) if halve else nn.Identity()
