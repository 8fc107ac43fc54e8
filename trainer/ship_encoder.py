"""Copy an evaluated encoder to where it comes with the pack: named, and with its bases in half precision.

    python trainer/ship_encoder.py runs/first --name "phantom (simulated), EPOC 14" \\
        --out assets/encoders/phantom-epoc14.safetensors

The copy's outputs are checked against the original's.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import torch
import tyro

from core.model.checkpoint import load_encoder, save_encoder
from trainer.console import run

TOLERANCE = 2e-3  # of the largest value: what half precision may move


@dataclass(frozen=True)
class ShipOptions:
    """Which encoder, its name, and where to."""

    run: tyro.conf.Positional[Path]
    """Run folder with an encoder.safetensors whose card holds its scores (trainer/evaluate.py writes them)"""
    out: Path
    """The file to write"""
    name: str = ""
    """Stands on the card; empty keeps its name"""


def ship(options: ShipOptions) -> float:
    """Write the file and return how far its outputs lie from the original's, relative to their largest value.

    Raises ValueError for an encoder without measured scores, or where half precision changes its outputs.
    """
    encoder = load_encoder(options.run / "encoder.safetensors")
    if not encoder.card.get("metrics"):
        raise ValueError(f"{options.run} holds no scores; run `python trainer/evaluate.py {options.run}` first")
    encoder.card["name"] = options.name or encoder.card.get("name", "")
    save_encoder(encoder, options.out, basis_dtype=torch.float16)
    config = encoder.preprocessing
    eeg = torch.randn(32, len(config.ch_names), config.n_times, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        before, after = encoder(eeg), load_encoder(options.out)(eeg)
    moved = max(float((before[s] - after[s]).abs().max() / before[s].abs().max()) for s in encoder.spaces)
    if moved > TOLERANCE:
        raise ValueError(f"half precision moves the outputs by {moved:.1e} of their size; {TOLERANCE:g} is allowed")
    return moved


def main() -> None:
    """Parse the command line, write, and say how large the file is."""
    options = tyro.cli(ShipOptions, description=__doc__)
    moved = ship(options)
    print(f"wrote {options.out}: {options.out.stat().st_size / 1e6:.1f} MB, outputs moved by {moved:.1e} of their size")


if __name__ == "__main__":
    run(main)
