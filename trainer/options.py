"""The trainer's options: one dataclass, one flag a field, one docstring a flag."""

from dataclasses import dataclass
from pathlib import Path

AVERAGING = ("none", "all", "random")
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
    """Architecture: coatnet, nice, linear or tangent (the last two are fitted in closed form)."""
    set: tuple[str, ...] = ()
    """Settings of the architecture as key=value, for example --set n_filters=24 dropout=0.3."""
    spectrogram: str = "none"
    """none, stft, or braincoder (one frame, autoscaled, viridis), for architectures that read pictures."""
    space: tuple[str, ...] = ("sd1.text",)
    """Target spaces, one head each, the first is the main one: prompts, sd1.text, sd2.text, sdxl.text, clip-l.image ...
    """
    head: str = "basis"
    """How a regression head predicts: basis, linear or positions (Braincoder's)."""
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
    """Folder of the pictures that were shown, named by image id; for image and latent targets."""

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

    loss: str = "mse"
    """mse, cosine, braincoder (0.9 MSE + 0.1 cosine), infonce, or infonce-mse; a prompts head always uses
    cross-entropy.
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
    """With --finetune: backbone trains the heads only."""
    backbone_lr: float = 0.0
    """With --finetune: learning rate of the backbone; 0 takes --lr."""

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
            "mixed_precision": MIXED_PRECISION,
            "scaling": ("train", "window", "none"),
            "whitening": ("none", "mvnn"),
            "schedule": ("cosine", "constant"),
            "spectrogram": ("none", "stft", "braincoder"),
            "head": ("basis", "linear", "positions"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"--{name.replace('_', '-')} is {getattr(self, name)!r}; known: {', '.join(allowed)}")
        for name in ("epochs", "batch", "accumulate", "rank"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name} must be at least 1, not {getattr(self, name)}")
        if not 0 <= self.val_share < 1:
            raise ValueError(f"--val-share lies in [0, 1), not {self.val_share}")
        if self.freeze != "nothing" and self.finetune is None:
            raise ValueError("--freeze needs --finetune FILE: there is nothing trained to keep")
        if self.animate and not self.model:
            raise ValueError(
                "--animate needs --model: a diffusers folder, a .safetensors checkpoint or a hub id to draw with"
            )
