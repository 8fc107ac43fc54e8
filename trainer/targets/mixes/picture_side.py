"""Targets with something trained on the pictures' side: made before a training, settled after it, kept by the run."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from core.files import write_atomically
from core.model.spaces import SPACES, find_space

from ...config.model_options import TargetOptions
from ..image_encoders.chosen import layers_named
from ..target import Target
from ..tuned_pictures import TunedPictures
from .blur_mix import BlurMix
from .layer_mix import LayerMix

FILE = "picture_side.safetensors"


def with_sides(targets: Mapping[str, Target], options: TargetOptions, n_people: int, seed: int) -> dict[str, Target]:
    """Return targets of which those that `--mix` is for have a picture side of their own, untrained.

    n_people: whom training knows. Raises ValueError where no target has levels or layers to mix.
    """
    if not options.mix:
        return dict(targets)
    torch.manual_seed(seed * 1_000_003 + 53)
    found = {space: replace(one, side=_side(space, one, options, n_people)) for space, one in targets.items()}
    if not any(one.side is not None for one in found.values()):
        raise ValueError(
            f"--mix {options.mix} {_WHAT[options.mix]} an image space of retrieval, and there is none; the targets are "
            f"{', '.join(f'{space} of shape {one.shape}' for space, one in targets.items()) or 'prompts'}"
        )
    return found


def sides_of(targets: Mapping[str, Target]) -> dict[str, nn.Module]:
    """Return what is trained on the pictures' side, by space."""
    return {space: target.side for space, target in targets.items() if target.side is not None}


def settled(targets: Mapping[str, Target]) -> dict[str, Target]:
    """Return targets whose values are what the trained picture sides make of them, which then stay as they are."""
    return {space: target.settled() for space, target in targets.items()}


def save_sides(folder: Path, targets: Mapping[str, Target]) -> None:
    """Write the trained picture sides beside a run, one file; nothing where there is none."""
    if not (sides := sides_of(targets)):
        return
    state = {
        f"{space}/{name}": tensor.detach().cpu().contiguous()
        for space, side in sides.items()
        for name, tensor in side.state_dict().items()
    }
    with write_atomically(folder / FILE) as beside:
        save_file(state, str(beside))
    for side in sides.values():
        if isinstance(side, TunedPictures):
            side.write_card(folder)


def load_sides(folder: Path, targets: Mapping[str, Target], options: TargetOptions) -> dict[str, Target]:
    """Return the targets as a finished run's picture sides make them; as they are where the run has none.

    Raises FileNotFoundError where the run's file is gone, ValueError where it is of other targets.
    """
    if not options.mix:
        return dict(targets)
    path = folder / FILE
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: a run with --mix is evaluated with what it trained")
    state = load_file(path)
    biases = [len(tensor) for name, tensor in state.items() if name.endswith("/bias") and tensor.ndim == 2]
    made = with_sides(targets, options, max(biases, default=1), 0)
    for space, side in sides_of(made).items():
        own = {name.partition("/")[2]: tensor for name, tensor in state.items() if name.partition("/")[0] == space}
        try:
            side.load_state_dict(own)
        except RuntimeError as error:
            raise ValueError(
                f"{path} was trained on other targets than {space} of shape {targets[space].shape}"
            ) from error
    return settled(made)


def _side(space: str, target: Target, options: TargetOptions, n_people: int) -> nn.Module | None:
    if options.mix == "lora":
        return None if target.pixels is None else TunedPictures(target.pixels, options.lora_rank)
    if space in SPACES or find_space(space).kind != "image" or len(target.shape) != 2 or target.shape[0] < 2:
        return None
    return _MAKERS[options.mix](space, target, options, n_people)


def _layers(space: str, target: Target, options: TargetOptions, n_people: int) -> nn.Module:
    layers = layers_named(space.removesuffix(".image"))[1] or options.image.layers
    width = options.compare or 512
    return LayerMix(layers or range(1, target.shape[0] + 1), target.shape[1], n_people, hidden=2 * width, out=width)


def _blur(space: str, target: Target, options: TargetOptions, n_people: int) -> nn.Module:
    return BlurMix(*target.shape)


_WHAT = {
    "layers": "mixes several --image-layer of",
    "blur": "mixes several --image-blur kernels of",
    "lora": "tunes the CLIP model of",
}
_MAKERS: dict[str, Callable[[str, Target, TargetOptions, int], nn.Module]] = {"layers": _layers, "blur": _blur}
