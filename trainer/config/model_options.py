"""What the encoder is made of, and what its heads are taught to say."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from .flags import check_at_least, check_choice, flag
from .image_options import ImageOptions

SPECTROGRAMS = ("none", "stft", "braincoder")
MIXES = ("", "layers", "blur", "lora")
HEADS = ("basis", "linear", "positions", "broadcast", "last-token")
SALIENCY_TARGETS = ("picture", "saliency")
PICTURE_SIZES = (64, 128)
MAX_LATENT_SIZE = 2048


@dataclass(frozen=True)
class EncoderOptions:
    """The architecture that reads the EEG."""

    name: Annotated[str, flag("encoder")] = "nice"
    """Architecture, trained (nice, eegproject, atm-s, eegnet, coatnet ...) or fitted in closed form (linear, tangent,
    filter-bank); docs/training.md has the table.
    """
    settings: Annotated[tuple[str, ...], flag("set")] = ()
    """Settings of the architecture as key=value, for example --set n_filters=24 dropout=0.3."""
    spectrogram: str = "none"
    """none, stft, or braincoder (one frame, autoscaled, viridis), for architectures that read pictures."""
    person_layers: bool = False
    """A linear layer over time for each person in front of any trained architecture; a person whom training has not
    seen goes through the mean of the layers.
    """

    def __post_init__(self) -> None:
        check_choice("--spectrogram", self.spectrogram, SPECTROGRAMS)


@dataclass(frozen=True)
class TargetOptions:
    """What is predicted, and by which heads."""

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
    mix: str = ""
    """What is trained on the pictures' side: layers (a mix of several --image-layer, as SAMGA's), blur (of several
    --image-blur, as Visual Blur Perception's) or lora (a CLIP model tuned a little by low-rank changes, through peft);
    none by default.
    """
    lora_rank: int = 32
    """Rank of what --mix lora changes in each matrix."""
    head_dropout: float = 0.0
    """Dropout in front of the head."""
    compare: Annotated[int, flag("compare-width")] = 0
    """Width of a learned linear map by which a basis or linear head compares predictions with targets (what others call
    projectors into a shared space); 0 compares as they are.
    """
    clip: str = ""
    """Text or image model for targets: a transformers or diffusers folder, a .safetensors checkpoint of Stable
    Diffusion, or a hub id (openai/clip-vit-large-patch14).
    """
    clip_config: str = ""
    """For a checkpoint as --clip or --vae while offline: a diffusers folder of any model of the same family."""
    images: Path | None = None
    """Folder of the pictures that were shown, named by image id; for image, latent and saliency targets."""
    vae: str = ""
    """Autoencoder for latent targets: a diffusers or TAESD folder, a .safetensors file, or a hub id; by default that of
    --clip.
    """
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
    image: ImageOptions = field(default_factory=ImageOptions)

    def __post_init__(self) -> None:
        check_choice("--head", self.head, HEADS)
        check_choice("--mix", self.mix, MIXES)
        if self.mix and self.image.blur_use == "uncertain":
            raise ValueError(
                "--mix takes all levels of blur, --image-blur-use uncertain one for each picture; choose one"
            )
        check_choice("--saliency-target", self.saliency_target, SALIENCY_TARGETS)
        check_at_least("--rank", self.rank, 1)
        check_at_least("--lora-rank", self.lora_rank, 1)
        check_at_least("--compare-width", self.compare, 0)
        if self.picture_size not in PICTURE_SIZES:
            raise ValueError(f"--picture-size is 64 or 128, not {self.picture_size}")
        if self.latent_size % 8 or not 0 <= self.latent_size <= MAX_LATENT_SIZE:
            raise ValueError(f"--latent-size is a multiple of 8 up to {MAX_LATENT_SIZE}, or 0, not {self.latent_size}")
