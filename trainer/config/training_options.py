"""The loss and the optimiser, and what is written of a run."""

from dataclasses import dataclass
from pathlib import Path

from .flags import check_at_least, check_choice

SCHEDULES = ("cosine", "constant")
MIXED_PRECISION = ("no", "bf16", "fp16")


@dataclass(frozen=True)
class TrainingOptions:
    """The loss, the optimiser and its schedule."""

    loss: str = "mse"
    """mse, cosine, braincoder (0.9 MSE + 0.1 cosine), infonce, or infonce-mse; a prompts head always uses
    cross-entropy.
    """
    loss_weight: tuple[str, ...] = ()
    """What heads' losses count beside each other, as space=weight (--loss-weight sd1.text=1 saliency=0.5); 1 where not
    named.
    """
    batch_transforms: tuple[str, ...] = ()
    """What is done to training batches, in this order: mixup (rows mixed with one another, targets too)."""
    alphas: tuple[float, float, float] = (0.1, 0.05, 1.0)
    """Weights of a saliency head's losses: adversarial, mode seeking, 1 - SSIM (the last also before the GAN stage)."""
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

    def __post_init__(self) -> None:
        check_choice("--schedule", self.schedule, SCHEDULES)
        check_choice("--mixed-precision", self.mixed_precision, MIXED_PRECISION)
        check_at_least("--epochs", self.epochs, 1)
        check_at_least("--batch", self.batch, 1)
        check_at_least("--accumulate", self.accumulate, 1)
        if len(self.alphas) != 3 or min(self.alphas) < 0:
            raise ValueError(f"--alphas takes three weights of at least 0, not {self.alphas}")


@dataclass(frozen=True)
class OutputOptions:
    """Where the run is written, whether it goes on, and what is drawn beside it."""

    out: Path = Path("runs/train")
    """Folder of this run; made if missing."""
    resume: bool = False
    """Go on with an interrupted run in --out; the result equals that of an unbroken one."""
    animate: int = 0
    """Draw one held-out recording's picture every N epochs, and write animation.gif."""
    model: str = ""
    """Stable Diffusion model for --animate: a diffusers folder, a .safetensors checkpoint or a hub id."""
    licence: str = ""
    """Licence of the data for the encoder's card; by default what the store says."""

    def __post_init__(self) -> None:
        if self.animate and not self.model:
            raise ValueError(
                "--animate needs --model: a diffusers folder, a .safetensors checkpoint or a hub id to draw with"
            )
