"""The filter bank: several views of one window, each with a readout of its own, weighed by how well they did on windows
that they were not fitted to.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from .config_bounds import check_eeg
from .context import BuildContext, OnePerson, Settings
from .filter_bank_views import KINDS, VIEWS, Amplitude, Response, Rhythm
from .logistic import fit_logistic

MOST_GROUPS = (
    4  # left out when views are weighed: each is a fit, and a fold of many runs must not cost more than of few
)
SHRINKAGE = 0.7  # of the views' covariance, towards views that know nothing of one another
ARTEFACT = 5.0  # times the median peak to peak: windows beyond it are not fitted to


@dataclass(frozen=True)
class FilterBankConfig:
    """Shape of the window at its rate in hertz, how many classes are told apart, and which views there are."""

    n_channels: int = 4
    n_times: int = 115
    sfreq: float = 128.0
    n_classes: int = 2
    views: tuple[str, ...] = tuple(VIEWS)

    def __post_init__(self) -> None:
        for name, value, most in (
            ("n_channels", self.n_channels, 1024),
            ("n_times", self.n_times, 65536),
            ("n_classes", self.n_classes, 65536),
        ):
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
                raise ValueError(f"FilterBankConfig.{name} is {value!r}; it must be a whole number from 1 to {most}.")
        if self.n_times < 4:
            raise ValueError(f"FilterBankConfig.n_times is {self.n_times}; it must be a whole number from 4 to 65536.")
        sfreq = self.sfreq
        if isinstance(sfreq, bool) or not isinstance(sfreq, (int, float)) or not 0 < sfreq <= 1e6:
            raise ValueError(f"FilterBankConfig.sfreq is {sfreq!r}; it must be a number from 0 to 1000000.")
        if isinstance(self.views, str):
            object.__setattr__(self, "views", (self.views,))
        if not isinstance(self.views, tuple) or not self.views or len(set(self.views)) != len(self.views):
            raise ValueError(f"FilterBankConfig.views is {self.views!r}; it must be a list of different views.")
        if unknown := [view for view in self.views if view not in VIEWS]:
            raise ValueError(f"FilterBankConfig.views has {unknown[0]!r}; known: {', '.join(VIEWS)}.")


class FilterBank(nn.Module):
    """Map eeg (batch, n_channels, n_times) to one token (batch, 1, n_classes): evidence for each class.

    Views are bands and ways to look at them (Xdawn covariances and plain covariances in tangent space, amplitudes in
    bins of time; see `filter_bank_views`). Each has a logistic readout, their log odds are weighed by a linear
    discriminant of held-out log odds, shrunk towards equal weights: stacked generalisation (Wolpert, Neural Networks
    5(2), 1992). The bank of bands follows Ang et al., "Filter bank common spatial pattern", IJCNN 2008. It has no
    trained parameters: `fit_filter_bank` fills its buffers.
    """

    weight: Tensor

    def __init__(self, config: FilterBankConfig) -> None:
        super().__init__()
        self.config = config
        self.n_tokens, self.width = 1, config.n_classes
        sizes = (config.n_channels, config.n_times, float(config.sfreq), config.n_classes)
        views = [KINDS[VIEWS[name].kind](VIEWS[name], *sizes) for name in config.views]
        self.views = nn.ModuleList(views)
        self.readouts = nn.ModuleList([Readout(view.width, config.n_classes) for view in views])
        self.register_buffer("weight", torch.full((len(config.views),), 1 / len(config.views)))
        self.held_out: Tensor | None = None

    def scores(self, eeg: Tensor) -> Tensor:
        """Return each view's log odds (batch, n_views, n_classes) in double precision."""
        check_eeg(eeg, self.config)
        return torch.stack([readout(view(eeg)) for view, readout in zip(self.views, self.readouts, strict=True)], 1)

    def forward(self, eeg: Tensor, subject: Tensor | None = None) -> Tensor:
        """Return the weighed evidence for each class as one token."""
        return self.weighed(self.scores(eeg))[:, None].to(eeg.dtype)

    def weighed(self, scores: Tensor) -> Tensor:
        """Return the evidence (batch, n_classes) of log odds (batch, n_views, n_classes)."""
        return (self.weight.to(scores.dtype)[:, None] * scores).sum(1)


class Readout(nn.Module):
    """Log odds of each class from a view's features."""

    weights: Tensor
    bias: Tensor

    def __init__(self, width: int, n_classes: int) -> None:
        super().__init__()
        self.register_buffer("weights", torch.full((width, n_classes), 1 / math.sqrt(width)))
        self.register_buffer("bias", torch.zeros(n_classes))

    def forward(self, features: Tensor) -> Tensor:
        """Return log odds (batch, n_classes) of features (batch, width)."""
        return features @ self.weights.to(features.dtype) + self.bias.to(features.dtype)


def values(context: BuildContext, settings: Settings) -> dict[str, object]:
    """Return a config's values: sizes, rate and classes from the context."""
    return {
        "n_classes": max(context.n_classes, 1),
        "sfreq": float(context.sfreq),
        **settings,
        "n_channels": context.n_channels,
        "n_times": context.n_times,
    }


ONE_PERSON = OnePerson(lambda context: {}, scaling="none", baseline=False)


@torch.no_grad()
def fit_filter_bank(eeg: Tensor, labels: Tensor, config: FilterBankConfig, groups: Tensor | None = None) -> FilterBank:
    """Return a FilterBank fitted to training eeg (n, n_channels, n_times) with its labels (n,).

    groups: (n,), runs that are left out one at a time when the views are weighed, neighbours together where there are
    more than four; without, stretches in the order given. Windows over five times the median peak to peak are not
    fitted to. `held_out` holds the tokens (n, n_classes) of each window from a bank that was fitted without its group.
    Raises ValueError for fewer than two labels, more labels than `n_classes`, shapes that disagree, or values that are
    not finite.
    """
    eeg = torch.as_tensor(eeg)
    number = _numbered(torch.as_tensor(labels), config, eeg)
    groups = torch.arange(len(eeg)) if groups is None else torch.unique(torch.as_tensor(groups), return_inverse=True)[1]
    n_groups = int(groups.max()) + 1
    groups = groups * min(n_groups, MOST_GROUPS) // n_groups
    peaks = eeg.amax(2).sub(eeg.amin(2)).amax(1)
    clean = peaks <= ARTEFACT * peaks.median()
    if len(torch.unique(number[clean])) < len(torch.unique(number)):
        clean = torch.ones_like(clean)
    with one_thread():
        return _fit(eeg, number, clean, groups, config)


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch on one thread: on thousands of small matrices threads only wait for one another, on a busy machine for
    minutes.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _fit(eeg: Tensor, number: Tensor, clean: Tensor, groups: Tensor, config: FilterBankConfig) -> FilterBank:
    bank = _fit_views(eeg[clean], number[clean], config)
    scores = torch.zeros(len(eeg), len(config.views), config.n_classes, dtype=torch.float64)
    told = torch.zeros(len(eeg), dtype=torch.bool)
    for group in torch.unique(groups):
        out = groups == group
        kept = ~out & clean
        if len(torch.unique(number[kept])) < 2:
            continue
        without = _fit_views(eeg[kept], number[kept], config)
        scores[out] = torch.cat([without.scores(part) for part in eeg[out].split(256)])
        told |= out
    used = told & clean
    if bool(used.any()):
        bank.weight.copy_(view_weights(scores[used], number[used]))
    rest = ~told
    if bool(rest.any()):
        scores[rest] = torch.cat([bank.scores(part) for part in eeg[rest].split(256)])
    bank.held_out = bank.weighed(scores)
    return bank


def view_weights(scores: Tensor, number: Tensor) -> Tensor:
    """Return a weight for each view (n_views,) from held-out log odds (n, n_views, n_classes) and classes (n,).

    For each class the views' log odds are told apart by a linear discriminant with a shrunk covariance; the weights are
    shared by the classes and never negative. Where no view tells anything, all weigh alike.
    """
    n_views, n_classes = scores.shape[1:]
    spread = (scores - scores.mean(0)).square().mean((0, 2)).sqrt()
    spread = torch.where(spread > 0, spread, torch.ones_like(spread))
    scaled = scores / spread[:, None]
    apart = torch.zeros(n_views, dtype=scores.dtype)
    within = torch.zeros(n_views, n_views, dtype=scores.dtype)
    for one in range(n_classes):
        member = number == one
        if not 0 < int(member.sum()) < len(number):
            continue
        own = scaled[:, :, one]
        means = own[member].mean(0), own[~member].mean(0)
        apart += means[0] - means[1]
        left = own - torch.where(member[:, None], means[0], means[1])
        within += left.mT @ left / len(own)
    equal = within.diagonal().mean().clamp_min(1e-12) * torch.eye(n_views, dtype=scores.dtype)
    found = torch.linalg.solve((1 - SHRINKAGE) * within + SHRINKAGE * equal, apart).clamp_min(0)
    if not float(found.sum()) > 0:
        found = torch.ones_like(found)
    return found / spread / found.sum()


def _fit_views(eeg: Tensor, number: Tensor, config: FilterBankConfig) -> FilterBank:
    bank = FilterBank(config)
    for name, module, readout in zip(config.views, bank.views, bank.readouts, strict=True):
        view = cast("Response | Rhythm | Amplitude", module)
        view.fit(eeg, number)
        features = torch.cat([view(part) for part in eeg.split(256)])
        weights, bias = fit_logistic(features, number, config.n_classes, VIEWS[name].penalty)
        cast("Readout", readout).weights.copy_(weights)
        cast("Readout", readout).bias.copy_(bias)
    return bank


def _numbered(labels: Tensor, config: FilterBankConfig, eeg: Tensor) -> Tensor:
    """Return the labels (n,) as class numbers below `n_classes`, checked."""
    check_eeg(eeg, config)
    if labels.shape != eeg.shape[:1]:
        raise ValueError(
            f"There are {len(eeg)} windows but labels of shape {tuple(labels.shape)}; give one label each."
        )
    if not bool(torch.isfinite(eeg).all()):
        raise ValueError("The windows hold values that are not finite; drop or repair them first.")
    found, rank = torch.unique(labels, return_inverse=True)
    if len(found) < 2:
        raise ValueError(f"A filter bank needs windows of two labels to tell apart, not {len(found)}.")
    if len(found) > config.n_classes:
        raise ValueError(f"The labels have {len(found)} distinct values; n_classes is {config.n_classes}.")
    return labels.long() if int(found.min()) >= 0 and int(found.max()) < config.n_classes else rank
