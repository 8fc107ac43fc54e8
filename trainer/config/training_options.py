"""The loss and the optimiser, and what is written of a run."""

from dataclasses import dataclass
from pathlib import Path

from .flags import check_at_least, check_choice

SCHEDULES = ("cosine", "constant", "cosine-by-epoch", "plateau")
KEEP = ("best", "last")
BATCH_BY = ("trial", "picture")
MIXED_PRECISION = ("no", "bf16", "fp16")


@dataclass(frozen=True)
class TrainingOptions:
    """The loss, the optimiser and its schedule."""

    loss: str = "mse"
    """mse, cosine, spread-mse, braincoder (0.9 MSE + 0.1 cosine), infonce, infonce-mse, soft-clip, multi-positive,
    cross-person, mmd, mmd-infonce, or a weighted list (infonce=0.7,mse=0.3); a prompts head always uses cross-entropy.
    """
    head_loss: tuple[str, ...] = ()
    """Other losses for some heads, as space=loss or space=loss=weight,loss=weight (--head-loss sd1.text=infonce-mse).
    """
    similarity: str = ""
    """How contrastive losses compare, as KIND:SCALE:HOW: cosine or brain-length (the prediction's length counts, the
    target's does not), a scale of 1 to 100, and learned or fixed; by default cosine, learned from --temperature on.
    """
    mmd_epochs: int = 20
    """Epochs over which mmd-infonce's discrepancy fades from 0.9 to 0.5; InfoNCE alone afterwards."""
    loss_weight: tuple[str, ...] = ()
    """What heads' losses count beside each other, as space=weight (--loss-weight sd1.text=1 saliency=0.5); 1 where not
    named.
    """
    batch_transforms: tuple[str, ...] = ()
    """What is done to training batches, in this order: mixup (rows mixed with one another, targets too), mixco (half
    of the rows' eeg mixed, contrastive losses share the labels) or smooth (some channels' moving averages).
    """
    batch_by: str = "trial"
    """How batches are drawn: trial (in any order) or picture (all people's trials of a picture in one batch)."""
    alphas: tuple[float, float, float] = (0.1, 0.05, 1.0)
    """Weights of a saliency head's losses: adversarial, mode seeking, 1 - SSIM (the last also before the GAN stage)."""
    temperature: float = 0.07
    """Where InfoNCE's temperature starts; it is trained, and clamped to 0.01 ... 1. See --similarity."""
    epochs: int = 60
    batch: int = 128
    lr: float = 1e-3
    schedule: str = "cosine"
    """cosine (to zero over --epochs, after --warmup), constant, cosine-by-epoch (falls once an epoch) or plateau (by
    --plateau-factor after more than --plateau-patience epochs without a better validation loss).
    """
    plateau_factor: float = 0.1
    plateau_patience: int = 25
    second_stage: int = 0
    """From this epoch on the optimiser is a fresh one, at --second-lr; 0 for one stage."""
    second_lr: float = 0.0
    """Learning rate of the second stage."""
    side_lr: float = 0.0
    """Learning rate of what --mix trains on the pictures' side; 0 takes --lr."""
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
    keep: str = "best"
    """Which weights are kept: best (lowest validation loss) or last (a number of epochs fixed beforehand)."""
    seed: int = 0
    mixed_precision: str = "no"
    """no, bf16 or fp16."""

    def __post_init__(self) -> None:
        check_choice("--schedule", self.schedule, SCHEDULES)
        check_choice("--keep", self.keep, KEEP)
        check_choice("--batch-by", self.batch_by, BATCH_BY)
        check_choice("--mixed-precision", self.mixed_precision, MIXED_PRECISION)
        check_at_least("--epochs", self.epochs, 1)
        check_at_least("--batch", self.batch, 1)
        check_at_least("--accumulate", self.accumulate, 1)
        if self.side_lr < 0:
            raise ValueError(f"--side-lr is a learning rate, or 0 for --lr, not {self.side_lr:g}")
        check_at_least("--mmd-epochs", self.mmd_epochs, 1)
        check_at_least("--plateau-patience", self.plateau_patience, 0)
        if not 0 < self.plateau_factor < 1:
            raise ValueError(f"--plateau-factor lies between 0 and 1, not {self.plateau_factor:g}")
        if bool(self.second_stage) != bool(self.second_lr) or self.second_stage < 0 or self.second_lr < 0:
            raise ValueError(
                f"--second-stage EPOCH and --second-lr RATE go together, both above 0; they are {self.second_stage} "
                f"and {self.second_lr:g}"
            )
        if self.similarity and self.temperature != 0.07:
            raise ValueError(
                f"--similarity {self.similarity} and --temperature {self.temperature:g} both say where the scale "
                "starts; leave --temperature out"
            )
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
