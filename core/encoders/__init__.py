"""Encoders: what turns a window of EEG into tokens. One architecture a file; `ENCODERS` names them all."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from torch import nn

from .coatnet import Coatnet, CoatnetConfig
from .linear import Linear, LinearConfig
from .lstm import Lstm, LstmConfig
from .nice import Nice, NiceConfig
from .patch_transformer import PatchTransformer, PatchTransformerConfig
from .tangent import Tangent, TangentConfig


@dataclass(frozen=True)
class Encoder:
    """One architecture: its config, its module, and whether it reads "eeg" windows or "spec" pictures."""

    config_class: type
    module_class: Callable[[Any], nn.Module]
    input: str


# Every module maps its input to tokens (batch, n_tokens, width) and has the attributes config, n_tokens and width.
ENCODERS: dict[str, Encoder] = {
    "coatnet": Encoder(CoatnetConfig, Coatnet, "spec"),
    "nice": Encoder(NiceConfig, Nice, "eeg"),
    "linear": Encoder(LinearConfig, Linear, "eeg"),
    "lstm": Encoder(LstmConfig, Lstm, "eeg"),
    "patch-transformer": Encoder(PatchTransformerConfig, PatchTransformer, "eeg"),
    "tangent": Encoder(TangentConfig, Tangent, "eeg"),
}


def encoder_named(name: str) -> Encoder:
    """Return the registry's entry of that name; an unknown name raises ValueError with the known ones."""
    if name not in ENCODERS:
        raise ValueError(f"Unknown encoder {name!r}; known: {', '.join(sorted(ENCODERS))}.")
    return ENCODERS[name]


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
