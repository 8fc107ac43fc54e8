"""The saliency head's networks: a generator of pictures from an encoder's features, and the discriminator it is trained
against.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

PICTURE_SIZES = (64, 128)
START = 4  # pixels a side of the coarsest map, in both networks
WIDTHS = (8, 6, 4, 2, 1, 1)  # channels from the coarsest map to the finest, in multiples of the finest's


class Modulated(nn.Module):
    """A doubling of the map: convolve up, normalise, then scale and shift every channel as the condition says.

    Conditional normalisation (Dumoulin et al., ICLR 2017), by groups of channels, so that a picture never depends on
    the batch it is drawn in.
    """

    def __init__(self, n_in: int, n_out: int, condition: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(n_in, n_out, 4, stride=2, padding=1)
        self.norm = nn.GroupNorm(max(1, n_out // 8), n_out, affine=False)
        self.modulate = nn.Linear(condition, 2 * n_out)

    def forward(self, maps: Tensor, condition: Tensor) -> Tensor:
        """Return (batch, n_out, 2 h, 2 w) for maps (batch, n_in, h, w) and a condition (batch, width)."""
        maps = self.norm(self.conv(maps))
        scale, shift = self.modulate(condition)[..., None, None].chunk(2, dim=1)
        return F.silu(maps * (1 + scale) + shift)


class Generator(nn.Module):
    """G(z, f): noise (batch, noise) and an encoder's features (batch, n_features) → pictures (batch, 3, size, size) in
    [0, 1].

    NeuroImagen's pixel level (Lan et al. 2023, eq. 2 to 6), whose sizes are not published. Noise and features enter at
    the coarsest map and in every block. A new generator draws the mean picture, whatever comes in. In training the
    noise is drawn anew each time; in eval mode it is `inference_noise` (draws, noise), zeros at first, and the picture
    is the mean over its rows.
    """

    inference_noise: Tensor

    def __init__(self, n_features: int, size: int, noise: int, condition: int, channels: int, draws: int = 1) -> None:
        super().__init__()
        widths = [channels * times for times in WIDTHS[: (size // START).bit_length()]]
        self.size = size
        self.condition = nn.Linear(n_features, condition)
        self.start = nn.Linear(noise + condition, widths[0] * START * START)
        self.blocks = nn.ModuleList(Modulated(n_in, n_out, noise + condition) for n_in, n_out in pairwise(widths))
        self.paint = nn.Conv2d(widths[-1], 3, 3, padding=1)
        nn.init.zeros_(self.paint.weight)
        assert self.paint.bias is not None
        nn.init.zeros_(self.paint.bias)
        self.register_buffer("inference_noise", torch.zeros(draws, noise))

    def forward(self, features: Tensor, mean: Tensor, noise: Tensor | None = None) -> Tensor:
        """Return pictures; mean: (3 * size * size,), the mean picture. noise: drawn or fixed as the class says where
        none is given.
        """
        if noise is None and self.training:
            noise = torch.randn(len(features), self.inference_noise.shape[1], device=features.device)
        if noise is not None:
            return self.draw(features, mean, noise)
        drawn = [self.draw(features, mean, one.expand(len(features), -1)) for one in self.inference_noise]
        return torch.stack(drawn).mean(0)

    def draw(self, features: Tensor, mean: Tensor, noise: Tensor) -> Tensor:
        """Return one picture for each row of features (batch, n_features) and noise (batch, noise)."""
        condition = torch.cat([noise, self.condition(features)], dim=1)
        maps = self.start(condition).unflatten(1, (-1, START, START))
        maps = maps.contiguous(memory_format=torch.channels_last)  # nearly twice as fast on a CPU
        for block in self.blocks:
            maps = block(maps, condition)
        return torch.sigmoid(self.paint(maps) + torch.logit(mean.view(3, self.size, self.size), eps=0.01))


class ProjectionDiscriminator(nn.Module):
    """D(x, f): pictures (batch, 3, size, size) and features (batch, n_features) → (batch,), high for real pairs.

    The condition enters by an inner product with the picture's features (Miyato & Koyama, ICLR 2018), which keep their
    places: where in a picture something lies is part of what the EEG tells. Every layer is spectrally normalised
    (Miyato et al., ICLR 2018).
    """

    def __init__(self, n_features: int, size: int, channels: int = 32, width: int = 128) -> None:
        super().__init__()
        widths = [3] + [channels * times for times in (1, 2, 3, 4, 4)[: (size // START).bit_length() - 1]]
        self.convs = nn.ModuleList(
            spectral_norm(nn.Conv2d(n_in, n_out, 4, stride=2, padding=1)) for n_in, n_out in pairwise(widths)
        )
        self.embed = spectral_norm(nn.Linear(widths[-1] * START * START, width))
        self.judge = spectral_norm(nn.Linear(width, 1))
        self.project = spectral_norm(nn.Linear(n_features, width, bias=False))

    def forward(self, pictures: Tensor, features: Tensor) -> Tensor:
        """Return how real each pair of picture and features looks (batch,)."""
        maps = pictures * 2 - 1
        for conv in self.convs:
            maps = F.leaky_relu(conv(maps), 0.2)
        seen = F.leaky_relu(self.embed(maps.flatten(1)), 0.2)
        wanted = self.project(F.layer_norm(features, features.shape[1:]))
        return self.judge(seen)[:, 0] + (seen * wanted).sum(1)
