"""The linear encoder: standardised samples of the signal as features, for a linear map fitted in closed form."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config_bounds import check_eeg, check_fields
from .context import BuildContext, OnePerson

BLOCK = 4096  # windows in double precision at once
ONE_PERSON_BIN_S = 0.03


@dataclass(frozen=True)
class LinearConfig:
    """Shape of the window, and into how many equal bins of time it is averaged (0: every sample is a feature)."""

    n_channels: int = 14
    n_times: int = 128
    n_bins: int = 0

    def __post_init__(self) -> None:
        check_fields(self, n_channels=(1, 1024), n_times=(1, 65536), n_bins=(0, 65536))
        if self.n_bins > self.n_times:
            raise ValueError(
                f"LinearConfig.n_bins is {self.n_bins}, more than the {self.n_times} samples of the window."
            )


class Linear(nn.Module):
    """Map eeg (batch, n_channels, n_times) to one token (batch, 1, n_channels * bins) of standardised samples.

    It has no trained parameters: `fit` stores each feature's mean and spread, and the linear map itself is the head's,
    which `fit_ridge` solves in closed form.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, config: LinearConfig) -> None:
        super().__init__()
        self.config = config
        self.n_tokens = 1
        self.width = config.n_channels * (config.n_bins or config.n_times)
        self.register_buffer("mean", torch.zeros(self.width))
        self.register_buffer("scale", torch.ones(self.width))

    def features(self, eeg: Tensor) -> Tensor:
        """Return the features of eeg (batch, n_channels, n_times) before standardising: (batch, width)."""
        config = self.config
        check_eeg(eeg, config)
        return (F.adaptive_avg_pool1d(eeg, config.n_bins) if config.n_bins else eeg).flatten(1)

    @torch.no_grad()
    def fit(self, eeg: Tensor) -> "Linear":
        """Store the mean and the standard deviation of each feature over training eeg (n, n_channels, n_times)."""
        mean = torch.zeros(self.width, dtype=torch.float64, device=eeg.device)
        square = torch.zeros_like(mean)
        for part in eeg.split(BLOCK):
            mean += self.features(part).double().sum(0) / len(eeg)
        for part in eeg.split(BLOCK):
            square += (self.features(part).double() - mean).square().sum(0) / len(eeg)
        spread = square.sqrt()
        self.mean.copy_(mean)
        self.scale.copy_(torch.where(spread > 0, spread, torch.ones_like(spread)))
        return self

    def forward(self, eeg: Tensor, subject: Tensor | None = None) -> Tensor:
        """Return the standardised features as one token."""
        return ((self.features(eeg) - self.mean) / self.scale)[:, None]


def fit_linear(eeg: Tensor, labels: Tensor, config: LinearConfig) -> Linear:
    """Return a Linear fitted to training eeg (n, n_channels, n_times); labels (n,) are not looked at."""
    return Linear(config).to(eeg.device).fit(eeg)


def one_person_settings(context: BuildContext) -> dict[str, object]:
    """Return bins of 30 ms."""
    return {"n_bins": max(1, min(context.n_times, round(context.n_times / context.sfreq / ONE_PERSON_BIN_S)))}


ONE_PERSON = OnePerson(one_person_settings, scaling="train", baseline=True)
