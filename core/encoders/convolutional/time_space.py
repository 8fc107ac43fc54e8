"""A temporal convolution with a spatial one right behind it: both are linear, so they run as one."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class TimeSpace(nn.Module):
    """Map eeg (batch, n_channels, n_times) to normalised sources (batch, n_sources, n_times - kernel + 1).

    What several networks begin with: `n_filters` filters over time, applied to every channel, then `n_sources` filters
    over all channels and filters, then batch norm. The kernel of one convolution over channels and time is composed
    from both weights on every call, so that the filtered channels, `n_filters` times the signal, are never made.
    spatial_bias: whether the second convolution has one too; in front of a norm neither has a gradient.
    """

    def __init__(self, n_channels: int, n_filters: int, n_sources: int, kernel: int, *, spatial_bias: bool) -> None:
        super().__init__()
        self.temporal = nn.Conv1d(1, n_filters, kernel)
        self.spatial = nn.Conv1d(n_filters, n_sources, n_channels, bias=spatial_bias)
        self.norm = nn.BatchNorm1d(n_sources)

    def forward(self, eeg: Tensor) -> Tensor:
        """Return the sources of eeg."""
        with torch.autocast(eeg.device.type, enabled=False):
            kernel = torch.einsum("ofc,fk->ock", self.spatial.weight, self.temporal.weight[:, 0])
            assert self.temporal.bias is not None
            bias = torch.einsum("ofc,f->o", self.spatial.weight, self.temporal.bias)
            if self.spatial.bias is not None:
                bias = bias + self.spatial.bias
            if self.norm.training:
                # The norm takes it away again; its gradient would be rounding alone, and an optimiser that scales
                # gradients would turn that into steps of full length.
                bias = bias.detach() + 0 * bias
        return self.norm(F.conv1d(eeg, kernel, bias))
