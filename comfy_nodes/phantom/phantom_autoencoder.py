"""The phantom's autoencoder out of the host's layers: the host's own one is fixed to 32 groups in every norm."""

from collections import OrderedDict
from itertools import pairwise
from typing import Any

import comfy.ops
from torch import Tensor, nn
from torch.nn import functional as F

layers = comfy.ops.disable_weight_init  # so that the host can move and cast them as it does its own


class Residual(nn.Module):
    """Two convolutions beside a short cut."""

    def __init__(self, n_in: int, n_out: int, groups: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = layers.GroupNorm(groups, n_in, eps=1e-6), layers.Conv2d(n_in, n_out, 3, padding=1)
        self.norm2, self.conv2 = layers.GroupNorm(groups, n_out, eps=1e-6), layers.Conv2d(n_out, n_out, 3, padding=1)
        self.conv_shortcut = layers.Conv2d(n_in, n_out, 1) if n_in != n_out else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, n_in, height, width) to (batch, n_out, height, width)."""
        inner = self.conv1(F.silu(self.norm1(x)))
        return self.conv_shortcut(x) + self.conv2(F.silu(self.norm2(inner)))


class Attention(nn.Module):
    """Attention of every place to every other, one head."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.group_norm = layers.GroupNorm(groups, width, eps=1e-6)
        self.to_q, self.to_k, self.to_v = (layers.Linear(width, width) for _ in range(3))
        self.to_out = nn.ModuleList([layers.Linear(width, width)])

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape (batch, channels, height, width)."""
        places = self.group_norm(x).flatten(2).transpose(1, 2)
        seen = F.scaled_dot_product_attention(self.to_q(places), self.to_k(places), self.to_v(places))
        return x + self.to_out[0](seen).transpose(1, 2).reshape(x.shape)


class Level(nn.Module):
    """Residual blocks of one resolution, then a step to the next one where there is one."""

    downsamplers: nn.ModuleList
    upsamplers: nn.ModuleList

    def __init__(self, widths: list[int], groups: int, step: str | None = None) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(Residual(a, b, groups) for a, b in pairwise(widths))
        self.step = step
        if step:
            convolution = layers.Conv2d(widths[-1], widths[-1], 3, stride=2 if step == "downsamplers" else 1)
            self.add_module(step, nn.ModuleList([nn.Sequential(OrderedDict(conv=convolution))]))

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, first width, height, width) to the last width, at half or twice the size after a step."""
        for block in self.resnets:
            x = block(x)
        if self.step == "downsamplers":
            return self.downsamplers[0](F.pad(x, (0, 1, 0, 1)))
        if self.step == "upsamplers":
            return self.upsamplers[0](F.pad(F.interpolate(x, scale_factor=2.0), (1, 1, 1, 1)))
        return x


class Middle(nn.Module):
    """The middle of either half: residual, attention, residual."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(Residual(width, width, groups) for _ in range(2))
        self.attentions = nn.ModuleList([Attention(width, groups)])

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape (batch, channels, height, width)."""
        return self.resnets[1](self.attentions[0](self.resnets[0](x)))


class Half(nn.Module):
    """The encoder, or with `up` the decoder; its names are those of the files in diffusers' format."""

    down_blocks: nn.ModuleList
    up_blocks: nn.ModuleList

    def __init__(self, config: dict[str, Any], n_in: int, n_out: int, *, up: bool) -> None:
        super().__init__()
        widths, groups, depth = config["block_out_channels"], config["norm_num_groups"], config["layers_per_block"] + up
        widths = widths[::-1] if up else widths
        step = "upsamplers" if up else "downsamplers"
        self.conv_in = layers.Conv2d(n_in, widths[0], 3, padding=1)
        levels = [
            Level([before] + [width] * depth, groups, step if number < len(widths) - 1 else None)
            for number, (before, width) in enumerate(zip([widths[0], *widths], widths, strict=False))
        ]
        self.up = up
        self.add_module("up_blocks" if up else "down_blocks", nn.ModuleList(levels))
        self.mid_block = Middle(widths[0] if up else widths[-1], groups)
        self.conv_norm_out = layers.GroupNorm(groups, widths[-1], eps=1e-6)
        self.conv_out = layers.Conv2d(widths[-1], n_out, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map pictures to moments, or latents to pictures, all (batch, channels, height, width)."""
        x = self.conv_in(x)
        for part in (self.mid_block, *self.up_blocks) if self.up else (*self.down_blocks, self.mid_block):
            x = part(x)
        return self.conv_out(F.silu(self.conv_norm_out(x)))


class Autoencoder(nn.Module):
    """What the host's VAE calls: `encode` and `decode`.

    config: a diffusers AutoencoderKL's; its state dict fits as it is.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        latent = config["latent_channels"]
        self.encoder = Half(config, config["in_channels"], 2 * latent, up=False)
        self.decoder = Half(config, latent, config["out_channels"], up=True)
        self.quant_conv = layers.Conv2d(2 * latent, 2 * latent, 1)
        self.post_quant_conv = layers.Conv2d(latent, latent, 1)

    def encode(self, pictures: Tensor) -> Tensor:
        """Return mean latents (batch, latent, height / 8, width / 8) of pictures (batch, 3, height, width), -1 to 1."""
        return self.quant_conv(self.encoder(pictures)).chunk(2, dim=1)[0]

    def decode(self, latents: Tensor, **_: Any) -> Tensor:
        """Return pictures (batch, 3, height, width), -1 to 1, for latents (batch, latent, height / 8, width / 8)."""
        return self.decoder(self.post_quant_conv(latents))
