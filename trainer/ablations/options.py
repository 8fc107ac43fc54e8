"""Options of the ablation: which run, who draws, who looks."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from ..drawing.two_levels import AUTO
from ..evaluation.plain_classifier import TEMPLATE

STRENGTHS = (0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class AblationOptions:
    """What is compared, with which model and which eyes."""

    run: tyro.conf.Positional[Path]
    """Folder of a finished run."""
    data: Path | None = None
    """Its trial store, where it has moved."""
    model: str = ""
    """Stable Diffusion model to draw with: a diffusers folder, a .safetensors checkpoint or a hub id; on the phantom,
    its own by default.
    """
    classifier: str = ""
    """Who looks at the pictures: a transformers folder or hub id, torchvision:NAME, a SqueezeNet .safetensors file; on
    the phantom, its judge by default.
    """
    clip: str = ""
    """CLIP with its picture side, for CLIP similarity: a transformers folder or hub id; empty leaves it out."""
    images: Path | None = None
    """Folder of the pictures that were shown, named by image id, where it is not the run's own."""
    init: str = AUTO
    """The pixel level: auto (the saliency or latent head, where there is one), saliency, latent or none."""
    denoise: float = 0.0
    """How much of the pixel level is redrawn; 0 chooses on validation pictures."""
    strengths: tuple[float, ...] = STRENGTHS
    """What is chosen from."""
    validation_seeds: int = 2
    """Pictures drawn of each validation window while choosing."""
    label_caption: str = TEMPLATE
    """Label caption where the store has none of its own, with {} for the label."""
    limit: int = 0
    """Draw at most this many test windows, a random selection; 0 draws all."""
    steps: int = 25
    guidance: float = 3.0
    restore_spread: float = 1.0
    """0 draws regression's shrunken predictions, 1 restores the targets' spread."""
    seed: int = 0
