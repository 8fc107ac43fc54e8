"""Xdawn covariances in tangent space: a strong classical reader of evoked responses, fitted in closed form."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ..covariances import ESTIMATORS, covariances
from .config_bounds import check_eeg, check_fields
from .context import BuildContext, OnePerson, Settings, eeg_values
from .riemann import matrix_log, power, riemann_mean, upper_triangle

MAX_ORDER = 256  # rows of the stacked signal: features grow with the square
BLOCK = 4096  # windows in double precision at once
REFERENCE_WINDOWS = 4096  # drawn for the mean covariance of large data sets, which more would not move
MAX_TEMPLATES = 8  # classes that get a template of their own, where the settings do not say
ONE_PERSON_TEMPLATES, ONE_PERSON_FILTERS = 4, 3  # features grow with the square of their product


@dataclass(frozen=True)
class TangentConfig:
    """Shape of the window and how much of it is kept: `n_filters` spatial filters for each of `n_classes` templates."""

    n_channels: int = 4
    n_times: int = 230
    n_classes: int = 2  # fewer than the labels have: their leading evoked patterns stand for the classes
    n_filters: int = 2
    estimator: str = "oas"

    def __post_init__(self) -> None:
        check_fields(
            self,
            n_channels=(1, 1024),
            n_times=(2, 65536),
            n_classes=(1, MAX_ORDER // 2),
            n_filters=(1, 1024),
            estimator=ESTIMATORS,
        )
        if self.n_filters > self.n_channels:
            raise ValueError(f"TangentConfig.n_filters is {self.n_filters}; {self.n_channels} channels allow no more.")
        if self.order > MAX_ORDER:
            raise ValueError(
                f"TangentConfig stacks {self.order} signals (2 x {self.n_classes} classes x {self.n_filters} filters); "
                f"at most {MAX_ORDER}. Take fewer filters or classes."
            )

    @property
    def order(self) -> int:
        """Return the number of stacked signals: templates and filtered channels."""
        return 2 * self.n_classes * self.n_filters


class Tangent(nn.Module):
    """Map eeg (batch, n_channels, n_times) to one token (batch, 1, order (order + 1) / 2).

    The window is filtered in space, stacked under the templates, and described by the logarithm of its covariance seen
    from the training mean. Rivet et al., "xDAWN algorithm to enhance evoked potentials", IEEE Trans. Biomed. Eng.
    56(8), 2009; Barachant et al., "Classification of covariance matrices using a Riemannian-based kernel for BCI
    applications", Neurocomputing 112, 2013. Equals pyRiemann's XdawnCovariances followed by TangentSpace. It has no
    trained parameters: `fit_tangent` fills its buffers.
    """

    filters: Tensor
    templates: Tensor
    whitener: Tensor

    def __init__(self, config: TangentConfig) -> None:
        super().__init__()
        self.config = config
        self.n_tokens = 1
        self.width = config.order * (config.order + 1) // 2
        half = config.order // 2
        self.register_buffer("filters", torch.eye(config.n_channels).repeat(half, 1)[:half].contiguous())
        self.register_buffer("templates", torch.zeros(half, config.n_times))
        self.register_buffer("whitener", torch.eye(config.order))

    def stacked_covariances(self, eeg: Tensor) -> Tensor:
        """Return the covariance of templates and filtered eeg in double precision: (batch, order, order)."""
        config = self.config
        check_eeg(eeg, config)
        # Apple's devices have no double precision.
        dtype = torch.float32 if eeg.device.type == "mps" else torch.float64
        templates = self.templates.to(dtype).expand(len(eeg), -1, -1)
        return covariances(torch.cat((templates, self.filters.to(dtype) @ eeg.to(dtype)), 1), config.estimator)

    def forward(self, eeg: Tensor, subject: Tensor | None = None) -> Tensor:
        """Return the tokens of eeg in the unit it was fitted in."""
        stacked = self.stacked_covariances(eeg)
        whitener = self.whitener.to(stacked.dtype)
        return upper_triangle(matrix_log(whitener @ stacked @ whitener)).to(eeg.dtype)[:, None]


def values(context: BuildContext, settings: Settings) -> dict[str, object]:
    """Return a config's values: sizes from the context, a template for each of up to eight classes."""
    return {"n_classes": min(context.n_classes, MAX_TEMPLATES), **eeg_values(context, settings)}


def one_person_settings(context: BuildContext) -> dict[str, object]:
    """Return how many templates and filters a recording of minutes can bear."""
    return {
        "n_classes": min(context.n_classes, ONE_PERSON_TEMPLATES),
        "n_filters": min(max(context.n_channels // 2, 1), ONE_PERSON_FILTERS),
    }


ONE_PERSON = OnePerson(one_person_settings, scaling="none", baseline=False)


@torch.no_grad()
def fit_tangent(
    eeg: Tensor | np.ndarray, labels: Tensor | np.ndarray, config: TangentConfig, *, mean_steps: int = 50
) -> Tangent:
    """Return a Tangent fitted to training eeg (n, n_channels, n_times) with its labels (n,).

    With more distinct labels than `config.n_classes` (pictures rather than classes), the grand average and the leading
    patterns in which the labels' averages differ take the classes' place. Raises ValueError when the labels have fewer
    distinct values than `n_classes`, when shapes disagree, or when the covariances are singular.
    """
    eeg, labels = torch.as_tensor(eeg), torch.as_tensor(labels)
    tangent = Tangent(config)
    if labels.shape != eeg.shape[:1]:
        raise ValueError(
            f"There are {len(eeg)} windows but labels of shape {tuple(labels.shape)}; give one label each."
        )
    filters, templates = [], []
    total = total_covariance(eeg)
    for evoked in evoked_patterns(eeg, labels, config.n_classes):
        chosen = xdawn_filters(evoked, total, config.n_filters)
        filters.append(chosen)
        templates.append(chosen @ evoked)
    tangent.filters.copy_(torch.cat(filters))
    tangent.templates.copy_(torch.cat(templates))
    if len(eeg) > REFERENCE_WINDOWS:
        eeg = eeg[torch.randperm(len(eeg), generator=torch.Generator().manual_seed(0))[:REFERENCE_WINDOWS]]
    tangent.whitener.copy_(power(riemann_mean(tangent.stacked_covariances(eeg), max_steps=mean_steps), -0.5))
    return tangent


def total_covariance(eeg: Tensor) -> Tensor:
    """Return the covariance of the channels (n_channels, n_channels), float64, over all windows (n, n_channels,
    n_times) together.
    """
    mean = torch.zeros(eeg.shape[1], dtype=torch.float64)
    for some in eeg.split(BLOCK):
        mean += some.double().sum((0, 2)) / (len(eeg) * eeg.shape[2])
    total = torch.zeros(eeg.shape[1], eeg.shape[1], dtype=torch.float64)
    for some in eeg.split(BLOCK):
        flat = some.double().transpose(0, 1).flatten(1) - mean[:, None]
        total += flat @ flat.mT
    return total / (len(eeg) * eeg.shape[2])


def evoked_patterns(eeg: Tensor, labels: Tensor, n_classes: int) -> Tensor:
    """Return `n_classes` evoked responses (n_classes, n_channels, n_times) that stand for what the labels evoke."""
    values, index, counts = torch.unique(labels, return_inverse=True, return_counts=True)
    if len(values) < n_classes:
        raise ValueError(f"The labels have {len(values)} distinct values; n_classes is {n_classes}.")
    means = torch.zeros(len(values), *eeg.shape[1:], dtype=torch.float64)
    for some, of in zip(eeg.split(BLOCK), index.split(BLOCK), strict=True):
        means.index_add_(0, of, some.double())
    means /= counts[:, None, None]
    if len(values) == n_classes:
        return means
    grand = (means * counts[:, None, None]).sum(0) / len(eeg)
    weights = (counts / len(eeg)).sqrt()[:, None]
    _, sizes, patterns = torch.linalg.svd((means - grand).flatten(1) * weights, full_matrices=False)
    leading = (sizes[:, None] * patterns)[: n_classes - 1]
    return torch.cat((grand[None], leading.reshape(-1, *grand.shape)))


def xdawn_filters(evoked: Tensor, total: Tensor, n_filters: int) -> Tensor:
    """Return the unit filters (n_filters, n_channels) with the largest share of the evoked response in the signal.

    `evoked` is (n_channels, n_times), `total` the covariance of the whole signal (n_channels, n_channels).
    """
    signal = covariances(evoked[None], "scm")[0]
    # A trace of white noise keeps a flat or re-referenced (dependent) set of channels solvable.
    noise = total.diagonal().mean() * 1e-10 * torch.eye(len(total), dtype=total.dtype)
    factor = torch.linalg.cholesky(total + noise)
    whitened = torch.linalg.solve_triangular(factor, signal, upper=False)
    whitened = torch.linalg.solve_triangular(factor, whitened.mT, upper=False)
    _, vectors = torch.linalg.eigh((whitened + whitened.mT) / 2)
    filters = torch.linalg.solve_triangular(factor.mT, vectors.flip(1)[:, :n_filters], upper=True).mT
    filters = filters / filters.norm(dim=1, keepdim=True)
    # The sign is free; the largest weight is made positive so that fits repeat on any machine.
    largest = filters.gather(1, filters.abs().argmax(1, keepdim=True))
    return filters * largest.sign()
