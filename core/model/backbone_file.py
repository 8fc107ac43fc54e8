"""The backbone file: what masked pre-training leaves, a backbone without heads in one safetensors file."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import json
import struct
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch

from ..encoders import config_to_dict
from ..files import write_atomically
from ..preprocessing.config import PreprocessingConfig
from .checkpoint import MAX_HEADER_BYTES, Backbone, EegEncoder

FORMAT_VERSION = 1
HEADER_KEY = "sd_eeg_backbone"
REGULARISATION = ("dropout",)  # settings that change no weight, and may differ from those of pre-training
SIGNAL = ("ch_names", "sfreq", "reference")  # what the weights' meaning depends on


def save_backbone(
    backbone: Backbone,
    architecture: str,
    preprocessing: PreprocessingConfig,
    path: str | Path,
    card: dict[str, Any] | None = None,
) -> None:
    """Write a backbone with its registry name, its config and its preprocessing to a `.safetensors` file.

    The normaliser is left out: it is fitted anew on the store where the backbone is used, so that recordings of other
    scales reach the backbone alike. card: what a user should know, plain JSON.
    """
    from safetensors.torch import save_file

    header = {
        "format_version": FORMAT_VERSION,
        "architecture": architecture,
        "config": config_to_dict(backbone.config),
        "preprocessing": asdict(preprocessing),
        "card": card or {},
    }
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in backbone.state_dict().items()}
    with write_atomically(path) as beside:
        save_file(tensors, beside, metadata={HEADER_KEY: json.dumps(header, allow_nan=False), "format": "pt"})


def read_backbone_header(path: str | Path) -> dict[str, Any]:
    """Return a backbone file's header as a dict.

    Raises FileNotFoundError, or ValueError for a file that is no backbone file or was written by a newer version.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no backbone file at {path}; make one with `train.py --preset masked-pretrain`")
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        try:
            if not 2 <= length <= min(path.stat().st_size - 8, MAX_HEADER_BYTES):
                raise ValueError(f"its header claims {length} bytes")
            header = json.loads(json.loads(file.read(length))["__metadata__"][HEADER_KEY])
            version = header["format_version"]
            config, names = dict(header["config"]), [*header["preprocessing"]["ch_names"]]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ValueError(
                f"{path.name} is not a backbone file ({error}); make one with `train.py --preset masked-pretrain` "
                "(--finetune starts from an encoder file)"
            ) from error
    if not isinstance(version, int) or not 1 <= version <= FORMAT_VERSION:
        raise ValueError(f"{path.name} has format version {version!r}; this sd-eeg reads up to {FORMAT_VERSION}")
    return {**header, "config": config, "ch_names": names}


def load_backbone_into(encoder: EegEncoder, path: str | Path) -> None:
    """Load a backbone file's weights into an encoder of the same architecture, config, channels and rate.

    Raises FileNotFoundError, or ValueError naming the first thing that differs with both values.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = Path(path)
    header = read_backbone_header(path)
    _must_match("architecture", header["architecture"], encoder.architecture, path, "--encoder")
    for name in SIGNAL:
        there = header["preprocessing"].get(name)
        _must_match(name, _plain(there), _plain(getattr(encoder.preprocessing, name)), path, "prepare.py's options")
    for field in fields(encoder.backbone.config):
        if field.name not in REGULARISATION:
            there = header["config"].get(field.name)
            _must_match(field.name, _plain(there), _plain(getattr(encoder.backbone.config, field.name)), path, "--set")
    try:
        encoder.backbone.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        raise ValueError(f"{path.name} is damaged or does not hold its own config's weights: {error}") from error
    if not all(torch.isfinite(tensor).all() for tensor in encoder.backbone.state_dict().values()):
        raise ValueError(f"{path.name} holds weights that are not numbers; make it anew")


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _must_match(name: str, there: object, here: object, path: Path, how: str) -> None:
    if there != here:
        raise ValueError(
            f"{path.name} was pre-trained with {name} {there!r}, this run has {here!r}; change {how} or pre-train anew"
        )
