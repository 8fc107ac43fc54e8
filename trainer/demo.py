"""The main job on the phantom, start to end: simulate, train, decode, draw, report.

    python install.py demo               # makes an environment first
    python trainer/demo.py --out runs/demo

Nothing in it is brain data: pictures, brain and diffusion model are the phantom's.
"""

import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import tyro

from trainer.console import run
from trainer.datasets.phantom import PhantomOptions


@dataclass(frozen=True)
class DemoOptions:
    """What the demo simulates and where it writes."""

    out: Path = Path("runs/demo")
    """Folder for report.json, report.html, encoder.safetensors and the trial store."""
    montage: str = "epoc-14"
    """Simulated headset: epoc-14, muse-4, insight-5, 10-20-17, 10-20-32 or things-63."""
    snr: float = PhantomOptions.snr
    """Signal-to-noise ratio of a single trial; 0 is the null, where nothing can be decoded."""
    preset: str = "phantom"
    """phantom (NICE's TSConv) or phantom-linear (closed form)."""
    subject: int = 0
    """Seed of the simulated person."""
    seed: int = 0
    """Of the order, the noise and the training."""
    pictures: bool = True
    """Draw pictures; without them only decoding is scored."""


def demo(options: DemoOptions) -> dict:
    """Run the demo and return the report; an earlier demo in the same folder is replaced."""
    from trainer.config.flags import with_flags
    from trainer.config.presets import preset_named
    from trainer.evaluate import EvaluateOptions, evaluate
    from trainer.prepare import prepare
    from trainer.train import train

    simulated = PhantomOptions(montage=options.montage, snr=options.snr, subject=options.subject, seed=options.seed)
    preset = preset_named(options.preset)
    earlier = (options.out / "options.json").is_file() or (options.out / "store" / "shards").is_dir()
    if options.out.exists() and not earlier and any(options.out.iterdir()):
        raise ValueError(f"{options.out} holds something else than an earlier demo; choose another --out")
    shutil.rmtree(options.out, ignore_errors=True)
    print(
        f"1/3 simulating a person with the {options.montage} headset at SNR {options.snr:g} (phantom, not brain data)",
        flush=True,
    )
    prepare("phantom", None, options.out / "store", simulated)
    print("2/3 training", flush=True)
    train(with_flags(preset, data=options.out / "store", out=options.out, seed=options.seed))
    print("3/3 decoding held-out trials and drawing them", flush=True)
    return evaluate(EvaluateOptions(run=options.out, pictures=options.pictures, seed=options.seed))


def main() -> None:
    """Parse the command line, run, and print the table and where the report lies."""
    from trainer.evaluate import table

    started = time.monotonic()
    options = tyro.cli(DemoOptions, description=__doc__)
    report = demo(options)
    print(f"\nPhantom: simulated EEG, not brain data. {(time.monotonic() - started) / 60:.1f} minutes.\n")
    print(table(report))
    print(f"\nreport: {(options.out / 'report.html').resolve()}")


if __name__ == "__main__":
    run(main)
