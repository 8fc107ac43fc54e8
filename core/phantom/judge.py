"""The phantom's judge: a small network, trained on drawn pictures only, that says what a picture shows."""

from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .scenes import COLOURS, PLACES, SHAPES, SIZES

ATTRIBUTES = {"shape": SHAPES, "colour": tuple(COLOURS), "place": tuple(PLACES), "size": tuple(SIZES)}


class Judge(nn.Module):
    """Convolutions over a 64 × 64 picture, then one linear layer.

    width: channels of the first stage. outputs: width of the last layer; by default one logit for each value of each
    attribute.
    """

    def __init__(self, width: int = 32, outputs: int | None = None) -> None:
        super().__init__()
        total = sum(len(values) for values in ATTRIBUTES.values())
        widths = (3, width, 2 * width, 3 * width, 4 * width)
        stages = []
        for before, after in pairwise(widths):
            stages += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GroupNorm(8, after), nn.SiLU()]
            stages += [nn.Conv2d(after, after, 3, padding=1), nn.GroupNorm(8, after), nn.SiLU()]
        self.body = nn.Sequential(*stages)
        self.last = nn.Linear(widths[-1] * 16, outputs or total)

    def features(self, pictures: Tensor) -> Tensor:
        """Return (batch, outputs) for pictures (batch, 3, 64, 64) in [0, 1]."""
        return self.last(self.body(pictures * 2 - 1).flatten(1))

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        """Return logits (batch, n_values) for each attribute, for pictures (batch, 3, 64, 64) in [0, 1]."""
        parts = self.features(pictures).split([len(values) for values in ATTRIBUTES.values()], dim=-1)
        return dict(zip(ATTRIBUTES, parts, strict=True))


@torch.no_grad()
def judge_pictures(judge: Judge, pictures: Tensor, batch: int = 200) -> dict[str, Tensor]:
    """Return the index of the judged value (n,) for each attribute, for pictures (n, 3, H, W) in [0, 1]."""
    if pictures.shape[-2:] != (64, 64):
        pictures = F.interpolate(pictures, (64, 64), mode="bilinear", antialias=True, align_corners=False)
    found = [judge(part) for part in pictures.split(batch)]
    return {name: torch.cat([logits[name].argmax(-1) for logits in found]) for name in ATTRIBUTES}


def load_judge(folder: str | Path) -> Judge:
    """Load the judge from the phantom world's folder (`judge.safetensors`); raises FileNotFoundError naming the build
    command.
    """
    from safetensors.torch import load_file

    path = Path(folder) / "judge.safetensors"
    if not path.is_file():
        raise FileNotFoundError(f"no judge at {path}; build the phantom world with `python trainer/build_phantom.py`")
    judge = Judge()
    judge.load_state_dict({name: tensor.float() for name, tensor in load_file(path).items()})
    return judge.eval()
