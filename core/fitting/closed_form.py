"""Fitting an encoder without gradient descent: the backbone's buffers from the data, the head's linear map by ridge
regression.
"""

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F

from ..encoders import encoder_named, in_closed_form
from ..model.checkpoint import Backbone, EegEncoder
from ..model.heads import Head
from .ridge import choose_alpha, fit_ridge

ALPHAS = tuple(10 ** (power / 2) for power in range(-6, 17))  # half a decade apart
TEMPERATURES = torch.logspace(-2, 1, 61)


@torch.no_grad()
def fit_closed_form(
    encoder: EegEncoder, eeg: Tensor, label: Tensor, targets: dict[str, Tensor], groups: Tensor | None = None
) -> dict[str, float]:
    """Fit the backbone's buffers and every head of an encoder whose architecture has no trained parameters.

    eeg: (n, channels, times), normalised. label: (n,), class numbers. targets: for each regression space (n,
    n_values); a `prompts` head takes the labels. groups: (n,), rows that are left out together when the ridge's
    strength is chosen (runs or pictures).

    Returns the chosen strength for each space. Raises ValueError for an architecture that needs gradient descent or a
    head with a projector.
    """
    row = encoder_named(encoder.architecture)
    if row.fit is None:
        raise ValueError(
            f"{encoder.architecture!r} needs gradient descent; fitted in closed form are {', '.join(in_closed_form())}"
        )
    config, without = encoder.backbone.config, {}
    fit_backbone(encoder, eeg, label)
    if row.fit_reads_labels:
        for group in [] if groups is None else groups.unique():
            # Features that know their labels: each group's strength is judged on features fitted without it.
            without[int(group)] = row.fit(eeg[groups != group], label[groups != group], config)(eeg).flatten(1).double()
    features = encoder.backbone(eeg).flatten(1).double()
    chosen = {}

    def features_without(rows: Tensor) -> Tensor:
        assert groups is not None
        return without[int(groups[rows][0])]

    for head in encoder.heads:
        assert isinstance(head, Head)
        if needs_network(head):
            raise ValueError(
                f"the {head.config.space!r} head cannot be fitted in closed form: "
                "use kind basis, linear or prompts, without a projector"
            )
        if head.config.kind == "prompts":
            wanted = F.one_hot(label, len(head.config.prompts)).double()
        else:
            wanted = head.coordinates(targets[head.config.space]).double()
        # Fitted in the targets' own units, so that the strength is chosen for the components that carry their variance.
        alphas = ALPHAS
        if without and groups is not None:
            alphas = (choose_alpha(features_without, wanted, groups, ALPHAS)[0],)
        fitted = fit_ridge(features, wanted, alphas, groups)
        spread = getattr(head, "target_spread", torch.ones(())).double()
        head.last.weight.copy_((fitted.weights / spread).T.to(head.last.weight.dtype))
        head.last.bias.copy_((fitted.bias / spread).to(head.last.bias.dtype))
        chosen[head.config.space] = fitted.alpha
    return chosen


def needs_network(head: Head) -> bool:
    """Tell whether a head is more than a linear map, so that only gradient descent fits it."""
    return bool(head.config.projector) or head.config.kind in ("positions", "generator")


@torch.no_grad()
def fit_backbone(encoder: EegEncoder, eeg: Tensor, label: Tensor) -> None:
    """Fit the buffers of an encoder whose backbone has no trained parameters to normalised eeg (n, channels, times).

    label: (n,), class numbers, which only some architectures look at.
    """
    row = encoder_named(encoder.architecture)
    if row.fit is not None:
        # a row promises modules; that each is a backbone is held by the tests that run over all of them
        encoder.backbone = cast("Backbone", row.fit(eeg, label, encoder.backbone.config))


@torch.no_grad()
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
