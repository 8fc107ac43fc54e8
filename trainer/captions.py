"""Describe every picture of a folder by BLIP (Li et al., ICML 2022), into a JSON file.

python trainer/captions.py --images FOLDER --model Salesforce/blip-image-captioning-base --out captions.json
"""

import sys
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from trainer.console import run
from trainer.targets.captions import caption_pictures, pictures_in


@dataclass(frozen=True)
class CaptionOptions:
    """Which pictures are described by which model."""

    images: Path
    """Folder of pictures."""
    model: str
    """BLIP for captioning: a folder or a hub id such as Salesforce/blip-image-captioning-base."""
    out: Path
    """JSON file of picture names and captions; what it has already is kept."""


def main() -> None:
    """Describe every picture of a folder."""
    import tyro

    options = tyro.cli(CaptionOptions, description=__doc__)
    held = caption_pictures(pictures_in(options.images), options.images, options.model, options.out)
    print(f"{len(held)} captions in {options.out}")


if __name__ == "__main__":
    run(main)
