"""The trainer's options: one dataclass, one flag a field, one docstring a flag."""

from dataclasses import dataclass
from pathlib import Path

AVERAGING = ("none", "all", "random")
HEADS = ("basis", "linear", "positions", "broadcast", "last-token")
FREEZE = ("nothing", "backbone")
MIXED_PRECISION = ("no", "bf16", "fp16")


@dataclass(frozen=True)
class TrainOptions:
    """Everything a training run depends on; written to the run's options.json."""

    data: Path = Path("store")
    """Trial store made by `prepare.py`."""
    out: Path = Path("runs/train")
    """Folder of this run; made if missing."""
    resume: bool = False
    """Go on with an interrupted run in --out; the result equals that of an unbroken one."""

    encoder: str = "nice"
    """Architecture: coatnet, nice, lstm or patch-transformer; linear or tangent, which are fitted in closed form."""
    set: tuple[str, ...] = ()
    """Settings of the architecture as key=value, for example --set n_filters=24 dropout=0.3."""
    spectrogram: str = "none"
    """none, stft, or braincoder (one frame, autoscaled, viridis), for architectures that read pictures."""
    space: tuple[str, ...] = ("sd1.text",)
    """Target spaces, one head each, the first is the main one: prompts, sd1.text, sd2.text, sdxl.text, clip-l.image ...
    """
    head: str = "basis"
    """How a regression head predicts: basis, linear or positions (Braincoder's); text spaces also broadcast (one
    pooled vector in every token) or last-token (one vector after the empty prompt's tokens).
    """
    rank: int = 32
    """Principal components of the training targets that a basis head predicts."""
    projector: int = 0
    """Width of NICE's residual projector in front of the last layer; 0 for none."""
    head_dropout: float = 0.0
    """Dropout in front of the head."""

    clip: str = ""
    """Text or image model for targets: a transformers or diffusers folder, or a hub id (openai/clip-vit-large-patch14).
    """
    images: Path | None = None
    """Folder of the pictures that were shown, named by image id; for image, latent and saliency targets."""
    vae: str = ""
    """Autoencoder for latent targets: a diffusers or TAESD folder, or a hub id; by default that of --clip."""
    latent_size: int = 0
    """Pixels a side to which pictures are stretched before latent targets are computed, 8 for each value of a latent;
    0 keeps them.
    """
    picture_size: int = 64
    """Pixels a side of a saliency head's pictures: 64 or 128."""
    generator_channels: int = 8
    """Channels of a saliency head's finest map; its time and size grow with them."""
    saliency_target: str = "picture"
    """What a saliency head learns to draw: picture (the seen one, small) or saliency (the map of what stands out)."""

    scaling: str = "train"
    """Robust scaling per channel: train (fitted on the training split), window, or none."""
    clip_sd: float = 10.0
    """Clip scaled values at this many robust standard deviations; 0 never."""
    whitening: str = "none"
    """none, or mvnn: multivariate noise normalisation fitted on the training split."""
    average: str = "all"
    """Repeats of a picture in training: none, all (one averaged trial a picture), or random (a random subset each
    epoch).
    """

    test_run: str = ""
    """Hold this run (column `run`) out as the test split, where the store prescribes no split."""
    val_share: float = 0.1
    """Share of the training pictures held out for validation, where the store prescribes none; 0 for none."""
    only_subject: str = ""
    """Use this subject's trials only."""

    contrastive: int = 0
    """Epochs in which the backbone alone is trained with a triplet loss, before the heads; 0 for none."""
    contrast: str = "label"
    """What makes two trials a positive pair: label (the class) or image_id (the same picture)."""
    margin: float = 0.2
    """By how much a triplet's negative must be farther than its positive, in squared distance."""
    mining: str = "semihard"
    """Negatives: semihard (farther than the positive, within the margin; else the nearest) or hardest (the nearest)."""
    unit_features: bool = True
    """Distances between features of length one; with --no-unit-features between features as they are."""
    pretrained: Path | None = None
    """Start the backbone from this file, written by `--preset masked-pretrain`."""
    masked: int = 0
    """Epochs of masked pre-training: the run makes a backbone file and no heads; needs no labels."""
    mask_ratio: float = 0.5
    """Share of the patches that masked pre-training hides."""

    loss: str = "mse"
    """mse, cosine, braincoder (0.9 MSE + 0.1 cosine), infonce, or infonce-mse; a prompts head always uses
    cross-entropy.
    """
    alphas: tuple[float, float, float] = (0.1, 0.05, 1.0)
    """Weights of a saliency head's losses: adversarial, mode seeking, 1 - SSIM (the last also before the GAN stage)."""
    gan_epochs: int = 0
    """Epochs in which a saliency head is trained against a discriminator, the backbone frozen; 0 for none."""
    mode_seeking: str = "negative"
    """How the GAN stage keeps pictures of different noise apart: negative (NeuroImagen's), reciprocal (EEG2Image's) or
    none.
    """
    temperature: float = 0.07
    """Where InfoNCE's temperature starts; it is trained, and clamped to 0.01 ... 1."""
    epochs: int = 60
    batch: int = 128
    lr: float = 1e-3
    schedule: str = "cosine"
    """cosine (to zero over --epochs, after --warmup) or constant."""
    warmup: float = 0.05
    """Share of the steps over which the learning rate rises."""
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.999)
    max_norm: float = 1.0
    """Clip gradients to this norm; 0 never."""
    accumulate: int = 1
    """Batches a step."""
    patience: int = 20
    """Stop after this many epochs without a better validation loss; 0 never."""
    seed: int = 0
    mixed_precision: str = "no"
    """no, bf16 or fp16."""

    finetune: Path | None = None
    """Start from this encoder file (transfer to another person); architecture and heads are taken from it."""
    freeze: str = "nothing"
    """backbone trains the heads only, on a backbone from --finetune, --pretrained or --contrastive."""
    backbone_lr: float = 0.0
    """Learning rate of the backbone where the heads are trained; 0 takes --lr."""

    animate: int = 0
    """Draw one held-out recording's picture every N epochs, and write animation.gif."""
    model: str = ""
    """Stable Diffusion model for --animate: a diffusers folder, a .safetensors checkpoint or a hub id."""
    licence: str = ""
    """Licence of the data for the encoder's card; by default what the store says."""

    def __post_init__(self) -> None:
        choices = {
            "average": AVERAGING,
            "freeze": FREEZE,
            "contrast": ("label", "image_id"),
            "mining": ("semihard", "hardest"),
            "mixed_precision": MIXED_PRECISION,
            "scaling": ("train", "window", "none"),
            "whitening": ("none", "mvnn"),
            "schedule": ("cosine", "constant"),
            "spectrogram": ("none", "stft", "braincoder"),
            "saliency_target": ("picture", "saliency"),
            "mode_seeking": ("negative", "reciprocal", "none"),
            "head": HEADS,
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"--{name.replace('_', '-')} is {getattr(self, name)!r}; known: {', '.join(allowed)}")
        for name in ("epochs", "batch", "accumulate", "rank"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name} must be at least 1, not {getattr(self, name)}")
        if self.picture_size not in (64, 128):
            raise ValueError(f"--picture-size is 64 or 128, not {self.picture_size}")
        if self.latent_size % 8 or not 0 <= self.latent_size <= 2048:
            raise ValueError(f"--latent-size is a multiple of 8 up to 2048, or 0, not {self.latent_size}")
        if self.gan_epochs < 0:
            raise ValueError(f"--gan-epochs must not be negative; it is {self.gan_epochs}")
        if self.gan_epochs and "saliency" not in self.space:
            raise ValueError("--gan-epochs trains a saliency head: add saliency to --space")
        if len(self.alphas) != 3 or min(self.alphas) < 0:
            raise ValueError(f"--alphas takes three weights of at least 0, not {self.alphas}")
        if not 0 <= self.val_share < 1:
            raise ValueError(f"--val-share lies in [0, 1), not {self.val_share}")
        if self.contrastive < 0 or self.masked < 0:
            raise ValueError(f"--contrastive {self.contrastive} and --masked {self.masked} must not be negative")
        if self.margin <= 0:
            raise ValueError(f"--margin must be above 0, not {self.margin}")
        if not 0 < self.mask_ratio < 1:
            raise ValueError(f"--mask-ratio lies between 0 and 1, not {self.mask_ratio}")
        if self.pretrained is not None and self.finetune is not None:
            raise ValueError("--pretrained gives a new encoder its backbone, --finetune goes on with one; choose one")
        if self.freeze != "nothing" and self.finetune is None and self.pretrained is None and not self.contrastive:
            raise ValueError(
                "--freeze needs --finetune FILE, --pretrained FILE or --contrastive EPOCHS: "
                "there is nothing trained to keep"
            )
        if self.animate and not self.model:
            raise ValueError(
                "--animate needs --model: a diffusers folder, a .safetensors checkpoint or a hub id to draw with"
            )
