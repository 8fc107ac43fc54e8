"""Any model of braindecode by its class name, its last layer as wide as asked for, as an encoder."""

import inspect
import json
import math
import re
import warnings
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..config_bounds import MAX_WEIGHTS, check_eeg, check_number
from ..context import BuildContext, Settings, eeg_values
from .package import braindecode, check_names, check_text

CLASS_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
MAX_KEYWORDS = 4096  # characters
GIVEN = ("n_chans", "n_times", "n_outputs", "sfreq", "chs_info", "input_window_seconds")


@dataclass(frozen=True)
class BraindecodeConfig:
    """Which model, for what windows, and with what of its own keywords.

    model: a class of braindecode.models. width: its number of outputs, which are the token. keywords: what else its
    constructor is given, a JSON object of numbers, texts, booleans and lists of numbers. ch_names, positions (metres, x
    y z of one channel after the other): for models that read them; empty where unknown.
    """

    n_channels: int = 22
    n_times: int = 1000
    sfreq: float = 250.0
    model: str = "ShallowFBCSPNet"
    width: int = 512
    keywords: str = "{}"
    ch_names: tuple[str, ...] = ()
    positions: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        name = type(self).__name__
        for field, most in (("n_channels", 1024), ("n_times", 65536), ("width", 8192)):
            check_number(f"{name}.{field}", getattr(self, field), 1, most, whole=True)
        check_number(f"{name}.sfreq", self.sfreq, 1e-3, 1e6, whole=False)
        check_text(f"{name}.model", self.model, 64)
        if not CLASS_NAME.fullmatch(self.model):
            raise ValueError(f"{name}.model is {self.model!r}; it must be the name of a class of braindecode.models.")
        check_names(f"{name}.ch_names", self.ch_names, self.n_channels)
        places = self.positions
        if not isinstance(places, tuple) or len(places) not in (0, 3 * self.n_channels):
            raise ValueError(f"{name}.positions must be 3 numbers for each of {self.n_channels} channels, or empty.")
        for number in places:
            check_number(f"{name}.positions", number, -10, 10, whole=False)
        check_text(f"{name}.keywords", self.keywords, MAX_KEYWORDS)
        self.given_keywords()

    def given_keywords(self) -> dict[str, Any]:
        """Return the keywords as a dict; ValueError where they are not what they must be."""
        try:
            found = json.loads(self.keywords)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"BraindecodeConfig.keywords is no JSON: {error}") from error
        if not isinstance(found, dict) or not all(_plain(value) for value in found.values()):
            raise ValueError(
                "BraindecodeConfig.keywords must be an object of numbers, texts, booleans and lists of numbers."
            )
        if taken := [key for key in found if key in GIVEN]:
            raise ValueError(f"BraindecodeConfig.keywords sets {', '.join(taken)}, which follow from the windows.")
        return found


def _plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(isinstance(item, int | float) for item in value)
    return isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value))


def values(context: BuildContext, settings: Settings) -> Settings:
    """Return a config's values; settings that are no fields of it are the model's own keywords."""
    own = {field.name for field in fields(BraindecodeConfig)}
    keywords = {
        key: list(value) if isinstance(value, tuple) else value for key, value in settings.items() if key not in own
    }
    positions = tuple(number for place in context.positions or () for number in place)
    known = {"sfreq": float(context.sfreq), "ch_names": context.ch_names, "positions": positions}
    kept = {key: value for key, value in settings.items() if key in own}
    return {"keywords": json.dumps(keywords), **eeg_values(context, kept), **known}


class BraindecodeModel(nn.Module):
    """Map eeg (batch, n_channels, n_times) to one token (batch, 1, width): the outputs of a model of braindecode.

    Schirrmeister et al., Human Brain Mapping 38(11), 2017, and the papers that its models name. It is made without
    weights from elsewhere; a file holds the class's name, its keywords and its weights, and is loaded where braindecode
    is installed. Raises ValueError where it is not, where it has no such model, or the model refuses these windows.
    """

    def __init__(self, config: BraindecodeConfig) -> None:
        super().__init__()
        self.config = config
        self.n_tokens = 1
        self.width = config.width
        known = braindecode("models.util").models_dict
        if config.model not in known:
            raise ValueError(f"braindecode has no model {config.model!r}; known: {', '.join(sorted(known))}")
        made = known[config.model]
        takes = inspect.signature(made.__init__).parameters
        told = {name: value for name, value in _told(config).items() if name in takes}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of defaults that it is called with
            try:
                # First without memory, so that a file cannot ask for any amount of it.
                with torch.device("meta"):
                    parameters = made(**told, **config.given_keywords()).parameters()
                    n_weights = sum(parameter.numel() for parameter in parameters)
                if n_weights > MAX_WEIGHTS:
                    raise ValueError(f"{n_weights:,} weights, at most {MAX_WEIGHTS:,} are allowed")
                self.model = made(**told, **config.given_keywords())
                self.check_answer()
            except Exception as error:  # whatever a model of another package raises
                raise ValueError(
                    f"braindecode's {config.model} cannot be made for {config.n_channels} channels and "
                    f"{config.n_times} samples at {config.sfreq:g} Hz with {config.keywords}: "
                    f"{str(error) or type(error).__name__}"
                    + " (it cannot be made without memory, which a safe load needs)"
                    * ("meta" in str(error))
                ) from error

    @torch.no_grad()
    def check_answer(self) -> None:
        """Raise where the model takes no such windows, or gives no vector for each; asks nothing without memory."""
        if any(parameter.is_meta for parameter in self.model.parameters()):
            return
        self.model.eval()
        found = self.model(torch.zeros(2, self.config.n_channels, self.config.n_times))
        self.model.train()
        if not isinstance(found, Tensor) or found.shape != (2, self.config.width):
            shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise ValueError(f"it answers two windows with {shape}, not a vector of {self.config.width} for each")

    def forward(self, eeg: Tensor, subject: Tensor | None = None) -> Tensor:
        """Return the token of eeg (batch, n_channels, n_times), normalised by the caller."""
        check_eeg(eeg, self.config)
        if not len(eeg):
            return eeg.new_zeros(0, 1, self.width)
        return self.model(eeg)[:, None]


def _told(config: BraindecodeConfig) -> dict[str, Any]:
    """Return what a model's constructor may ask of the windows."""
    told: dict[str, Any] = {
        "n_chans": config.n_channels,
        "n_times": config.n_times,
        "n_outputs": config.width,
        "sfreq": config.sfreq,
    }
    if config.ch_names:
        places = np.reshape(config.positions or np.full(3 * config.n_channels, np.nan), (-1, 3))
        told["chs_info"] = [
            {"ch_name": name, "kind": "eeg", "loc": np.concatenate([place, place, np.zeros(6)])}
            for name, place in zip(config.ch_names, places, strict=True)
        ]
    return told
