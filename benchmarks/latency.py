"""How long one 1-second window takes from recording to prompt weights, beside numpy's own filter of the same window.

    python benchmarks/latency.py

The encoder is the demo's architecture, untrained: its speed does not depend on its weights.
"""

import json
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)

from benchmarks.one_line import say_what_is_missing

say_what_is_missing()

import numpy as np
import torch

from core.conditioning.conditioning import condition
from core.model.checkpoint import EegEncoder
from core.model.heads import HeadConfig
from core.model.prediction import encoder_input
from core.montage import MONTAGES
from core.preprocessing.config import PreprocessingConfig
from core.preprocessing.normaliser import Normaliser
from core.preprocessing.selection import select_times
from core.recording import Recording

ROUNDS, WARM_UP = 300, 30


def main() -> None:
    """Time the way to prompt weights over fresh one-second recordings and print one JSON object."""
    ch_names = MONTAGES["epoc-14"]
    config = PreprocessingConfig(
        ch_names=ch_names,
        sfreq=128.0,
        tmin=0.0,
        tmax=1.0,
        l_freq=0.5,
        h_freq=40.0,
        notch=(50.0,),
        reference="average",
        clip=10.0,
    )
    settings = {"n_channels": 14, "n_times": 128, "kernel": 13, "pool": 17, "stride": 4, "n_filters": 32}
    head = HeadConfig("prompts", "prompts", prompts=tuple(f"prompt {i}" for i in range(40)))
    normaliser = Normaliser(np.zeros(14, np.float32), np.full(14, 1e-5, np.float32))
    encoder = EegEncoder(config, normaliser, "nice", settings, [head]).eval()
    rng, taken, filtered = np.random.default_rng(0), [], []
    from scipy.signal import butter, sosfiltfilt

    sos = butter(4, (0.5, 40.0), "bandpass", fs=128.0, output="sos")
    for _ in range(ROUNDS + WARM_UP):
        data = (1e-5 * rng.standard_normal((14, 128))).astype(np.float32)
        recording = Recording(data, 128.0, ch_names)
        started = time.perf_counter()
        condition(encoder, encoder_input(select_times(recording, [0.0]), encoder))
        taken.append(1000 * (time.perf_counter() - started))
        started = time.perf_counter()
        sosfiltfilt(sos, data)
        filtered.append(1000 * (time.perf_counter() - started))
    taken, filtered = sorted(taken[WARM_UP:]), filtered[WARM_UP:]
    print(json.dumps({
        "median_ms": statistics.median(taken),
        "p95_ms": taken[int(0.95 * len(taken))],
        "bandpass_alone_ms": statistics.median(filtered),
        "threads": torch.get_num_threads(),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
