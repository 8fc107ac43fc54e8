"""The phantom's denoiser and autoencoder out of AUTOMATIC1111's own classes; the phantom checkpoint's yaml names them.

The host's are fixed to norms in 32 groups, to levels whose widths are whole multiples of the first one's, and to
attention that is as wide inside as outside.
"""

from unittest import mock

import ldm.models.autoencoder as autoencoder
import ldm.modules.diffusionmodules.model as layers
import ldm.modules.diffusionmodules.openaimodel as denoiser
from torch import nn


class Width(int):
    """A level's width in the place of a factor: what the host multiplies by it is this wide."""

    def __mul__(self, first):
        return int(self)

    __rmul__ = __mul__


class SpatialTransformer(denoiser.SpatialTransformer):
    """The host's attention over places and words; six heads of 21 make 126 of 128 channels in the middle block."""

    def forward(self, x, context=None):
        inside = self.proj_in(self.norm(x))
        places = inside.flatten(2).transpose(1, 2)
        for block in self.transformer_blocks:
            places = block(places, context=context)
        return x + self.proj_out(places.transpose(1, 2).reshape(inside.shape))


class UNetModel(denoiser.UNetModel):
    """The host's denoiser with levels of these widths, multiples of 32, and norms in `groups`."""

    def __init__(self, widths, groups, **more):
        with mock.patch.object(denoiser, "SpatialTransformer", SpatialTransformer):
            super().__init__(model_channels=widths[0], channel_mult=tuple(map(Width, widths)), **more)
        for layer in self.modules():
            if isinstance(layer, nn.GroupNorm):
                layer.num_groups = groups


class AutoencoderKL(autoencoder.AutoencoderKL):
    """The host's autoencoder with levels of these widths and norms in `groups`."""

    def __init__(self, widths, groups, ddconfig, **more):
        def norm(width):
            return nn.GroupNorm(groups, width, eps=1e-6)

        sizes = {**ddconfig, "ch": widths[0], "ch_mult": tuple(map(Width, widths))}
        with mock.patch.object(layers, "Normalize", norm):
            super().__init__(ddconfig=sizes, **more)
