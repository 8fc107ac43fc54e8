"""SqueezeNet 1.0 (Iandola et al. 2016): a small ImageNet classifier without other packages, for scores made offline."""

from pathlib import Path

import torch
from torch import Tensor, nn

# Squeeze, expand 1 x 1 and expand 3 x 3 widths of each fire module; None is a pool.
FIRES = (
    (16, 64, 64), (16, 64, 64), (32, 128, 128), None, (32, 128, 128), (48, 192, 192), (48, 192, 192), (64, 256, 256),
    None, (64, 256, 256),
)  # fmt: skip
SIDE = 227  # pixels, which the network was made for; any side from 21 works
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


class Fire(nn.Module):
    """Squeeze to few channels, then expand them by 1 x 1 and 3 x 3 convolutions side by side."""

    def __init__(self, n_in: int, squeeze: int, ones: int, threes: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(n_in, squeeze, 1)
        self.expand1x1 = nn.Conv2d(squeeze, ones, 1)
        self.expand3x3 = nn.Conv2d(squeeze, threes, 3, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        """Return (batch, ones + threes, h, w) for maps (batch, n_in, h, w)."""
        maps = self.squeeze(maps).relu()
        return torch.cat([self.expand1x1(maps), self.expand3x3(maps)], dim=1).relu()


class SqueezeNet(nn.Module):
    """SqueezeNet 1.0 with torchvision's parameter names and normalisation, so that its weight files fit."""

    def __init__(self, n_classes: int = 1000) -> None:
        super().__init__()
        stages: list[nn.Module] = [nn.Conv2d(3, 96, 7, stride=2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True)]
        width = 96
        for fire in FIRES:
            if fire is None:
                stages.append(nn.MaxPool2d(3, 2, ceil_mode=True))
                continue
            stages.append(Fire(width, *fire))
            width = fire[1] + fire[2]
        self.features = nn.Sequential(*stages)
        self.classifier = nn.Sequential(nn.Dropout(0.5), nn.Conv2d(width, n_classes, 1), nn.ReLU())

    def pooled(self, pictures: Tensor) -> Tensor:
        """Return the mean over places of the last maps (batch, 512), for pictures (batch, 3, H, W) in [0, 1]."""
        return self._maps(pictures).mean((2, 3))

    def forward(self, pictures: Tensor) -> Tensor:
        """Return logits (batch, n_classes) for pictures (batch, 3, H, W) in [0, 1]."""
        return self.classifier(self._maps(pictures)).mean((2, 3))

    def _maps(self, pictures: Tensor) -> Tensor:
        mean, std = (pictures.new_tensor(values)[:, None, None] for values in (MEAN, STD))
        return self.features((pictures - mean) / std)


def load_squeezenet(path: str | Path) -> SqueezeNet:
    """Load SqueezeNet 1.0 from a `.safetensors` file with torchvision's parameter names; any number of classes.

    Raises FileNotFoundError, or ValueError naming what is missing.
    """
    from safetensors.torch import load_file

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no classifier at {path}")
    weights = {name: tensor.float() for name, tensor in load_file(path).items()}
    last = weights.get("classifier.1.weight")
    if last is None or last.ndim != 4:
        raise ValueError(
            f"{path.name} is not a SqueezeNet 1.0: it has no classifier.1.weight (classes, 512, 1, 1) as torchvision "
            "names it; other networks are read from a transformers folder or as torchvision:NAME"
        )
    network = SqueezeNet(last.shape[0])
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"{path.name} is not a SqueezeNet 1.0: {' '.join(str(error).split())[:300]}") from error
    return network.eval()
