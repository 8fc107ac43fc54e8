"""Fitting an encoder without gradient descent: the backbone's buffers from the data, the head's linear map by ridge
regression.
"""

from collections.abc import Callable, Mapping
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F

from ..encoders import encoder_named, in_closed_form
from ..model.checkpoint import Backbone, EegEncoder
from ..model.heads import Head
from .moments import Rows, blocks
from .ridge import RidgeFit, choose_alphas, fit_ridge

ALPHAS = tuple(10 ** (power / 2) for power in range(-6, 17))  # half a decade apart
TEMPERATURES = torch.logspace(-2, 1, 61)


@torch.no_grad()
def fit_closed_form(
    encoder: EegEncoder,
    eeg: Tensor,
    label: Tensor,
    targets: dict[str, Tensor],
    groups: Tensor | None = None,
    strengths: Mapping[str, float] | None = None,
) -> dict[str, float]:
    """Fit the backbone's buffers and every head of an encoder whose architecture has no trained parameters.

    eeg: (n, channels, times), normalised. label: (n,), class numbers. targets: for each regression space (n,
    n_values); a `prompts` head takes the labels. groups: (n,), rows that are left out together when the ridge's
    strength is chosen (runs or pictures); a few large ones, since each is left out once. strengths: those already
    chosen, by space.

    Returns the chosen strength for each space. Raises ValueError for an architecture that needs gradient descent or a
    head with a projector.
    """
    row = encoder_named(encoder.architecture)
    fit = row.fit
    if fit is None:
        raise ValueError(
            f"{encoder.architecture!r} needs gradient descent; fitted in closed form are {', '.join(in_closed_form())}"
        )
    config, strengths = encoder.backbone.config, strengths or {}
    if groups is not None and len(groups.unique()) < 2:
        groups = None
    fit_backbone(encoder, eeg, label, groups)
    wanted: dict[str, Tensor] = {}
    for head in encoder.heads:
        assert isinstance(head, Head)
        if needs_network(head):
            raise ValueError(
                f"the {head.config.space!r} head cannot be fitted in closed form: "
                "use kind basis, linear or prompts, without a projector"
            )
        if head.config.kind == "prompts":
            wanted[head.config.space] = F.one_hot(label, len(head.config.prompts)).double()
        else:
            wanted[head.config.space] = head.coordinates(targets[head.config.space]).double()

    # Fitted in the targets' own units, so that the strength is chosen for the components that carry their variance.
    alphas = {space: (strengths[space],) if space in strengths else ALPHAS for space in wanted}
    open_spaces = [space for space, of in alphas.items() if len(of) > 1]
    if row.fit_reads_labels and groups is not None and open_spaces and _always_all(label, groups):
        # Features that know their labels: each group's strength is judged on features fitted without it.

        def features_without(out: Tensor) -> Tensor:
            return features_of(cast("Backbone", fit(eeg[~out], label[~out], config)), eeg).all()

        chosen = choose_alphas(features_without, [wanted[space] for space in open_spaces], groups, ALPHAS)
        alphas |= {space: (alpha,) for space, (alpha, _) in zip(open_spaces, chosen, strict=True)}
    features = Rows.of(features_of(encoder.backbone, eeg))
    if row.fit_reads_labels:  # few values a window, and dear to compute twice
        features = Rows.of(features.all())
    elif row.fit_by_groups:
        features = Rows.of(cast("Tensor", encoder.backbone.held_out))
    found = {}
    for head in encoder.heads:
        assert isinstance(head, Head)
        space = head.config.space
        fitted = fit_ridge(features, wanted[space], alphas[space], groups)
        spread = getattr(head, "target_spread", torch.ones(())).double()
        head.last.weight.copy_((fitted.weights / spread).T.to(head.last.weight.dtype))
        bias = fitted.bias
        if head.config.kind == "prompts":
            bias = bias_between(features, wanted[space], fitted)
        head.last.bias.copy_((bias / spread).to(head.last.bias.dtype))
        found[space] = fitted.alpha
    return found


def bias_between(features: Rows, wanted: Tensor, fitted: RidgeFit) -> Tensor:
    """Return the bias (k,) with which labels answer alike half-way between their mean features.

    features: (n, d). wanted: one-hot labels (n, k). Least squares itself prefers the commoner label, and where little
    can be told it would answer nothing else. Answers are around zero, so that single precision keeps what little they
    differ; a label that does not occur stays below.
    """
    sums = torch.zeros(wanted.shape[1], features.shape[1], dtype=torch.float64, device=wanted.device)
    for block in blocks(len(wanted)):
        sums += wanted[block].T @ features.read(block)
    counts = wanted.sum(0)
    occurs = counts > 0
    middle = (sums[occurs] / counts[occurs, None]).mean(0)
    return torch.where(occurs, -middle @ fitted.weights, fitted.bias - 1 / occurs.sum())


def features_of(backbone: Backbone, eeg: Tensor) -> Rows:
    """Return a backbone's tokens of normalised eeg (n, channels, times) as rows (n, d) that are computed when read."""
    return Rows(eeg, lambda part: backbone(part).flatten(1), backbone.n_tokens * backbone.width)


def needs_network(head: Head) -> bool:
    """Tell whether a head is more than a linear map, so that only gradient descent fits it."""
    return bool(head.config.projector) or head.config.kind in ("positions", "generator")


@torch.no_grad()
def fit_backbone(encoder: EegEncoder, eeg: Tensor, label: Tensor, groups: Tensor | None = None) -> None:
    """Fit the buffers of an encoder whose backbone has no trained parameters to normalised eeg (n, channels, times).

    label: (n,), class numbers, and groups (n,), rows left out together, which only some architectures look at.
    """
    row = encoder_named(encoder.architecture)
    if row.fit is not None:
        # a row promises modules; that each is a backbone is held by the tests that run over all of them
        by_groups = (groups,) if row.fit_by_groups else ()
        encoder.backbone = cast("Backbone", row.fit(eeg, label, encoder.backbone.config, *by_groups))


@torch.no_grad()
def _always_all(label: Tensor, groups: Tensor) -> bool:
    """Return whether every label (n,) still occurs without any one group (n,)."""
    n_labels = len(label.unique())
    return all(len(label[groups != group].unique()) == n_labels for group in groups.unique())


def out_of_fold(outputs_without: Callable[[Tensor], dict[str, Tensor]], groups: Tensor) -> dict[str, Tensor]:
    """Return each head's raw outputs (n, ·) for rows that the fitted encoder never saw.

    outputs_without: rows to leave out (boolean mask (n,)) → outputs for these rows of an encoder that was scaled and
    fitted without them. groups: (n,), left out one at a time.
    """
    found: dict[str, Tensor] = {}
    for group in groups.unique():
        left_out = groups == group
        for space, output in outputs_without(left_out).items():
            if space not in found:
                found[space] = torch.zeros(len(groups), output.shape[1], dtype=output.dtype)
            found[space][left_out] = output
    return found


@torch.no_grad()
def fit_temperature(logits: Tensor, label: Tensor) -> Tensor:
    """Return the temperature (scalar) with the smallest cross-entropy of held-out logits (n, n_prompts) (Guo et al.,
    ICML 2017).
    """
    losses = torch.stack([F.cross_entropy(logits / temperature, label) for temperature in TEMPERATURES])
    return TEMPERATURES[losses.argmin()].to(logits.dtype)
