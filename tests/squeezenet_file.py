"""SqueezeNet's published compressed weights, decoded into the file that `evaluation/squeezenet.py` reads; for tests."""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from trainer.evaluation.squeezenet import MEAN, STD, Fire, SqueezeNet

CAFFE_MEAN = (104.0, 117.0, 123.0)  # blue, green, red, on a scale of 0 to 255
CODE_BITS = 8  # a code book of 256 values a layer
GAP_BITS = 4  # an index is stored as the number of zeros since the last one, at most 15


def layers(network: SqueezeNet) -> list[torch.nn.Conv2d]:
    """Return the convolutions in the order of the file: as the picture passes them."""
    found: list = [network.features[0]]
    for stage in network.features:
        if isinstance(stage, Fire):
            found += [stage.squeeze, stage.expand1x1, stage.expand3x3]
    return [*found, network.classifier[1]]


def decode(path: Path, out: Path) -> Path:
    """Write the compressed network as a safetensors file with torchvision's names and normalisation."""
    data, place = path.read_bytes(), 0

    def take(kind: str, count: int) -> np.ndarray:
        nonlocal place
        found = np.frombuffer(data, kind, count, place)
        place += found.nbytes
        return found

    network = SqueezeNet()
    convolutions = layers(network)
    counts = take("<u4", len(convolutions))
    for layer, count in zip(convolutions, counts.tolist(), strict=True):
        book, bias = take("<f4", 2**CODE_BITS), take("<f4", layer.out_channels)
        codes = take("u1", count)
        pairs = take("u1", (count + 1) // 2)
        gaps = np.stack([pairs % 2**GAP_BITS, pairs >> GAP_BITS], axis=1).reshape(-1)[:count]
        values = np.full(layer.weight.numel(), book[0], np.float32)
        values[np.cumsum(gaps.astype(np.int64) + 1) - 1] = book[codes]
        layer.weight.data = torch.from_numpy(values.reshape(layer.weight.shape))
        layer.bias.data = torch.from_numpy(bias.copy())
    if place != len(data):
        raise ValueError(f"{len(data) - place} bytes of {path.name} are left over")
    as_torchvision_normalises(convolutions[0])
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, out)
    return out


def as_torchvision_normalises(first: torch.nn.Conv2d) -> None:
    """Change a first layer that takes blue, green and red less Caffe's means into one that takes normalised RGB.

    255 x - m = 255 s y + (255 c - m) for y = (x - c) / s; the constant goes into the bias, exactly, since the layer has
    no padding.
    """
    weight = first.weight.data.flip(1)
    scale, centre, mean = (torch.tensor(values) for values in (STD, MEAN, CAFFE_MEAN[::-1]))
    first.bias.data += (weight.sum((2, 3)) * (255 * centre - mean)).sum(1)
    first.weight.data = weight * (255 * scale)[:, None, None]
