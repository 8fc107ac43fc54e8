"""The stages around the training of the heads: what comes before, after, and where it starts from."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from .flags import check_choice, flag

POSITIVES = ("label", "image_id")
MINING = ("semihard", "hardest")
MODE_SEEKING = ("negative", "reciprocal", "none")
FREEZE = ("nothing", "backbone")


@dataclass(frozen=True)
class ContrastiveOptions:
    """The backbone alone, by a triplet loss, before the heads."""

    epochs: Annotated[int, flag("contrastive")] = 0
    """Epochs in which the backbone alone is trained with a triplet loss, before the heads; 0 for none."""
    contrast: str = "label"
    """What makes two trials a positive pair: label (the class) or image_id (the same picture)."""
    margin: float = 0.2
    """By how much a triplet's negative must be farther than its positive, in squared distance."""
    mining: str = "semihard"
    """Negatives: semihard (farther than the positive, within the margin; else the nearest) or hardest (the nearest)."""
    unit_features: bool = True
    """Distances between features of length one; with --no-unit-features between features as they are."""

    def __post_init__(self) -> None:
        check_choice("--contrast", self.contrast, POSITIVES)
        check_choice("--mining", self.mining, MINING)
        if self.epochs < 0:
            raise ValueError(f"--contrastive must not be negative; it is {self.epochs}")
        if self.margin <= 0:
            raise ValueError(f"--margin must be above 0, not {self.margin}")


@dataclass(frozen=True)
class MaskedOptions:
    """A backbone by itself, by predicting hidden patches of unlabelled windows."""

    epochs: Annotated[int, flag("masked")] = 0
    """Epochs of masked pre-training: the run makes a backbone file and no heads; needs no labels."""
    mask_ratio: float = 0.5
    """Share of the patches that masked pre-training hides."""

    def __post_init__(self) -> None:
        if self.epochs < 0:
            raise ValueError(f"--masked must not be negative; it is {self.epochs}")
        if not 0 < self.mask_ratio < 1:
            raise ValueError(f"--mask-ratio lies between 0 and 1, not {self.mask_ratio}")


@dataclass(frozen=True)
class GanOptions:
    """A saliency head against a discriminator, after the heads."""

    epochs: Annotated[int, flag("gan-epochs")] = 0
    """Epochs in which a saliency head is trained against a discriminator, the backbone frozen; 0 for none."""
    mode_seeking: str = "negative"
    """How the GAN stage keeps pictures of different noise apart: negative (NeuroImagen's), reciprocal (EEG2Image's) or
    none.
    """

    def __post_init__(self) -> None:
        check_choice("--mode-seeking", self.mode_seeking, MODE_SEEKING)
        if self.epochs < 0:
            raise ValueError(f"--gan-epochs must not be negative; it is {self.epochs}")


@dataclass(frozen=True)
class FinetuneOptions:
    """What the training starts from, and what of it is kept."""

    file: Annotated[Path | None, flag("finetune")] = None
    """Start from this encoder file (transfer to another person); architecture and heads are taken from it."""
    pretrained: Path | None = None
    """Start the backbone from this file, written by `--preset masked-pretrain`."""
    freeze: str = "nothing"
    """backbone trains the heads only, on a backbone from --finetune, --pretrained or --contrastive."""
    backbone_lr: float = 0.0
    """Learning rate of the backbone where the heads are trained; 0 takes --lr."""

    def __post_init__(self) -> None:
        check_choice("--freeze", self.freeze, FREEZE)
        if self.pretrained is not None and self.file is not None:
            raise ValueError("--pretrained gives a new encoder its backbone, --finetune goes on with one; choose one")


@dataclass(frozen=True)
class StageOptions:
    """The stages around the training of the heads."""

    contrastive: ContrastiveOptions = field(default_factory=ContrastiveOptions)
    masked: MaskedOptions = field(default_factory=MaskedOptions)
    gan: GanOptions = field(default_factory=GanOptions)
    finetune: FinetuneOptions = field(default_factory=FinetuneOptions)
