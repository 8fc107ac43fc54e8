"""Time one epoch of the preset alignvis-nice on THINGS-EEG2-shaped trials beside the published code's way.

    python benchmarks/things_epoch.py [--pictures 4135] [--full-pictures 16540] [--no-full]

4,135 pictures of 63 channels x 250 samples, four presentations each, batches of 128, InfoNCE towards vectors of 768.
Ours: a trial store of single presentations on disk, read, averaged and whitened batch by batch, and the folded NICE.
Published: a pickled array in memory, each item's presentations scaled one by one and averaged as the item is asked
for, and NICE's layers one after the other (Conv2d over time, pooling, Conv2d over channels). `speedup`: the published
epoch's seconds over ours, ours with keeping its state for `--resume`. `peak_gb`: the most that our process held;
`peak_gb_full`: the same with 16,540 pictures
(66,160 presentations, 4.2 GB on disk). The trials are noise: only time and memory are measured.
"""

import argparse
import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)

from benchmarks.one_line import say_what_is_missing

say_what_is_missing()

import numpy as np
import torch
from torch import nn

from core.montage import MONTAGES
from core.preprocessing.config import PreprocessingConfig
from trainer.store.dataset import Cut, Session
from trainer.store.store import open_store, write_store

CHANNELS, TIMES, REPEATS, BATCH, WIDTH = 63, 250, 4, 128, 768
CONFIG = PreprocessingConfig(MONTAGES["things-63"], 250.0, 0.0, 1.0, baseline=(-0.2, 0.0), lead_s=0.2)
SPACE = "clip-l.image"
TARGETS = {"speedup": 4.0, "peak_gb": 3.0, "peak_gb_full": 3.0}
SESSIONS, PIECE = 4, 512
GB = 1024.0**2


def noise(session: int, n: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(session)
    for start in range(0, n, PIECE):
        yield 1e-5 * rng.standard_normal((min(PIECE, n - start), CHANNELS, TIMES), dtype=np.float32)


def make_store(folder: Path, pictures: int) -> Path:
    """Write a store of noise: every picture once in each of four sessions."""

    def session(number: int) -> Session:
        rows = [
            {
                "label": f"thing-{k // 10:04d}",
                "image_id": f"picture-{k:05d}",
                "subject": "sub-01",
                "session": f"ses-{number:02d}",
                "run": f"ses-{number:02d}",
                "split": "train",
                "onset": 0.2 * k,
            }
            for k in range(pictures)
        ]
        return Session(f"ses-{number:02d}", cut=lambda config: Cut(rows, {"format": "noise"}, noise(number, pictures)))

    sessions = [session(number) for number in range(1, SESSIONS + 1)]
    return write_store(folder, sessions, CONFIG, provenance={"dataset": "noise"}, progress=False).folder


def ours(store: Path) -> dict[str, float]:
    """Train two epochs; return the second one's seconds and the peak."""
    from trainer.config.flags import with_flags
    from trainer.config.presets import preset_named
    from trainer.store.narrowed import narrowed
    from trainer.targets.target import Target
    from trainer.training.build import build_for
    from trainer.training.loop import train_loop

    with tempfile.TemporaryDirectory() as out:
        options = with_flags(preset_named("alignvis-nice"), data=store, space=(SPACE,), epochs=2, out=Path(out))
        trials = open_store(store).trials()
        names = tuple(np.unique(trials.image_id).tolist())
        vectors = torch.randn(len(names), WIDTH, generator=torch.Generator().manual_seed(0))
        targets = {SPACE: Target(vectors, names, (WIDTH,), "image_id")}
        trials, config = narrowed(trials, CONFIG, options.data.channels, options.data.window)
        rows = np.arange(len(trials))
        start = time.perf_counter()
        encoder = build_for(trials, rows, config, options, targets)
        built = time.perf_counter() - start
        ends: list[tuple[float, float]] = []
        parts = {"train": rows, "val": rows[:0], "test": rows[:0]}
        train_loop(encoder, trials, parts, targets, options, Path(out), lambda *_: ends.append(clocks()))
    seconds, processor = (last - first for first, last in zip(*ends, strict=True))
    return {"seconds": seconds, "processor_s": processor, "build_s": built, "peak_gb": high_water()}


def clocks() -> tuple[float, float]:
    """Return the time by the clock on the wall, and that which processors have worked for this process."""
    return time.perf_counter(), time.process_time()


class PublishedItems(torch.utils.data.Dataset):
    """The published way to an item: everything in memory, scaled and averaged when it is asked for."""

    def __init__(self, path: Path) -> None:
        self.eeg = np.load(path, allow_pickle=True)["preprocessed_eeg_data"]  # written by this benchmark
        self.vectors = torch.randn(len(self.eeg), WIDTH, generator=torch.Generator().manual_seed(0))

    def __len__(self) -> int:
        return len(self.eeg)

    def __getitem__(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        scaled = []
        for presentation in self.eeg[number]:
            centred = presentation - presentation.mean(axis=1, keepdims=True)
            scaled.append(centred / np.linalg.norm(centred, axis=1, keepdims=True))
        return torch.from_numpy(np.mean(scaled, axis=0)).float()[None], self.vectors[number]


def published_network() -> nn.Module:
    """NICE's layers one after the other, with AlignVis's projector."""

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Sequential(nn.GELU(), nn.Linear(WIDTH, WIDTH), nn.Dropout(0.5))

        def forward(self, values: torch.Tensor) -> torch.Tensor:
            return values + self.inner(values)

    front = nn.Sequential(
        nn.Conv2d(1, 40, (1, 25)), nn.AvgPool2d((1, 51), (1, 5)), nn.BatchNorm2d(40), nn.ELU(),
        nn.Conv2d(40, 40, (CHANNELS, 1)), nn.BatchNorm2d(40), nn.ELU(), nn.Dropout(0.5), nn.Conv2d(40, 40, 1),
    )  # fmt: skip
    return nn.Sequential(front, nn.Flatten(), nn.Linear(1440, WIDTH), Residual(), nn.LayerNorm(WIDTH))


def published(path: Path) -> dict[str, float]:
    """Train one epoch the published way; return its seconds and the peak."""
    items = PublishedItems(path)
    loader = torch.utils.data.DataLoader(items, BATCH, shuffle=True)
    network = published_network()
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-4, weight_decay=0.1)
    start = clocks()
    for eeg, vectors in loader:
        brain = network(eeg)
        brain, vectors = (
            nn.functional.normalize(side - side.mean(1, keepdim=True), dim=1) for side in (brain, vectors)
        )
        scores = 25.0 * brain @ vectors.T
        right = torch.arange(len(scores))
        loss = (nn.functional.cross_entropy(scores, right) + nn.functional.cross_entropy(scores.T, right)) / 2
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
    seconds, processor = (last - first for first, last in zip(start, clocks(), strict=True))
    return {"seconds": seconds, "processor_s": processor, "peak_gb": high_water()}


def high_water() -> float:
    """Return the most that this process has held, in GB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) / GB for line in lines if line.startswith("VmHWM"))


def write_pickle(path: Path, pictures: int) -> None:
    eeg = np.random.default_rng(0).standard_normal((pictures, REPEATS, CHANNELS, TIMES))  # doubles, as it is published
    with open(path, "wb") as file:
        pickle.dump({"preprocessed_eeg_data": eeg, "ch_names": list(CONFIG.ch_names)}, file, protocol=4)


def apart(how: str, path: Path) -> dict[str, float]:
    """Measure in a process of its own, so that one's memory is not the other's."""
    done = subprocess.run([sys.executable, __file__, "--measure", how, str(path)], stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pictures", type=int, default=4135)
    parser.add_argument("--full-pictures", type=int, default=16540)
    parser.add_argument("--no-full", action="store_true", help="leave out what needs 4.2 GB of disk")
    parser.add_argument("--measure", nargs=2, metavar=("HOW", "PATH"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        how, path = arguments.measure
        print(json.dumps({"ours": ours, "published": published}[how](Path(path))))
        return
    here = Path(tempfile.mkdtemp(prefix="things-epoch-"))
    try:
        found = apart("ours", make_store(here / "store", arguments.pictures))
        write_pickle(here / "training.npy", arguments.pictures)
        theirs = apart("published", here / "training.npy")
        (here / "training.npy").unlink()
        shutil.rmtree(here / "store")
        figures = {
            "speedup": theirs["seconds"] / found["seconds"],
            "peak_gb": found["peak_gb"],
            "speedup_of_processor_time": theirs["processor_s"] / found["processor_s"],
            "targets": TARGETS,
            "epoch_s": found["seconds"],
            "published_epoch_s": theirs["seconds"],
            "published_peak_gb": theirs["peak_gb"],
            "build_s": found["build_s"],
            "presentations": arguments.pictures * REPEATS,
            "threads": torch.get_num_threads(),
            "cores": os.cpu_count(),
        }
        if not arguments.no_full:
            whole = apart("ours", make_store(here / "full", arguments.full_pictures))
            figures["peak_gb_full"] = whole["peak_gb"]
            figures["epoch_s_full"] = whole["seconds"]
            figures["presentations_full"] = arguments.full_pictures * REPEATS
        print(json.dumps(figures))
    finally:
        shutil.rmtree(here)


if __name__ == "__main__":
    main()
