"""Encoders: what turns a window of EEG into tokens. One architecture a file; registry.py names them all."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from torch import nn

from .context import BuildContext, Encoder, OnePerson, Settings, check_needs
from .registry import ENCODERS, by_gradient_descent, encoder_named, in_closed_form

__all__ = [
    "ENCODERS",
    "BuildContext",
    "Encoder",
    "OnePerson",
    "Settings",
    "build_encoder",
    "by_gradient_descent",
    "config_for",
    "config_from_dict",
    "config_to_dict",
    "encoder_named",
    "in_closed_form",
]


def config_for(name: str, context: BuildContext, settings: Settings | None = None) -> Any:
    """Return the named encoder's config: its sizes from the context, everything else from the settings.

    Raises ValueError for an unknown encoder, an unknown setting (listing the known ones), a value out of its bounds, or
    a context that lacks what the encoder needs.
    """
    encoder = encoder_named(name)
    check_needs(encoder, context)
    return config_from_dict(name, encoder.values(context, settings or {}))


def config_from_dict(name: str, values: Mapping[str, Any]) -> Any:
    """Return the config of the named encoder from what JSON gives back (lists become tuples).

    Raises ValueError for an unknown encoder, an unknown key (listing the known ones) or a value out of its bounds.
    """
    config_class = encoder_named(name).config_class
    known = [field.name for field in fields(config_class)]
    if not isinstance(values, Mapping):
        raise ValueError(f"The config of encoder {name!r} is {values!r}; it must be a table of {', '.join(known)}.")
    if unknown := [str(key) for key in values if key not in known]:
        raise ValueError(f"Unknown key {', '.join(unknown)} for encoder {name!r}; known: {', '.join(known)}.")
    return config_class(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})


def config_to_dict(config: Any) -> dict[str, Any]:
    """Return an encoder's config as a dict that JSON can hold and `config_from_dict` reads back."""
    return asdict(config)


def build_encoder(name: str, config: Any) -> nn.Module:
    """Return the named encoder's module, freshly initialised, from its config or a dict of one.

    Raises ValueError for an unknown name, a config of another encoder, or values out of bounds.
    """
    encoder = encoder_named(name)
    if isinstance(config, Mapping):
        config = config_from_dict(name, config)
    if not isinstance(config, encoder.config_class):
        raise ValueError(
            f"Encoder {name!r} takes a {encoder.config_class.__name__} or a dict, not {type(config).__name__}."
        )
    return encoder.module_class(config)
