"""Align an image encoder to people: fit an affine map to odd-one-out judgements, as gLocal does, and keep it as a card.

    python trainer/align.py --card dinov2-b14 --triplets table.csv --images pictures --out aligned.safetensors
    python trainer/align.py --card phantom-clip --geometry perceptual --out runs/phantom-clip-aligned.safetensors
    python trainer/align.py --card dinov2-b14 --transform transform.npz --out glocal.safetensors

A triplet is the pair of pictures that is alike, then the odd one out. Every command takes the card: --image-card FILE
--space NAME.image. Where held-out judgements are told no better than by guessing, that is said and nothing is written.
"""

import json
import sys
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import numpy as np
import tyro

from core.phantom.perception import GEOMETRIES, SHARPNESS
from trainer.alignment.fit import AlignmentSettings
from trainer.alignment.triplets import CHANCE, HELD_OUT
from trainer.config.flags import check_at_least, check_choice
from trainer.config.image_options import ImageOptions
from trainer.console import run


@dataclass(frozen=True)
class AlignOptions:
    """Which image encoder is aligned to whose judgements."""

    card: str
    """Image encoder, for example dinov2-b14, or clip-l@8 for a layer of one."""
    out: Path
    """Card file (.safetensors) that is written."""
    triplets: Path | None = None
    """Table of three columns, the pair that is alike and then the odd one out: .csv, .tsv or text."""
    names: Path | None = None
    """Text file with a picture's name a line, for tables that hold numbers counted from 0."""
    images: Path | None = None
    """Folder of the pictures, named as in the table; none draws the phantom's scenes."""
    geometry: str = ""
    """Instead of --triplets: the phantom's person judges training scenes by perceptual or encoder (simulated)."""
    n_triplets: int = 60000
    """How many triplets the phantom's person judges."""
    sharpness: float = SHARPNESS
    """How surely the phantom's person judges; 0 is the null, answers that go with nothing."""
    transform: Path | None = None
    """Instead of fitting: a map that is there, as gLocal publishes them (transform.npz)."""
    name: str = ""
    """Name of the aligned encoder; by default that of the card with -aligned."""
    held_out: str = "pictures"
    """What is held out: pictures (no picture on both sides) or triplets."""
    share: float = 0.3
    """How much of it is held out."""
    local: float = 0.05
    """Weight of the neighbours that should stay neighbours, against that of the choices; 0 to 1."""
    regularisation: float = 1e-4
    """Weight of the distance to a scaled identity."""
    temperature: float = 0.1
    """Of the neighbourhoods: how near a neighbour must be."""
    epochs: int = 30
    """Passes over the training triplets."""
    seed: int = 0
    """Of the simulated judgements, the split and the order of training."""
    cache: Path = Path("runs/targets")
    """Folder where features of pictures are kept."""
    image: Annotated[ImageOptions, tyro.conf.arg(name="")] = field(default_factory=ImageOptions)

    def __post_init__(self) -> None:
        given = [bool(self.triplets), bool(self.geometry), bool(self.transform)]
        if sum(given) != 1:
            raise ValueError("give one of --triplets FILE, --geometry NAME (simulated) and --transform FILE")
        if self.geometry:
            check_choice("--geometry", self.geometry, GEOMETRIES[1:])
        check_choice("--held-out", self.held_out, HELD_OUT)
        check_at_least("--epochs", self.epochs, 1)
        check_at_least("--n-triplets", self.n_triplets, 1)
        if not 0 < self.share < 1 or not 0 <= self.local < 1 or self.regularisation < 0 or self.temperature <= 0:
            raise ValueError("--share lies in (0, 1), --local in [0, 1), --regularisation and --temperature above 0")
        if self.out.suffix != ".safetensors":
            raise ValueError(f"--out is a card file, which ends in .safetensors, not {self.out.name}")


def align(options: AlignOptions) -> dict[str, Any]:
    """Fit or take over the map, write the card where there is evidence for it, and return what was found.

    Raises what reading tables, pictures and models raises, before anything is written.
    """
    from trainer.alignment.judgements import judgements_of
    from trainer.alignment.triplets import split_triplets
    from trainer.targets.features.pictures import distinct_pictures
    from trainer.targets.image_encoders.affine import read_transform, write_card
    from trainer.targets.image_encoders.chosen import card_named
    from trainer.targets.image_encoders.features_of import features_of

    card = card_named(options.card, options.image)
    if card.transform:
        raise ValueError(f"{card.name} has a map behind it already; align {card.base or 'its base'} instead")
    if len(card.layers) > 1 or card.blur:
        raise ValueError(f"{options.card} has {len(card.layers)} layers and {len(card.blur)} levels of blur; align one")
    name = options.name or f"{card.name}-aligned"
    aligned = replace(card, name=name, base=card.name, aligned=True)
    if options.transform is not None:
        affine = read_transform(options.transform)
        width = card.row_width
        if width and affine.weights.shape[0] != width:
            raise ValueError(
                f"{options.transform} maps rows of {affine.weights.shape[0]} numbers; {options.card} has {width}"
            )
        found: dict[str, Any] = {"card": name, "base": card.name, "from": options.transform.name}
        write_card(options.out, aligned, affine, found)
        return found
    from trainer.alignment.fit import evidence_of, fit_affine

    triplets, ceiling = judgements_of(options)
    train, held_out = split_triplets(triplets, options.held_out, options.share, options.seed)
    pictures = distinct_pictures(options.images, triplets.names)
    rows, index = features_of(card, pictures, cache=options.cache)
    features = np.asarray(rows[index], np.float32)
    names = ("local", "regularisation", "temperature", "epochs", "seed")
    settings = AlignmentSettings(**{name: getattr(options, name) for name in names})
    affine = fit_affine(features, train, settings)
    evidence = evidence_of(features, affine, train, held_out)
    found = {
        "card": name,
        "base": card.name,
        "simulated": bool(options.geometry),
        "triplets": f"phantom, {options.geometry}" if options.geometry else str(options.triplets),
        "n_pictures": len(triplets.names),
        "held_out_by": options.held_out,
        "chance": CHANCE,
        "ceiling": ceiling(held_out),
        **asdict(evidence),
        "found": evidence.found,
        "settings": asdict(settings),
    }
    if evidence.found:
        write_card(options.out, aligned, affine, found)
    return found


def told(found: dict[str, Any], out: Path) -> str:
    """Return what was found in lines: accuracies beside chance and ceiling, the verdict, where the card lies."""
    if "aligned" not in found:
        return f"{out}: {found['base']} with the map of {found['from']}, as {found['card']}.image"
    low, high = found["aligned_interval"]
    gain = found["aligned"] - found["unaligned"]
    ceiling = "unknown (no triple was judged often)" if found["ceiling"] is None else f"{found['ceiling']:.3f}"
    lines = [
        *(["phantom: simulated judgements, no person's"] if found["simulated"] else []),
        f"odd one out of three on {found['n_held_out']} held-out triplets ({found['held_out_by']} held out):",
        f"  {found['base']} as it is   {found['unaligned']:.3f}",
        f"  aligned   {found['aligned']:.3f} ({low:.3f} to {high:.3f}), gain {gain:+.3f} "
        f"({found['gain_interval'][0]:+.3f} to {found['gain_interval'][1]:+.3f})",
        f"  guessing 0.333, ceiling {ceiling}, p against guessing {found['p_value']:.2g}",
    ]
    if not found["found"]:
        return "\n".join([*lines, "These judgements cannot be told better than by guessing: no card was written."])
    if found["gain_interval"][0] <= 0:
        lines.append("Alignment brought nothing that these triplets can show: the encoder sees so already, or too few.")
    return "\n".join([*lines, f"{out}: give --image-card {out} --space {found['card']}.image"])


def main() -> None:
    """Parse the command line, align, and print what was found; its last line is one JSON object."""
    options = tyro.cli(AlignOptions, description=__doc__)
    found = align(options)
    print(told(found, options.out))
    print(json.dumps(found, allow_nan=False))


if __name__ == "__main__":
    run(main)
