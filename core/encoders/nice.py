"""NICE's TSConv: a temporal filter bank, pooling, a spatial filter bank (Song et al., ICLR 2024)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config_bounds import check_eeg, check_fields, check_window


@dataclass(frozen=True)
class NiceConfig:
    """Sizes of the network; the defaults are the published ones for THINGS-EEG2 (63 channels, 1 s at 250 Hz)."""

    n_channels: int = 63
    n_times: int = 250
    n_filters: int = 40
    kernel: int = 25  # samples
    pool: int = 51  # samples
    stride: int = 5  # samples
    dropout: float = 0.5
    folded: bool = True  # same function and parameters either way; folded is several times faster
    n_mixed: int = 0  # signals left by the last 1 x 1 convolution, 0 for n_filters; ENIGMA has 4 (kernel 5, pool 17)

    def __post_init__(self) -> None:
        check_fields(
            self,
            n_channels=(1, 1024),
            n_times=(1, 8192),
            n_filters=(1, 512),
            kernel=(1, 1024),
            pool=(1, 1024),
            stride=(1, 4096),
            dropout=(0, 0.95),
            n_mixed=(0, 512),
        )
        check_window(self, self.min_times, f"kernel {self.kernel} and pool {self.pool}")

    @property
    def min_times(self) -> int:
        """Return the shortest window, in samples, that the kernel and the pool fit into."""
        return self.kernel + self.pool - 1

    @property
    def n_frames(self) -> int:
        """Return how many frames are left after convolution and pooling."""
        return (self.n_times - self.min_times) // self.stride + 1


class Nice(nn.Module):
    """Map eeg (batch, n_channels, n_times) to tokens (batch, 1, n_filters * n_frames): 1440 at the published sizes.

    The features come as one token because the filters are shared by all frames and the published network reads them
    flattened; the projector belongs to the head. Song et al., "Decoding Natural Images from EEG for Object
    Recognition", ICLR 2024.

    The temporal convolution and the average pooling behind it are both linear, so with `folded` they run as one strided
    convolution whose kernel (kernel + pool - 1 taps) is composed from the same weights on every call; the signal before
    pooling, `stride` times longer, is never made. The batch norm that follows needs no pass over its input either: the
    mean and variance of a linear map's output follow from those of its input.

    moments_of_all: where several processes train as one, takes mean, covariance and number of this one's stretches of
    signal and returns those of all.
    """

    moments_of_all: Callable[[Tensor, Tensor, int], tuple[Tensor, Tensor, int]] | None = None

    def __init__(self, config: NiceConfig) -> None:
        super().__init__()
        self.config = config
        self.n_tokens = 1
        n_mixed = config.n_mixed or config.n_filters
        self.width = n_mixed * config.n_frames
        self.temporal = nn.Conv1d(1, config.n_filters, config.kernel)
        self.temporal_norm = nn.BatchNorm1d(config.n_filters)
        # (n_channels, n_filters) merged, in the order in which the temporal stage leaves them in memory.
        self.spatial = nn.Conv1d(config.n_channels * config.n_filters, config.n_filters, 1)
        self.spatial_norm = nn.BatchNorm1d(config.n_filters)
        self.dropout = nn.Dropout(config.dropout)
        self.mix = nn.Conv1d(config.n_filters, n_mixed, 1)

    def forward(self, eeg: Tensor, subject: Tensor | None = None) -> Tensor:
        """Return the tokens of eeg (batch, n_channels, n_times); any unit, normalised by the caller."""
        config = self.config
        check_eeg(eeg, config)
        # The moments of several processes carry no gradient to what comes in, which layers in front would need.
        whole = self.moments_of_all is not None and eeg.requires_grad
        sources = self.folded_sources(eeg) if config.folded and not whole else self.sources(eeg)
        sources = F.elu(self.spatial_norm(sources))
        return self.mix(self.dropout(sources)).reshape(len(eeg), 1, self.width)

    def sources(self, eeg: Tensor) -> Tensor:
        """Return the spatially filtered signals of eeg, layer by layer: (batch, n_filters, n_frames)."""
        config = self.config
        lines = eeg.reshape(-1, 1, config.n_times)
        filtered = F.conv1d(lines, self.temporal.weight, before(self.temporal_norm, self.temporal))
        pooled = F.elu(self.temporal_norm(F.avg_pool1d(filtered, config.pool, config.stride)))
        rows = pooled.reshape(len(eeg), -1, config.n_frames)
        return F.conv1d(rows, self.spatial.weight, before(self.spatial_norm, self.spatial))

    def folded_sources(self, eeg: Tensor) -> Tensor:
        """Return the same as `sources`, up to rounding, with the stages up to the first ELU in one matrix product."""
        config = self.config
        patches = eeg.unfold(-1, config.min_times, config.stride).transpose(1, 2).reshape(-1, config.min_times)
        with torch.autocast(eeg.device.type, enabled=False):
            exact = torch.promote_types(eeg.dtype, torch.float32)
            kernel, bias = self.folded_norm(eeg.reshape(-1, config.n_times).to(exact), self.folded_kernel())
        pooled = F.elu(F.linear(patches, kernel, bias), inplace=True)
        # One row a frame; within it the channels' filters, as in the weights of `spatial`.
        rows = pooled.view(-1, config.n_channels * config.n_filters)
        sources = F.linear(rows, self.spatial.weight[:, :, 0], before(self.spatial_norm, self.spatial))
        return sources.unflatten(0, (len(eeg), config.n_frames)).mT

    def folded_kernel(self) -> Tensor:
        """Return the temporal kernel smoothed by the pooling window: (n_filters, kernel + pool - 1)."""
        pool = self.config.pool
        box = self.temporal.weight.new_full((1, 1, pool), 1.0 / pool)
        return F.conv1d(self.temporal.weight, box, padding=pool - 1)[:, 0]

    def folded_norm(self, lines: Tensor, kernel: Tensor) -> tuple[Tensor, Tensor]:
        """Return kernel (n_filters, taps) and bias (n_filters,) that also apply `temporal_norm`.

        `lines` (n, n_times) are the signals that the kernel will slide over; in training they advance the statistics.
        """
        norm, bias = self.temporal_norm, before(self.temporal_norm, self.temporal)
        assert bias is not None
        assert norm.running_mean is not None
        assert norm.running_var is not None
        if self.training:
            mean, covariance = self.patch_statistics(lines)
            n = len(lines) * self.config.n_frames
            if self.moments_of_all is not None:
                mean, covariance, n = self.moments_of_all(mean, covariance, n)
            mean = kernel @ mean + bias
            variance = ((kernel @ covariance) * kernel).sum(1).clamp_min(0)
            with torch.no_grad():
                norm.running_mean.lerp_(mean, norm.momentum or 0.0)
                norm.running_var.lerp_(variance * (n / max(1, n - 1)), norm.momentum or 0.0)
                if norm.num_batches_tracked is not None:
                    norm.num_batches_tracked.add_(1)
        else:
            mean, variance = norm.running_mean, norm.running_var
        scale = norm.weight * (variance + norm.eps).rsqrt()
        return kernel * scale[:, None], (bias - mean) * scale + norm.bias

    def patch_statistics(self, lines: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean (taps,) and covariance (taps, taps) of all stretches of lines (n, n_times) the kernel meets."""
        taps, stride, n_frames = self.config.min_times, self.config.stride, self.config.n_frames
        # Shifting by a constant leaves the covariance alone and keeps the difference of squares from cancelling.
        shift = lines.detach().mean()
        shifted = lines - shift
        products = (shifted.mT @ shifted / len(lines)).unfold(0, taps, stride).unfold(1, taps, stride)
        mean = shifted.mean(0).unfold(0, taps, stride).mean(0)
        return mean + shift, products.diagonal().sum(-1) / n_frames - mean[:, None] * mean


def before(norm: nn.BatchNorm1d, convolution: nn.Conv1d) -> Tensor | None:
    """Return the bias of a convolution in front of a batch norm, in training with a gradient of zero.

    The norm takes the bias away again, so that its gradient would be rounding alone, which an optimiser that scales
    gradients turns into steps of full length.
    """
    bias = convolution.bias
    return bias if bias is None or not norm.training else bias.detach() + 0 * bias
