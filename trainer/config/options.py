"""The trainer's options in groups; one flag a field, without its group's name, and one docstring a flag."""

from dataclasses import dataclass, field

from .data_options import DataOptions
from .flags import with_flags
from .model_options import EncoderOptions, TargetOptions
from .stage_options import StageOptions
from .training_options import OutputOptions, TrainingOptions


@dataclass(frozen=True)
class TrainOptions:
    """Everything a training run depends on; written to the run's options.json."""

    data: DataOptions = field(default_factory=DataOptions)
    encoder: EncoderOptions = field(default_factory=EncoderOptions)
    targets: TargetOptions = field(default_factory=TargetOptions)
    training: TrainingOptions = field(default_factory=TrainingOptions)
    stages: StageOptions = field(default_factory=StageOptions)
    outputs: OutputOptions = field(default_factory=OutputOptions)

    def __post_init__(self) -> None:
        start = self.stages.finetune
        nothing_trained = start.file is None and start.pretrained is None and not self.stages.contrastive.epochs
        if start.freeze != "nothing" and nothing_trained:
            raise ValueError(
                "--freeze needs --finetune FILE, --pretrained FILE or --contrastive EPOCHS: "
                "there is nothing trained to keep"
            )
        if self.stages.gan.epochs and "saliency" not in self.targets.space:
            raise ValueError("--gan-epochs trains a saliency head: add saliency to --space")


def train_options(**flags: object) -> TrainOptions:
    """Return options of which some are set, each called by its flag: `train_options(encoder="nice", gan_epochs=3)`.

    Raises ValueError for an unknown flag or a value that is not allowed.
    """
    return with_flags(TrainOptions(), **flags)
