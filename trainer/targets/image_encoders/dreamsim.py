"""DreamSim (Fu et al., NeurIPS 2023) through its own package: encoders taught human similarity, and their bases."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import warnings
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..features.computing import Model
from .card import ImageEncoder, ImageFamily
from .loading import check_consent, optional_package
from .preparation import prepare_for

RELEASES = "https://github.com/ssundaram21/dreamsim/releases"
UNALIGNED = "-noalign"
# Which variant needs which files of its archive, and whose code torch.hub downloads and runs for it.
FILES = {
    "ensemble": ("open_clip_vitb16_pretrain.pth.tar", "clip_vitb16_pretrain.pth.tar", "ensemble_lora"),
    "dino_vitb16": ("dino_vitb16_pretrain.pth", "dino_vitb16_single_lora"),
    "dinov2_vitb14": ("dinov2_vitb14_single_lora",),
    "open_clip_vitb32": ("open_clip_vitb32_pretrain.pth.tar", "open_clip_vitb32_single_lora"),
    "clip_vitb32": ("clip_vitb32_pretrain.pth.tar", "clip_vitb32_single_lora"),
    "synclr_vitb16": ("synclr_vit_b_16.pth", "synclr_vitb16_single_lora"),
}
CODE = {
    "ensemble": "github.com/facebookresearch/dino", "dino_vitb16": "github.com/facebookresearch/dino",
    "dinov2_vitb14": "github.com/facebookresearch/dinov2",
}  # fmt: skip


def load_dreamsim(card: ImageEncoder, device: str) -> Model:
    """Load a DreamSim from the folder of its unpacked archive; nothing is downloaded by us.

    `-noalign` cards are the same encoder without what it learned of human judgements. Raises ValueError without the
    package or where code would be downloaded without consent, FileNotFoundError with the way to the weights.
    """
    kind = kind_of(card)
    package = optional_package("dreamsim", "dreamsim", card)
    if card.layers or card.pooling != "model":
        raise ValueError(f"image encoder {card.name} has no layers or pooling to choose; its base encoder has")
    folder, aligned = Path(card.source), not card.name.endswith(UNALIGNED)
    wanted = [name for name in FILES[kind] if aligned or not name.endswith("_lora")]
    absent = [name for name in wanted if not (folder / name).exists()]
    if absent:
        raise FileNotFoundError(
            f"no {', '.join(absent)} of {card.name} at {card.source!r}. Download dreamsim_{kind}_checkpoint.zip from "
            f"{RELEASES}, unpack it, and give --image-source FOLDER"
        )
    if kind in CODE:
        check_consent(card, CODE[kind])
    with redirect_stdout(StringIO()), warnings.catch_warnings():  # it says which folder it uses
        warnings.simplefilter("ignore")  # and puts its changes on twice, the second time with the trained ones
        if aligned:
            model: Any = package.dreamsim(
                device=device, cache_dir=str(folder), normalize_embeds=False, dreamsim_type=kind
            )[0]
        else:
            settings = package.model.dreamsim_args["model_config"][kind]
            model = package.PerceptualModel(**settings, device=device, load_dir=str(folder), baseline=True)
    model = model.eval()

    def encode(pixels: list[Any]) -> Tensor:
        return model.embed(torch.stack(pixels).to(device)).reshape(len(pixels), -1)

    return Model(prepare_for(card, 224), encode)


def kind_of(card: ImageEncoder) -> str:
    """Return DreamSim's own name of a card's variant."""
    return card.name.removeprefix("dreamsim-").removesuffix(UNALIGNED).replace("-", "_")


def _cards() -> tuple[ImageEncoder, ...]:
    widths = {"ensemble": 1792, "clip_vitb32": 512, "open_clip_vitb32": 512}
    return tuple(
        ImageEncoder(
            f"dreamsim-{kind.replace('_', '-')}{ending}", "dreamsim", RELEASES, widths.get(kind, 768), "MIT",
            aligned=not ending, resize="squash", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0),
        )
        for kind in FILES for ending in ("", UNALIGNED)
    )  # fmt: skip


# The package normalises pictures itself and sees them squashed.
DREAMSIM = ImageFamily("dreamsim", load_dreamsim, _cards())
