"""Networks that look at pictures for a score: a classifier with features, named by one string, and CLIP."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from core.conditioning.resizing import resize
from core.files import PHANTOM

JUDGE = "judge"
TORCHVISION = "torchvision:"
BATCH = 64
KNOWN = (
    "judge (the phantom's), a transformers image-classification folder or hub id (google/vit-base-patch16-224), "
    "torchvision:NAME, or a .safetensors file of SqueezeNet 1.0"
)


@dataclass(frozen=True)
class Classifier:
    """A network that names what a picture shows.

    look: pictures (batch, 3, side, side) in [0, 1] → logits (batch, n_classes) and features (batch, width). classes:
    their names, in the logits' order. side: pixels; 0 takes pictures as they are.
    """

    name: str
    classes: tuple[str, ...]
    side: int
    look: Callable[[Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Looked:
    """What a classifier saw in pictures: `probabilities` (n, n_classes) and `features` (n, width), float64."""

    probabilities: np.ndarray
    features: np.ndarray

    @property
    def label(self) -> np.ndarray:
        """Return each picture's best class (n,)."""
        return self.probabilities.argmax(axis=1)


@torch.no_grad()
def look_at(classifier: Classifier, pictures: Tensor, batch: int = BATCH) -> Looked:
    """Return what a classifier sees in pictures (n, 3, H, W) in [0, 1], cut to the middle square and resized for it."""
    logits, features = [], []
    for part in pictures.float().split(batch):
        found = classifier.look(fitted(part, classifier.side))
        logits.append(found[0].double().cpu())
        features.append(found[1].double().cpu())
    return Looked(torch.cat(logits).softmax(-1).numpy(), torch.cat(features).numpy())


def fitted(pictures: Tensor, side: int) -> Tensor:
    """Return pictures (n, 3, H, W) as (n, 3, side, side) in [0, 1], their middle square; side 0 leaves them."""
    if not side:
        return pictures
    return resize(pictures, (side, side), "bilinear", "crop").clamp(0, 1)


def load_classifier(name: str, device: str = "cpu") -> Classifier:
    """Load a classifier by one string.

    name: "judge"; a transformers folder or hub id; "torchvision:NAME"; or a SqueezeNet 1.0 `.safetensors` file. Raises
    ValueError or FileNotFoundError naming what is allowed.
    """
    if name == JUDGE:
        return judge_classifier(device)
    if name.startswith(TORCHVISION):
        return _torchvision(name.removeprefix(TORCHVISION), device)
    path = Path(name)
    if path.suffix == ".safetensors":
        from .squeezenet import SIDE, load_squeezenet

        network = load_squeezenet(path).to(device)
        last = cast("nn.Conv2d", network.classifier[1])  # torch's containers promise modules of any kind
        classes = tuple(f"class {i}" for i in range(last.out_channels))
        return Classifier(path.name, classes, SIDE, lambda x: (network(x.to(device)), network.pooled(x.to(device))))
    if path.is_dir() or (name.count("/") == 1 and not name.startswith((".", "/"))):
        return _transformers(name, device)
    if path.is_file():
        raise ValueError(f"{path.name} is not a classifier that is read; known: {KNOWN}")
    raise FileNotFoundError(f"no classifier called {name!r}; known: {KNOWN}")


def judge_classifier(device: str = "cpu") -> Classifier:
    """Return the phantom's judge as a classifier of 48 classes, one shape and colour each ("red circle" first)."""
    from core.phantom.judge import load_judge
    from core.phantom.scenes import class_names

    judge = load_judge(PHANTOM).to(device)

    def look(pictures: Tensor) -> tuple[Tensor, Tensor]:
        maps = judge.body(pictures.to(device) * 2 - 1)
        found = judge(pictures.to(device))
        shape, colour = found["shape"].log_softmax(-1), found["colour"].log_softmax(-1)
        return (shape[:, :, None] + colour[:, None]).flatten(1), maps.mean((2, 3))

    return Classifier("the phantom's judge", class_names(), 64, look)


@dataclass(frozen=True)
class Entrance:
    """How a network wants its pictures: pixels a side, and the mean and spread that are taken off each colour."""

    side: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, pictures: Tensor) -> Tensor:
        """Return pictures (n, 3, H, W) in [0, 1] normalised."""
        mean, std = (pictures.new_tensor(values)[:, None, None] for values in (self.mean, self.std))
        return (pictures - mean) / std


def entrance_of(name: str, image_size: int) -> Entrance:
    """Return how a transformers model wants its pictures, from its preprocessor_config.json; read without its package
    for pictures, which may need torchvision.
    """
    from transformers.image_processing_base import ImageProcessingMixin

    try:
        said = ImageProcessingMixin.get_image_processor_dict(name)[0]
    except OSError:
        said = {}
    size = said.get("crop_size") or said.get("size") or {}
    side = size if isinstance(size, int) else size.get("height") or size.get("shortest_edge") or image_size
    half = (0.5, 0.5, 0.5)
    return Entrance(int(side), tuple(said.get("image_mean") or half), tuple(said.get("image_std") or half))


def _transformers(name: str, device: str) -> Classifier:
    """Load an image-classification model of transformers; its features are its last hidden state, meaned over
    places.
    """
    from transformers import AutoModelForImageClassification

    model = _from_pretrained(AutoModelForImageClassification, name).to(device)
    entrance = entrance_of(name, getattr(model.config, "image_size", 224))
    names = model.config.id2label
    classes = tuple(str(names.get(i, names.get(str(i), f"class {i}"))) for i in range(model.config.num_labels))

    def look(pictures: Tensor) -> tuple[Tensor, Tensor]:
        out = model(entrance(pictures.to(device)), output_hidden_states=True)
        last = out.hidden_states[-1]
        return out.logits, last.mean(1) if last.ndim == 3 else last.mean((2, 3))

    return Classifier(name, classes, entrance.side, look)


def _from_pretrained(made: Any, name: str) -> Any:
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        return made.from_pretrained(name).eval()
    except (OSError, ValueError) as error:
        raise FileNotFoundError(
            f"no image classifier at {name!r}. Give a transformers folder, or a hub id while online: "
            "`huggingface-cli download google/vit-base-patch16-224 --local-dir vit` then `--classifier vit`"
        ) from error


def _torchvision(name: str, device: str) -> Classifier:
    """Load a torchvision classifier with its default weights; its features are what its last layer reads."""
    try:
        from torchvision import models
    except (ImportError, RuntimeError, OSError) as error:
        raise ValueError(
            f"torchvision:{name} needs torchvision, which cannot be imported here ({' '.join(str(error).split())}); "
            f"install the one that goes with this torch, or choose another classifier: {KNOWN}"
        ) from error
    try:
        network, weights = models.get_model(name, weights=None).eval().to(device), models.get_model_weights(name)
    except (ValueError, KeyError) as error:
        raise ValueError(f"torchvision has no model called {name!r}: torchvision:vit_b_16, for example") from error
    network.load_state_dict(weights.DEFAULT.get_state_dict(progress=False, check_hash=True, weights_only=True))
    prepare = weights.DEFAULT.transforms()
    entrance = Entrance(int(prepare.crop_size[0]), tuple(prepare.mean), tuple(prepare.std))
    last = [module for module in network.modules() if isinstance(module, nn.Linear | nn.Conv2d)][-1]
    read: list[Tensor] = []
    last.register_forward_pre_hook(lambda _module, inputs: read.append(inputs[0]))

    def look(pictures: Tensor) -> tuple[Tensor, Tensor]:
        read.clear()
        logits = network(entrance(pictures.to(device)))
        return logits, read[-1].mean((2, 3)) if read[-1].ndim == 4 else read[-1].flatten(1)

    return Classifier(TORCHVISION + name, tuple(weights.DEFAULT.meta["categories"]), entrance.side, look)


@torch.no_grad()
def clip_embeddings(pictures: Tensor, clip: str, device: str = "cpu", batch: int = BATCH) -> np.ndarray:
    """Return CLIP's projected picture vectors (n, width) of pictures (n, 3, H, W) in [0, 1].

    clip: folder or hub id of a CLIP model with its picture side. Raises FileNotFoundError saying how to get one.
    """
    from transformers import CLIPVisionModelWithProjection

    model = _from_pretrained(CLIPVisionModelWithProjection, clip).to(device)
    entrance = entrance_of(clip, model.config.image_size)
    found = [
        model(entrance(fitted(part, entrance.side).to(device))).image_embeds.double().cpu()
        for part in pictures.float().split(batch)
    ]
    return torch.cat(found).numpy()
