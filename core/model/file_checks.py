"""What an encoder file must be beside its shapes: finite weights, a card of words, a window that is its network's."""

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor

from ..preprocessing.config import PreprocessingConfig

TEXTS = ("name", "summary", "data", "subject", "licence", "credit", "split", "created_with")
OBJECTS = ("metrics", "versions")
LARGEST = 1e18  # the squares of more overflow single precision, so that the network would answer NaN


def check_card(card: object) -> None:
    """Raise ValueError where what a card says is not of the kind that is shown: text, or a table of figures."""
    if not isinstance(card, dict):
        raise ValueError(f"its card is {_kind(card)}, not an object")
    given = cast("dict[str, object]", card)
    for key in TEXTS:
        if not isinstance(said := given.get(key, ""), str):
            raise ValueError(f"its card's {key} is {_kind(said)}, not text")
    for key in OBJECTS:
        if not isinstance(said := given.get(key) or {}, dict):
            raise ValueError(f"its card's {key} are {_kind(said)}, not an object")
    if not isinstance(said := given.get("simulated", False), bool):
        raise ValueError(f"its card's simulated is {_kind(said)}, neither true nor false")


def check_window(preprocessing: PreprocessingConfig, config: Any) -> None:
    """Raise ValueError where a network that reads eeg was made for another window than the preprocessing cuts."""
    cut = {"n_channels": len(preprocessing.ch_names), "n_times": preprocessing.n_times, "sfreq": preprocessing.sfreq}
    for name, value in cut.items():
        made_for = getattr(config, name, value)
        if made_for != value:
            raise ValueError(
                f"its preprocessing cuts windows with {name} {value:g} and its network was made for {made_for:g}"
            )


def check_finite(tensors: Mapping[str, Tensor]) -> None:
    """Raise ValueError naming the first tensor that holds NaN, infinity or numbers that lead there."""
    for name, tensor in tensors.items():
        if not tensor.is_floating_point() or not tensor.numel():
            continue
        if not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"its tensor {name!r} holds values that are not finite (NaN or infinity)")
        if (largest := float(tensor.abs().max())) > LARGEST:
            raise ValueError(f"its tensor {name!r} holds {largest:.3g}, with which nothing can be computed")


def _kind(value: object) -> str:
    kinds: tuple[tuple[type, str], ...] = (
        (list, "a list"),
        (dict, "an object"),
        (str, "text"),
        (bool, "true or false"),
    )
    return next((said for kind, said in kinds if isinstance(value, kind)), "nothing" if value is None else "a number")
